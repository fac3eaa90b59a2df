"""SQL of an application's own: rows, types, errors, transactions, lost connections, poolers (tests/application/statements.c)."""

import re
import threading
import time

import pytest

from support.faulty import FaultyProxy
from support.replication import Bouncer
from support.statements import BASE, log_lines
from support.waiting import Background, wait_until

# ---- Rows and types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_one_kind_of_integer_serves_every_integer_column(new_client, prepare):
    client = new_client({"database.prepare": prepare})
    sql = "INSERT INTO application.titles (id, small, name, price) VALUES ($1, $2, $3, $4)"
    assert client.run(sql, 2**40, 5, "one", 12)["result"] == "ok"
    assert client.rows("SELECT name FROM application.titles WHERE id = $1 AND small = $2 AND price = $3", 2**40, 5, 12) == [
        {"name": "one"}
    ]
    assert client.rows("SELECT name FROM application.titles ORDER BY id LIMIT $1 OFFSET $2", 10, 0) == [{"name": "one"}]
    assert client.rows("SELECT name FROM application.titles WHERE id = ANY($1)", "{1,1099511627776}") == [{"name": "one"}]


def test_values_of_every_type_come_back_as_they_were(client):
    sql = (
        "INSERT INTO application.titles (id, name, is_free, cover, added_at, price, extra, tags)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
    )
    moment = 1769855525000001
    values = (1, "Ünïcode; '--\n\t\"", True, {"bytes": "a\u0001\\x\u00e9"}, {"time": moment}, "19.90")
    assert client.run(sql, *values, '{"a": [1, null]}', '{a,"b c"}')["result"] == "ok"
    assert client.run(sql, 2, "nulls", None, None, None, None, None, None)["result"] == "ok"
    read = client.read(
        "SELECT *, 7::smallint AS seven, sum(small) OVER () AS none FROM application.titles ORDER BY id",
        ("int", "id"), ("text", "name"), ("bool", "is_free"), ("bytes", "cover"), ("time", "added_at"),
        ("text", "price"), ("text", "tags"), ("text", "extra"), ("int", "seven"), ("null", "is_free"),
        ("null", "is_free", 1), ("bytes", "cover", 1), ("time", "added_at", 1), ("bool", "is_free", 1), ("int", "small", 1),
        ("text", "price", 1),
    )  # fmt: skip
    assert read == [
        1, values[1], True, "a\u0001\\x\u00e9", moment, "19.90", '{a,"b c"}', '{"a": [1, null]}', 7, False, True, None, 0,
        False, 0, None,
    ]  # fmt: skip


def test_rows_as_json(client):
    rows = client.rows(
        "SELECT 1::smallint AS i2, 2::bigint AS i8, 0.5::float8 AS f8, 'NaN'::float8 AS nan, 1.50::numeric AS n,"
        " true AS b, NULL::int AS nothing, '{\"a\": [1, \"x\"]}'::jsonb AS j, '3'::json AS three,"
        " '2026-01-31 10:32:05Z'::timestamptz AS t, 'infinity'::timestamptz AS never, '{1,2}'::int[] AS list,"
        " '\\x00ff'::bytea AS bytes, DATE '2026-01-31' AS day, 'text' AS text"
    )
    assert rows == [
        {
            "i2": 1, "i8": 2, "f8": 0.5, "nan": None, "n": "1.50", "b": True, "nothing": None, "j": {"a": [1, "x"]},
            "three": 3, "t": "2026-01-31T10:32:05Z", "never": None, "list": "{1,2}", "bytes": "\\x00ff",
            "day": "2026-01-31", "text": "text",
        }
    ]  # fmt: skip
    assert client.rows("SELECT 1 AS one WHERE false") == []


