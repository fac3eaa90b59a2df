"""Signals that applications declare themselves (tests/application/teller.c)."""

import json
import select
import subprocess

import pytest

from support.browser import problem
from support.faulty import FaultyProxy
from support.modules import settings_for, setup_of
from support.programs import environment
from support.site import with_conflicts
from support.waiting import PATIENCE

TOLD, CHAIN = "application.told", "application.chain"


@pytest.fixture
def site(new_application):
    """What is told after the commit is in the worker that has told it."""
    return with_conflicts(new_application({"server.workers": 1}))


class Teller:
    """Somebody who has the application tell things."""

    def __init__(self, browser):
        self.browser, self.site = browser, browser.site

    def post(self, *steps, **more):
        body = {"steps": [{"signal": signal, "data": data} for signal, data in steps], **more}
        return self.browser.post("/session/application/tell", body)

    def tell(self, *steps, **more):
        answer = self.post(*steps, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self):
        """After the commit: (receiver, signal, data) each."""
        lines = self.browser.get("/session/application/told").json()
        return [tuple(line.split(" ", 2)) for line in lines]

    def rows(self):
        """In the transaction."""
        return self.site.database.query("SELECT receiver, signal FROM application_audit ORDER BY id")

    def faults(self):
        return self.site.daemon.lines_of("signal_fault")


@pytest.fixture
def teller(site, browse):
    return Teller(browse(site))


@pytest.fixture
def listener(site):
    """listener() returns what NOTIFY onesession has told so far."""
    connection = site.database.connect()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN onesession")

    def told(count):
        while len(connection.notifies) < count:
            assert select.select([connection], [], [], PATIENCE)[0], "no notification"
            connection.poll()
        connection.poll()
        told = [json.loads(notification.payload) for notification in connection.notifies]
        connection.notifies.clear()
        return told

    yield told
    connection.close()


def test_receivers_are_called_in_their_order_in_both_phases(teller):
    told = teller.tell((TOLD, {"name": "a"}), (TOLD, {"name": "b"}))
    assert told == {"result": "ok", "results": ["ok", "ok"], "runs": 1, "refusal": None}
    assert teller.rows() == [("early", "a"), ("late", "a"), ("early", "b"), ("late", "b")]
    assert teller.told() == [(when, TOLD, f'{{"name":"{name}"}}') for name in "ab" for when in ("early", "late")]
    assert teller.faults() == []


def test_data_is_any_json(teller):
    for data in ([1, 2], "text", 7, True, {"a": {"b": [None]}}):
        teller.tell((TOLD, data))
    assert [json.loads(told[2]) for told in teller.told()[::2]] == [[1, 2], "text", 7, True, {"a": {"b": [None]}}]


def test_after_a_rollback_nothing_was_told(teller, listener):
    assert teller.tell((TOLD, {"name": "a"}), then=True)["result"] == "invalid"
    assert teller.rows() == teller.told() == []
    teller.tell((TOLD, {"name": "b"}))
    assert [told["data"] for told in listener(1)] == [{"name": "b"}]


def test_after_conflicts_it_is_told_once(teller, listener):
    told = teller.tell((TOLD, {"name": "a"}), after=True)
    assert (told["result"], told["runs"]) == ("ok", 3)
    assert teller.rows() == [("early", "a"), ("late", "a")]
    assert len(teller.told()) == 2
    assert len(listener(1)) == 1


def test_commit_whose_outcome_is_not_known_is_not_told(teller, site, cluster, closing):
    """Here it was committed."""
    proxy = closing.add(FaultyProxy(cluster))
    site.daemon.stop()
    site.daemon.settings["database.conninfo"] = proxy.conninfo(site.database)
    site.daemon.start()
    assert teller.told() == []
    proxy.once("cut")
    told = teller.tell((TOLD, {"name": "a"}))
    assert (told["result"], told["results"], told["runs"]) == ("unavailable", ["ok"], 1)
    assert teller.rows() == [("early", "a"), ("late", "a")] and teller.told() == []


def test_programs_are_notified_at_commit(teller, listener, site):
    teller.tell((TOLD, {"name": "\u00e4\"'\\", "nothing": None}), (CHAIN, [1.5]))
    told = listener(2)
    assert [set(one) for one in told] == [{"at", "name", "data", "is_cut"}] * 2
    assert [(one["name"], one["data"], one["is_cut"]) for one in told] == [
        (TOLD, {"name": "\u00e4\"'\\", "nothing": None}, False),
        (CHAIN, [1.5], False),
    ]
    assert site.database.value("SELECT abs(extract(epoch FROM now() - %s::timestamptz)) < 60", told[0]["at"])
    assert told[0]["at"].endswith("Z")


@pytest.mark.parametrize("size, is_cut", [(6900, False), (7000, True), (100000, True)])
def test_data_that_notify_cannot_carry_is_left_out(teller, listener, size, is_cut):
    """Receivers get it all the same."""
    data = {"x": "y" * size} if size < 50000 else {str(i): "\u00e4" * 100 for i in range(50)}
    teller.tell((CHAIN, data))
    (told,) = listener(1)
    assert told["is_cut"] is is_cut and told["data"] == (None if is_cut else data)
    assert len(teller.told()) == 1


def test_receiver_that_refuses_rolls_back_with_its_reason(teller):
    told = teller.tell((TOLD, {"name": "a"}), (TOLD, {"refuse": True}))
    assert told == {"result": "refused", "results": ["ok", "refused"], "runs": 1, "refusal": "not_that"}
    assert teller.rows() == teller.told() == []
    body = problem(teller.post((TOLD, {"refuse": True}), reply=True), 403, "refused")
    assert (body["detail"], body["reason"]) == ("Not that one.", "not_that")
    # Of the request before nothing is left.
    assert teller.tell((TOLD, {"name": "b"}))["refusal"] is None


