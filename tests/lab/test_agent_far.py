"""An agent that watches 200 nodes, 30 to 300 ms away, by three transports: how long a probe takes, what it costs, and what
waiting for the next one does. ./check --soak runs it; with a build without sanitizers memory is looked at too."""
import ipaddress
import json
import os
import re
import subprocess

import pytest

from labnet.kernel import wait_until, why_not
from labnet.pki import Authority
from labnet.service import Service
from labnet.topology import Lab

REASON = why_not()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=str(REASON)),
              pytest.mark.skipif(not os.environ.get("BERTH_SOAK"), reason="./check --soak runs it")]
COUNT, FIRST = 200, ipaddress.ip_address("203.0.113.10")
NEAREST_US, FARTHEST_US = 30000, 300000  # there and back
BUDGET_S = 20  # of the policy: a whole probe
EVERY_S = 6600  # `berth watch` probes again after 11/12 of two hours
AT_ONCE = ("chrt", "-f", 5)  # they don't wait for the machine's other work: being woken late slows the pace, rightly
OWN_MOST_KB = 6 << 10
OF_A_CORE = 0.01
IDLE_S = 20  # over which waiting is looked at: the event stream has a comment every 15 s


class Watch:
    def __init__(self, service, host):
        self.lab = host.lab
        service.running["far.watch"] = self.process = host.start(
            [*AT_ONCE, service.programs["berth"], "watch", "--json"], log="watch", env=service.agent_env("far"))

    def told(self, event):
        lines = [json.loads(x) for x in self.lab.read("far.watch").splitlines() if x.startswith("{") and x.endswith("}")]
        return [x for x in lines if x["event"] == event]

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9

    def own_kb(self):
        """What is its alone: without what it shares with whoever uses the same libraries."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as f:
            return int(re.search(r"^Pss_Anon:\s+(\d+)", f.read(), re.M).group(1))


def address(n):
    return str(FIRST + n)


def body(n):
    ip = address(n)
    return {"node": f"far-{n}", "cluster": f"c{n}", "region": "eu", "tls_name": "far.lab", "capacity": 0,
            "addresses": {"udp": [f"{ip}:5004"], "tcp": [f"{ip}:5004"], "tls": [f"{ip}:443"]}}


def start_nodes(lab, service, authority):
    """One program under all the addresses, registered as so many nodes."""
    cert, key = authority.issue("far", ["far.lab"])
    lab.hosts["far-0"].start([
        *AT_ONCE, service.programs["berth-node"], "--standalone", "--threads", 1, "--die-with-parent", "--stun-rate", 0,
        "--max-connections-per-ip", 0, "--udp=0.0.0.0:5004", "--tcp=0.0.0.0:5004", "--tls=0.0.0.0:443", "--cert", cert,
        "--key", key], log="node")
    lab.wait_port(lab.hosts["far-0"], 443)
    calls = [f'url = "{service.url}/v1/nodes"\nsilent\noutput = "/dev/null"\nwrite-out = "%{{http_code}}\\n"\n'
             f'cacert = "{authority.ca}"\nheader = "Authorization: Bearer {service.node_key}"\nheader = '
             f'"Content-Type: application/json"\ndata = {json.dumps(json.dumps(body(n)))}\n' for n in range(COUNT)]
    answers = service.host.run(["curl", "--config", "-"], stdin="next\n".join(calls), timeout=60).stdout.split()
    assert answers == ["201"] * COUNT, answers
    service.wait_nodes({f"far-{n}" for n in range(COUNT)})


def sanitized(program):
    return b"__asan_init" in subprocess.run(["nm", "-D", program], capture_output=True, check=True).stdout


def test_two_hundred_nodes_far_away():
    with Lab() as lab:
        lab.add_host("controller", ["198.51.100.1"])
        lab.add_host("far", ["198.51.100.2"])
        lab.default("10000")
        for n in range(COUNT):
            name = f"far-{n}"
            lab.add_host(name, [address(n)], site="farm")
            lab.path("far", name, (NEAREST_US + (FARTHEST_US - NEAREST_US) * n // (COUNT - 1)) // 2)
        lab.up()
        authority = Authority(lab)
        service = Service(lab.hosts["controller"], authority)
        start_nodes(lab, service, authority)
        watch = Watch(service, lab.hosts["far"])
        most = [0]

        def reported():
            most[0] = max(most[0], watch.own_kb())
            return watch.told("report")
        wait_until(reported, 60, lambda: f"the report\n{lab.read('far.watch')[-2000:]}")
        (probe,), spent = watch.told("probe"), watch.cpu_s()
        rows = [r for n in probe["nodes"] for r in n["results"]]
        reached = [r for r in rows if r["status"] == "reachable"]
        off = sorted(r["rtt_us"]["min"] - (NEAREST_US + (FARTHEST_US - NEAREST_US) * int(r["node"][4:]) // (COUNT - 1))
                     for r in reached if r["transport"] == "udp")
        began = os.times().elapsed
        wait_until(lambda: os.times().elapsed > began + IDLE_S, IDLE_S + 60, "some waiting")
        idle = (watch.cpu_s() - spent) / (os.times().elapsed - began)
        share = spent / EVERY_S + idle
        print(f"{len(reached)} of {len(rows)} rows reachable within {probe['duration_us'] / 1e6:.1f} s; {spent:.2f} s of CPU "
              f"with the start, {idle:.4%} of a core while waiting, {share:.3%} on average; {most[0]} KB of its own at most; "
              f"least UDP round trip minus the path's: median {off[len(off) // 2]} us, from {off[0]} to {off[-1]} us")
        assert len(rows) == len(reached) == 3 * COUNT and probe["duration_us"] < BUDGET_S * 1e6
        assert share < OF_A_CORE
        assert sanitized(service.programs["berth"]) or most[0] < OWN_MOST_KB
        service.assert_running()