def test_sum_is_an_integer_and_a_fraction_is_none(client):
    assert client.read("SELECT sum(x) AS s FROM (VALUES (1::bigint), (2)) AS v (x)", ("int", "s")) == [3]
    answer = client.post({"steps": [{"sql": "SELECT 1.5 AS s"}], "read": [{"as": "int", "column": "s", "row": 0}]})
    assert answer.status_code == 500


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Caracas"])
def test_moments_do_not_depend_on_the_zone_of_the_role(cluster, new_client, zone):
    client = new_client()
    cluster.execute(f"ALTER ROLE {cluster.DAEMON} IN DATABASE {client.site.database.name} SET timezone = '{zone}'")
    cluster.execute(f"ALTER ROLE {cluster.DAEMON} IN DATABASE {client.site.database.name} SET bytea_output = 'escape'")
    cluster.terminate_backends(client.site.database.name)
    assert client.rows("SELECT current_setting('TimeZone') AS zone") == [{"zone": zone}]
    assert client.read("SELECT to_timestamp(1769855525) AS t", ("time", "t")) == [1769855525000000]
    assert client.rows("SELECT to_timestamp(1769855525) AS t") == [{"t": "2026-01-31T10:32:05Z"}]
    assert client.read("SELECT '\\x004161'::bytea AS b, ''::bytea AS none", ("bytes", "b"), ("bytes", "none")) == ["\0Aa", ""]


@pytest.mark.parametrize(
    "how, problem",
    [
        ({"as": "text", "column": "nope", "row": 0}, "there is no such column"),
        ({"as": "text", "column": "NAME", "row": 0}, "there is no such column"),
        ({"as": "text", "column": "name", "row": 1}, "there is no such row"),
        ({"as": "int", "column": "name", "row": 0}, "it is no integer"),
        ({"as": "bool", "column": "id", "row": 0}, "it is no boolean"),
        ({"as": "time", "column": "day", "row": 0}, "it is no timestamptz"),
        ({"as": "bytes", "column": "name", "row": 0}, "it is no bytea"),
        ({"as": "text", "column": "twice", "row": 0}, "there are several columns of that name"),
        ({"as": "int", "column": "huge", "row": 0}, "it is no integer of 64 bits"),
    ],
)
def test_column_that_is_not_so_is_logged_and_the_answer_is_500(client, how, problem):
    sql = "SELECT 1 AS id, 'x' AS name, DATE '2026-01-01' AS day, 1 AS twice, 2 AS twice, 1e30::numeric AS huge"
    assert client.post({"steps": [{"sql": sql}], "read": [how]}).status_code == 500
    lines = log_lines(client.site, "sql_misread")
    assert len(lines) == 1
    assert problem in lines[0] and f"column={how['column']} row={how['row']}" in lines[0] and "SELECT 1 AS id" in lines[0]


def test_two_columns_of_one_name_are_no_json(client):
    assert client.post({"steps": [{"sql": "SELECT 1 AS a, 2 AS a"}]}).status_code == 500


# ---- Errors ----------------------------------------------------------------------------------------------------------


