"""What modules' statements may do to the connection, and what a role's settings may do to what is read from it."""

import pytest

from support.replication import Bouncer
from support.statements import log_lines

BEFORE_CHRIST = "0044-03-15 12:00:00+00 BC"
LAST = "294276-12-31 23:59:59+00"


# ---- The connection stays as it was ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql, problem",
    [
        ("SELECT * INTO TEMP sessions FROM public.sessions", "SELECT ... INTO makes a table"),
        ("WITH s AS (SELECT * FROM public.users) SELECT * INTO TEMPORARY users FROM s", "SELECT ... INTO makes a table"),
        ("SELECT set_config('search_path', 'application, public', false)", "changes a setting"),
        ("SELECT pg_catalog.\"set_config\"('statement_timeout', '0', false)", "changes a setting"),
        ("UPDATE pg_settings SET setting = 'application' WHERE name = 'search_path'", "changes a setting"),
        ("SELECT pg_advisory_lock(4711)", "outlasts the request"),
        ("SELECT pg_try_advisory_lock(4711)", "outlasts the request"),
    ],
)
def test_statement_that_would_outlast_its_request_is_refused_with_a_reason(client, sql, problem):
    for transact in (False, True):
        assert client.run(sql, transact=transact)["result"] == "failed"
    lines = log_lines(client.site, "sql_refused")
    assert len(lines) == 2 and problem in lines[0] and "purpose=/statements" in lines[0]


def test_words_in_literals_and_comments_are_no_statements(client):
    sql = "SELECT 'SELECT 1 INTO x; set_config(' AS a, $$pg_advisory_lock$$ AS b /* INTO */ -- INTO"
    assert client.rows(sql) == [{"a": "SELECT 1 INTO x; set_config(", "b": "pg_advisory_lock"}]
    assert client.run("SELECT pg_advisory_xact_lock(1)")["result"] == "ok"
    assert client.run("INSERT INTO application.titles (name) VALUES ('into')")["result"] == "ok"


def test_receivers_execute_nothing_that_handlers_may_not(new_statements, browse):
    site = new_statements()
    browser = browse(site, user_agent="Writer that sets", permits_5xx=True)
    assert browser.login().status_code == 500
    assert "changes a setting" in log_lines(site, "sql_refused")[0]


def test_temporary_table_hides_none_of_the_rule_s(client, browse):
    """A function of the module's own is looked into by nobody: the tables of the daemon come first all the same."""
    client.site.database.query(
        "CREATE FUNCTION application.hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
        " CREATE TEMP TABLE sessions AS SELECT * FROM public.sessions;"
        " CREATE TEMP TABLE users AS SELECT * FROM public.users; END $$"
    )
    older, newer = browse(client.site), browse(client.site)
    older.sign_in()
    assert older.is_live()
    assert client.run("SELECT application.hide() IS NULL AS hidden")["result"] == "ok"
    newer.sign_in()
    assert older.auth() == "displaced"
    assert newer.is_live()


def test_search_path_of_the_role_stays_with_temporary_tables_behind_it(cluster, client):
    role = f"ALTER ROLE {cluster.DAEMON} IN DATABASE {client.site.database.name}"
    cluster.execute(f"{role} SET search_path = public, application")
    cluster.terminate_backends(client.site.database.name)
    found = client.rows("SELECT current_setting('search_path') AS path")
    assert found == [{"path": "public, application, pg_temp"}]


# ---- Settings of the role --------------------------------------------------------------------------------------------


OF_ROLE = {
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
}


def set_for_role(cluster, site, settings):
    for name, value in settings.items():
        cluster.execute(f"ALTER ROLE {cluster.DAEMON} IN DATABASE {site.database.name} SET {name} = '{value}'")
    cluster.terminate_backends(site.database.name)


