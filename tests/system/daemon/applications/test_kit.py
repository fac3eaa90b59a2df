"""libonesession-test.a with a database; without one it is among the units. What can be seen of it from outside."""

import os
import re
import subprocess

from support.installing import run
from support.postgres import new_empty_database
from support.processes import BUILD
from support.programs import environment


def test_kit_makes_the_tables_and_sends_requests_to_them(cluster, closing):
    database = new_empty_database(cluster)
    closing.add(database)
    conninfo = {"ONESESSION_TEST_CONNINFO": database.owner_conninfo}
    # A second time they are there already.
    for _ in range(2):
        done = subprocess.run(
            [BUILD / "tests/test_kit"],
            env={**environment(), **conninfo},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "tables_are_made_and_handlers_use_them" in done.stdout


def test_nothing_but_the_public_functions_can_be_seen_of_the_library():
    listed = run("nm", "-g", "--defined-only", BUILD / "libonesession-test.a").stdout
    names = re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", listed, re.M)
    assert "ones_test_new" in names and "ones_sql" in names
    assert [name for name in names if not name.startswith("ones_")] == []
    assert os.path.getsize(BUILD / "libonesession-test.a") > 100_000