ERRORS = [
    ("INSERT INTO application.titles (name) VALUES ($1)", ["taken"], "duplicate", "23505"),
    ("INSERT INTO application.titles (name) VALUES ($1)", [None], "violation", "23502"),
    ("INSERT INTO application.titles (name, small) VALUES ('x', $1)", [13], "violation", "23514"),
    ("INSERT INTO application.titles (name, parent) VALUES ('x', $1)", [4711], "violation", "23503"),
    ("INSERT INTO application.titles (name, small) VALUES ('x', $1)", [2**40], "violation", "22003"),
    ("SELECT $1::uuid", ["geheim"], "violation", "22P02"),
    ("SELECT 1 / $1::int", [0], "violation", "22012"),
    ("SELECT nothing FROM application.titles", [], "failed", "42703"),
    ("SELEC 1", [], "failed", None),
    ("SELECT FROM application.unknown", [], "failed", "42P01"),
    ("SELECT 1; SELECT 2", [], "failed", "42601"),
    ("SELECT $1", [1, 2], "failed", None),
    ("DELETE FROM users", [], "failed", "42501"),
    ("SELECT password FROM pg_authid", [], "failed", None),
]


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_errors_are_told_apart_and_logged_once_without_values(new_client, prepare):
    client = new_client({"database.prepare": prepare})
    client.site.database.query("INSERT INTO application.titles (name) VALUES ('taken')")
    for sql, values, result, sqlstate in ERRORS:
        before = len(client.site.daemon.log_text())
        assert client.run(sql, *values)["result"] == result, sql
        told = [line for line in client.site.daemon.log_text()[before:].splitlines() if " sql_" in line or "database_" in line]
        assert len(told) == 1, (sql, told)
        if sqlstate is not None:
            assert f"sqlstate={sqlstate}" in told[0]
        assert "purpose=/statements" in told[0]
        for value in ("taken", "geheim", "4711", str(2**40)):
            assert value not in re.sub("request_id=[^ ]*", "", told[0])
    assert client.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize(
    "sql",
    ["BEGIN", "COMMIT", "ROLLBACK", "SET search_path = x", "RESET ALL", "DISCARD ALL", "LISTEN x", "PREPARE x AS SELECT 1",
     "COPY application.titles FROM STDIN", "COPY application.titles TO STDOUT", "SAVEPOINT x", "/* */ SET x.y = 1", "",
     "CREATE TEMP TABLE users (x int)"],
)  # fmt: skip
def test_statements_that_change_the_connection_are_refused(client, sql):
    assert client.run(sql)["result"] == "failed"
    assert len(log_lines(client.site, "sql_refused")) == 1


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_values_are_never_part_of_the_statement(new_client, prepare):
    client = new_client({"database.prepare": prepare})
    nasty = "x'); DROP TABLE application.titles; --"
    assert client.run("INSERT INTO application.titles (name) VALUES ($1)", nasty)["result"] == "ok"
    assert client.rows("SELECT name FROM application.titles WHERE name = $1", nasty) == [{"name": nasty}]
    assert client.rows("SELECT name FROM application.titles WHERE name = $1", "x' OR 'a' = 'a") == []


def test_there_is_no_sql_where_the_route_has_none(client):
    for path, reason in (("/quick_statement", "a quick route"), ("/needless_statement", "ONES_NEEDS_NOTHING")):
        assert client.browser.get(BASE + path).json() == {"result": "failed"}
        assert reason in log_lines(client.site, "sql_refused")[-1]


def test_rows_of_more_than_16_mib_are_a_mistake_and_roll_back(client):
    """Where nothing is asked for there is no bound."""
    sql = "INSERT INTO application.titles (name) SELECT $1 || n FROM generate_series(1, 9) AS n RETURNING repeat(name, 1000000) AS x"
    assert client.run(sql, "a", transact=True, read=[])["result"] == "failed"
    assert "its rows take more than 16 MiB" in log_lines(client.site, "sql_failed")[0]
    assert client.site.database.query("SELECT * FROM application.titles") == []
    assert client.run("SELECT repeat('x', 15000000) AS x", read=[])["result"] == "ok"


# ---- Prepared by themselves ------------------------------------------------------------------------------------------


def prepared(client):
    return client.rows("SELECT name, statement FROM pg_prepared_statements WHERE name LIKE 'module%'")


def test_statement_is_prepared_once_and_known_by_its_text(client):
    for _ in range(3):
        client.rows("SELECT $1::int AS x", 1)
    found = [row["statement"] for row in prepared(client)]
    assert found.count("SELECT $1::int AS x") == 1


def test_prepared_statements_are_bounded_and_the_least_used_goes(client):
    for number in range(230):
        client.rows(f"SELECT {number} AS x")
        client.rows("SELECT 'often' AS x")
    found = {row["statement"] for row in prepared(client)}
    assert len(found) == 200
    assert "SELECT 'often' AS x" in found and "SELECT 229 AS x" in found and "SELECT 0 AS x" not in found
    assert client.rows("SELECT 0 AS x") == [{"x": 0}]