def test_handler_cannot_commit_what_a_receiver_has_refused_or_failed(teller):
    assert teller.tell((TOLD, {"refuse": True}), ignore=True)["result"] == "refused"
    assert teller.tell((TOLD, {"fail": True}), (TOLD, {"name": "a"}), ignore=True)["result"] == "failed"
    assert teller.rows() == teller.told() == []


@pytest.mark.parametrize("how", ["fail", "misread"])
def test_receiver_that_fails_rolls_back(teller, site, how):
    assert teller.tell((TOLD, {how: True}))["result"] == "failed"
    assert teller.rows() == teller.told() == []
    assert f"signal={TOLD} receiver=write_early phase=in_transaction" in site.daemon.lines_of("receiver_failed")[0]


def test_receiver_can_use_ones_execute(teller):
    teller.tell((TOLD, {"execute": True}))
    assert teller.rows() == [("early", TOLD), ("late", TOLD)]


def test_receivers_emit_in_each_other_up_to_a_bound(teller):
    assert teller.tell((CHAIN, {"deeper": 7}))["result"] == "ok"
    assert len(teller.rows()) == len(teller.told()) == 8
    assert teller.tell((CHAIN, {"deeper": 8}))["result"] == "failed"
    assert len(teller.rows()) == len(teller.told()) == 8
    assert "receivers emit more than 8 deep" in teller.faults()[0]


def test_refusal_deep_down_reaches_whoever_asked(teller):
    """The receiver between overlooks it."""
    told = teller.tell((CHAIN, {"deeper": 1, "refuse_below": True}))
    assert (told["result"], told["refusal"]) == ("refused", "not_that")


@pytest.mark.parametrize(
    "step, more, fault",
    [
        ((TOLD, {}), {"transact": False}, "outside of a transaction"),
        (("application.never", {}), {}, "no module declares"),
        (("user_logged_in", {}), {}, "no module declares"),
        ((TOLD, None), {}, None),
    ],
)
def test_mistakes_are_logged_and_roll_back(teller, step, more, fault):
    told = teller.tell(step, **more)
    if fault is None:
        # JSON's null is a value.
        assert told["result"] == "ok"
        return
    assert told["result"] == "failed" and fault in teller.faults()[0] and "module=application" in teller.faults()[0]
    assert teller.rows() == teller.told() == []


def test_data_that_are_null_for_want_of_memory_are_a_mistake(teller):
    body = {"steps": [{"signal": TOLD}]}
    assert teller.browser.post("/session/application/tell", body).json()["result"] == "failed"
    assert "data that are NULL" in teller.faults()[0]


def test_after_the_commit_there_is_no_emitting_and_no_refusing(teller):
    assert teller.tell((CHAIN, {"emit_late": True}), (CHAIN, {"refuse_late": True}))["result"] == "ok"
    assert len(teller.rows()) == len(teller.told()) == 2
    outside, late = teller.faults()
    assert "outside of a transaction" in outside and "after the commit" in late


def test_login_s_receiver_tells_in_the_login_s_transaction(teller, listener, browse, site):
    browse(site, user_agent="Teller").sign_in()
    assert sorted(told["name"] for told in listener(2)) == [TOLD, "user_logged_in"]
    assert [row for row in teller.rows() if row[1] == "alice"] == [("early", "alice"), ("late", "alice")]
    assert [told[:2] for told in teller.told()] == [("early", TOLD), ("late", TOLD)]


def test_login_is_refused_by_a_receiver_of_what_it_tells(teller, browse, site):
    answer = browse(site, user_agent="Teller that is refused").login()
    assert problem(answer, 403, "refused")["reason"] == "not_that"
    assert site.database.sessions() == [] and teller.told() == []


# ---- Several modules -------------------------------------------------------------------------------------------------

DECLARES = 'ones_signal(app, "title_added");'
CONNECTS = """
	static const struct ones_receiver receiver = {.name = "bill", .call = NULL};
	ones_connect_to(app, "cinema.title_added", &receiver);
"""


def test_modules_may_connect_before_the_one_that_declares(new_daemon, build):
    cinema, billing = build(setup_of(DECLARES)), build(setup_of(CONNECTS, "billing"), "billing")
    for modules in ((cinema, billing), (billing, cinema)):
        new_daemon(settings_for(*modules)).start().stop()


@pytest.mark.parametrize(
    "setups, told",
    [
        ({"billing": CONNECTS}, "module billing: it connects a receiver to the signal cinema.title_added, which no module declares"),
        ({"cinema": DECLARES.replace("title", "cover"), "billing": CONNECTS}, "module billing: it connects a receiver"),
        ({"cinema": DECLARES * 2}, "module cinema: it declares the signal cinema.title_added twice"),
        ({"cinema": 'ones_signal(app, "Title");'}, "module cinema: the name of a signal that is not a letter"),
        ({"cinema": 'ones_signal(app, "other.title");'}, "module cinema: the name of a signal that is not a letter"),
        (
            {"cinema": DECLARES + CONNECTS.replace("bill", "store_key")},
            "module cinema: a receiver called store_key: that name is the daemon's own",
        ),
    ],
)
def test_what_is_wrong_with_signals_is_refused_at_start(new_daemon, build, setups, told):
    modules = [build(setup_of(setup, name), name) for name, setup in setups.items()]
    daemon = new_daemon(settings_for(*modules))
    tried = subprocess.run(daemon.command("-t"), capture_output=True, text=True, timeout=60, env=environment())
    assert tried.returncode == 78 and told in tried.stderr
