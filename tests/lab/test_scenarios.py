"""Every file in scenarios/: builds its network, starts its nodes, and compares what is found with what is expected,
first by a plain STUN client (so that the scenario itself is right), then by the real agent."""
import glob
import json
import os
import statistics
import subprocess
import time

import pytest

from labnet import proxies, servers
from labnet.kernel import why_not
from labnet.pki import Authority
from labnet.scenario import Scenario
from labnet.topology import find_program

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "scenarios", "*.toml")))
RTT_WITHIN_US = 3000  # unless the scenario says: other tests share the machine


class Stage:
    """A scenario's network with its nodes and proxies running."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.node_program, self.agent_program = find_program("berth-node"), find_program("berth")
        self.lab = scenario.build()
        try:
            self._start()
        except BaseException:
            self.lab.close()
            raise

    def _start(self):
        self.authority = Authority(self.lab)
        for name in self.scenario.nodes():
            self._start_node(self.lab.hosts[name], self.scenario.ports(name))
        for farm in self.scenario.farms():
            self._start_farm(farm)
        self.proxies = {name: self._start_proxy(self.lab.hosts[name], table)
                        for name, table in self.scenario.proxies().items()}

    def _start_node(self, host, ports):
        certificate = self.authority.issue(host.name, [host.name, f"{host.name}.lab"], host.ips)
        if not self.node_program:
            servers.coturn(host, ports["udp"][0], ports["tls"][0] if "tls" in ports else 0, certificate)
            return
        self._berth_node(host, [(t, ip, p) for t, numbers in ports.items() for ip in host.ips for p in numbers],
                         ["--cert", certificate[0], "--key", certificate[1]] if "tls" in ports else [])

    def _start_farm(self, farm):
        host = self.lab.hosts[f"{farm}-0"]
        port = self.scenario.farms()[farm].get("udp", 5004)
        if not self.node_program:
            host.ips = [ip for _, ip, _ in self.scenario.farm_members(farm)]
            servers.coturn(host, port)
            return
        self._berth_node(host, [("udp", ip, port) for _, ip, _ in self.scenario.farm_members(farm)],
                         ["--stun-rate", "0", "--stun-rate-prefix", "0"])

    def _berth_node(self, host, listeners, more):
        words = []
        for transport, ip, port in listeners:
            words += [f"--{transport}", f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"]
        host.start([self.node_program, "--standalone", "--threads", "1", "--die-with-parent", *words, *more],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for transport, port in {(t, p) for t, _, p in listeners}:
            self.lab.wait_port(host, port, "udp" if transport == "udp" else "tcp")

    def _start_proxy(self, host, table):
        if table.get("kind", "squid") == "tinyproxy":
            return proxies.tinyproxy(host, table.get("auth", "none"))
        own = Authority(self.lab, host.name) if table.get("opens_tls") else None
        return proxies.squid(host, table.get("auth", "none"), table.get("port", 3128),
                             table.get("connect_ports", (443,)), own, self.authority.ca)

    def probe(self, agent, targets, arguments=()):
        """The agent's results, {node: {transport: row}}, its exit status, and how long it took."""
        host, words = self.lab.hosts[agent], []
        for target in targets:
            words += ["--node", target]
        began = time.monotonic()
        done = host.run([self.agent_program, "probe", "--json", "--ca", self.authority.ca, *words, *arguments],
                        timeout=60, check=False)
        took = time.monotonic() - began
        assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr[-2000:]}"
        nodes = json.loads(done.stdout)["nodes"]
        return {n["node"]: {r["transport"]: r for r in n["results"]} for n in nodes}, done.returncode, took

    def target(self, node):
        words = [f",{t}={p}" for t, numbers in self.scenario.ports(node).items() for p in numbers]
        return f"{node}.lab{''.join(words)}"


def files_with(key):
    """The scenarios that say something under `key`, as parameters."""
    found = [s for s in map(Scenario, FILES) if s.data.get(key)]
    return pytest.mark.parametrize("stage", found, ids=[s.name for s in found], indirect=True)


@pytest.fixture(name="stage", scope="module")
def stage_of_scenario(request):
    scenario = request.param
    for table in scenario.proxies().values():
        program = "/usr/bin/tinyproxy" if table.get("kind") == "tinyproxy" else "/usr/sbin/squid"
        if not os.path.exists(program):
            pytest.skip(f"{program} is not installed")
    stage = Stage(scenario)
    yield stage
    stage.lab.close()


def plain_status(stage, agent, node, transport):
    """The best status that a plain client finds on the node's ports of a transport."""
    host, ports = stage.lab.hosts[agent], stage.scenario.ports(node)
    if not stage.node_program:  # what stands in for the node has one port
        ports = {"udp": ports["udp"][:1], "tcp": ports["udp"][:1], "tls": ports.get("tls")}
    answers = host.look("stun", transport, 0, 1.5, *[f"{node}.lab:{p}" for p in ports[transport]],
                        env={"LAB_CA": stage.authority.ca, "PATH": "/usr/bin:/bin"})
    found = [a["status"] for a in answers]
    return "reachable" if "reachable" in found else found[-1]