def test_without_prepare_nothing_of_an_application_is_prepared(new_client):
    client = new_client({"database.prepare": "off"})
    client.rows("SELECT $1::int AS x", 1)
    assert client.rows("SELECT count(*) AS n FROM pg_prepared_statements") == [{"n": 0}]


def test_table_that_changes_under_a_prepared_statement_is_not_noticed(client):
    sql = "SELECT * FROM application.titles"
    assert client.rows(sql) == []
    client.site.database.query("ALTER TABLE application.titles ADD COLUMN more int")
    assert client.rows(sql) == []
    client.site.database.query("ALTER TABLE application.titles DROP COLUMN more")
    assert client.run(sql, transact=True)["result"] == "ok"


def test_what_the_server_cannot_do_is_a_failure_and_not_tried_again(client):
    # 0A000 of the statement itself.
    assert client.run("SELECT count(*) FROM application.titles FOR UPDATE")["result"] == "failed"
    assert len(log_lines(client.site, "sql_failed")) == 1


# ---- Transactions ----------------------------------------------------------------------------------------------------


INSERT = "INSERT INTO application.titles (name) VALUES ($1)"


def names(client):
    return [row[0] for row in client.site.database.query("SELECT name FROM application.titles ORDER BY name")]


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_transaction_is_whole_or_not_at_all(new_client, prepare):
    client = new_client({"database.prepare": prepare})
    answer = client.steps((INSERT, ["a"]), (INSERT, ["b"]), transact=True)
    assert (answer["result"], answer["results"], answer["runs"]) == ("ok", ["ok", "ok"], 1)
    assert names(client) == ["a", "b"]
    answer = client.steps((INSERT, ["c"]), (INSERT, ["a"]), transact=True)
    assert (answer["result"], answer["runs"]) == ("duplicate", 1)
    assert names(client) == ["a", "b"]
    # Its own word: everything went well, and it says no.
    assert client.steps((INSERT, ["d"]), transact=True, then="invalid")["result"] == "invalid"
    assert names(client) == ["a", "b"]


def test_nothing_runs_in_a_transaction_after_a_failure_whatever_the_body_makes_of_it(client):
    answer = client.steps((INSERT, ["a"]), (INSERT, [None]), (INSERT, ["b"]), "SELECT 1 AS x", transact=True)
    assert answer["results"] == ["ok", "violation", "violation", "violation"]
    assert answer["result"] == "violation"
    assert names(client) == []
    assert len(log_lines(client.site, "sql_failed")) == 1


def test_constraint_that_is_checked_at_commit_is_a_violation(client):
    answer = client.run("INSERT INTO application.titles (name, late) VALUES ('a', 4711)", transact=True)
    assert (answer["result"], answer["results"], answer["runs"]) == ("violation", ["ok"], 1)
    assert names(client) == []


def test_transaction_that_misreads_is_rolled_back(client):
    step = {"sql": INSERT + " RETURNING id", "values": ["a"], "misread": True}
    assert client.post({"steps": [step], "transact": True}).status_code == 500
    assert names(client) == []
    # Outside of one it is done.
    assert client.post({"steps": [step]}).status_code == 500
    assert names(client) == ["a"]


def test_deadlock_runs_the_transaction_again(client):
    database = client.site.database
    database.query("INSERT INTO application.titles (id, name) VALUES (1, 'one'), (2, 'two')")
    # The other waits for what this one has: the server ends the one that has waited for deadlock_timeout first.
    other = database.connect(database.cluster.superuser)
    other.autocommit = False
    cursor = other.cursor()
    cursor.execute("SET deadlock_timeout = '60s'")
    cursor.execute("UPDATE application.titles SET small = 1 WHERE id = 2")
    update = "UPDATE application.titles SET small = 2 WHERE id = $1"
    call = Background(client.steps, (update, [1]), (update, [2]), transact=True)
    wait_until(
        lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'") == 1,
        "the transaction to wait",
    )
    cursor.execute("UPDATE application.titles SET small = 1 WHERE id = 1")
    other.commit()
    other.close()
    answer = call.result()
    # Who runs again may be at the row before the other has woken up, and meet it once more.
    assert answer["result"] == "ok" and answer["runs"] >= 2
    assert database.query("SELECT small FROM application.titles") == [(2,), (2,)]


