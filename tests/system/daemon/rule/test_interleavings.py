"""
Every order of the real statements: two or three things happen at once to an account, each at a daemon of its own, and
all that the daemons ask of PostgreSQL is let through one by one, in every order that can make a difference
(stepping.py). However it went: never more live than the limit, the newest are the ones, whoever is out is told why,
nobody waits for ever, and no answer is a 5xx.

ONESESSION_NIGHTLY=1 runs the long stories, too.
"""

import json
import time
from dataclasses import dataclass, field

import pytest

from support.closing import database_and_things
from support.stepping import Order, Steps, Tables
from support.story import REMEMBER_LOGINS, Stage, Story

pytestmark = pytest.mark.slow


# ---- The stories -----------------------------------------------------------------------------------------------------


def nobody_is_in(story):
    story.login()
    story.login()


def two_displace_the_same(story):
    story.sign_in("first")
    story.login()
    story.login()


def login_and_request_of_the_old_device(story):
    old = story.sign_in("first")
    story.login()
    story.hook(old)


def login_and_logout_of_the_old_device(story):
    old = story.sign_in("first")
    story.login()
    story.logout(old)


def logout_and_request(story):
    mine = story.sign_in("first")
    story.logout(mine)
    story.hook(mine)


def logout_twice(story):
    mine = story.sign_in("first")
    story.logout(mine)
    story.logout(mine)


def row_from_outside_and_login(story):
    story.insert()
    story.login()


def row_from_outside_in_a_transaction_and_login(story):
    story.sign_in("first")
    story.insert(in_transaction=True)
    story.login()


def row_from_outside_and_request(story):
    mine = story.sign_in("first")
    story.insert()
    story.hook(mine)


def old_and_new_ask_after_a_row_from_outside(story):
    old = story.sign_in("first")
    new = story.row_from_outside("second")
    story.hook(old)
    story.hook(new)


def two_rows_from_outside_ask(story):
    older = story.row_from_outside("first")
    newer = story.row_from_outside("second")
    story.hook(newer)
    story.hook(older)


def displaced_device_signs_out_while_the_new_one_asks(story):
    old = story.sign_in("first")
    new = story.row_from_outside("second")
    story.logout(old)
    story.hook(new)


def lost_key_is_put_back_while_somebody_signs_in(story):
    mine = story.sign_in("first")
    story.database.query("DELETE FROM logged_in_user")
    story.hook(mine)
    story.login()


def password_changes_while_somebody_signs_in(story):
    mine = story.sign_in("first")
    change = story.change_password(mine)
    login = story.login(permits=(200, 401))

    def check(found):
        # Whoever came with the old password came before, and then the device of the change was out already.
        assert [change.outcome.status, login.outcome.status].count(200) == 1, (change.outcome, login.outcome)
        assert list(found.values()).count("") == 1

    return check


def password_changes_while_the_device_signs_out(story):
    mine = story.sign_in("first")
    story.change_password(mine)
    story.logout(mine)


def confirms_while_somebody_signs_in(story):
    mine = story.sign_in("first")
    story.confirm(mine)
    story.login()


def confirms_while_the_device_asks(story):
    mine = story.sign_in("first")
    confirm = story.confirm(mine)
    story.hook(mine)

    def check(found):
        assert confirm.outcome.status == 200 and found[mine] == ""

    return check


def confirms_while_the_device_signs_out(story):
    mine = story.sign_in("first")
    confirm = story.confirm(mine)
    story.logout(mine)

    def check(found):
        assert found[mine] == ("" if confirm.outcome.status == 200 else "logged_out")

    return check


def confirms_twice(story):
    """Each gets a key of its own, so it is one of them."""
    mine = story.sign_in("first")
    confirms = [story.confirm(mine), story.confirm(mine)]

    def check(found):
        assert sorted(confirm.outcome.status for confirm in confirms) == [200, 401] and found[mine] == ""

    return check


def password_changes_while_it_is_confirmed(story):
    mine = story.sign_in("first")
    story.change_password(mine)
    story.confirm(mine)


def stored_key_is_lost_while_it_is_confirmed(story):
    mine = story.sign_in("first")
    story.database.query("DELETE FROM logged_in_user")
    story.confirm(mine)
    story.hook(mine)


def older_of_two_confirms_while_somebody_signs_in(story):
    older = story.sign_in("older")
    story.sign_in("newer")
    story.confirm(older)
    story.login()


