"""
Runs a program under the restrictions that a unit asks for, as far as they need no service manager:

    like_systemd.py [--mounts] [--user NAME] [--show DIR]... [--writable DIR]... UNIT COMMAND...

System calls, address families, memory, limits and capabilities are restricted always; what the unit says of files,
devices and processes with --mounts, which takes root. --user is who the unit's user is here. --show keeps a folder
that PrivateTmp= or ProtectHome= would hide, --writable is a folder that the unit's ReadWritePaths= names or
LogsDirectory= would have made. It exits with 125 when this machine does not let it do what is wanted.
"""

import argparse
import ctypes
import errno
import os
import pwd
import resource
import signal
import subprocess
import sys
from pathlib import Path

import seccomp

LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1 << 12, 1 << 13, 1 << 14, 1 << 18
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
NAMESPACES = [0x00020000, 0x00000080, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
S_ISUID, S_ISGID = 0o4000, 0o2000
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


def read_unit(path):
    """The settings of [Service]: for each key its values in their order. An empty one forgets those before it."""
    settings, section = {}, None
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and line[0] not in "#;":
            key, _, value = line.partition("=")
            if value:
                settings.setdefault(key, []).append(value)
            else:
                settings[key] = []
    return settings


def is_on(unit, key):
    return unit.get(key, ["no"])[-1] == "yes"


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    call("mount", *(None if word is None else os.fsencode(word) for word in (source, target, kind)),
         ctypes.c_ulong(flags), None if data is None else data.encode())


# ---- Files, devices, processes ---------------------------------------------------------------------------------------


def make_devices(folder):
    os.mkdir(folder)
    mount("devices", folder, "tmpfs", MS_NOSUID, "mode=755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        Path(folder, name).touch()
        mount(f"/dev/{name}", f"{folder}/{name}", flags=MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{folder}/{name}")


def mount_points():
    """The last is on top."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def is_below(path, folders):
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def enter_mounts(unit, shown, writable):
    for key, value in {"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
                       "ProtectProc": "invisible", "ProcSubset": "pid", "ProtectKernelTunables": "yes"}.items():
        if unit.get(key, [None])[-1] != value:
            sys.exit(f"like_systemd.py: it knows only {key}={value}")
    call("unshare", CLONE_NEWNS | CLONE_NEWUTS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    # What is still needed of folders that are about to be covered waits in one that will be covered last.
    stage = "/home"
    mount("stage", stage, "tmpfs")
    for number, folder in enumerate(shown):
        os.mkdir(f"{stage}/{number}")
        mount(folder, f"{stage}/{number}", flags=MS_BIND)
    make_devices(f"{stage}/devices")
    for folder in ("/tmp", "/var/tmp"):
        mount("private", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for number, folder in enumerate(shown):
        os.makedirs(folder, exist_ok=True)
        mount(f"{stage}/{number}", folder, flags=MS_MOVE)
    mount(f"{stage}/devices", "/dev", flags=MS_MOVE)
    call("umount2", stage.encode(), 0)
    for folder in ("/home", "/root", "/run/user"):
        if os.path.isdir(folder) and not is_below(str(Path(sys.executable).resolve()), [folder]):
            mount("hidden", folder, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=000")
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV, "hidepid=invisible,subset=pid")
    for folder in writable:
        mount(folder, folder, flags=MS_BIND)
    may_be_written = ["/proc", "/dev", *writable]
    for folder in dict.fromkeys(mount_points()):
        # What is mounted below a folder that is covered by now, as another test's file system, cannot be reached.
        is_reached = os.path.exists(folder)
        if is_reached and folder not in ("/tmp", "/var/tmp") and not is_below(folder, may_be_written):
            mount(None, folder, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


# ---- Who it is -------------------------------------------------------------------------------------------------------


def become(unit, name):
    """Root without any capability would still own the system's files."""
    assert unit["CapabilityBoundingSet"] == [] and unit["AmbientCapabilities"] == []
    account = pwd.getpwnam(name)
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii")) + 1):
        call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    return account


def limit(unit):
    for key, number in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
        value = int(unit[key][-1])
        resource.setrlimit(number, (value, value))
    os.umask(int(unit["UMask"][-1], 8))


# ---- System calls ----------------------------------------------------------------------------------------------------


def read_groups():
    """Every group of system calls as systemd has it: its members, which may be groups."""
    done = subprocess.run(["systemd-analyze", "syscall-filter"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=True)
    groups, name = {}, None
    for line in done.stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            groups[name] = []
        elif line.startswith(" ") and word and not word.startswith("#"):
            groups[name].append(word)
        elif not line.startswith(" "):
            name = None
    return groups


def expand(word, groups):
    if not word.startswith("@"):
        return {word}
    return set().union(*(expand(member, groups) for member in groups[word]))


def allowed_calls(unit):
    groups = read_groups()
    # What every process needs is added by systemd itself.
    allowed = expand("@default", groups)
    for value in unit["SystemCallFilter"]:
        named = set().union(*(expand(word, groups) for word in value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def load_allowed(unit, calls):
    number = getattr(errno, unit["SystemCallErrorNumber"][-1])
    rules = seccomp.SyscallFilter(seccomp.ERRNO(number))
    for name in calls:
        try:
            rules.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, ValueError):
            # A call of another machine than this one.
            continue
    rules.load()


def restrictions(unit):
    """(error, system call, comparisons) of what is refused, as seccomp-util.c of systemd has it."""
    if is_on(unit, "MemoryDenyWriteExecute"):
        both = PROT_WRITE | PROT_EXEC
        yield errno.EPERM, "mmap", [seccomp.Arg(2, seccomp.MASKED_EQ, both, both)]
        yield errno.EPERM, "mprotect", [seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, PROT_EXEC)]
        yield errno.EPERM, "pkey_mprotect", [seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, PROT_EXEC)]
        yield errno.EPERM, "shmat", [seccomp.Arg(2, seccomp.MASKED_EQ, SHM_EXEC, SHM_EXEC)]
    if is_on(unit, "RestrictNamespaces"):
        yield errno.EPERM, "unshare", []
        yield errno.EPERM, "setns", []
        # Its flags are behind a pointer.
        yield errno.ENOSYS, "clone3", []
        for flag in NAMESPACES:
            yield errno.EPERM, "clone", [seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag)]
    if is_on(unit, "RestrictSUIDSGID"):
        for bit in (S_ISUID, S_ISGID):
            yield errno.EPERM, "chmod", [seccomp.Arg(1, seccomp.MASKED_EQ, bit, bit)]
            yield errno.EPERM, "fchmod", [seccomp.Arg(1, seccomp.MASKED_EQ, bit, bit)]
            yield errno.EPERM, "fchmodat", [seccomp.Arg(2, seccomp.MASKED_EQ, bit, bit)]
    families = {FAMILIES[word] for value in unit["RestrictAddressFamilies"] for word in value.split()}
    for family in range(64):
        if family not in families:
            yield errno.EAFNOSUPPORT, "socket", [seccomp.Arg(0, seccomp.EQ, family)]


def load_restrictions(unit):
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for number, name, comparisons in restrictions(unit):
        rules.add_rule(seccomp.ERRNO(number), name, *comparisons)
    rules.load()


# ---- All of it -------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mounts", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--show", action="append", default=[])
    parser.add_argument("--writable", action="append", default=[])
    parser.add_argument("unit")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    unit = read_unit(wanted.unit)
    account = become(unit, wanted.user) if wanted.user else None
    calls = allowed_calls(unit)
    if wanted.mounts:
        try:
            enter_mounts(unit, wanted.show, wanted.writable)
        except OSError as error:
            print(f"like_systemd.py: {error}", file=sys.stderr)
            sys.exit(125)
    limit(unit)
    if account is not None:
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        # Another user does not inherit it.
        call("prctl", PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    assert is_on(unit, "NoNewPrivileges")
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    load_restrictions(unit)
    load_allowed(unit, calls)
    os.execv(wanted.command[0], wanted.command)


if __name__ == "__main__":
    main()
