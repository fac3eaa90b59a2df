"""Changes of the public header that a module which was built before would not survive want another ONES_ABI."""

import re
import shutil

import pytest

from support.installing import run
from support.processes import ROOT

HEADER = ROOT / "daemon/onesession.h"
RECORDED = ROOT / "tests/abi/onesession.abi"

pytestmark = pytest.mark.skipif(shutil.which("abidiff") is None, reason="no abidiff")


def check(header, recorded=RECORDED):
    return run(ROOT / "tools/abi", "check", header, recorded)


def changed(tmp_path, pattern, replacement):
    text = HEADER.read_text()
    new = re.sub(pattern, replacement, text, count=1, flags=re.M)
    assert new != text
    path = tmp_path / "changed.h"
    path.write_text(new)
    return path


def test_header_keeps_what_was_recorded():
    done = check(HEADER)
    assert done.returncode == 0, done.stdout + done.stderr


BREAKING = {
    "member_in_the_middle": (r"^\tint64_t max_body;", "\tint64_t more;\n\tint64_t max_body;"),
    "member_at_the_end": (r"^(struct ones_cookie \{\n(?:.*\n)*?)\};", r"\1\tint64_t more;\n};"),
    "member_of_the_module": (r"^\tconst char \*migrations;", "\tconst char *more;\n\tconst char *migrations;"),
    "type_of_a_member": (r"^\tbool signed_in;", "\tint64_t signed_in;"),
    "enumerator_in_the_middle": (r"^\tONES_REASON_EXPIRED,", "\tONES_REASON_MORE,\n\tONES_REASON_EXPIRED,"),
    "argument": (r"ones_rows_count\(", "ones_rows_count(int more, "),
    "type_that_is_returned": (r"^bool ones_bool\(", "int64_t ones_bool("),
    "function_that_is_gone": (r"^size_t ones_rows_count\(.*;", ""),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_change_that_old_modules_do_not_survive_fails_unless_the_abi_is_raised(tmp_path, kind):
    header = changed(tmp_path, *BREAKING[kind])
    done = check(header)
    assert done.returncode == 1 and "Raise ONES_ABI" in done.stderr, done.stdout + done.stderr
    text = header.read_text()
    number = int(re.search(r"^#define ONES_ABI (\d+)$", text, re.M)[1])
    header.write_text(re.sub(r"^#define ONES_ABI \d+$", f"#define ONES_ABI {number + 1}", text, flags=re.M))
    done = check(header)
    assert done.returncode == 0, done.stdout + done.stderr


HARMLESS = {
    "function": (r"^size_t ones_rows_count\(", "size_t ones_rows_more(const struct ones_rows *rows);\n\nsize_t ones_rows_count("),
    "type": (r"^struct ones_upload \{", "struct ones_more {\n\tint more;\n};\n\nstruct ones_upload {"),
    "enumerator_at_the_end": (r"^\tONES_REASON_DISABLED,", "\tONES_REASON_DISABLED,\n\tONES_REASON_MORE,"),
    "signal": (r"^\tONES_SIGNAL_COUNT,", "\tONES_SIGNAL_MORE,\n\tONES_SIGNAL_COUNT,"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_added_is_no_change_of_what_there_was(tmp_path, kind):
    done = check(changed(tmp_path, *HARMLESS[kind]))
    assert done.returncode == 0, done.stdout + done.stderr


def test_advice_depends_on_whether_a_release_has_that_abi(tmp_path):
    header = changed(tmp_path, *BREAKING["member_at_the_end"])
    text = RECORDED.read_text()
    for state, advice in (("in no release yet", "make abi"), ("released in 0.3.0", "Raise ONES_ABI.\n")):
        recorded = tmp_path / "recorded.h"
        recorded.write_text(re.sub(r"(?<=^/\* ABI 1, ).*(?=: onesession\.h)", state, text))
        assert check(header, recorded).stderr.endswith(advice if advice.endswith("\n") else f"{advice}\n")
