"""Cookies that make a careless pattern take long, and whether a web server does."""

import os

from support.client import UNKNOWN_KEY
from support.processes import stat_of
from support.web import ask


def repeated(piece, end="x=1"):
    """As long a cookie header as every web server takes."""
    return piece * ((7800 - len(end)) // len(piece)) + end


# What each makes a search begin over and over, or go back and forth.
HOSTILE = {
    "semicolons": repeated(";"),
    "semicolons and spaces": repeated(" ;"),
    "spaces and semicolons": repeated("; "),
    "spaces": repeated(" "),
    "spaces in a value": "a=" + repeated(" "),
    "spaces behind a cookie": "b=1;" + repeated(" "),
    "spaces in a name": "a" + repeated(" "),
    "tabs": repeated("\t"),
    "commas": repeated(","),
    "commas and spaces": repeated(", "),
    "commas and semicolons": repeated(", ;"),
    "spaces behind a key": f"session={UNKNOWN_KEY}" + repeated(" ", "x"),
    "keys": repeated(f"session={UNKNOWN_KEY};"),
    "keys that are too long": repeated(f"session={UNKNOWN_KEY}A;"),
    "ours": repeated("onesession=;"),
    "ours and others": repeated("a=1;onesession=;"),
    "prefixes": repeated("__Host-"),
    "equals signs": repeated("="),
    "letters": repeated("a"),
    "of the application": repeated("sessionid=;"),
    "of the application and others": repeated("a=1;sessionid=x;"),
    "that nobody reads alike": repeated("a b;"),
}


# Seconds of the processor for one request. It takes 0.005 at the most.
LONG = 0.025


def cpu_of_all(pid):
    """Of a process and all below it, with one look at the machine's processes: that is what costs most here."""
    found = {int(entry): fields for entry in filter(str.isdigit, os.listdir("/proc")) if (fields := stat_of(entry))}
    spent, tree = 0, [pid]
    while tree:
        parent = tree.pop()
        spent += sum(map(int, found[parent][11:13]))
        tree += [child for child, fields in found.items() if int(fields[1]) == parent]
    return spent / os.sysconf("SC_CLK_TCK")


def assert_none_takes_long(web, path):
    """
    By what the processor does for the web server: others' load does not count. A few requests tell that it is not long;
    whether it is, many do, or the steps that the time is counted in would.
    """
    before = cpu_of_all(web.server.process.pid)
    for name, cookie in HOSTILE.items():
        for count in (5, 20):
            for _ in range(count):
                ask(web, path, [("Cookie", cookie)])
            after = cpu_of_all(web.server.process.pid)
            spent, before = after - before, after
            if spent < count * LONG:
                break
        else:
            raise AssertionError(f"{name}: {spent:.2f} s of the processor for {count} requests")
