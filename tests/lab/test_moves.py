"""Every file in moves/: an agent that watches and is connected is taken from network to network. Each change is probed once,
however the links flap; a network that was reported of is known again at once; connection and call go on by what each lets out."""
import glob
import json
import os
import select
import time

import pytest

from labnet.kernel import wait_until, why_not
from labnet.scenario import Scenario
from labnet.stage import Stage
from labnet.topology import find_program
from test_scenarios import check_nodes, check_service

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "moves", "*.toml")))
QUIET_S = 4  # longer than a change takes to settle


class Roamer:
    """lab-roamer on a host, and what it has told."""

    def __init__(self, stage, agent):
        self.host = stage.lab.hosts[agent]
        path = stage.lab.write("roamer.log", "")
        with open(stage.lab.base.outside(path), "a", encoding="utf-8") as log:
            self._proc = self.host.ns.start([find_program("lab-roamer")], stdin=-1, stdout=-1, stderr=log, bufsize=0,
                                            env=stage.service.agent_env(agent))
        self._rest, self.told, self._begun = b"", [], 0

    def _read(self, seconds):
        """The next line, or None."""
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._proc.stdout], [], [], left)[0]:
                return None
            got = os.read(self._proc.stdout.fileno(), 65536)
            if not got:
                return None
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        self.told.append(json.loads(line))
        print(line.decode())
        return self.told[-1]

    def wait(self, event, seconds=30, **members):
        """The first event with these members since the last `begin`."""
        until = time.monotonic() + seconds
        at = self._begun
        while True:
            told = self.told[at] if at < len(self.told) else self._read(until - time.monotonic())
            at += 1
            assert told, f"not within {seconds} s: {event} {members}; told so far: {self.told}"
            if told["event"] == event and all(told[k] == v for k, v in members.items()):
                return told

    def begin(self):
        self._begun = len(self.told)

    def quiet(self):
        """Nothing more is told."""
        told = self._read(QUIET_S)
        assert told is None, told

    def say(self, line):
        self._proc.stdin.write(line.encode() + b"\n")

    def network(self):
        """What a join is to name now; None: no report of this network."""
        before = self.count("network")
        self.say("network")
        while self.count("network") == before:
            assert self._read(5), "it does not say which network this is"
        told = next(t for t in reversed(self.told) if t["event"] == "network")
        return told["network"] if told["known"] else None

    def count(self, event):
        return sum(t["event"] == event for t in self.told)

    def end(self):
        self._proc.stdin.close()
        assert self._proc.wait(10) == 0


class Watcher:
    """`berth watch` beside it."""

    def __init__(self, stage, agent):
        self._lab, self._log = stage.lab, f"{agent}.watch"
        stage.lab.hosts[agent].start([stage.agent_program, "watch", "--json"], log="watch",
                                     env=stage.service.agent_env(f"{agent}-watches"))

    def told(self, event):
        lines = [json.loads(line) for line in self._lab.read(self._log).splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def check(self, places):
        """It has probed once in each place, and knows which of them were the same."""
        wait_until(lambda: len(self.told("report")) >= len(places), 30, lambda: f"berth watch reports: {self._lab.read(self._log)}")
        networks = [told["network"] for told in self.told("probe")]
        assert [networks.index(n) for n in networks] == [places.index(p) for p in places]
        assert not any("error" in told for told in self.told("report"))


def meeting(stage):
    return stage.service.ask("POST", "/v1/meetings", {}, stage.service.org_key)["id"]


def assignment(stage, agent, network):
    """By the report of that network alone."""
    return stage.service.ask("POST", f"/v1/meetings/{meeting(stage)}/participants", {"agent": agent, "network": network},
                             stage.service.org_key)


def take_step(stage, roamer, agent, step, known):
    """One move; `known`: {place: its network} of those that were reported of."""
    host, place = stage.lab.hosts[agent], step["to"]
    roamer.begin()
    for way in [*step.get("by_way_of", ()), place] if known else []:
        host.move(way)
    at_once = roamer.network()
    assert at_once == known.get(place)
    if step["known"]:  # before it has probed again
        assert at_once and assignment(stage, agent, at_once)["transport"] == step["transport"]
    probed = roamer.wait("probe", error=0)
    roamer.wait("report", error=0)
    assert probed["reachable"] == len(stage.scenario.nodes())
    assert probed["network"] not in [n for p, n in known.items() if p != place]
    assert probed["network"] == known.get(place, probed["network"])
    assert roamer.network() == probed["network"]
    known[place] = probed["network"]
    assert assignment(stage, agent, probed["network"])["transport"] == step["transport"]


def come_and_go(stage, roamer, agent):
    """A bridge with a container's interface in it, as Docker makes them."""
    host = stage.lab.hosts[agent]
    for lines in (["link add br-1234 type bridge", "address add 172.30.0.1/16 dev br-1234", "link set br-1234 up",
                   "link add veth7 type veth peer name veth8", "link set veth7 master br-1234", "link set veth7 up"],
                  ["link del veth7", "link del br-1234"]):
        host.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
        roamer.quiet()


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_moves(path):
    scenario = Scenario(path)
    with Stage(scenario) as stage:
        for agent, steps in scenario.data["moves"].items():
            roamer, watcher, known = Roamer(stage, agent), Watcher(stage, agent), {}
            for n, step in enumerate(steps):
                take_step(stage, roamer, agent, step, known)
                if n == 0:
                    roamer.say(f"connect {json.dumps(assignment(stage, agent, known[step['to']]))}")
                    roamer.say(f"join {meeting(stage)}")
                roamer.wait("connection", state="up", transport=step["transport"], came_up=n + 1)
                roamer.wait("call", state="up", transport=step["transport"])
                watcher.check([step["to"] for step in steps[:n + 1]])
                if step.get("containers"):
                    come_and_go(stage, roamer, agent)
            roamer.quiet()
            roamer.end()
            watcher.check([step["to"] for step in steps])
            assert roamer.count("probe") == roamer.count("report") == len(steps)
        check_service(stage)
        check_nodes(stage)
