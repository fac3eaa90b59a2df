"""Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams."""
import json, os, select, time
import psycopg2, requests

ENDED = ("session_displaced", "session_replaced", "user_logged_out")

def end_streams(session_id):
    requests.delete(f"{os.environ['STREAMS']}/{session_id}", timeout=5)

while True:
    try:
        database = psycopg2.connect("application_name=listener")
        database.autocommit = True
        cursor = database.cursor()
        cursor.execute("LISTEN onesession")
        cursor.execute("SELECT session_id FROM events WHERE name IN %s"
                       " AND at > now() - interval '10 minutes'", (ENDED,))
        for session_id, in cursor:
            end_streams(session_id)
        while True:
            while database.notifies:
                event = json.loads(database.notifies.pop(0).payload)
                if event["name"] in ENDED:
                    end_streams(event["session_id"])
            select.select([database], [], [])
            database.poll()
    except (psycopg2.Error, OSError) as problem:
        print(problem, flush=True)
        time.sleep(1)
