"""What `./quickstart --lab` runs, as root: a controller and three nodes on an emulated internet, and four agents in networks
that let less and less through. Into the folder given it writes `progress` (a line a step), `env` and `result.json` once every
step has worked, or `error`; with --once or on SIGTERM it ends, and all of the lab with it."""
import argparse
import json
import os
import shlex
import signal
import sys
import urllib.parse

from labnet import proxies
from labnet.kernel import LabError, why_not
from labnet.pki import Authority
from labnet.service import Service, finish
from labnet.topology import Lab

NODES = {"node-1": ("cluster-1", "eu", "203.0.113.11", 6000),
         "node-2": ("cluster-2", "eu", "203.0.113.21", 14000),
         "node-3": ("cluster-3", "us", "203.0.113.31", 45000)}
CONTROLLER = ("controller", "203.0.113.1")
# agent: its network, the transport that it ends on, and what its router refuses. The last one's proxy has the LAN's first address.
AGENTS = {
    "alice": ("open", "udp", {}),
    "bob": ("udp-blocked", "tcp", {"udp": "drop"}),
    "carol": ("443-only", "tls", {"udp": "drop", "tcp": "reject", "tcp_ports": [443]}),
    "dave": ("proxy-only", "proxy", {"from": ["192.168.1.10"]}),
}


def exports(values):
    return "".join(f"export {k}={shlex.quote(v)}; " for k, v in values.items())


