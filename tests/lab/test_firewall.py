"""Every file in firewall/: builds its network and compares what `berth firewall` says with what is expected; where a node
offers RFC 5780, coturn's client must say the same of the NAT."""
import glob
import json
import os
import re

import pytest

from labnet.kernel import why_not
from labnet.scenario import Scenario
from test_scenarios import Stage, check_nodes

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "firewall", "*.toml")))


class FirewallStage(Stage):
    """Nodes with an `alternate` offer RFC 5780 there."""

    def _start_node(self, host, ports, authority):
        alternate = self.scenario.nodes()[host.name].get("alternate")
        if not alternate or not self.node_program:
            super()._start_node(host, ports, authority)
            return
        cert, key = authority.issue(host.name, [host.name, f"{host.name}.lab"], host.ips)
        self._berth_node(host, [(t, host.ips[0], p) for t, numbers in ports.items() for p in numbers],
                         ["--cert", cert, "--key", key, "--behaviour-alternate", alternate, "--behaviour-response-port"])

    def firewall(self, agent, arguments=()):
        """What the agent says of its network, and its exit status."""
        words = [w for n in self.scenario.nodes() for w in ("--node", self.firewall_target(n))]
        done = self.lab.hosts[agent].run(
            [self.agent_program, "firewall", "--json", "--ca", self.authority.ca, *words, *arguments], timeout=90, check=False)
        assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr[-2000:]}"
        print(agent, json.dumps(json.loads(done.stdout), indent=1))
        return json.loads(done.stdout), done.returncode

    def firewall_target(self, node):
        """By address: an `alternate` is not one to probe."""
        table = self.scenario.nodes()[node]
        ports = "".join(f",{t}={p}" for t, numbers in self.scenario.ports(node).items() for p in numbers)
        return (table["ips"][0] if "alternate" in table else f"{node}.lab") + ports


def differences(found, expected):
    """Names of what differs."""
    ports = {f"{p['transport']} {p['port']}": p["status"] for p in found["ports"]}
    values = {**{k: found[k] for k in ("rung", "quality", "mtu")}, **found["nat"],
              "silent_ranges": found["allow_list"]["silent"], "advice": [a["open"] for a in found["advice"]]}
    wrong = [f"{k}: {values[k]}" for k in expected if k in values and values[k] != expected[k]]
    for status in ("open", "dropped", "rejected", "untested"):
        wrong += [f"{p}: {ports.get(p)}, not {status}" for p in expected.get(status, []) if ports.get(p) != status]
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
    if any(t.get("kind", "squid") == "squid" for t in scenario.proxies().values()) and not os.path.exists("/usr/sbin/squid"):
        pytest.skip("squid is not installed")
    with FirewallStage(scenario) as stage:
        if not stage.agent_program or not stage.node_program:
            pytest.skip("berth or berth-node is not built")
        for agent, expected in scenario.data["firewall"].items():
            found, status = stage.firewall(agent, expected.get("arguments", ()))
            wrong = differences(found, expected)
            assert not wrong, "\n".join(wrong)
            assert status == expected.get("exit", 0)
            for node in [n for n in scenario.nodes().values() if "alternate" in n and "mapping" in expected]:
                opinion = coturns_opinion(stage.lab.hosts[agent], node["ips"][0])
                assert opinion == [found["nat"]["mapping"], found["nat"]["filtering"]]
        check_nodes(stage)


@pytest.mark.parametrize("mtu", [1400, 1280, 1000])
def test_path_mtu(mtu):
    """A link on the way that takes less."""
    with FirewallStage(Scenario(os.path.join(HERE, "firewall", "nat-masquerade.toml"))) as stage:
        if not stage.agent_program or not stage.node_program:
            pytest.skip("berth or berth-node is not built")
        stage.lab.hosts["office"].run(["ip", "link", "set", "dev", "wan0", "mtu", str(mtu)])
        found, status = stage.firewall("alice")
        assert (status, found["mtu"]) == (0, mtu)
        assert any("1280" in a["open"] for a in found["advice"]) == (mtu < 1280)
