"""Every file in scenarios/: builds its network, starts its nodes, and compares what is found with what is expected,
first by a plain STUN client (so that the scenario itself is right), then by the real agent."""
import glob
import json
import os
import statistics

import pytest

from labnet import proxyconf, wpad
from labnet.kernel import clean_env, why_not
from labnet.scenario import Scenario
from labnet.stage import Stage

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "scenarios", "*.toml")))
RTT_WITHIN_US = 3000  # unless the scenario says: other tests share the machine
TOO_FAR, TRIES = "a round trip of at least", 3  # a busy machine can hold up all five samples of a probe


def plain_look(stage, agent, node, transport):
    """A plain client asks the node on each of its ports of a transport."""
    return stage.lab.hosts[agent].looking("stun", transport, 0, 1.5, *stage.scenario.servers(node, transport),
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
    """Every proxy connects every agent that may use it to the first node."""
    node = next(iter(stage.scenario.nodes()), None)
    for agent, table in stage.scenario.agents().items():
        for proxy in [p for p in stage.proxies.values() if p.auth != "negotiate" or table.get("ticket")]:
            done = stage.lab.hosts[agent].run(
                ["curl", "-sS", "-o", "/dev/null", "--max-time", "5", "-w", "%{http_connect}", "--cacert",
                 proxy.ca or stage.authority.ca, *proxy.curl_options(), f"https://{node}.lab/livez"], check=False,
                env=clean_env(**stage.environment(agent)))
            allowed = 443 in stage.scenario.proxies()[proxy.host.name].get("connect_ports", (443,))
            assert done.stdout == ("200" if allowed else "403"), f"{agent} by {proxy.url}: {done.stdout} {done.stderr}"


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
            wrong.append(f"{transport}: {TOO_FAR} {least} us, expected {expected['rtt_us']} us")
        if "mapped" in expected and not row["mapped_address"].strip("[").startswith(expected["mapped"]):
            wrong.append(f"{transport}: mapped {row['mapped_address']}, expected {expected['mapped']}")
        if transport == "udp" and not expected.get("min_received", 0) <= row["received"] <= \
                expected.get("max_received", row["sent"]):
            wrong.append(f"udp: {row['received']} of {row['sent']} received")
        if transport in ("tls", "proxy"):
            wrong += check_way(transport, row, expected)
    return wrong


def check_way(transport, row, expected):
    """The same of what is on the way of a row's TLS."""
    found, wanted = {"framing": row["framing"]}, {k: expected[k] for k in ("framing",) if k in expected}
    via = row.get("via_proxy", {})
    if transport == "proxy":
        found.update(via=via["url"].partition("//")[2].partition(".")[0], auth=via["auth"])
        wanted.update({k: expected[k] for k in ("via", "auth") if k in expected})
    if "intercepted" in expected:
        found["intercepted"], wanted["intercepted"] = via.get("tls_intercepted", False), transport in expected["intercepted"]
    return [f"{transport}: {k} {found[k]}, expected {v}" for k, v in wanted.items() if found[k] != v]


def probe(stage, agent, nodes):
    if stage.service:
        rows, status, took = stage.probe_listed(agent)
    else:
        settings = stage.scenario.agents()[agent]
        rows, status, took = stage.probe(agent, [stage.target(n) for n in nodes], settings.get("arguments", ()))
        rows = {name.removesuffix(".lab"): by for name, by in rows.items()}
    print(f"{agent}: exit {status} after {took:.2f} s", json.dumps(rows, indent=1))
    return rows, status, took


def check_agents(stage, expectations=None):
    """What the real agent says."""
    for agent, per_node in (expectations or stage.scenario.expectations()).items():
        settings = stage.scenario.agents()[agent]
        for _ in range(TRIES):
            rows, status, took = probe(stage, agent, per_node)
            wrong = [w for node, expected in per_node.items() for w in check_rows(rows[node], expected)]
            if not wrong or not all(TOO_FAR in w for w in wrong):
                break
        assert not wrong, "\n".join(wrong)
        assert status == (settings.get("exit", 0) if not expectations else 0)
        assert took < settings.get("within_s", 21)


def check_accepted(stage):
    """What it says once the portal has let it out."""
    accepted = stage.scenario.data.get("accepted", {})
    for agent in accepted:
        stage.accept(agent)
    if accepted:
        check_agents(stage, accepted)


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
        answer = stage.join(agent, expected.get("policy", {}), ["--connect", "--seconds", "2"])
        print(f"{agent} is assigned: {json.dumps(answer['ladder'])}; {answer['why']['sentence']}")
        ladder = [f"{r['transport']} {r['address']}" for r in answer["ladder"]]
        assert (answer["node"], ladder) == (expected["node"], expected["ladder"]), answer["why"]
        took = answer["connection"]
        assert f"{took['transport']} {took['address']}" == ladder[0], took


def check_service(stage):
    """It all still runs, and mesh nodes are heard of again and again, wherever they are."""
    mesh = [name for name, table in stage.scenario.nodes().items() if table.get("mesh")]
    if mesh:
        stage.service.wait_heartbeats(mesh)
    if stage.service:
        stage.service.assert_running()


def check_nodes(stage):
    """They are still there."""
    assert all(n.poll() is None for n in stage.nodes), stage.lab.logs()


def programs_needed(scenario):
    kinds = [t.get("kind", "squid") for t in scenario.proxies().values()]
    kinds += ["squid" for t in scenario.routers().values() if t.get("intercepts_tls")]
    programs = {proxyconf.TINYPROXY if kind == "tinyproxy" else proxyconf.SQUID for kind in kinds}
    programs |= {"/usr/sbin/krb5kdc", "/usr/sbin/kadmin.local"} if scenario.data.get("kdc") else set()
    return programs | ({wpad.SERVER, wpad.CLIENT} if scenario.data.get("wpad") else set())


def skip_unless_installed(scenario):
    for program in programs_needed(scenario):
        if not os.path.exists(program):
            pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_scenario(path):
    scenario = Scenario(path)
    skip_unless_installed(scenario)
    with Stage(scenario) as stage:
        check_network(stage)
        check_paths(stage)
        check_proxies(stage)
        check_agents(stage)
        check_accepted(stage)
        check_assignments(stage)
        check_service(stage)
        check_accuracy(stage)
        check_nodes(stage)