def older_of_two_confirms_while_the_newer_signs_out(story):
    older, newer = story.sign_in("older"), story.sign_in("newer")
    story.confirm(older)
    story.logout(newer)


def operator_ends_while_somebody_signs_in(story):
    story.sign_in("first")
    story.operator("session", "end", "--user", "alice", reason="revoked")
    story.login()


def operator_disables_while_somebody_signs_in(story):
    story.sign_in("first")
    story.operator("user", "disable", "alice", reason="disabled")
    story.login(permits=(200, 401, 403))

    def check(found):
        assert "" not in found.values(), found

    return check


def signing_in_again_while_another_signs_in(story):
    mine = story.sign_in("first")
    story.login(having=mine)
    story.login()


def two_browsers_swap_accounts(story):
    alice, bob = story.sign_in("first"), story.sign_in("other", "bob")
    story.login("bob", having=alice)
    story.login("alice", having=bob)


def one_ticket_used_twice(story):
    story.sign_in("first")
    ticket = story.ticket()
    both = [story.login(ticket=ticket, take_over=True, permits=(200, 401, 409)) for _ in range(2)]

    def check(_):
        assert sorted(act.outcome.status for act in both)[0] == 200
        assert [act.outcome.status for act in both].count(200) == 1, "a ticket was used twice"

    return check


def ticket_is_used_while_the_live_one_signs_out(story):
    mine = story.sign_in("first")
    story.login(ticket=story.ticket(), take_over=True)
    story.logout(mine)


def two_of_whom_one_is_refused(story):
    both = [story.login(permits=(200, 409)) for _ in range(2)]

    def check(_):
        assert sorted(act.outcome.status for act in both) == [200, 409]

    return check


def one_form_sent_twice(story):
    for _ in range(2):
        story.login(form="F" * 43)

    def check(found):
        assert sorted(found.values()) == ["", "logged_out"]

    return check


def one_form_sent_twice_where_somebody_is_live(story):
    story.sign_in("first")
    one_form_sent_twice(story)


def refused_while_the_live_one_signs_out(story):
    mine = story.sign_in("first")
    story.login(permits=(200, 409))
    story.logout(mine)


def two_sign_in_where_two_are_live(story):
    story.sign_in("first")
    story.sign_in("second")
    story.login()
    story.login()


def oldest_of_two_asks_while_somebody_signs_in(story):
    old = story.sign_in("first")
    story.sign_in("second")
    story.hook(old)
    story.login()


def newest_of_two_signs_out_while_somebody_signs_in(story):
    story.sign_in("first")
    new = story.sign_in("second")
    story.logout(new)
    story.login()


def older_of_two_signs_out_while_the_newer_asks(story):
    old, new = story.sign_in("first"), story.sign_in("second")
    story.logout(old)
    story.hook(new)


def two_end_each_other(story):
    first, second = story.sign_in("first"), story.sign_in("second")
    story.end_other(first, second)
    story.end_other(second, first)


def login_request_and_row_from_outside(story):
    old = story.sign_in("first")
    story.login()
    story.hook(old)
    story.insert()


def login_request_and_logout(story):
    old = story.sign_in("first")
    story.login()
    story.hook(old)
    story.logout(old)


