"""What `./quickstart --lab` runs: four agents behind ever stricter firewalls report, are assigned, and end on udp, tcp, tls and
proxy; and nothing is left of it, even when it is killed."""
import json
import os
import select
import signal
import subprocess

import pytest

from labnet.kernel import wait_until, why_not
from labnet.topology import ROOT

REASON = why_not() or (None if os.path.exists("/usr/sbin/squid") else "squid is not installed")
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
BUILD = os.environ.get("BERTH_BUILD", os.path.join(ROOT, "build"))
NETWORKS = {"open": ("alice", "udp"), "udp-blocked": ("bob", "tcp"), "443-only": ("carol", "tls"),
            "proxy-only": ("dave", "proxy")}


def start(folder, *arguments):
    return subprocess.Popen(["/usr/bin/python3", "-B", os.path.join(ROOT, "tests", "lab", "quickstart.py"), "--folder",
                             folder, "--build", BUILD, *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True)


def test_every_network_ends_on_its_transport(tmp_path):
    proc = start(tmp_path, "--once")
    err = proc.communicate(timeout=150)[1]
    assert proc.returncode == 0, err
    result = json.loads((tmp_path / "result.json").read_text())
    assert {a["network"]: (a["agent"], a["transport"]) for a in result["assignments"]} == NETWORKS
    assert {a["network"]: (a["agent"], a["connection"]["transport"]) for a in result["assignments"]} == NETWORKS
    rows = {(p["network"], r["node"], r["transport"]): r for p in result["probes"] for r in p["results"]}
    statuses = {n: [rows[n, "node-1", t]["status"] for t in ("udp", "tcp", "tls")] for n in NETWORKS}
    assert statuses == {"open": ["reachable"] * 3, "udp-blocked": ["timeout", "reachable", "reachable"],
                        "443-only": ["timeout", "refused", "reachable"], "proxy-only": ["timeout"] * 3}
    through = rows["proxy-only", "node-1", "proxy"]
    assert through["status"] == "reachable"
    assert through["via_proxy"] == {"url": "http://gate.lab:3128", "scheme": "http", "auth": "basic",
                                    "tls_intercepted": False}
    last = next(a for a in result["assignments"] if a["network"] == "proxy-only")
    assert last["ladder"] == [{"transport": "proxy", "address": "203.0.113.11:443", "tls_name": "node-1.lab",
                               "proxy": "http://gate.lab:3128"}]
    assert {a["node"] for a in result["assignments"]} == {"node-1"}  # the nearest for all
    readable = [p for p in tmp_path.iterdir() if p.stat().st_mode & 0o077]
    assert len(readable) > 2 and not [p for p in readable if "correct" in p.read_text()]
    assert not (tmp_path / "env").stat().st_mode & 0o077 and not (tmp_path / "enter").stat().st_mode & 0o077


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_it_leaves_nothing(tmp_path, number):
    proc = start(tmp_path)
    wait_until((tmp_path / "progress").exists, 60, "the networks are up")
    before = [os.pidfd_open(p) for p in children(proc.pid)]
    assert len(before) > 10
    proc.send_signal(number)
    proc.communicate(timeout=30)

    wait_until(lambda: len(select.select(before, [], [], 0)[0]) == len(before), 5, "all of it has ended")
