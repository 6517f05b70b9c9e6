# timeout: 240, heavy
"""Meetings over several real nodes, joined by links that they dial: everybody hears everybody, whatever ends and comes back."""

import itertools
import signal

import pytest
from support.media import Participant
from support.process import wait_for
from support.proxies import tinyproxy

numbers = itertools.count(5000)


@pytest.fixture(scope="module")
def nodes(node, org):
    """Each has room for one, so that three participants are on three nodes."""
    started = {name: node(name, capacity=1, peer_probe_interval=0) for name in ("ja", "jb", "jc")}
    wait_for(lambda: len(org.api.get("/v1/nodes").json["nodes"]) == 3, 20, "the nodes to be listed")
    return started


@pytest.fixture
def join(world, controller, org):
    """join("m1", "ann") starts a participant; all that still run leave at the end."""
    made = []

    def start(meeting, agent, of=None, **policy):
        body = {"id": meeting, **({"policy": policy} if policy else {})}
        (of or org).api.post("/v1/meetings", body)  # the second one finds it there
        made.append(Participant(world, controller, of or org, meeting, f"{agent}-{meeting}", next(numbers)))
        return made[-1]

    yield start
    for p in made:
        assert p.leave() == 0, p.tail()


def pairs(people):
    return itertools.permutations(people, 2)


def all_hear_all(people, packets=50, seconds=40):
    for one, other in pairs(people):
        one.wait_heard(other, packets, seconds)


def clean(people):
    """Nothing is heard twice or altered."""
    for one, other in pairs(people):
        assert one.heard(other)["bad"] == 0, (one.agent, other.agent, one.tail())
    for p in people:
        s = p.stats()
        assert s["refused"] == 0, s


def test_three_on_three_nodes_hear_each_other(nodes, join):
    people = [join("three", name) for name in ("ann", "bob", "cho")]
    assert {p.wait_state("up")["node"] for p in people} == set(nodes)
    all_hear_all(people)
    for p in people:
        p.reset()
    all_hear_all(people, 200)
    clean(people)
