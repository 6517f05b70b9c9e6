"""Every file in scenarios/: builds its network, starts its nodes, and compares what is found with what is expected,
first by a plain STUN client (so that the scenario itself is right), then by the real agent."""
import glob
import json
import os
import statistics
import time

import pytest

from labnet import proxies, servers
from labnet.kernel import clean_env, why_not
from labnet.pki import Authority
from labnet.scenario import Scenario
from labnet.service import Service, finish
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
        self.nodes, self.service = [], None
        self.lab = scenario.build()
        try:
            self._start()
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def _start(self):
        self.authority = Authority(self.lab)
        for name in self.scenario.controllers():
            self._start_service(self.lab.hosts[name])
        for name, table in self.scenario.nodes().items():
            if not table.get("away") and not self.service:
                authority = self.authority if table.get("trusted", True) else Authority(self.lab, "stranger")
                self._start_node(self.lab.hosts[name], self.scenario.ports(name), authority)
        for farm in self.scenario.farms():
            self._start_farm(farm)
        for name, table in self.scenario.routers().items():
            if table.get("intercepts_tls"):
                own = Authority(self.lab, f"{name}-interceptor")
                proxies.squid(self.lab.hosts[name], authority=own, trusted=self.authority.ca)
        self.proxies = {name: self._start_proxy(self.lab.hosts[name], table)
                        for name, table in self.scenario.proxies().items()}

    def _start_service(self, host):
        """A controller, and the nodes register at it."""
        self.service = Service(host, self.authority)
        mesh_key = self.service.new_key(self.service.org, "node")
        for name, table in self.scenario.nodes().items():
            self.service.start_node(self.lab.hosts[name], mesh_key if table.get("mesh") else None,
                                    self.scenario.ports(name), table.get("advertise", ()))
        self.service.wait_nodes(self.scenario.nodes())

    def _start_node(self, host, ports, authority):
        certificate = authority.issue(host.name, [host.name, f"{host.name}.lab"], host.ips)
        if not self.node_program:
            servers.coturn(host, ports["udp"][0], ports["tls"][0] if "tls" in ports else 0, certificate)
            return
        self._berth_node(host, [(t, ip, p) for t, numbers in ports.items() for ip in host.ips for p in numbers],
                         ["--cert", certificate[0], "--key", certificate[1]] if "tls" in ports else [])

    def _start_farm(self, farm):
        """One node that answers for all the farm's addresses."""
        table, host = self.scenario.farms()[farm], self.lab.hosts[f"{farm}-0"]
        port = table.get("udp", 5004)
        if self.node_program:
            self._berth_node(host, [("udp", "::" if ":" in table["first"] else "0.0.0.0", port)],
                             ["--stun-rate", "0", "--stun-rate-prefix", "0"])
        else:
            host.ips = [ip for _, ip, _ in self.scenario.farm_members(farm)]
            servers.coturn(host, port)

    def _berth_node(self, host, listeners, more):
        words = []
        for transport, ip, port in listeners:
            words += [f"--{transport}", f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"]
        self.nodes.append(host.start(
            [self.node_program, "--standalone", "--threads", "1", "--die-with-parent", *words, *more], log="node"))
        for transport, port in {(t, p) for t, _, p in listeners}:
            self.lab.wait_port(host, port, "udp" if transport == "udp" else "tcp")

    def _start_proxy(self, host, table):
        if table.get("kind", "squid") == "tinyproxy":
            return proxies.tinyproxy(host, table.get("auth", "none"))
        own = Authority(self.lab, host.name) if table.get("opens_tls") else None
        return proxies.squid(host, table.get("auth", "none"), table.get("port", 3128),
                             table.get("connect_ports", (443,)), own, self.authority.ca)

    def probe_listed(self, agent, arguments=()):
        """The same with the controller's list, reported."""
        began = time.monotonic()
        proc = self.service.start_agent(self.lab.hosts[agent], ["probe", "--report", "--json", *arguments])
        nodes = finish(proc, statuses=(0, 1))["nodes"]
        rows = {n["node"]: {r["transport"]: r for r in n["results"]} for n in nodes}
        return rows, proc.returncode, time.monotonic() - began

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


def plain_look(stage, agent, node, transport):
    """A plain client asks the node on each of its ports of a transport."""
    asked = stage.scenario.servers(node, transport)
    if not stage.node_program:  # what stands in for the node has one port
        ports = {"udp": stage.scenario.ports(node)["udp"][:1], "tls": stage.scenario.ports(node).get("tls")}
        asked = [f"{node}.lab:{p}" for p in ports["tls" if transport == "tls" else "udp"]]
    return stage.lab.hosts[agent].looking(
        "stun", transport, 0, 1.5, *asked,
        env=clean_env(LAB_CA=stage.authority.ca))


def check_network(stage):
    """The statuses, as a plain client finds them."""
    looks = {}
    for agent, per_node in stage.scenario.expectations().items():
        for node, expected in per_node.items():
            for transport in ("udp", "tcp", "tls"):
                if expected.get(transport, "untested") != "untested":
                    looks[agent, node, transport] = plain_look(stage, agent, node, transport)
    for (agent, node, transport), look in looks.items():
        found = [a["status"] for a in look.next()]
        best = "reachable" if "reachable" in found else found[-1]
        assert best == stage.scenario.expectations()[agent][node][transport], f"{agent} to {node} by {transport}"


def check_paths(stage):
    """The round trips, by ICMP."""
    for agent, per_node in stage.scenario.expectations().items():
        for node, expected in per_node.items():
            if "rtt_us" not in expected or stage.scenario.nodes()[node].get("advertise"):
                continue  # which of the advertised addresses leads there is the agent's to find
            took = stage.lab.hosts[agent].look("rtt", 20, 10, *stage.lab.hosts[node].ips)
            print(f"{agent} to {node}: path {expected['rtt_us']} us, by ICMP {took}")
            for figures in took.values():
                assert abs(figures["median_us"] - expected["rtt_us"]) < expected.get("within_us", RTT_WITHIN_US)


def check_proxies(stage):
    """Every proxy connects every agent to the first node."""
    node = next(iter(stage.scenario.nodes()), None)
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
        least = row["rtt_us"]["min"]  # the median of five is at the mercy of whatever else runs here
        if "rtt_us" in expected and abs(least - expected["rtt_us"]) > expected.get("within_us", RTT_WITHIN_US):
            wrong.append(f"{transport}: at least {least} us, expected {expected['rtt_us']} us")
        if "mapped" in expected and not row["mapped_address"].strip("[").startswith(expected["mapped"]):
            wrong.append(f"{transport}: mapped {row['mapped_address']}, expected {expected['mapped']}")
        if transport == "udp" and not expected.get("min_received", 0) <= row["received"] <= \
                expected.get("max_received", row["sent"]):
            wrong.append(f"udp: {row['received']} of {row['sent']} received")
    return wrong


def check_agents(stage):
    """What the real agent says."""
    for agent, per_node in stage.scenario.expectations().items():
        settings = stage.scenario.agents()[agent]
        if stage.service:
            rows, status, took = stage.probe_listed(agent, settings.get("arguments", ()))
        else:
            rows, status, took = stage.probe(agent, [stage.target(n) for n in per_node], settings.get("arguments", ()))
            rows = {name.removesuffix(".lab"): by for name, by in rows.items()}
        print(f"{agent}: exit {status} after {took:.2f} s", json.dumps(rows, indent=1))
        wrong = [w for node, expected in per_node.items() for w in check_rows(rows[node], expected)]
        assert not wrong, "\n".join(wrong)
        assert status == settings.get("exit", 0)
        assert took < settings.get("within_s", 21)


def check_accuracy(stage):
    """The agent's round trips against the paths' own."""
    for agent, asked in stage.scenario.data.get("accuracy", {}).items():
        members = stage.scenario.farm_members(asked["farm"])
        port = stage.scenario.farms()[asked["farm"]].get("udp", 5004)
        for count in asked["counts"]:
            some = [ip for _, ip, _ in members[len(members) // 2:] + members][:count]
            rhythm = (15, 2) if count > 10 else (30, 50)  # about the agent's own: a machine that sleeps wakes slower
            path = stage.lab.hosts[agent].look("rtt", *rhythm, *some, timeout=60)
            off = []
            for _ in range(max(1, 8 // count)):  # of one node, one probe's five samples say little
                rows, _, took = stage.probe(agent, [f"{ip},udp={port}" for ip in some])
                assert all(rows[ip]["udp"]["status"] == "reachable" for ip in some)
                off += [rows[ip]["udp"]["rtt_us"]["median"] - path[ip]["median_us"] for ip in some]
            print(f"{count} nodes, a probe takes {took:.1f} s; the agent's median minus the path's: median "
                  f"{statistics.median(off):.0f} us, from {min(off)} to {max(off)} us; within 200 us: "
                  f"{sum(abs(o) <= 200 for o in off)} of {len(off)}")
            assert abs(statistics.median(off)) <= asked["median_within_us"]
            assert max(map(abs, off)) <= asked["worst_within_us"]


def check_assignments(stage):
    """What each agent that has reported is given, in a meeting of its own; asked from its own network, and connected."""
    for agent, expected in stage.scenario.assigned().items():
        words = [*stage.scenario.agents()[agent].get("arguments", ()), "--connect", "--seconds", "2"]
        answer = stage.service.join(stage.lab.hosts[agent], expected.get("policy", {}), words)
        print(f"{agent} is assigned: {json.dumps(answer['ladder'])}; {answer['why']['sentence']}")
        ladder = [f"{r['transport']} {r['address']}" for r in answer["ladder"]]
        assert (answer["node"], ladder) == (expected["node"], expected["ladder"]), answer["why"]
        took = answer["connection"]
        assert f"{took['transport']} {took['address']}" == ladder[0], took


def check_heartbeats(stage):
    """Nodes are heard of again and again, wherever they are."""
    if stage.service:
        stage.service.wait_heartbeats(stage.scenario.nodes())
        stage.service.assert_running()
        logs = "\n".join(stage.service.log(name) for name in stage.service.running)
        assert "Sanitizer" not in logs and "runtime error" not in logs, logs


def check_nodes(stage):
    """They are still there, and no sanitizer has complained."""
    assert all(n.poll() is None for n in stage.nodes), stage.lab.logs()
    assert "Sanitizer" not in stage.lab.logs() and "runtime error" not in stage.lab.logs(), stage.lab.logs()


def programs_needed(scenario):
    kinds = [t.get("kind", "squid") for t in scenario.proxies().values()]
    kinds += ["squid" for t in scenario.routers().values() if t.get("intercepts_tls")]
    return {"/usr/bin/tinyproxy" if kind == "tinyproxy" else "/usr/sbin/squid" for kind in kinds}


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_scenario(path):
    scenario = Scenario(path)
    for program in programs_needed(scenario):
        if not os.path.exists(program):
            pytest.skip(f"{program} is not installed")
    with Stage(scenario) as stage:
        check_network(stage)
        check_paths(stage)
        check_proxies(stage)
        if not stage.agent_program or not stage.node_program:
            pytest.skip("the network is right, but berth or berth-node is not built")
        check_agents(stage)
        check_assignments(stage)
        check_heartbeats(stage)
        check_accuracy(stage)
        check_nodes(stage)
