"""Child processes that end with the tests, the folders that they live in, and processes as the kernel shows them."""

import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
BUILD = (ROOT / os.environ.get("ONESESSION_BUILD", "build")).resolve()
KEEP = bool(os.environ.get("ONESESSION_KEEP"))
# Bytes: what the servers of all processes that run tests may come to, and as much again.
MEMORY_WANTED = 8 << 30
SANITIZER_REPORT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|LeakSanitizer|WARNING: \w*Sanitizer")


def that_ends_with_parent(command, death_signal=signal.SIGKILL):
    """
    The command of a child that gets that signal when the test process dies. To the kernel the parent is the thread that
    forked: start only from the main one what is to outlive a thread. (A function between fork and exec would do as well,
    and would have Python copy itself for each child.)
    """
    return ["setpriv", "--pdeathsig", death_signal.name.removeprefix("SIG"), *map(str, command)]


def spawn(command, log, death_signal=signal.SIGTERM, **kwargs):
    """A child whose standard error and output go to the file `log`."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            that_ends_with_parent(command, death_signal),
            stdin=kwargs.pop("stdin", subprocess.DEVNULL),
            stdout=output,
            stderr=output,
            **kwargs,
        )


def end(process, signals=(signal.SIGTERM,), patience=PATIENCE):
    """End a child, with KILL when it does not heed `signals`. Returns its exit status."""
    for number in (*signals, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def scratch(name, folder=None):
    """A folder with a path so short that sockets fit below it."""
    path = Path(tempfile.mkdtemp(prefix=f"ones-{name}-", dir=folder))
    path.chmod(0o755)
    return path


def memory_folder():
    """Where files are in memory, if this machine has room for them. Databases are made and dropped much faster there."""
    path = Path("/dev/shm")
    has_room = path.is_dir() and os.access(path, os.W_OK) and shutil.disk_usage(path).free >= MEMORY_WANTED
    return path if has_room else None


def discard(path):
    if not KEEP:
        shutil.rmtree(path, ignore_errors=True)


def free_port(host="127.0.0.1"):
    """
    A port that nothing listens on at this moment. Whoever uses it must bear that it has been taken since; which is seldom,
    for it is none of those that the kernel gives to connections and to who asks for any.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(10000, lowest) if lowest > 20000 else 0
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((host, port))
                return probe.getsockname()[1]
        except OSError:
            continue


def stat_of(pid):
    """The fields of /proc/PID/stat after the name; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid):
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "ZX"


def name_of(pid):
    """As ps shows it; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def listed_children(pid):
    """By the kernel's own list, which can leave out some while others end (proc_pid_children(5))."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            found += map(int, Path(path).read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return sorted(found)


def children_of(pid):
    """Those that have not ended. To go through all processes of the machine would take ten times as long."""
    found, before = set(listed_children(pid)), None
    while found != before:
        # Twice the same may be left out: three lists have it.
        found, before = found.union(listed_children(pid), listed_children(pid)), found
    return [child for child in sorted(found) if is_child(child, pid)]


def is_child(pid, parent):
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "ZX" and int(fields[1]) == parent


def command_lines():
    """The number of each process of the machine, and its arguments with a NUL behind each."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


def processes_with(argument):
    """Those that have `argument`, which has to be unlike any other, on their command line."""
    return [pid for pid, line in command_lines() if str(argument).encode() in line.split(b"\0")]


def processes_below(folder):
    """Those that have a path below the folder on their command line."""
    return [pid for pid, line in command_lines() if str(folder).encode() in line]


def cpu_seconds(pid):
    fields = stat_of(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exact_cpu_seconds(pid):
    """In nanoseconds, where /proc counts in hundredths: few and cheap hashes are enough to compare."""
    # clock_getcpuclockid(3), which Python has for threads only.
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def uids_of(pid):
    """Real, effective, saved and file system user ids."""
    match = re.search(r"^Uid:\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return [int(word) for word in match[1].split()]


def tail(path, lines=40, width=400):
    try:
        return "\n".join(line[:width] for line in Path(path).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


IS_SANITIZED = BUILD.name in ("sanitized", "coverage")
