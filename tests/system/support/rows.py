"""Sessions that other programs, or tests, put in."""

import base64
import hashlib
import os

from support.processes import ROOT


def apply_up_to(database, version):
    """The schema of that version: as the tables' owner, as migrate does it."""
    for path in sorted((ROOT / "schema").glob("*.sql"))[:version]:
        database.query(path.read_text(encoding="utf-8"))
        database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", int(path.name[:4]), path.stem)


def put_session(database, username, key, expires="1 hour", seen="0"):
    """A row of `sessions`; returns its public id."""
    return database.value(
        "INSERT INTO sessions (session_key, user_id, expires_at, last_seen_at, ip, user_agent)"
        " SELECT sha256(%s), id, now() + %s::interval, now() - %s::interval, '192.0.2.9',"
        "        'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'"
        "   FROM users WHERE username = %s RETURNING id::text",
        key.encode(),
        expires,
        seen,
        username,
    )


def insert_from_outside(database, username="alice", order=None, lifetime="1 hour"):
    """What another program does to sign somebody in. Returns the key for the cookie."""
    key = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    columns, values = "", ""
    if order is not None:
        columns, values = ", login_order", f", {order}"
    database.query(
        f"INSERT INTO sessions (session_key, user_id, expires_at{columns})"
        f" VALUES (%s, (SELECT id FROM users WHERE username = %s), now() + %s::interval{values})",
        hashlib.sha256(key.encode()).digest(),
        username,
        lifetime,
    )
    return key
