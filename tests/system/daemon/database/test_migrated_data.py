"""A database with all that a site has in it, of the last version: after migrate it is there as it was, and is served."""

import base64
import hashlib

import pytest

from support.client import attempt
from support.postgres import Database
from support.programs import Ctl
from support.rows import apply_up_to, put_session

KEY = "mpF4N8S1C6DyxNW4F7eTqmPSykplTU-HkWMPsaLV4NU"

# Rows of each table of version 9, with each column that may be NULL once so and once not.
ROWS = """
    INSERT INTO users (username, password, is_active, is_admin, session_limit, created_at, email, email_verified_at, delete_at,
                       notify_new_browser, language)
    VALUES ('alice', {password}, true, true, NULL, '2024-01-02 03:04:05.678901+00', 'Alice@example.org', now(), NULL, true, 'de'),
           ('Bob Ünlü', {password}, true, false, 0, '2025-01-01', NULL, NULL, now() + interval '20 days', false, NULL),
           ('carol', '!', false, false, 3, '2026-01-01', 'carol@example.org', NULL, NULL, true, 'zh');
    INSERT INTO users (username, password) SELECT 'many' || n, '!' FROM generate_series(1, 500) n;
    INSERT INTO sessions (session_key, user_id, data, expires_at, device_key, form_key, proved_at)
    SELECT sha256(('s' || n)::bytea), (SELECT id FROM users WHERE username = 'many' || 1 + n % 500), '{{"cart": [1, "ä"]}}',
           now() + interval '1 hour', CASE WHEN n % 2 = 0 THEN sha256(('d' || n)::bytea) END,
           CASE WHEN n % 3 = 0 THEN sha256(('f' || n)::bytea) END, CASE WHEN n % 5 = 0 THEN now() END
      FROM generate_series(1, 1000) n;
    INSERT INTO logged_in_user (user_id, session_key, login_order, logged_in_at)
    SELECT DISTINCT ON (user_id) user_id, session_key, login_order, created_at FROM sessions ORDER BY user_id, login_order DESC;
    INSERT INTO ended_sessions
    SELECT sha256(('e' || n)::bytea), gen_random_uuid(), 1 + n % 3, (ARRAY['displaced', 'expired', 'idle', 'logged_out', 'revoked',
           'password_changed', 'disabled'])[1 + n % 7], now(), now() - interval '1 day', now() - interval '1 hour',
           CASE WHEN n % 2 = 0 THEN inet '2001:db8::1' END, 'Browser', CASE WHEN n % 7 = 0 THEN gen_random_uuid() END,
           CASE WHEN n % 7 = 0 THEN inet '192.0.2.1' END, CASE WHEN n % 7 = 0 THEN 'Other' ELSE '' END
      FROM generate_series(1, 700) n;
    INSERT INTO events (at, name, user_id, username, session_id, ip, user_agent, detail)
    SELECT now() - n * interval '1 minute', 'user_logged_in', CASE WHEN n % 4 > 0 THEN n % 4 END, 'somebody', gen_random_uuid(),
           '192.0.2.1', 'Browser', jsonb_build_object('n', n) FROM generate_series(1, 5000) n;
    DELETE FROM events WHERE id % 10 = 0;
    INSERT INTO takeovers VALUES (1, 4, now(), now(), NULL, NULL), (2, 9, now(), now(), now(), now() + interval '1 hour');
    INSERT INTO login_tickets VALUES (1, sha256('ticket'), 'hash', now() + interval '5 minutes');
    INSERT INTO login_failures VALUES ('account', 'x', 3, now()), ('address', '192.0.2.1', 5, now()),
           ('network', '2001:db8::/48', 1, now()), ('browser', 'y', 2, now());
    INSERT INTO known_browsers SELECT 1 + n % 3, sha256(('b' || n)::bytea), now() FROM generate_series(1, 300) n;
    INSERT INTO anonymous_sessions VALUES (sha256('anonymous'), '{{"seen": true}}', now(), now() + interval '1 hour');
    INSERT INTO signups (username, email, password, ip, expires_at) VALUES ('dave', 'dave@example.org', 'hash', '192.0.2.4', now() + interval '1 day');
    INSERT INTO mails (module, kind, user_id, about_id, recipient, sent_to, data, purpose, lifetime_ms, path, state, ended_at, problem)
    VALUES ('session', 'reset', 1, 1, NULL, NULL, '{{"a": "b"}}', 'reset', 1000, '/reset', 'queued', NULL, ''),
           ('session', 'notice', NULL, NULL, 'x@example.org', 'x@example.org', NULL, NULL, NULL, NULL, 'dead', now(), 'refused'),
           ('session', 'notice', 2, NULL, NULL, 'y@example.org', NULL, NULL, NULL, NULL, 'sent', now(), '');
    INSERT INTO mail_tokens VALUES (sha256('t'), sha256('c'), 1, 1, 'reset', 1, 'alice@example.org', 'Alice@example.org', '{{"a": 1}}', now(), now() + interval '1 hour');
    INSERT INTO code_tries VALUES ('1', 2, now());
    INSERT INTO mail_domains VALUES ('example.org', now());
    INSERT INTO module_migrations (module, version, name, sha256) VALUES ('cinema', 1, '0001_titles', repeat('a', 64));
    INSERT INTO jobs (name, next_at, result, failures) VALUES ('session.purge', now() + interval '1 hour', 'ok', 0), ('cinema.tell', now(), 'failed', 3);
"""

