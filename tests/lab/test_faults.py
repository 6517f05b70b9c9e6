"""Every way between two parts loses, copies and reorders packets; and each in turn is cut, in one direction or both, without
anybody being told, and heals. A call goes on, what was answered is stored once, and nothing has to be helped.
BERTH_SOAK=1 cuts all of them."""
import json
import os
import pathlib
import sys
import time
import types

import pytest

from labnet.kernel import wait_until, why_not
from labnet.pki import Authority
from labnet.service import Service
from labnet.topology import ROOT, Host, Lab

sys.path.append(os.path.join(ROOT, "tests", "system"))
from support.api import report_body  # noqa: E402
from support.berth import mint_jwt  # noqa: E402
from support.media import Participant  # noqa: E402

REASON = why_not()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=str(REASON)),
              pytest.mark.filterwarnings("ignore::DeprecationWarning")]
BAD = "3000 0.05 duplicate=0.02 reorder=0.05"
NEAR_US, FAR_US = 5000, 250000
DEADLINE_MS = 1500
NODES, AGENTS = ("east", "west"), ("ann", "bob")
PLENTY = 50  # packets: a second of them
SOAK = bool(os.environ.get("BERTH_SOAK"))
soak = pytest.mark.skipif(not SOAK, reason="./check --soak runs it")


