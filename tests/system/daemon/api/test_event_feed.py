"""GET /api/events: none missed and none twice, whatever the order in which transactions are committed."""

import random
import threading

import pytest

ADD = "INSERT INTO events (name) VALUES (%s) RETURNING id"


def read(api, after=0, limit=1000):
    page = api.get(f"/events?after={after}&limit={limit}", status=200).json
    return [event["name"] for event in page["events"]], page["next"]


def read_all(api, after=0, limit=1000):
    """All that there are after that, page by page."""
    found = []
    while True:
        names, after = read(api, after, limit)
        found += names
        if not names:
            return found, after


class Writer:
    """A transaction of somebody's that stays open."""

    def __init__(self, database, *names):
        self.connection = database.connect()
        self.cursor = self.connection.cursor()
        self.cursor.execute("BEGIN")
        self.ids = [self.add(name) for name in names]

    def add(self, name):
        self.cursor.execute(ADD, [name])
        return self.cursor.fetchone()[0]

    def end(self, how="COMMIT"):
        self.cursor.execute(how)
        self.connection.close()


@pytest.fixture(name="after")
def all_so_far(api):
    return read_all(api)[1]


def test_event_has_what_there_is_to_it(api, database, after):
    api.sign_in(ip="192.0.2.7", user_agent="agent")
    page = api.get(f"/events?after={after}", status=200).json
    (event,) = page["events"]
    assert page["next"] == event["id"]
    assert (event["name"], event["username"], event["user_id"]) == ("user_logged_in", "alice", database.user_id("alice"))
    assert (event["ip"], event["user_agent"], event["detail"]) == ("192.0.2.7", "agent", {"token": "shop"})
    assert event["session_id"] == database.sessions()[0]


def test_end_is_where_to_go_on(api, database, after):
    assert read(api, after) == ([], after)
    database.query(ADD, "one")
    names, after = read(api, after)
    assert names == ["one"]
    assert read(api, after) == ([], after)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_of_any_size_have_all_of_them_in_order(api, database, after, limit):
    for name in "abcdefg":
        database.query(ADD, name)
    assert read_all(api, after, limit)[0] == list("abcdefg")


def test_event_that_is_committed_later_with_a_lower_id_comes_after(api, database, after):
    slow = Writer(database, "slow")
    quick = Writer(database, "quick")
    assert slow.ids < quick.ids
    quick.end()
    # What could still come before it is waited for.
    assert read(api, after) == ([], after)
    slow.end()
    names, after = read_all(api, after)
    assert names == ["slow", "quick"]
    assert read_all(api, after)[0] == []


def test_id_that_was_taken_before_its_transaction_had_a_number(api, database, after):
    """As INSERT takes it; the row comes later, below what was given already."""
    number = database.value("SELECT nextval(pg_get_serial_sequence('events', 'id'))")
    database.query(ADD, "first")
    names, after = read_all(api, after)
    assert names == ["first"]
    database.query("INSERT INTO events (id, name) OVERRIDING SYSTEM VALUE VALUES (%s, 'second')", number)
    assert read_all(api, after)[0] == ["second"]


def test_transaction_that_is_rolled_back_holds_nothing_up(api, database, after):
    gone = Writer(database, "gone")
    database.query(ADD, "stays")
    assert read(api, after)[0] == []
    gone.end("ROLLBACK")
    assert read_all(api, after)[0] == ["stays"]


def test_transaction_with_many_events_is_split_over_pages(api, database, after):
    one, other = Writer(database, "a1"), Writer(database, "b1")
    one.add("a2"), other.add("b2"), one.add("a3")
    other.end()
    one.end()
    assert read_all(api, after, 2)[0] == ["a1", "a2", "a3", "b1", "b2"]


def test_open_transaction_that_writes_nothing_holds_nothing_up(api, database, after):
    reader = database.connect()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events")
        database.query(ADD, "seen")
        assert read_all(api, after)[0] == ["seen"]
    reader.close()


def test_none_is_missed_and_none_twice_while_many_write(api, database, after):
    written, lock, done = [], threading.Lock(), threading.Event()

    def write(seed):
        chance = random.Random(seed)
        connection = database.connect()
        for number in range(40):
            names = [f"{seed}.{number}.{n}" for n in range(chance.randint(1, 3))]
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                for name in names:
                    cursor.execute(ADD, [name])
                    cursor.execute("SELECT pg_sleep(%s)", [chance.random() / 200])
                commits = chance.random() < 0.8
                cursor.execute("COMMIT" if commits else "ROLLBACK")
            if commits:
                with lock:
                    written.extend(names)
        connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    found, place = [], after
    while not done.is_set():
        if not any(thread.is_alive() for thread in threads):
            done.set()
        names, place = read_all(api, place, 7)
        found += names
    assert len(found) == len(set(found))
    assert sorted(found) == sorted(written)


def test_event_that_is_purged_is_told(api, database):
    ids = [database.query(ADD, name)[0][0] for name in "abc"]
    database.query("DELETE FROM events WHERE id <= %s", ids[1])
    assert api.get(f"/events?after={ids[0]}", status=410).code == "gone"
    assert read_all(api, 0)[0] == ["c"]


def test_number_that_no_event_ever_had(api, after):
    assert api.get(f"/events?after={after + 1000}", status=410).code == "gone"


def test_events_of_a_restored_database_go_on(api, database):
    """Its transactions had higher numbers on the other server."""
    for name in "ab":
        database.query(ADD, name)
    database.query("UPDATE events SET written_by = (100000000000 + id)::text::xid8")
    names, place = read_all(api)
    assert names[-2:] == ["a", "b"]
    database.query(ADD, "c")
    assert read_all(api, place)[0] == ["c"]


def test_schema_s_former_events_come_first(api, database, after):
    database.query("UPDATE events SET written_by = '0'")
    database.query(ADD, "new")
    everything = read_all(api, 0, 2)[0]
    assert everything[-1] == "new" and len(everything) == database.value("SELECT count(*) FROM events")