class Quickstart:
    """The lab and what has been found in it so far."""

    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        self.lab = Lab(build)
        self.proxy = None
        self.reported = {}

    def say(self, text):
        with open(os.path.join(self.folder, "progress"), "a", encoding="utf-8") as f:
            f.write(text + "\n")

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def build_networks(self):
        lab = self.lab
        lab.default("10000")
        lab.add_host(CONTROLLER[0], [CONTROLLER[1]])
        for name, (_, _, ip, _) in NODES.items():
            lab.add_host(name, [ip])
        for i, (agent, (network, _, firewall)) in enumerate(AGENTS.items()):
            lab.add_router(network, [f"198.51.100.{i + 1}"], firewall=firewall)
            if "from" in firewall:
                lab.add_host("gate", behind=network)
            lab.add_host(agent, behind=network)
            for name, (_, _, _, delay_us) in NODES.items():
                lab.path(network, name, delay_us + 1000 * i)
        lab.up()
        self.authority = Authority(lab)
        self.proxy = proxies.squid(lab.hosts["gate"], "basic")
        self.say(f"the networks are up: {', '.join(n for n, _, _ in AGENTS.values())}")

    def start_service(self):
        self.service = Service(self.lab.hosts[CONTROLLER[0]], self.authority, self.build)
        self.say(f"the controller is up: {self.service.url}")
        for name, (cluster, region, _, _) in NODES.items():
            self.service.start_node(self.lab.hosts[name], cluster=cluster, region=region)
        self.service.wait_nodes(NODES)
        self.say(f"{len(NODES)} nodes are up and registered")

    def environment(self, agent):
        """What an agent's network asks it to use."""
        if AGENTS[agent][1] != "proxy":
            return {}
        login = urllib.parse.quote(self.proxy.user) + ":" + urllib.parse.quote(self.proxy.password)
        return {"https_proxy": self.proxy.url.replace("://", f"://{login}@")}

    def start(self, agent, *arguments):
        return self.service.start_agent(self.lab.hosts[agent], [*arguments, "--json"], **self.environment(agent))

    def probe_and_report(self):
        """Every agent at the same time, as they would."""
        running = {a: self.start(a, "probe", "--report", "--require", AGENTS[a][1]) for a in AGENTS}
        self.probes = []
        for agent, proc in running.items():
            rows = [{"node": n["node"], **r} for n in finish(proc)["nodes"] for r in n["results"]]
            self.probes.append({"agent": agent, "network": AGENTS[agent][0], "results": rows})
            self.service.ask("GET", f"/v1/agents/{agent}/report", token=self.service.org_key)
        self.say(f"agents probed and reported: {', '.join(AGENTS)}")

    def join(self):
        """Each from its own network. Asked again once all are in, each is told where it belongs now, and connects."""
        meeting = self.service.ask("POST", "/v1/meetings", {}, self.service.org_key)["id"]
        for agent in AGENTS:
            finish(self.start(agent, "meeting", "join", meeting))
        running = {a: self.start(a, "meeting", "join", meeting, "--connect", "--seconds", "3") for a in AGENTS}
        self.assignments = []
        for agent, proc in running.items():
            network, transport, _ = AGENTS[agent]
            answer = finish(proc)
            if answer["transport"] != transport or answer["connection"].get("transport") != transport:
                raise LabError(f"{agent} in the network {network} does not end on {transport}: {answer}")
            self.assignments.append({"agent": agent, "network": network,
                                     **{k: answer[k] for k in ("node", "transport", "ladder", "connection", "why")}})
        self.meeting = meeting
        self.say(f"meeting {meeting}: participants are assigned, and connected")

    def exchange_media(self):
        """All at the same time, each from its own network, through the nodes that they were given."""
        running = {a: self.start(a, "join", self.meeting, "--seconds", "4") for a in AGENTS}
        self.media = []
        for agent, proc in running.items():
            network, transport, _ = AGENTS[agent]
            result = finish(proc)
            if result["transport"] != transport or not result["received"]:
                raise LabError(f"{agent} in the network {network} has no media over {transport}: {result}")
            self.media.append({"agent": agent, "network": network,
                               **{k: result.get(k) for k in ("node", "transport", "sent", "received", "lost", "rtt_us",
                                                             "jitter_us")}})
        self.say("media flowed: " + ", ".join(AGENTS))

    def enter_script(self, values):
        """Shell: runs a command, else a shell, as one of the hosts, with what its network asks it to use."""
        hosts = [*AGENTS, CONTROLLER[0]]
        cases = [f"{host}) pid={self.lab.hosts[host].ns.pid}; {exports(self.environment(host) if host in AGENTS else {})};;"
                 for host in hosts]
        return "\n".join([
            "#!/bin/bash", "# One of the lab's hosts from inside: enter HOST [COMMAND...]",
            "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY",
            exports({**values, "BERTH_STATE": "none"}) + 'export BERTH_AGENT="$1"',
            'case ${1:-} in', *cases, f"*) echo 'enter: which of {', '.join(hosts)}? and perhaps a command' >&2; exit 2 ;;",
            "esac", "shift", '[[ $# -gt 0 ]] || set -- bash', 'exec nsenter --target "$pid" --net --mount --wd="$PWD" -- "$@"', ""])

    def write_result(self):
        service = self.service
        ca = os.path.join(self.folder, "ca.pem")
        self.write("ca.pem", self.lab.read(os.path.relpath(self.authority.ca, self.lab.files)))
        values = {"BERTH_CONTROLLER": service.url, "BERTH_TOKEN": service.org_key,
                  "BERTH_ADMIN_TOKEN": service.admin_key, "BERTH_CA": ca,
                  "BERTH_METRICS": "http://127.0.0.1:9640/metrics"}
        self.write("env", exports(values).replace("; ", "\n"), 0o600)
        nodes = [{k: n[k] for k in ("node", "cluster", "region", "addresses")} for n in service.nodes().values()]
        self.write("enter", self.enter_script(values), 0o700)
        self.write("result.json", json.dumps({
            "meeting": self.meeting, "controller": service.url, "nodes": sorted(nodes, key=lambda n: n["node"]),
            "probes": self.probes, "assignments": self.assignments, "media": self.media}))

    def run(self):
        self.build_networks()
        self.start_service()
        self.probe_and_report()
        self.join()
        self.exchange_media()
        self.write_result()

    def stay(self):
        """Until a signal, as long as everything runs."""
        while True:
            signal.sigtimedwait([], 1)
            self.service.assert_running()

    def close(self):
        self.lab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--once", action="store_true")
    words = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    quickstart = None
    try:
        if why_not():
            raise LabError(why_not())
        quickstart = Quickstart(words.folder, os.path.abspath(words.build))
        quickstart.run()
        if not words.once:
            quickstart.stay()
    except Exception as e:  # whatever it is: ./quickstart waits for this file
        print(f"{type(e).__name__}: {e}", file=sys.stderr, flush=True)
        if quickstart:
            quickstart.write("error", (str(e) or type(e).__name__).splitlines()[0] + "\n")
        return 1
    finally:
        if quickstart:
            quickstart.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
