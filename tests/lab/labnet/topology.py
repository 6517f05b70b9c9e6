"""Builds networks: hosts on the emulated internet, routers with a LAN behind them, hosts (and routers) in those LANs.
Describe with add_*, path and default, then up()."""
import contextlib
import ipaddress
import json
import os
import re
import subprocess

from .kernel import LabError, Namespace, end, mount_point, stop_all, wait_until
from .rules import Router, render, sysctls

HERE = os.path.dirname(os.path.abspath(__file__))
INSIDE = os.path.join(HERE, "inside.py")
PYTHON = "/usr/bin/python3"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def find_program(name, build=None):
    """A built program: below `build`, $BERTH_BUILD or any build folder of the tree, the newest. LabError without one."""
    folder = {"lab-internet": "tests/lab", "lab-roamer": "tests/lab", "berth-node": "node", "berth": "agent",
              "berth-controller": "controller"}[name]
    build = build or os.environ.get("BERTH_BUILD")
    builds = [build] if build else [os.path.join(ROOT, d) for d in os.listdir(ROOT) if d.startswith("build")]
    found = [p for p in (os.path.join(b, folder, name) for b in builds) if os.access(p, os.X_OK)]
    if not found:
        raise LabError(f"{name} is not built")
    return max(found, key=os.path.getmtime)


class Look:
    """A command of inside.py that runs meanwhile. Each of its commands ends by itself in the time it is given."""

    def __init__(self, proc):
        self._proc = proc

    def next(self):
        """What it tells next; waits for it."""
        line = self._proc.stdout.readline()
        if not line:
            raise LabError(f"{self._proc.args[2:]}: ended with {self._proc.wait()}")
        return json.loads(line)


class Host:
    """Somebody with addresses: on the internet (no `lan`), or in a router's LAN."""

    def __init__(self, lab, name, ns):
        self.lab, self.name, self.ns = lab, name, ns
        self.ips = []       # its addresses
        self.routed = []    # on the internet: what else leads to it, prefixes
        self.lan = None     # the router it is behind; of several the first
        self.uplinks = {}   # router: its addresses there
        self.router = None  # what it does as one
        self.inside = []    # hosts behind it
        self.connected = set()  # the uplink that is up

    @property
    def ip(self):
        return self.ips[0]

    @property
    def ip4(self):
        return next((a for a in self.ips if ":" not in a), "")

    @property
    def ip6(self):
        return next((a for a in self.ips if ":" in a), "")

    def start(self, argv, log=None, **kw):
        """Starts a program here; what it prints goes to the lab's file HOST.LOG, or nowhere."""
        if not log:
            return self.ns.start(argv, stdout=kw.pop("stdout", subprocess.DEVNULL), stderr=subprocess.DEVNULL, **kw)
        path = self.lab.write(f"{self.name}.{log}", "")
        self.lab.kept.add(f"{self.name}.{log}")
        with open(self.lab.base.outside(path), "a", encoding="utf-8") as f:
            return self.ns.start(argv, stdout=f, stderr=f, **kw)

    def run(self, argv, **kw):
        return self.ns.run(argv, **kw)

    def look(self, *arguments, timeout=20):
        """Runs a command of inside.py here; what it told: one value, or a list when it told several."""
        out = self.run([PYTHON, "-B", INSIDE, *arguments], timeout=timeout).stdout
        values = [json.loads(line) for line in out.splitlines()]
        return values[0] if len(values) == 1 else values

    def looking(self, *arguments, env=None):
        """The same, under way: a Look."""
        return Look(self.start([PYTHON, "-B", INSIDE, *arguments], stdout=subprocess.PIPE, text=True, env=env))

    @contextlib.contextmanager
    def deaf(self, other):
        """Meanwhile it hears nothing of the other, which hears it as before; nobody is told."""
        addresses = "".join(f"{'ip6' if ':' in ip else 'ip'} saddr {ip} drop; " for ip in other.ips)
        self.run(["nft", "-f", "-"], stdin="table inet deaf_" + other.name + " { chain c { type filter hook prerouting "
                 "priority raw; " + addresses + "}; }\n")
        try:
            yield
        finally:
            self.run(["nft", "delete", "table", "inet", "deaf_" + other.name])

    @contextlib.contextmanager
    def mute(self, other):
        """Meanwhile the other hears nothing of it."""
        with other.deaf(self):
            yield

    @contextlib.contextmanager
    def apart(self, other):
        """Meanwhile neither hears anything of the other."""
        with self.deaf(other), other.deaf(self):
            yield

    def device(self, router):
        """The name of its interface in the router's LAN."""
        return "wan0" if self.router else f"eth{list(self.uplinks).index(router)}"

    def move(self, name):
        """From the network it is in to that of another of its routers, as a telephone leaves Wi-Fi."""
        self.lab.connect(self, self.lab.hosts[name])

    def gateway(self, version):
        """This router's address in its LAN."""
        lan = self.router.lan if version == 4 else self.router.lan6
        return str(ipaddress.ip_network(lan)[1]) if lan else ""

    def next_inside(self, version):
        lan = self.router.lan if version == 4 else self.router.lan6
        return str(ipaddress.ip_network(lan)[10 + len(self.inside)]) if lan else ""