def test_transaction_that_conflicts_each_time_is_given_up(client):
    client.site.database.query(
        "CREATE FUNCTION application.conflict() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '40001'; END $$"
    )
    answer = client.run("SELECT application.conflict()", transact=True)
    assert (answer["result"], answer["runs"]) == ("conflict", 5)
    assert client.run("SELECT application.conflict()")["result"] == "conflict"


def test_transactions_do_not_nest_and_session_changes_are_refused_in_them(client):
    client.browser.sign_in()
    for what in ("transact", "logout", "end", "password", "login"):
        answer = client.steps((INSERT, [what]), {"forbidden": what}, transact=True)
        assert (answer["result"], answer["results"]) == ("failed", ["ok", "failed"])
    assert names(client) == []
    assert client.browser.is_live()
    assert len(log_lines(client.site, "refused_in_transaction")) == 4


# ---- Receivers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent, is_in", [("Writer", True), ("Writer of 13", False), ("Writer that misreads", False), ("Writer that nests", False)])
def test_receiver_s_rows_are_there_with_the_login_or_not_at_all(new_statements, browse, agent, is_in):
    site = new_statements()
    person = browse(site, user_agent=agent, permits_5xx=True)
    assert person.login().status_code == (200 if is_in else 500)
    assert site.database.query("SELECT name FROM application.titles") == ([("alice",)] if is_in else [])
    assert len(site.database.sessions()) == (1 if is_in else 0)


def test_receiver_after_the_commit_has_no_sql(new_statements, browse):
    site = new_statements()
    browse(site, user_agent="Late writer").sign_in()
    lines = log_lines(site, "sql_refused")
    assert len(lines) == 1 and "after the commit receivers have none" in lines[0]


# ---- Time and connections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_statement_that_takes_too_long_is_unavailable_and_the_next_is_well(new_client, prepare):
    client = new_client({"database.prepare": prepare, "database.statement_timeout": "300ms"})
    began = time.monotonic()
    assert client.run("SELECT pg_sleep(60)")["result"] == "unavailable"
    assert time.monotonic() - began < 10
    assert client.rows("SELECT 1 AS one") == [{"one": 1}]
    assert client.run("SELECT pg_sleep(60)", transact=True)["result"] == "unavailable"
    assert client.rows("SELECT 1 AS one") == [{"one": 1}]


def test_request_s_time_bounds_its_statements(new_client):
    """The worker would be killed else, and the client get nothing."""
    client = new_client({"server.request_timeout": "2s", "database.statement_timeout": "1500ms"})
    worker = client.site.daemon.workers
    answer = client.steps(*["SELECT pg_sleep(1)"] * 4)
    assert answer["results"][0] == "ok" and answer["results"][-2:] == ["unavailable"] * 2
    assert client.site.daemon.workers == worker
    assert any("the time of the request" in line for line in log_lines(client.site, "sql_failed"))


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_connection_that_was_lost_before_is_not_noticed(new_client, cluster, prepare):
    client = new_client({"database.prepare": prepare})
    for _ in range(3):
        assert client.run(INSERT + " ON CONFLICT DO NOTHING", "a")["result"] == "ok"
        cluster.terminate_backends(client.site.database.name)


def end_while(client, cluster, sql, **more):
    """The server ends the connection while the statement runs."""
    call = Background(client.run, sql, **more)
    connection = cluster.connect(client.site.database.name)
    with connection.cursor() as cursor:

        def is_ended():
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'PgSleep'"
                " AND datname = current_database()",
                (cluster.DAEMON,),
            )
            return cursor.rowcount > 0

        wait_until(is_ended, "it to run")
    connection.close()
    return call.result()


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(1)", "INSERT INTO application.titles (name) SELECT 'a' FROM pg_sleep(1)"])
def test_statement_whose_connection_is_lost_is_not_sent_again(client, cluster, sql):
    assert end_while(client, cluster, sql)["result"] == "unavailable"
    assert names(client) == []
    assert client.rows("SELECT 1 AS one") == [{"one": 1}]


