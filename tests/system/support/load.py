"""A load of requests at one daemon, for tests of what happens to it meanwhile."""

import collections
import threading

from support.client import CREDENTIALS, JSON, sign_in
from support.waiting import wait_until


class RequestLoad:
    """Requests without a pause, each on a connection of its own; an answer that is not as it should be is a loss."""

    def __init__(self, daemon, clients=6, logins=1):
        self.daemon = daemon
        self.logins = logins
        self.headers = sign_in(daemon)
        self.outcomes = collections.Counter()
        self.losses = []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def run(self, number):
        while not self.ends.is_set():
            # Some of them sign somebody else in all the time: a body, a hash and a transaction.
            if number < self.logins:
                what = {"method": "POST", "path": "/session/login", "headers": JSON, "body": LOGIN_OF_BOB}
            else:
                what = {"headers": self.headers}
            try:
                outcome = self.daemon.ask(**what).status
            except OSError as error:
                outcome = repr(error)
            self.outcomes[outcome] += 1
            if outcome != 200:
                self.losses.append((what.get("method", "GET"), outcome))

    def more(self, count):
        """Wait until that many more have been answered."""
        goal = self.outcomes[200] + count
        wait_until(lambda: self.outcomes[200] >= goal, f"{count} more answers: {self.outcomes}, {self.losses[:3]}")

    def check(self, what):
        print(f"{what}: {sum(self.outcomes.values())} requests, {len(self.losses)} lost")
        assert self.losses == []


LOGIN_OF_BOB = CREDENTIALS.replace("alice", "bob")