class Lab:
    """One emulated internet and all that hangs on it. A context manager: leaving it ends every process in it, and is an error where a
    sanitizer has found something."""

    def __init__(self, build=None, seed=1):
        self.program = find_program("lab-internet", build)
        self.hosts = {}
        self.kept = set()  # logs, by name
        self._sites = {}
        self._paths = []
        self._default = "0"
        self._seed = seed
        self._internet = None
        self.files = mount_point([ROOT, self.program])
        self.base = Namespace("lab", files=self.files)
        self._namespaces = [self.base]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.assert_no_sanitizer_report()
        finally:
            self.close()

    def close(self):
        if self._internet:
            end(self._internet)
            self._internet = None
        stop_all(self._namespaces)
        self._namespaces = []

    def _namespace(self, name):
        ns = Namespace(name, first=self.base)
        self._namespaces.append(ns)
        return ns

    def add_host(self, name, ips=(), behind=None, site=None):
        """A host on the internet with `ips`, or in the LAN of the router `behind`, where it is given addresses; behind
        several it is in the first's network until it moves. Hosts of one `site` share a namespace, each with its own
        paths to others."""
        if name in self.hosts:
            raise LabError(f"two hosts named {name}")
        routers = [behind] if isinstance(behind, str) else list(behind or ())
        for router in routers:
            if router not in self.hosts or not self.hosts[router].router:
                raise LabError(f"{name}: {router} is no router")
        ns = self._sites.get(site) or self._namespace(site or name)
        if site:
            self._sites[site] = ns
        host = self.hosts[name] = Host(self, name, ns)
        host.ips = list(ips) if not routers else []
        for router in routers:
            self._put_inside(host, self.hosts[router])
        return host

    def add_router(self, name, ips=(), behind=None, **description):
        """A router on the internet, or behind another: see rules.Router for its description."""
        host = self.add_host(name, ips, behind)
        host.router = Router(**description)
        host.router.check()
        if host.router.lan6 and not behind:
            host.routed.append(host.router.lan6)
        return host

    @staticmethod
    def _put_inside(host, router):
        host.lan = host.lan or router
        host.uplinks[router] = [ip for ip in (router.next_inside(4), router.next_inside(6)) if ip]
        host.ips += host.uplinks[router]
        router.inside.append(host)

    def default(self, path):
        """The path of pairs not named: the words of a map's `default` line."""
        self._default = str(path)

    def path(self, a, b, words, one_way=False):
        self._paths.append(f"{'path' if one_way else 'pair'} {a} {b} {words}")

    def map_text(self):
        lines = [f"seed {self._seed}", f"default {self._default}"]
        for h in self.hosts.values():
            if not h.lan:
                lines.append(f"host {h.name} {h.ns.net_path} {' '.join(h.ips + h.routed)}")
        return "\n".join(lines + self._paths) + "\n"

    def write(self, name, text, mode=0o644):
        """Puts a file into the lab; returns its path as the lab's programs see it."""
        path = f"{self.files}/{name}"
        outside = self.base.outside(path)
        os.makedirs(os.path.dirname(outside), exist_ok=True)
        with open(outside, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(outside, mode)
        return path

    def read(self, name):
        with open(self.base.outside(f"{self.files}/{name}"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def up(self):
        """Connects everything. Afterwards every host can be run programs in, and is known to all by its name."""
        self.base.run(["ip", "link", "set", "lo", "up"])
        self._start_internet()
        names = "127.0.0.1 localhost\n::1 localhost\n"
        for h in self.hosts.values():
            names += "".join(f"{ip} {h.name} {h.name}.lab\n" for ip in h.ips)
        self.write("hosts", names)
        public = [h for h in self.hosts.values() if not h.lan]
        for ns in {h.ns for h in public}:
            self._connect_to_internet(ns, [ip for h in public if h.ns is ns for ip in h.ips])
        for h in self.hosts.values():
            if h.router:
                self._make_router(h)

    def _start_internet(self):
        path = self.write("internet.map", self.map_text())
        self._internet = self.base.start([self.program, "wan0", path], stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        if self._internet.stdout.readline() != "ready\n":
            raise LabError(f"the internet does not start: {self._internet.stderr.read()}")

    def stop_internet(self):
        """Ends the internet and returns what it counted: forwarded, lost, ..."""
        self._internet.terminate()
        self._internet.wait(5)
        counters = json.loads(self._internet.stdout.readline())
        end(self._internet)
        self._internet = None
        return counters

    @staticmethod
    def _ip(ns, lines):
        ns.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")

    def _connect_to_internet(self, ns, ips):
        lines = ["link set lo up", "link set wan0 txqueuelen 4000 up"]
        for ip in ips:
            lines.append(f"address replace {ip}/{128 if ':' in ip else 32} dev wan0" +
                         (" nodad" if ":" in ip else ""))
        lines += ["route replace default dev wan0", "route replace ::/0 dev wan0"]
        self._ip(ns, lines)

    def _make_router(self, host):
        lines = ["link set lo up", "link add lan0 type bridge", "link set lan0 up"]
        for version in (4, 6):
            gateway = host.gateway(version)
            lan = host.router.lan if version == 4 else host.router.lan6
            if gateway:
                bits = ipaddress.ip_network(lan).prefixlen
                lines.append(f"address add {gateway}/{bits} dev lan0" + (" nodad" if version == 6 else ""))
        for n, inside in enumerate(host.inside):
            lines += [f"link add lan{n + 1} type veth peer name {inside.device(host)} netns {inside.ns.pid}",
                      f"link set lan{n + 1} master lan0 up"]
        self._ip(host.ns, lines)
        for inside in host.inside:
            self._ip(inside.ns, ["link set lo up"])
            if inside.lan is host:
                self.connect(inside, host)
        first = next((h.ip4 for h in host.inside), "")
        settings = "".join(f"echo {v} > /proc/sys/{k}\n" for k, v in sysctls(host.router).items())
        host.run(["sh", "-e"], stdin=settings)
        host.run(["nft", "-f", "-"], stdin=render(host.router, host.ip4, first))

    def connect(self, host, router):
        """Puts the host into the router's LAN, and out of any other."""
        device = host.device(router)
        lines = [f"link set {host.device(other)} down" for other in host.uplinks if other is not router and
                 other in host.connected]
        lines.append(f"link set {device} up")
        for ip in host.uplinks[router]:
            version = 6 if ":" in ip else 4
            lan = router.router.lan if version == 4 else router.router.lan6
            lines.append(f"address replace {ip}/{ipaddress.ip_network(lan).prefixlen} dev {device}" +
                         (" nodad" if version == 6 else ""))
            everything = "::/0" if version == 6 else "default"
            lines.append(f"route replace {everything} via {router.gateway(version)} dev {device}")
        host.connected = {router}
        self._ip(host.ns, lines)

    def logs(self):
        """The end of every log that Host.start keeps."""
        return "\n".join(f"--- {name}\n{self.read(name)[-2000:]}" for name in sorted(self.kept))

    def assert_no_sanitizer_report(self):
        for name in sorted(self.kept):
            log = self.read(name)
            found = re.search(r"Sanitizer|runtime error:", log)
            assert found is None, f"{name}:\n{log[max(0, found.start() - 100):][:6000]}"

    def wait_port(self, host, port, protocol="tcp", seconds=10):
        """Until somebody listens on the port in the host's namespace."""
        hexport = f":{port:04X} "

        def listening():
            for family in ("", "6"):
                with open(f"/proc/{host.ns.pid}/net/{protocol}{family}", encoding="ascii") as f:
                    for line in f:
                        local = line.split()[1] + " "
                        if local.endswith(hexport) and (protocol == "udp" or " 0A " in line):
                            return True
            return False
        try:
            wait_until(listening, seconds, f"{host.name} listens on {protocol} {port}")
        except LabError as e:
            raise LabError(f"{e}\n{self.logs()}") from None