@files_with("expect")
def test_the_network_is_as_the_scenario_says(stage):
    for agent, per_node in stage.scenario.expectations().items():
        for node, expected in per_node.items():
            transports = [t for t in ("udp", "tcp", "tls") if expected.get(t, "untested") != "untested"]
            found = {t: plain_status(stage, agent, node, t) for t in transports}
            assert found == {t: expected[t] for t in transports}, f"{agent} to {node}"
            if "rtt_us" in expected:
                took = stage.lab.hosts[agent].look("rtt", 20, 10, *stage.lab.hosts[node].ips)
                print(f"{agent} to {node}: path {expected['rtt_us']} us, by ICMP {took}")
                for figures in (f for f in took.values() if f["received"]):
                    assert abs(figures["median_us"] - expected["rtt_us"]) < \
                        expected.get("within_us", RTT_WITHIN_US)


@files_with("proxy")
def test_its_proxies_connect(stage):
    node = next(iter(stage.scenario.nodes()))
    for agent in stage.scenario.agents():
        for proxy in stage.proxies.values():
            done = stage.lab.hosts[agent].run(
                ["curl", "-sS", "-o", "/dev/null", "--max-time", "5", "-w", "%{http_connect}", "--cacert",
                 proxy.ca or stage.authority.ca, *proxy.curl_options(), f"https://{node}.lab/livez"], check=False)
            assert done.stdout == "200", f"{agent} by {proxy.url}: {done.stdout} {done.stderr}"


def check_rows(rows, expected):
    """What differs between a node's rows and what was expected of them."""
    wrong = []
    for transport in [t for t in ("udp", "tcp", "tls", "proxy") if t in expected]:
        row = rows.get(transport, {"status": "no row"})
        if row["status"] != expected[transport]:
            wrong.append(f"{transport}: {row}, expected {expected[transport]}")
        if row["status"] != "reachable":
            continue
        median = row["rtt_us"]["median"]
        if "rtt_us" in expected and abs(median - expected["rtt_us"]) > expected.get("within_us", RTT_WITHIN_US):
            wrong.append(f"{transport}: median {median} us, expected {expected['rtt_us']} us")
        if "mapped" in expected and not row["mapped_address"].strip("[").startswith(expected["mapped"]):
            wrong.append(f"{transport}: mapped {row['mapped_address']}, expected {expected['mapped']}")
        if transport == "udp" and not expected.get("min_received", 0) <= row["received"] <= \
                expected.get("max_received", row["sent"]):
            wrong.append(f"udp: {row['received']} of {row['sent']} received")
    return wrong


@files_with("expect")
def test_the_agent_finds_what_is_expected(stage):
    if not stage.agent_program or not stage.node_program:
        pytest.skip("berth or berth-node is not built")
    for agent, per_node in stage.scenario.expectations().items():
        settings = stage.scenario.agents()[agent]
        rows, status, took = stage.probe(agent, [stage.target(n) for n in per_node], settings.get("arguments", ()))
        print(f"{agent}: exit {status} after {took:.2f} s", json.dumps(rows, indent=1))
        wrong = [w for node, expected in per_node.items() for w in check_rows(rows[f"{node}.lab"], expected)]
        assert not wrong, "\n".join(wrong)
        assert status == settings.get("exit", 0)
        assert took < settings.get("within_s", 21)


@files_with("accuracy")
def test_the_agents_round_trips_are_the_paths(stage):
    if not stage.agent_program or not stage.node_program:
        pytest.skip("berth or berth-node is not built")
    for agent, asked in stage.scenario.data["accuracy"].items():
        members = stage.scenario.farm_members(asked["farm"])
        port = stage.scenario.farms()[asked["farm"]].get("udp", 5004)
        for count in asked["counts"]:
            some = [ip for _, ip, _ in members[len(members) // 2:] + members][:count]
            path = stage.lab.hosts[agent].look("rtt", 15 if count > 10 else 60, 2, *some, timeout=60)
            rows, _, took = stage.probe(agent, [f"{ip},udp={port}" for ip in some])
            reached = [ip for ip in some if rows[ip]["udp"]["status"] == "reachable"]
            off = sorted(rows[ip]["udp"]["rtt_us"]["median"] - path[ip]["median_us"] for ip in reached)
            print(f"{count} nodes: {len(reached)} reached in {took:.1f} s; agent's median minus the path's: median "
                  f"{statistics.median(off):.0f} us, from {off[0]} to {off[-1]} us; within 200 us: "
                  f"{sum(abs(o) <= 200 for o in off)}")
            assert len(reached) == count
            assert abs(statistics.median(off)) <= asked["median_within_us"]
            assert max(abs(off[0]), abs(off[-1])) <= asked["worst_within_us"]