def test_settings_of_the_role_do_not_change_what_is_read(cluster, new_client):
    client = new_client()
    set_for_role(cluster, client.site, OF_ROLE)
    (row,) = client.rows(
        "SELECT to_timestamp(1769855525) AS t, INTERVAL '1 day 2 hours' AS i, '\\x00ff'::bytea AS b, pi() AS pi,"
        " 'a\\b' AS s, current_setting('transaction_isolation') AS level"
    )
    assert row == {
        "t": "2026-01-31T10:32:05Z", "i": "1 day 02:00:00", "b": "\\x00ff", "pi": 3.141592653589793, "s": "a\\b",
        "level": "read committed",
    }  # fmt: skip
    assert client.read("SELECT to_timestamp(1769855525) AS t", ("time", "t")) == [1769855525000000]


@pytest.mark.parametrize("is_pooled", [False, True])
def test_moments_are_read_without_prepared_statements_whatever_the_role_s_style_is(
    cluster, new_client, closing, is_pooled
):
    client = new_client({"database.prepare": "off"})
    set_for_role(cluster, client.site, {"DateStyle": "German", "standard_conforming_strings": "off"})
    if is_pooled:
        bouncer = closing.add(Bouncer(cluster).start())
        daemon = client.site.daemon
        daemon.stop()
        daemon.settings["database.conninfo"] = bouncer.conninfo(client.site.database.name, cluster.DAEMON)
        daemon.start()
    assert client.read("SELECT to_timestamp(1769855525) AS t", ("time", "t")) == [1769855525000000]
    assert client.rows("SELECT 'a\\b' AS s") == [{"s": "a\\b"}]


# ---- Values that are more than a number or a moment here -------------------------------------------------------------


@pytest.mark.parametrize(
    "stored, shown",
    [
        ("'{\"n\": 12345678901234567890, \"m\": 1}'::jsonb", {"n": 1.2345678901234567e19, "m": 1.0}),
        ("'[1e400]'::json", "[1e400]"),
        ("'[12345678901234567890, 1e400]'::json", "[12345678901234567890, 1e400]"),
        ("'\"\\ud800\"'::json", '"\\ud800"'),
        ("'{\"a\\u0000\": 1}'::json", '{"a\\u0000": 1}'),
        ("'\"a\\u0000\"'::json", "a\0"),
        ("(repeat('[', 2100) || repeat(']', 2100))::jsonb", "[" * 2100 + "]" * 2100),
    ],
    ids=range(7),
)
def test_json_that_cannot_be_read_here_is_shown_as_text_and_breaks_no_page(client, stored, shown):
    assert client.rows(f"SELECT {stored} AS value, 1 AS one") == [{"value": shown, "one": 1}]


def test_deepest_json_that_can_be_read_is_written_too(client):
    text = "[" * 2040 + "]" * 2040
    answer = client.post({"steps": [{"sql": f"SELECT '{text}'::jsonb AS value"}]})
    assert answer.status_code == 200 and text in answer.text


@pytest.mark.parametrize("moment", [BEFORE_CHRIST, LAST])
def test_moment_that_64_bits_or_rfc_3339_have_not_is_a_text(client, moment):
    sql = f"SELECT '{moment}'::timestamptz AS t"
    assert client.rows(sql) == [{"t": moment}]
    assert client.read(sql, ("text", "t")) == [moment]
    answer = client.post({"steps": [{"sql": sql}], "read": [{"as": "time", "column": "t", "row": 0}]})
    assert answer.status_code == 500
    assert "it is none of the years 1 to 294246" in log_lines(client.site, "sql_misread")[0]


def test_moments_of_early_years_come_back_as_they_were(client):
    ides = -60772291200000000
    insert = "INSERT INTO application.titles (name, added_at) VALUES ('ides', $1) RETURNING added_at"
    assert client.rows(insert, {"time": ides}) == [{"added_at": "0044-03-15T00:00:00Z"}]
    assert client.read("SELECT added_at FROM application.titles", ("time", "added_at")) == [ides]
    assert client.run(insert, {"time": ides - 2**56})["result"] == "violation"
    assert log_lines(client.site, "sql_failed")[0].count("sqlstate=22") == 1
