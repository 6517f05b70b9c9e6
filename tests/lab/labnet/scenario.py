"""A scenario: a network, who is in it, and what a probe is expected to find, read from a TOML file. See
README.md for the keys. Every key is known or refused: a misspelt expectation is a mistake, not a pass."""
import ipaddress
import os
import tomllib
from dataclasses import fields

from .kernel import LabError
from .rules import Router
from .topology import Lab

STATUSES = ("reachable", "timeout", "refused", "tls_error", "proxy_error", "untested")
TRANSPORTS = ("udp", "tcp", "tls", "proxy")
PLACE = {"ips", "behind"}
KEYS = {
    "": {"title", "seed", "path", "nameserver", "trusted_by_the_system", "controller", "assigned", "node", "farm", "router", "proxy", "kdc",
         "wpad", "agent", "paths", "expect", "accepted", "accuracy", "firewall", "connect", "joined", "moves"},
    "controller": PLACE,
    "node": PLACE | {"udp", "tcp", "tls", "away", "trusted", "mesh", "advertise", "alternate", "env"},
    "farm": {"count", "first", "udp", "delays_us"},
    "router": PLACE | {f.name for f in fields(Router)},
    "proxy": PLACE | {"kind", "auth", "port", "connect_ports", "opens_tls", "websocket"},
    "kdc": PLACE,
    "wpad": PLACE | {"by", "proxies"},
    "agent": PLACE | {"arguments", "exit", "within_s", "env", "ticket", "ca", "asks_dhcp"},
    "expect": {*TRANSPORTS, "rtt_us", "within_us", "mapped", "min_received", "max_received", "via", "auth", "intercepted",
               "framing"},
    "firewall": {"arguments", "exit", "rung", "quality", "mapping", "filtering", "translated", "mtu", "open", "dropped",
                 "rejected", "untested", "advice", "silent_ranges", "proxy", "pinhole_s", "notes",
                 "tls_intercepted", "tls_issuer", "page"},
    "accuracy": {"farm", "counts", "median_within_us", "worst_within_us"},
    "assigned": {"node", "ladder", "policy"},
    "connect": {"policy", "probe", "seconds", "exit", "transport", "decided_ms", "least_received", "same_mapping", "why",
                "framing", "via", "address"},
    "joined": {"node", "dials"},
    "moves": {"to", "by_way_of", "known", "transport", "containers"},
}
DEFAULT_PORTS = {"udp": [5004, 3478], "tcp": [5004], "tls": [443]}


def _refuse_unknown(where, table, known):
    if not isinstance(table, dict):
        raise LabError(f"{where}: a table is wanted")
    unknown = set(table) - known
    if unknown:
        raise LabError(f"{where}: unknown {', '.join(sorted(unknown))}")


class Scenario:
    """A file, read and checked."""

    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        with open(path, "rb") as f:
            self.data = tomllib.load(f)
        _refuse_unknown(self.name, self.data, KEYS[""])
        for kind in ("controller", "assigned", "node", "farm", "router", "proxy", "kdc", "wpad", "agent", "accuracy", "firewall",
                     "joined"):
            for name, table in self.data.get(kind, {}).items():
                _refuse_unknown(f"{self.name}: {kind}.{name}", table, KEYS[kind])
        for kind in ("connect", "moves"):
            for agent, tables in self.data.get(kind, {}).items():
                for table in tables:
                    _refuse_unknown(f"{self.name}: {kind}.{agent}", table, KEYS[kind])
        for kind, by_agent in (("expect", self.expectations()), ("accepted", self.data.get("accepted", {}))):
            for agent, per_node in by_agent.items():
                if agent not in self.agents():
                    raise LabError(f"{self.name}: {kind}.{agent}: no such agent")
                for node, table in per_node.items():
                    self._check_expectation(f"{self.name}: {kind}.{agent}.{node}", node, table)
        if len(self.controllers()) > 1 or (self.assigned() and not self.controllers()):
            raise LabError(f"{self.name}: one controller at most, and nobody is assigned without it")
        for agent, table in self.assigned().items():
            if agent not in self.agents() or table.get("node") not in self.nodes() or not table.get("ladder"):
                raise LabError(f"{self.name}: assigned.{agent}: an agent's node and ladder are wanted")
        if not any(self.data.get(kind) for kind in ("expect", "accuracy", "firewall", "connect", "joined", "moves")):
            raise LabError(f"{self.name}: it expects nothing")

    def _check_expectation(self, where, node, table):
        _refuse_unknown(where, table, KEYS["expect"])
        if node not in self.nodes():
            raise LabError(f"{where}: no such node")
        for transport in set(table) & set(TRANSPORTS):
            if table[transport] not in STATUSES:
                raise LabError(f"{where}.{transport}: one of {', '.join(STATUSES)}")

    def nodes(self):
        return self.data.get("node", {})

    def controllers(self):
        return self.data.get("controller", {})

    def assigned(self):
        return self.data.get("assigned", {})

    def agents(self):
        return self.data.get("agent", {})

    def routers(self):
        return self.data.get("router", {})

    def proxies(self):
        return self.data.get("proxy", {})

    def farms(self):
        return self.data.get("farm", {})

    def expectations(self):
        return self.data.get("expect", {})

    def ports(self, node):
        """{transport: [port]} of a node."""
        given = {t: self.nodes()[node][t] for t in DEFAULT_PORTS if t in self.nodes()[node]}
        return given or DEFAULT_PORTS

    def servers(self, node, transport):
        """"host:port" of a node's listeners, or what it advertises in their stead."""
        told = [a.rpartition("=")[2] for a in self.nodes()[node].get("advertise", ())
                if "=" not in a or a.startswith(transport + "=")]
        places = []
        for a in told:
            ports = [] if ":" in a else self.ports(node)[transport]
            places += [f"{a}:{p}" for p in ports] or [a]
        return places or [f"{node}.lab:{p}" for p in self.ports(node)[transport]]

    def farm_members(self, farm):
        """(name, address, one-way delay in us) of each node in a farm: delays spread evenly over the range."""
        table = self.farms()[farm]
        first, count = ipaddress.ip_address(table["first"]), table["count"]
        least, most = table["delays_us"]
        return [(f"{farm}-{i}", str(first + i), least + (most - least) * i // max(count - 1, 1))
                for i in range(count)]

    def build(self):
        """The lab, up. Close it."""
        lab = Lab(seed=self.data.get("seed", 1))
        try:
            self._fill(lab)
            lab.up()
        except BaseException:
            lab.close()
            raise
        return lab

    def _fill(self, lab):
        lab.default(self.data.get("path", "5000"))
        for name, table in self.routers().items():
            lab.add_router(name, **table)
        for farm in self.farms():
            for name, ip, _ in self.farm_members(farm):
                lab.add_host(name, [ip], site=farm)
        for kind in (self.controllers(), self.nodes(), self.proxies(), self.data.get("kdc", {}), self.data.get("wpad", {}),
                     self.agents()):
            for name, table in kind.items():
                lab.add_host(name, table.get("ips", ()), table.get("behind"))
        self._add_paths(lab)

    def _add_paths(self, lab):
        ends = [h.name for h in lab.hosts.values() if not h.lan and h.name not in self.nodes()]
        for farm in self.farms():
            members = self.farm_members(farm)
            mine = {name for name, _, _ in members}
            for name, _, delay in members:
                for end in ends:
                    if end not in mine:
                        lab.path(end, name, delay)
        for line in self.data.get("paths", []):
            a, b, words = line.split(None, 2)
            lab.path(a, b, words)
