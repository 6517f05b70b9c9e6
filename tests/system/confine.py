"""confine.py UNIT PROGRAM ARGUMENT...: becomes the program, confined as the unit's [Service] section says, without a service manager:
the same system calls, address families, capabilities, file modes and read-only file system. What the unit would refuse with an
error ends the program instead (SIGSYS), so that nothing that only seems to work is overlooked.

As root; in a mount namespace of its own (started by unshare --mount)."""

import ctypes
import os
import socket
import subprocess
import sys

import seccomp

MMAN = {"PROT_WRITE": 2, "PROT_EXEC": 4}
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 38, 24
CAP_NET_BIND_SERVICE, CAP_LAST, SIGKILL = 10, 40, 9
NOBODY = 65534


def settings(unit):
    """{key: [values]} of [Service], in order."""
    found, section = {}, ""
    for line in open(unit):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def members(name):
    """The system calls of one of systemd's sets, those of its sets among them."""
    out = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in out.splitlines()[1:]]
    found = set()
    for word in words:
        if word.startswith("@"):
            found |= members(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed_calls(lines):
    """As systemd reads SystemCallFilter=: the first line says whether it is a list of what may or what may not be."""
    calls = set(members("@default"))
    for line in lines:
        for word in line.lstrip("~").split():
            part = members(word) if word.startswith("@") else {word}
            calls = calls - part if line.startswith("~") else calls | part
    return calls


def filter_of(s):
    f = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    calls = allowed_calls(s["SystemCallFilter"])
    assert s["MemoryDenyWriteExecute"] == ["yes"] and s["RestrictNamespaces"] == ["yes"]
    calls -= {"unshare", "setns", "socket", "mmap", "mprotect", "pkey_mprotect", "shmat"}
    for call in sorted(calls):
        try:
            f.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, OSError):
            pass  # a call of another architecture
    for family in s["RestrictAddressFamilies"][0].split():
        f.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, getattr(socket, family)))
    f.add_rule(seccomp.ALLOW, "mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, MMAN["PROT_EXEC"], 0))
    f.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, MMAN["PROT_EXEC"], 0))
    f.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, MMAN["PROT_WRITE"], 0))
    return f


def confine(s):
    libc = ctypes.CDLL(None, use_errno=True)
    if s["ProtectSystem"] == ["strict"]:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
    assert s["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]
    filter = filter_of(s)
    for cap in range(CAP_LAST + 1):
        if cap != CAP_NET_BIND_SERVICE:
            libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)
    os.umask(int(s["UMask"][0], 8))
    os.setgroups([int(g) for g in os.environ.pop("CONFINE_GROUPS", "").split()])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)  # a change of user has cleared it
    assert s["NoNewPrivileges"] == ["yes"] and libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    filter.load()


if __name__ == "__main__":
    confine(settings(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