COLUMNS = (
    "SELECT table_name, array_agg(format('%I', column_name) ORDER BY ordinal_position)::text[] FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'schema_migrations' GROUP BY 1 ORDER BY 1"
)


def rows_of(database, columns):
    return {
        table: sorted(text for (text,) in database.query(f"SELECT ROW({', '.join(names)})::text FROM {table}"))
        for table, names in columns.items()
    }


@pytest.fixture
def former(empty_database):
    """A database of version 9 with rows in each of its tables."""
    apply_up_to(empty_database, 9)
    hashed = base64.b64encode(hashlib.pbkdf2_hmac("sha256", Database.password.encode(), b"salt", 1000)).decode()
    empty_database.query(ROWS.format(password=f"'pbkdf2_sha256$1000$salt${hashed}'"))
    return empty_database


def test_all_that_a_site_has_is_there_as_it_was(former):
    columns = dict(former.query(COLUMNS))
    before = rows_of(former, columns)
    assert len(before) == 17 and all(before.values()), [table for table, rows in before.items() if not rows]
    sequences = former.query("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
    assert "0010_plans_and_api" in Ctl(former.owner_conninfo).run("migrate", "--grant", former.cluster.DAEMON)
    assert rows_of(former, columns) == before
    now = dict(former.query("SELECT sequencename, last_value FROM pg_sequences"))
    assert sequences and all(now[name] == last for name, last in sequences)
    # What is new says nothing of anybody, and nothing is to be sent of what has happened.
    assert former.query("SELECT DISTINCT plan, groups, valid_until, external_id FROM users") == [(None, [], None, None)]
    assert former.query("SELECT DISTINCT written_by::text FROM events") == [("0",)]
    made = set(dict(former.query(COLUMNS))) - set(columns)
    assert made == {"plans", "api_tokens", "api_answers", "webhooks", "webhook_states", "webhook_deliveries"}
    assert all(former.value(f"SELECT count(*) FROM {table}") == 0 for table in made)


def test_who_was_signed_in_is_so_still_and_others_can_sign_in(former, new_daemon):
    public_id = put_session(former, "alice", KEY)
    ctl = Ctl(former.owner_conninfo)
    ctl.run("migrate", "--grant", former.cluster.DAEMON)
    daemon = new_daemon(on=former).start()
    assert daemon.ask(headers={"Cookie": f"onesession={KEY}"}).get("Session-Id") == public_id
    assert attempt(daemon, "bob ünlü", former.password).status == 200
    ctl.run("plan", "set", "gold", "--sessions", "2")
    ctl.run("user", "set", "carol", "--plan", "gold")
    assert former.query("SELECT username FROM users WHERE plan = 'gold'") == [("carol",)]