def test_transaction_whose_connection_is_lost_is_run_again(client, cluster):
    answer = end_while(client, cluster, "INSERT INTO application.titles (name) SELECT 'a' FROM pg_sleep(0.5)", transact=True)
    assert (answer["result"], answer["runs"]) == ("ok", 2)
    assert names(client) == ["a"]


@pytest.fixture
def proxied(new_client, cluster, closing):
    """A client whose daemon reaches the database through a proxy that can meddle with COMMIT."""
    proxy = closing.add(FaultyProxy(cluster))
    client = new_client()
    daemon = client.site.daemon
    daemon.stop()
    daemon.settings["database.conninfo"] = proxy.conninfo(client.site.database)
    daemon.start()
    client.proxy = proxy
    return client


@pytest.mark.parametrize("what, is_there", [("lose", False), ("cut", True)])
def test_commit_whose_outcome_is_not_known_is_told_and_not_repeated(proxied, what, is_there):
    proxied.rows("SELECT 1 AS one")
    proxied.proxy.once(what)
    answer = proxied.run(INSERT, "a", transact=True)
    assert (answer["result"], answer["results"], answer["runs"]) == ("unavailable", ["ok"], 1)
    assert names(proxied) == (["a"] if is_there else [])
    assert len(log_lines(proxied.site, "commit_unknown")) == 1


def test_database_that_is_away_is_unavailable_at_once(client, cluster):
    client.rows("SELECT 1 AS one")
    client.site.database.close()
    cluster.stop()
    # The route looks for a session only where there is a key: this browser has none.
    assert client.run("SELECT 1 AS one")["result"] == "unavailable"
    assert client.run("SELECT 1 AS one", transact=True)["result"] == "unavailable"
    cluster.start()
    wait_until(lambda: client.run("SELECT 1 AS one")["result"] == "ok", "the database to be found again")


def test_through_pgbouncer(new_client, cluster, closing):
    bouncer = closing.add(Bouncer(cluster).start())
    client = new_client()
    daemon = client.site.daemon
    daemon.stop()
    daemon.settings["database.conninfo"] = bouncer.conninfo(client.site.database.name, cluster.DAEMON)
    daemon.settings["database.prepare"] = "off"
    daemon.settings["server.workers"] = 4
    daemon.start()
    assert client.rows("SELECT $1::int AS x", 1) == [{"x": 1}]
    failures = []

    def work(number):
        for turn in range(20):
            name = f"{number} {turn}"
            answer = client.steps((INSERT, [name]), ("SELECT name FROM application.titles WHERE name = $1", [name]), transact=True)
            if answer["result"] != "ok" or answer["rows"] != [{"name": name}]:
                failures.append(answer)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.site.database.value("SELECT count(*) FROM application.titles") == 80


def test_guard_goes_on_while_a_statement_waits(new_client, browse):
    """A module's statement holds its own worker only."""
    client = new_client({"server.workers": 2})
    person = browse(client.site)
    person.sign_in()
    call = Background(client.run, "SELECT pg_sleep(2)")
    began = time.monotonic()
    for _ in range(5):
        assert person.auth() is None or person.is_live()
    assert time.monotonic() - began < 1.9
    assert call.result()["result"] == "ok"


def test_nothing_of_a_value_is_in_the_log(client):
    client.run(INSERT, "canary4711")
    client.run(INSERT, "canary4711")
    client.run("SELECT 'canary4711'::int")
    client.run("SELECT $1::timestamptz", "canary4711")
    assert not re.search("canary4711", client.site.daemon.log_text())