class World:
    """ann is near east, bob near west: one meeting over both nodes, and both agents report every other second."""

    def __init__(self, lab, folder):
        self.lab, hosts = lab, lab.hosts
        self.authority = Authority(lab)
        self.service = Service(hosts["controller"], self.authority, database=hosts["database"],
                               options=["--request-deadline", DEADLINE_MS, "--reprobe-after", 2])
        for name in NODES:
            self.service.start_node(hosts[name])
        self.service.wait_nodes(NODES)
        for name in AGENTS:
            self.service.running[f"{name}.watch"] = hosts[name].start(
                [self.service.programs["berth"], "watch", "--json"], log="watch", env=self.service.agent_env(name))
        for name in AGENTS:
            self.wait_told(name, 1)
        meeting = self.service.ask("POST", "/v1/meetings", {}, self.service.org_key)["id"]
        self.ann, self.bob = (self.participant(folder, meeting, name, n + 1) for n, name in enumerate(AGENTS))

    def participant(self, folder, meeting, name, ssrc):
        pid, key = self.lab.hosts[name].ns.pid, self.service.org_key
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt", "--"]
        world = types.SimpleNamespace(folder=folder, authority=types.SimpleNamespace(file=self.authority.ca))
        org = types.SimpleNamespace(jwt=lambda agent: mint_jwt(key, agent))
        return Participant(world, self.service, org, meeting, name, ssrc, into=inside)

    def told(self, agent, ok=True):
        """The ids of the reports that its `berth watch` says are stored; or what went wrong."""
        lines = [json.loads(x) for x in self.lab.read(f"{agent}.watch").splitlines() if x.startswith("{") and x.endswith("}")]
        reports = [x for x in lines if x["event"] == "report"]
        return [x["report_id"] for x in reports if "error" not in x] if ok else [x for x in reports if "error" in x]

    def wait_told(self, agent, more, seconds=40):
        before = len(self.told(agent))
        wait_until(lambda: len(self.told(agent)) >= before + more, seconds,
                   lambda: f"{agent} reports\n{self.lab.read(f'{agent}.watch')[-2000:]}")

    def talk(self, packets=PLENTY):
        """They hear each other."""
        self.ann.wait_heard(self.bob, packets)
        self.bob.wait_heard(self.ann, packets)

    def whole(self):
        """Nothing is wrong any more, without anybody's doing."""
        wait_until(self.service.ready, 30, lambda: f"the controller is ready again\n{self.service.tail('controller.controller')}")
        self.talk()
        for name in AGENTS:
            self.wait_told(name, 1)
        if SOAK:
            self.service.wait_heartbeats(NODES, 30)
        for node in NODES:
            wait_until(lambda n=node: self.health(n) in ("probation", "in_service"), 40, f"{node} is in service")

    def spread(self):
        """Each is on the node that is near: what reports say of losses settles."""
        for p, node in ((self.ann, "east"), (self.bob, "west")):
            p.wait_state("up", node, 60)
        self.talk(3 * PLENTY)  # longer than who was moved is heard by the way that it had

    def health(self, node):
        return self.service.nodes(self.service.admin_key)[node]["health"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with Lab() as lab:
        for name, ip in {"controller": "203.0.113.1", "database": "203.0.113.2", "east": "203.0.113.10",
                         "west": "203.0.113.11", "ann": "198.51.100.1", "bob": "198.51.100.2"}.items():
            lab.add_host(name, [ip])
        lab.default(f"{NEAR_US} {BAD}")
        lab.path("ann", "west", f"{FAR_US} {BAD}")
        lab.path("bob", "east", f"{FAR_US} {BAD}")
        lab.up()
        yield World(lab, pathlib.Path(tmp_path_factory.mktemp("faults")))


def test_loss_copies_and_reordering(world):
    world.talk(2 * PLENTY)
    assert world.ann.stats()["lost"] + world.bob.stats()["lost"] > 0
    body = report_body([], agent="carl")
    answers = [world.service.call("POST", "/v1/reports", body, world.service.org_key)[0] for _ in range(3)]
    assert answers == [201, 200, 200]
    world.whole()


def away_from_database(world):
    """Refused within the deadline, and told when to come back; the call needs neither."""
    def refused():
        began = time.monotonic()
        status, headers = world.service.head("POST", "/v1/reports", report_body([], agent="dora"), world.service.org_key)
        assert status in (201, 503), (status, headers)
        if status == 503:
            assert int(headers["retry-after"]) >= 1 and time.monotonic() - began < DEADLINE_MS / 1000 + 5, headers
        return status == 503
    wait_until(refused, 15, "a report is refused")
    wait_until(lambda: world.service.probe("/readyz") == 503, 15, "the controller isn't ready")
    assert refused() and world.service.probe("/livez") == 200
    world.talk()


def agent_away_from_controller(world):
    """The call goes on; the reports are kept."""
    failed = len(world.told("ann", ok=False))
    world.talk(2 * PLENTY)
    wait_until(lambda: len(world.told("ann", ok=False)) > failed or "probe_failed" in world.lab.read("ann.watch"), 40,
               lambda: f"ann notices\n{world.lab.read('ann.watch')[-2000:]}")
    world.talk()


def nodes_apart(world):
    """Each goes on with its own; when it has healed, all hear each other again."""
    def lost():
        return sum(world.lab.read(f"{n}.node").count("event=link_down") for n in NODES)
    before = lost()
    wait_until(lambda: lost() > before, 40, "the link is lost")
    assert {p.stats()["state"] for p in (world.ann, world.bob)} == {"up"}


def node_away_from_controller(world):
    """It is suspected, then nobody's: bob, whom it served, is moved, and the call goes on."""
    wait_until(lambda: world.health("west") == "suspect", 25, "west is suspected")
    world.talk()
    wait_until(lambda: world.health("west") == "quarantined", 25, "west is out of service")
    world.bob.wait_state("up", "east", 30)
    world.talk()


WAYS = [Host.apart, pytest.param(Host.deaf, marks=soak), pytest.param(Host.mute, marks=soak)]


@pytest.mark.parametrize("cut", WAYS, ids=lambda cut: cut.__name__)
@pytest.mark.parametrize("one, other, meanwhile", [
    ("controller", "database", away_from_database),
    pytest.param("ann", "controller", agent_away_from_controller, marks=soak),
    pytest.param("west", "controller", node_away_from_controller, marks=soak),
    pytest.param("east", "west", nodes_apart, marks=soak),
])
def test_partition(world, one, other, meanwhile, cut):
    """Whole, or in one direction: `one` is deaf or mute to `other`."""
    world.spread()
    with cut(world.lab.hosts[one], world.lab.hosts[other]):
        meanwhile(world)
    world.whole()


@pytest.mark.parametrize("cut", WAYS, ids=lambda cut: cut.__name__)
@soak
def test_a_node_is_out_of_an_agents_reach(world, cut):
    """The call goes on by the other node."""
    hosts, node = world.lab.hosts, world.ann.stats()["node"]
    for p in (world.ann, world.bob):
        p.reset()
    with cut(hosts["ann"], hosts[node]):
        world.ann.wait_state("up", *(n for n in NODES if n != node), 20)
        world.talk()
    gaps = [p.heard(other)["gap_us"] // 1000 for p, other in ((world.ann, world.bob), (world.bob, world.ann))]
    print(f"ann and {node}, {cut.__name__}: bob isn't heard for {gaps[0]} ms, ann for {gaps[1]} ms")
    world.whole()


def test_what_was_answered_is_there_once(world):
    for p in (world.ann, world.bob):
        assert p.leave() == 0
    for name in AGENTS:
        world.service.running.pop(f"{name}.watch").terminate()
        told = world.told(name)
        rows = world.service.sql(f"select report_id from report where agent = '{name}'").split()
        assert len(set(rows)) == len(rows) and not set(told) - set(rows), f"{name} is told {told}, there are {rows}"
