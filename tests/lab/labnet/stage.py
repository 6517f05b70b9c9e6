"""A scenario on its stage: its network built, its nodes, proxies and what else is in it running."""
import json
import time

from . import pki, portal, proxies, wpad
from .kernel import clean_env
from .pki import Authority
from .rules import PORTAL_PORTS, accept
from .service import Service, address, finish
from .topology import PYTHON, find_program

TRUSTED_BY_DEFAULT = "lab"


class Stage:
    """Everything of it ends with it. A context manager."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.node_program, self.agent_program = find_program("berth-node"), find_program("berth")
        self.nodes, self.service, self.kdc = [], None, None
        self.lab = scenario.build()
        try:
            self._start()
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.__exit__(*exc)

    def _start(self):
        data, hosts = self.scenario.data, self.lab.hosts
        self.authority = Authority(self.lab)
        if "nameserver" in data:
            self.lab.write("resolv.conf", f"nameserver {data['nameserver']}\n")
        self.interceptors = {name: Authority(self.lab, f"{name}-interceptor")
                             for name, table in {**self.scenario.routers(), **self.scenario.proxies()}.items()
                             if table.get("intercepts_tls") or table.get("opens_tls") or table.get("portal")}
        if "trusted_by_the_system" in data:
            pki.trust(self.lab, [self.interceptors.get(name, self.authority) for name in data["trusted_by_the_system"]])
        for name in self.scenario.controllers():
            self.service = Service(hosts[name], self.authority)
        for name in data.get("kdc", {}):
            self.kdc = proxies.Kdc(hosts[name])
        if not self.service:
            self._start_nodes()
        for farm in self.scenario.farms():
            self._start_farm(farm)
        for name, table in self.scenario.routers().items():
            self._start_router(hosts[name], table)
        self.proxies = {name: self._start_proxy(hosts[name], table) for name, table in self.scenario.proxies().items()}
        for name, table in data.get("wpad", {}).items():
            wpad.start(hosts[name], table["by"], [self.proxies[p] for p in table["proxies"]])
        if self.service:
            self._register_nodes()
        for name, table in self.scenario.agents().items():
            if table.get("ticket"):
                self.kdc.login(hosts[name])
            if table.get("asks_dhcp"):
                wpad.lease(hosts[name])

    def _start_nodes(self):
        for name, table in self.scenario.nodes().items():
            if not table.get("away"):
                authority = self.authority if table.get("trusted", True) else Authority(self.lab, "stranger")
                self._start_node(self.lab.hosts[name], table, authority)

    def _register_nodes(self):
        """At the controller, each by the way that its network has."""
        mesh_key = self.service.new_key(self.service.org, "node")
        for name, table in self.scenario.nodes().items():
            self.service.start_node(self.lab.hosts[name], mesh_key if table.get("mesh") else None,
                                    self.scenario.ports(name), table.get("advertise", ()), env=table.get("env"))
        self.service.wait_nodes(self.scenario.nodes())

    def _start_node(self, host, table, authority):
        ports = self.scenario.ports(host.name)
        certificate = authority.issue(host.name, [host.name, f"{host.name}.lab"], host.ips)
        alternate, ips = table.get("alternate"), host.ips
        more = ["--cert", certificate[0], "--key", certificate[1]] if "tls" in ports else []
        if alternate:  # it offers RFC 5780 there
            ips = host.ips[:1]
            more += ["--behaviour-alternate", alternate, "--behaviour-response-port"]
        self._berth_node(host, [(t, ip, p) for t, numbers in ports.items() for ip in ips for p in numbers], more)

    def _start_farm(self, farm):
        """One node that answers for all the farm's addresses."""
        table, host = self.scenario.farms()[farm], self.lab.hosts[f"{farm}-0"]
        port = table.get("udp", 5004)
        self._berth_node(host, [("udp", "::" if ":" in table["first"] else "0.0.0.0", port)],
                         ["--stun-rate", "0", "--stun-rate-prefix", "0"])

    def _berth_node(self, host, listeners, more):
        words = [f"--{transport}={address(ip, port)}" for transport, ip, port in listeners]
        self.nodes.append(host.start(
            [self.node_program, "--standalone", "--threads", "1", "--die-with-parent", *words, *more], log="node"))
        for transport, port in {(t, p) for t, _, p in listeners}:
            self.lab.wait_port(host, port, "udp" if transport == "udp" else "tcp")

    def _start_router(self, host, table):
        own = self.interceptors.get(host.name)
        if table.get("intercepts_tls"):
            proxies.squid(host, authority=own, trusted=self.authority.ca, websocket=table.get("websocket", False))
        if table.get("portal"):
            certificate = own.issue("login", ["login.hotel.test"])
            host.start([PYTHON, "-B", portal.__file__, *PORTAL_PORTS.values(), *certificate])
            for port in PORTAL_PORTS.values():
                self.lab.wait_port(host, port)

    def _start_proxy(self, host, table):
        if table.get("kind", "squid") == "tinyproxy":
            return proxies.tinyproxy(host, table.get("auth", "none"))
        return proxies.squid(host, table.get("auth", "none"), table.get("port", 3128), table.get("connect_ports", (443,)),
                             self.interceptors.get(host.name), self.authority.ca, table.get("websocket", False))

    # ---- agents ----

    def environment(self, agent):
        """What an agent's user has set, beside the controller."""
        table = self.scenario.agents()[agent]
        env = dict(table.get("env", {}))
        if table.get("ticket"):
            env["KRB5_CONFIG"] = self.kdc.env["KRB5_CONFIG"]
        return env

    def ca(self, agent):
        """The CA file that it is given; None: the system's trust is enough."""
        return self.authority.ca if self.scenario.agents()[agent].get("ca", True) else None

    def start_agent(self, agent, arguments):
        """Starts the command with the controller's settings: for `finish`."""
        return self.service.start_agent(self.lab.hosts[agent], arguments, BERTH_CA=self.ca(agent), **self.environment(agent))

    def run_agent(self, agent, arguments, timeout=90):
        """Runs the command without a controller: a CompletedProcess."""
        ca = ["--ca", self.ca(agent)] if self.ca(agent) else []
        return self.lab.hosts[agent].run([self.agent_program, *arguments, *ca], timeout=timeout, check=False,
                                         env=clean_env(**self.environment(agent)))

    def join(self, agent, policy, arguments=(), statuses=(0,)):
        """The answer to the agent that joins a new meeting."""
        return finish(self.start_join(agent, policy, arguments), statuses=statuses)

    def start_join(self, agent, policy, arguments=()):
        meeting = self.service.ask("POST", "/v1/meetings", {"policy": policy}, self.service.org_key)["id"]
        words = [*self.scenario.agents()[agent].get("arguments", ()), *arguments]
        return self.start_agent(agent, ["meeting", "join", meeting, "--json", *words])

    def probe_listed(self, agent):
        """The agent's results of the controller's list, reported: {node: {transport: row}}, its exit status, how long it took."""
        began = time.monotonic()
        words = self.scenario.agents()[agent].get("arguments", ())
        proc = self.start_agent(agent, ["probe", "--report", "--json", *words])
        nodes = finish(proc, statuses=(0, 1))["nodes"]
        rows = {n["node"]: {r["transport"]: r for r in n["results"]} for n in nodes}
        return rows, proc.returncode, time.monotonic() - began

    def probe(self, agent, targets, arguments=()):
        """The same of given nodes."""
        words = [word for target in targets for word in ("--node", target)]
        began = time.monotonic()
        done = self.run_agent(agent, ["probe", "--json", *words, *arguments])
        took = time.monotonic() - began
        assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr[-2000:]}"
        nodes = json.loads(done.stdout)["nodes"]
        return {n["node"]: {r["transport"]: r for r in n["results"]} for n in nodes}, done.returncode, took

    def target(self, node):
        """What --node is given; by address where an `alternate` is not one to probe."""
        table = self.scenario.nodes()[node]
        words = [f",{t}={p}" for t, numbers in self.scenario.ports(node).items() for p in numbers]
        name = address(table["ips"][0], "").rstrip(":") if "alternate" in table else f"{node}.lab"
        return name + "".join(words)

    def accept(self, agent):
        """A portal's page was filled in."""
        host = self.lab.hosts[agent]
        host.lan.run(["nft", "-f", "-"], stdin=accept(host.ip4))
