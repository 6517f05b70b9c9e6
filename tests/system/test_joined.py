# timeout: 300, heavy
"""Meetings over several real nodes, joined by links that they dial: everybody hears everybody, whatever ends and comes back."""

import itertools
import signal

import pytest
from support.media import Participant
from support.process import at_once, wait_for

numbers = itertools.count(5000)


@pytest.fixture(scope="module")
def started(node, org):
    """started(region, {"ja": {...}}) makes nodes. Each has room for one, so that participants of a region are each on another."""

    def start(region, names):
        made = {n: node(n, capacity=1, region=region, peer_probe_interval=0, **o) for n, o in names.items()}

        def there():
            listed = org.api.get("/v1/nodes").json["nodes"]
            return set(made) <= {n["node"] for n in listed}

        wait_for(there, 20, "the nodes to be listed")
        return made

    return start


@pytest.fixture(scope="module")
def three(started):
    return started("three", {"ja": {}, "jb": {}, "jc": {}})


@pytest.fixture
def join(world, controller, org):
    """join("m1", "ann") starts a participant; all that still run leave at the end."""
    made = []

    def start(meeting, agent, region, **policy):
        org.api.post("/v1/meetings", {"id": meeting, "policy": {"regions": {"allow": [region]}, **policy}})  # or it is there
        made.append(Participant(world, controller, org, meeting, f"{agent}-{meeting}", next(numbers)))
        return made[-1]

    yield start
    for p in made:
        assert p.leave() == 0, p.tail()


def all_hear_all(people, packets=25, seconds=60):
    for one, other in itertools.permutations(people, 2):
        one.wait_heard(other, packets, seconds)


def check_once(people):
    """Nothing came twice, altered, or not as its sender's."""
    for one, other in itertools.permutations(people, 2):
        heard = one.heard(other)
        assert heard["bad"] == 0 and heard["packets"] <= other.stats()["sent"], (one.agent, other.agent, heard)
    for p in people:
        assert p.stats()["refused"] == 0, p.tail()


def links(node):
    """{transport: links that it has dialled}"""
    prefix = 'berth_node_links{transport="'
    return {k[len(prefix):-2]: v for k, v in node.metrics().items() if k.startswith(prefix) and v > 0}


def test_three_on_three_nodes(three, join):
    people = [join("three", name, "three") for name in ("ann", "bob", "cho")]
    assert {p.wait_state("up")["node"] for p in people} == set(three)
    all_hear_all(people)
    check_once(people)
    assert links(three["ja"]) == {"udp": 2} and links(three["jb"]) == {"udp": 1} and links(three["jc"]) == {}
    for p in people:
        assert p.leave() == 0
    wait_for(lambda: not any(links(n) for n in three.values()), 30, "the links to end with the meeting")
    assert "event=link_up" in three["ja"].process.log and "event=link_down" in three["ja"].process.log


def test_the_command_hears_everybody_without_loss(three, world, controller, org):
    org.api.post("/v1/meetings", {"id": "cli", "policy": {"regions": {"allow": ["three"]}}}).expect(201)

    def run(agent):
        return world.agent("join", "cli", "--agent", agent, "--seconds", "8", "--json", controller=controller, token=org.key)

    agents = ["ann", "bob", "cho"]
    told = dict(zip(agents, at_once(run, agents)))
    for agent, done in told.items():
        assert done.returncode == 0, done.stderr
        t = done.json()
        assert {s["name"] for s in t["sources"]} == set(agents) - {agent}, t
        assert all(s["received"] > 50 and s["lost"] == 0 for s in t["sources"]) and t["packets_refused"] == 0, t
    assert {r.json()["node"] for r in told.values()} == set(three)


def test_a_killed_node_returns(three, join):
    """With another key: its links are made anew, and everybody hears it under the numbers that go on."""
    people = [join("killed", name, "three") for name in ("ann", "bob", "cho")]
    at = {p.wait_state("up")["node"]: p for p in people}
    all_hear_all(people)
    three["jb"].process.signal(signal.SIGKILL)
    staying = [at["ja"], at["jc"]]
    all_hear_all(staying, 50)
    three["jb"].kill()
    three["jb"].start()
    all_hear_all(people, seconds=90)
    check_once(staying)


def test_the_controller_is_away(three, join, controller):
    people = [join("away", name, "three") for name in ("ann", "bob", "cho")]
    all_hear_all(people)
    controller.kill()
    people[0].wait_heard(people[1], 300)  # 6 s: more than consent and heartbeats
    all_hear_all(people)
    check_once(people)
    assert all(p.stats()["came_up"] == 1 for p in people)
    controller.start()
    all_hear_all(people)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_link_over_a_stream(started, join, transport):
    """The other node has nothing else."""
    alone = {t: None for t in ("udp", "tcp", "tls") if t != transport}
    nodes = started(transport, {f"{transport}-1": {}, f"{transport}-2": alone})
    pair = [join(transport, name, transport) for name in ("ann", "bob")]
    all_hear_all(pair)
    assert links(nodes[f"{transport}-1"]) == {transport: 1}
    check_once(pair)


def test_a_hub_with_two_leaves(started, join, org):
    """Two mesh nodes that never reached each other: a cloud node joins them, and its own participant with both."""
    key = org.new_key("node")
    nodes = started("hub", {"hub": {}, "leaf-1": {"token": key}, "leaf-2": {"token": key}})
    people = [join("hub", name, "hub") for name in ("ann", "bob", "cho")]
    assert {p.wait_state("up")["node"] for p in people} == set(nodes)
    all_hear_all(people)
    check_once(people)
    assert [links(nodes[n]) for n in ("hub", "leaf-1", "leaf-2")] == [{}, {"udp": 1}, {"udp": 1}]


def test_two_mesh_nodes(started, join, org):
    """No hub in the cloud: the two are linked directly. Either may dial, and one link stays."""
    key = org.new_key("node")
    nodes = started("mesh", {"mesh-1": {"token": key}, "mesh-2": {"token": key}})
    pair = [join("mesh", name, "mesh", private=True) for name in ("ann", "bob")]
    assert {p.wait_state("up")["node"] for p in pair} == set(nodes)
    all_hear_all(pair)
    check_once(pair)
    wait_for(lambda: sum(sum(links(n).values()) for n in nodes.values()) == 1, 10, "one of two links to stay")
    all_hear_all(pair, 50)
    check_once(pair)