ASK, REFUSE, PAIR = {"session.on_limit": "ask"}, {"session.on_limit": "refuse"}, {"session.max_sessions": 2}
STORIES = [
    (nobody_is_in, {}),
    (two_displace_the_same, {}),
    (login_and_request_of_the_old_device, {}),
    (login_and_logout_of_the_old_device, {}),
    (logout_and_request, {}),
    (logout_twice, {}),
    (row_from_outside_and_login, {}),
    (row_from_outside_in_a_transaction_and_login, {}),
    (row_from_outside_and_request, {}),
    (old_and_new_ask_after_a_row_from_outside, {}),
    (two_rows_from_outside_ask, {}),
    (displaced_device_signs_out_while_the_new_one_asks, {}),
    (lost_key_is_put_back_while_somebody_signs_in, {}),
    (password_changes_while_somebody_signs_in, {}),
    (password_changes_while_the_device_signs_out, {}),
    (confirms_while_somebody_signs_in, {}),
    (confirms_while_the_device_asks, {}),
    (confirms_while_the_device_signs_out, {}),
    (confirms_twice, {}),
    (password_changes_while_it_is_confirmed, {}),
    (stored_key_is_lost_while_it_is_confirmed, {}),
    (older_of_two_confirms_while_somebody_signs_in, PAIR),
    (older_of_two_confirms_while_the_newer_signs_out, PAIR),
    (signing_in_again_while_another_signs_in, {}),
    (one_ticket_used_twice, ASK),
    (ticket_is_used_while_the_live_one_signs_out, ASK),
    (two_of_whom_one_is_refused, REFUSE),
    (one_form_sent_twice, REFUSE),
    (one_form_sent_twice_where_somebody_is_live, {}),
    (refused_while_the_live_one_signs_out, REFUSE),
    (two_sign_in_where_two_are_live, PAIR),
    (oldest_of_two_asks_while_somebody_signs_in, PAIR),
    (newest_of_two_signs_out_while_somebody_signs_in, PAIR),
    (older_of_two_signs_out_while_the_newer_asks, PAIR),
    (lost_key_is_put_back_while_somebody_signs_in, PAIR),
    (two_end_each_other, PAIR),
]
# Of hundreds of orders each, or of three at once.
LONG_STORIES = [
    (operator_disables_while_somebody_signs_in, {}, 2),
    (two_browsers_swap_accounts, {}, 2),
    (operator_ends_while_somebody_signs_in, {}, 3),
    (login_request_and_row_from_outside, {}, 3),
    (login_request_and_logout, {}, 3),
]


def names(stories):
    return [" ".join([story[0].__name__, *map(str, story[1].values())]) for story in stories]


@pytest.fixture(name="stage_with", scope="module")
def _stage_with(cluster_of_worker):
    """stage_with(settings, count): the same is used by all stories that need such a one."""
    made = {}
    with database_and_things(cluster_of_worker) as (database, things):
        database.query(REMEMBER_LOGINS)

        def get(settings, count=2):
            name = (json.dumps(settings), count)
            if name not in made:
                # Of a process of its own, at a moment of its own, there is no order with others.
                made[name] = Stage(database, {"api.webhook_interval": 0, **settings}, count, things)
            return made[name]

        yield get


@dataclass
class Orders:
    """What came of all orders of a story."""

    run: int = 0
    left: int = 0  # because they turned out to be the same as one that had been run
    ends: set = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def tell(self, name):
        took = time.monotonic() - self.began
        print(f"{name}: {self.run} orders, {len(self.ends)} ways to end, {took:.1f} s ({self.left} left on the way)")


def run_all(tell, stage, reduces=True):
    """Every order of a story, each judged."""
    order, tables, orders = Order(reduces), Tables(stage.database), Orders()
    is_over = False
    while not is_over:
        story = Story(stage)
        check = tell(story)
        steps = Steps(story.acts, tables, stage.database, stage.changed)
        try:
            is_new = order.run(steps)
        finally:
            steps.finish()
        if is_new:
            orders.run += 1
            try:
                found = story.judge(orders.run % 2 == 0)
                if check is not None:
                    check(found)
            except AssertionError as error:
                raise AssertionError(f"{error}\nin this order:\n{steps}") from error
            told = tuple((act.what, act.outcome.status, act.outcome.reason) for act in story.acts)
            orders.ends.add((told, tuple(sorted((key.name, reason) for key, reason in found.items()))))
        else:
            orders.left += 1
        is_over = not order.advance()
    orders.tell(tell.__name__)
    assert orders.run > 1, "there is nothing to be ordered"
    return orders


@pytest.mark.parametrize("tell, settings", STORIES, ids=names(STORIES))
def test_whatever_the_order(stage_with, tell, settings):
    run_all(tell, stage_with(settings))


@pytest.mark.nightly
@pytest.mark.parametrize("tell, settings, count", LONG_STORIES, ids=names(LONG_STORIES))
def test_whatever_the_order_of_more(stage_with, tell, settings, count):
    run_all(tell, stage_with(settings, count))


@pytest.mark.nightly
@pytest.mark.parametrize("tell", [logout_and_request, old_and_new_ask_after_a_row_from_outside])
def test_orders_that_are_left_out_end_like_those_that_are_not(stage_with, tell):
    assert run_all(tell, stage_with({}), reduces=False).ends == run_all(tell, stage_with({})).ends
