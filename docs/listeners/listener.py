"""Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams."""
import os, re, select, time
import psycopg2, requests

ENDED = ("session_displaced", "session_replaced", "user_logged_out")
SESSION_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

latest, done = None, set()

def end_streams(session_id):
    if SESSION_ID.fullmatch(session_id or ""):
        requests.delete(f"{os.environ['STREAMS']}/{session_id}", timeout=5)

def read_events(cursor):
    global latest, done
    cursor.execute("SELECT id, at, session_id FROM events WHERE name IN %s"
                   " AND at > coalesce(%s, now() - interval '9 minutes') - interval '1 minute' ORDER BY at",
                   (ENDED, latest))
    rows = cursor.fetchall()
    for event_id, at, session_id in rows:
        if event_id not in done:
            end_streams(session_id)
        latest = at
    done = {row[0] for row in rows}

while True:
    try:
        database = psycopg2.connect("application_name=listener")
        database.autocommit = True
        cursor = database.cursor()
        cursor.execute("LISTEN onesession")
        while True:
            read_events(cursor)
            # Whatever a notification says, it only wakes. And a quiet minute shows whether the connection is there.
            select.select([database], [], [], 60)
            database.poll()
            database.notifies.clear()
    except (psycopg2.Error, OSError) as problem:
        print(problem, flush=True)
        time.sleep(1)
