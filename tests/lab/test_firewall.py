"""Every file in firewall/: builds its network and compares what `berth firewall` says with what is expected; where a node
offers RFC 5780, coturn's client must say the same of the NAT."""
import glob
import json
import os
import re

import pytest

from labnet.kernel import why_not
from labnet.scenario import Scenario
from labnet.stage import Stage
from test_scenarios import check_accepted, check_agents, check_nodes, skip_unless_installed

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "firewall", "*.toml")))


def run(stage, agent, arguments):
    words = [w for n in stage.scenario.nodes() for w in ("--node", stage.target(n))]
    done = stage.run_agent(agent, ["firewall", *words, *stage.scenario.agents()[agent].get("arguments", ()), *arguments])
    assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr[-2000:]}"
    print(agent, done.stdout)
    return done


def examine(stage, agent, arguments=()):
    """What the agent says of its network, and its exit status."""
    done = run(stage, agent, ["--json", *arguments])
    return json.loads(done.stdout), done.returncode


def check_page(stage, agent, expected):
    """The page for people says it too; its lines may be broken anywhere."""
    page = " ".join(run(stage, agent, expected.get("arguments", ())).stdout.split())
    for text in expected["page"]:
        assert text in page


def differences(found, expected):
    """Names of what differs."""
    ports = {f"{p['transport']} {p['port']}": p["status"] for p in found["ports"]}
    values = {**{k: found.get(k) for k in ("rung", "quality", "mtu", "tls_intercepted", "tls_issuer")}, **found["nat"],
              "silent_ranges": found["allow_list"]["silent"], "advice": [a["open"] for a in found["advice"]]}
    wrong = [f"{k}: {values[k]}" for k in expected if k in values and values[k] != expected[k]]
    for status in ("open", "dropped", "rejected", "untested"):
        wrong += [f"{p}: {ports.get(p)}, not {status}" for p in expected.get(status, []) if ports.get(p) != status]
    notes = {f"{p['transport']} {p['port']}": p.get("note", "") for p in found["ports"]}
    wrong += [f"note of {p}: {notes.get(p)}" for p, text in expected.get("notes", {}).items() if text not in notes.get(p, "")]
    wrong += [f"proxy.{k}: {found['proxy'].get(k)}" for k, v in expected.get("proxy", {}).items()
              if found["proxy"].get(k) != v]
    if "pinhole_s" in expected:
        least, most = expected["pinhole_s"]
        open_for, closed = found["pinhole_s"]["at_least"], found["pinhole_s"]["less_than"]
        if not isinstance(open_for, int) or not isinstance(closed, int) or not least <= open_for < closed <= most:
            wrong.append(f"pinhole_s: {found['pinhole_s']}")
    return wrong


def coturns_opinion(host, server):
    """(mapping, filtering) as turnutils_natdiscovery tells them."""
    done = host.run(["turnutils_natdiscovery", "-m", "-f", "-p", "5004", server], timeout=60, check=False)
    kinds = r"(Endpoint Independent|Address Dependent|Address and Port Dependent) "
    said = [re.findall(kinds + what, done.stdout) for what in ("Mapping", "Filtering")]
    assert all(said), done.stdout
    return [s[-1].lower().replace(" ", "-") for s in said]


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_firewall(path):
    scenario = Scenario(path)
    skip_unless_installed(scenario)
    with Stage(scenario) as stage:
        check_agents(stage)
        for agent, expected in scenario.data["firewall"].items():
            found, status = examine(stage, agent, expected.get("arguments", ()))
            wrong = differences(found, expected)
            assert not wrong, "\n".join(wrong)
            assert status == expected.get("exit", 0)
            if "page" in expected:
                check_page(stage, agent, expected)
            for node in [n for n in scenario.nodes().values() if "alternate" in n and "mapping" in expected]:
                opinion = coturns_opinion(stage.lab.hosts[agent], node["ips"][0])
                assert opinion == [found["nat"]["mapping"], found["nat"]["filtering"]]
        check_accepted(stage)
        check_nodes(stage)


@pytest.mark.parametrize("mtu", [1400, 1280, 1000])
def test_path_mtu(mtu):
    """A link on the way that takes less."""
    with Stage(Scenario(os.path.join(HERE, "firewall", "nat-masquerade.toml"))) as stage:
        stage.lab.hosts["office"].run(["ip", "link", "set", "dev", "wan0", "mtu", str(mtu)])
        found, status = examine(stage, "alice")
        assert (status, found["mtu"]) == (0, mtu)
        assert any("1280" in a["open"] for a in found["advice"]) == (mtu < 1280)
