# alone
"""What a meeting's policy and the operator's weights do: mesh first, overflow with its reason, room, the worst-off."""

import itertools

import pytest
from support.api import Heartbeats, listed, register, report, result, wait_state
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


class Place:
    """A region of its own with cloud nodes and the org's mesh nodes."""

    def __init__(self, org, admin, cloud, name):
        self.org, self.admin, self.cloud, self.name = org, admin, cloud, name
        self.meetings = self.made = 0
        self.beats = []

    def node(self, suffix, mesh=False, **more):
        self.made += 1
        name = f"{self.name}-{suffix}"
        by = self.org.api if mesh else self.cloud
        register(by, name, self.made, region=self.name, seen_by=[self.org.api], **more)
        self.beats.append(Heartbeats(by, name))
        return name

    def report(self, agent, **by):
        report(self.org.api, {f"{self.name}-{n}": ways for n, ways in by.items()}, agent=agent)

    def meeting(self, **policy):
        self.meetings += 1
        id = f"{self.name}-{self.meetings}"
        body = {"id": id, "policy": {"regions": {"allow": [self.name]}, **policy}}
        assert self.org.api.post("/v1/meetings", body).expect(201).json["policy"] == body["policy"]
        return id

    def join(self, id, agent):
        return self.org.api.post(f"/v1/meetings/{id}/participants", {"agent": agent}).expect(200, 201).json


@pytest.fixture
def place(make_org, admin, cloud, count=itertools.count(1)):
    made = Place(make_org(), admin, cloud, f"y{next(count)}")
    yield made
    for beats in made.beats:
        beats.stop()


def test_mesh_goes_before_the_cloud_within_the_threshold(place):
    c, m = place.node("c"), place.node("m", mesh=True)
    place.report("ann", c={"udp": 5}, m={"udp": 120})
    answer = place.join(place.meeting(), "ann")
    assert answer["node"] == m and "overflow" not in answer["why"]
    assert "comes after nodes of its organisation's own" in answer["why"]["sentence"]
    near = place.join(place.meeting(mesh_within_ms=100), "ann")
    assert near["node"] == c and near["why"]["overflow"] == "mesh_far" and "nearer" in near["why"]["remedy"]
    assert place.join(place.meeting(mesh_within_ms=0), "ann")["node"] == c


def test_a_full_mesh_overflows_and_says_why(place):
    c, m = place.node("c"), place.node("m", mesh=True, capacity=1)
    for agent in ("ann", "bob"):
        place.report(agent, c={"udp": 5}, m={"udp": 20})
    assert place.join(place.meeting(), "ann")["node"] == m
    wait_for(lambda: place.admin.get("/v1/nodes").json and counted(place, m) == 1, 10, "ann to be counted")
    bob = place.join(place.meeting(), "bob")
    assert bob["node"] == c and bob["why"]["overflow"] == "mesh_full" and "capacity" in bob["why"]["remedy"]


def counted(place, node):
    return next(n["participants"] for n in place.admin.get("/v1/nodes").json["nodes"] if n["node"] == node)


def test_a_mesh_node_that_was_not_measured_is_not_unreachable(place):
    """Nor is the mesh full where one that it didn't measure has room."""
    c, m = place.node("c"), place.node("m", mesh=True, capacity=1)
    place.report("ann", c={"udp": 10})
    ann = place.join(place.meeting(), "ann")
    assert ann["node"] == c and ann["why"]["overflow"] == "mesh_unmeasured" and "berth probe" in ann["why"]["remedy"]
    place.report("bob", c={"udp": 10}, m={"udp": 40})
    assert place.join(place.meeting(), "bob")["node"] == m
    place.node("m2", mesh=True)
    place.report("cid", c={"udp": 10}, m={"udp": 40})
    assert place.join(place.meeting(), "cid")["why"]["overflow"] == "mesh_unmeasured"


def test_an_unreachable_or_drained_mesh_overflows(place):
    c, m = place.node("c"), place.node("m", mesh=True)
    place.report("ann", c={"udp": 5}, m={"udp": None, "tcp": None, "tls": None})
    ann = place.join(place.meeting(), "ann")
    assert ann["node"] == c and ann["why"]["overflow"] == "mesh_unreachable" and "firewall" in ann["why"]["remedy"]
    place.org.api.post(f"/v1/nodes/{m}/drain").expect(200)
    wait_state(place.admin, m, drain=True)
    assert place.join(place.meeting(), "ann")["why"]["overflow"] == "mesh_down"


def test_no_region_is_left(place):
    place.node("c")
    id = place.meeting(regions={"allow": ["nowhere"]})
    place.org.api.post(f"/v1/meetings/{id}/participants", {"agent": "ann"}).problem(451, "no_region_allowed")


def test_expected_size_prefers_room_and_bitrate_needs_it(place):
    small, large = place.node("s", capacity=5), place.node("l", capacity=100)
    place.report("ann", s={"udp": 10}, l={"udp": 20})
    assert place.join(place.meeting(), "ann")["node"] == small
    assert place.join(place.meeting(expected_size=20), "ann")["node"] == large
    thin, thick = place.node("t", capacity_kbps=1000), place.node("k")
    place.report("bob", t={"udp": 10}, k={"udp": 30})
    assert place.join(place.meeting(bitrate_kbps=900), "bob")["node"] == thin
    wide = place.join(place.meeting(bitrate_kbps=1100), "bob")
    assert wide["node"] == thick
    assert {x["node"]: x for x in wide["why"]["candidates"]}[thin]["rejected"] == ["full"]


def test_the_operators_weight(place):
    a, b = place.node("a"), place.node("b")
    place.report("ann", a={"udp": 20}, b={"udp": 30})
    assert place.join(place.meeting(), "ann")["node"] == a
    assert place.admin.post(f"/v1/nodes/{a}/weight", {"weight": 0.5}).expect(200).json == {"node": a, "weight": 0.5}
    wait_state(place.admin, a, weight=0.5)
    assert place.join(place.meeting(), "ann")["node"] == b
    for wrong in ({}, {"weight": 0}, {"weight": 11}, {"weight": "2"}, {"weight": None}):
        place.admin.post(f"/v1/nodes/{a}/weight", wrong).problem(422, "invalid_member")
    place.org.api.post(f"/v1/nodes/{a}/weight", {"weight": 2}).problem(404, "unknown_node")  # the cloud's isn't an org's to weigh
    assert "weight" not in listed(place.org.api)[a]


def test_the_worst_off_goes_before_the_mean(place):
    """Apart, four have it better; together at a second node nobody is beyond the cap."""
    place.node("a"), place.node("b")
    people = [{"agent": f"p{n}", "results": rows(place, 10, 60)} for n in range(4)]
    people.append({"agent": "far", "results": rows(place, 190, 20)})
    body = {"participants": people, "policy": {"regions": {"allow": [place.name]}}}
    mean = place.org.api.post("/v1/simulate", body).expect(200).json
    body["policy"]["cap_worst"] = True
    capped = place.org.api.post("/v1/simulate", body).expect(200).json
    assert "worst_within_ms" not in mean and capped["worst_within_ms"] in (50, 100, 200)
    assert capped["costs"]["worst_ms"] <= mean["costs"]["worst_ms"]
    assert capped["costs"]["worst_ms"] <= capped["worst_within_ms"]


def test_a_simulation_counts_whom_its_plan_seats(place):
    """On a node with one seat there is none for who comes; who is counted there already takes no second one."""
    a = place.node("a", capacity=1)
    people = [{"agent": agent, "results": rows(place, 10)} for agent in ("ann", "bob", "cid")]
    body = {"participants": people, "policy": {"regions": {"allow": [place.name]}}, "plan": {"ann": a}}
    assert place.org.api.post("/v1/simulate", body).expect(200).json["plan"] == {"ann": a, "bob": None, "cid": None}
    b = place.node("b", capacity=2)
    place.report("ann", b={"udp": 10})
    assert place.join(place.meeting(), "ann")["node"] == b
    wait_for(lambda: counted(place, b) == 1, 10, "ann to be counted")
    people = [{"agent": agent, "results": [result(b, "udp", 10)]} for agent in ("ann", "bob")]
    body |= {"participants": people, "plan": {"ann": b}}
    assert place.org.api.post("/v1/simulate", body).expect(200).json["plan"] == {"ann": b, "bob": b}


def test_a_refusal_says_what_keeps_the_one_who_asked(place):
    """A seat that is free is no use to who can't reach its node: that node isn't full."""
    a, b = place.node("a", capacity=2), place.node("b", capacity=1)
    id = place.meeting()
    for agent in ("ann", "bob"):
        place.report(agent, **{"a" if agent == "ann" else "b": {"udp": 10}})
        assert place.join(id, agent)["node"] == (a if agent == "ann" else b)
        wait_for(lambda: counted(place, a if agent == "ann" else b) == 1, 10, "the one who came to be counted")
    place.report("cid", a={"udp": None, "tcp": None, "tls": None}, b={"udp": 10})
    refused = place.org.api.post(f"/v1/meetings/{id}/participants", {"agent": "cid"}).problem(503, "no_node").json["detail"]
    assert "1 unreachable_for" in refused and "1 full" in refused, refused


def test_a_simulated_meeting_has_the_node_where_most_are(place):
    """Of nodes that are alike, it is the one that who comes is given."""
    a, b = place.node("a"), place.node("b")
    people = [{"agent": agent, "results": rows(place, 10, 10)} for agent in ("ann", "bob")] + [{"agent": "cid"}]
    body = {"participants": people, "policy": {"regions": {"allow": [place.name]}}}
    for node in (a, b):
        answer = place.org.api.post("/v1/simulate", {**body, "plan": {"ann": node, "bob": node}}).expect(200).json
        assert answer["plan"]["cid"] == node
        terms = {c["node"]: c["terms_ms"]["load"] for c in answer["items"][2]["candidates"] if "terms_ms" in c}
        assert terms[node] < terms[b if node == a else a], "of equals the one that the meeting is on"


def rows(place, *ms):
    return [result(f"{place.name}-{n}", "udp", v) for n, v in zip("ab", ms)]


@pytest.mark.parametrize(
    "policy,pointer",
    [
        ({"mesh_within_ms": -1}, "/policy/mesh_within_ms"),
        ({"mesh_within_ms": 60001}, "/policy/mesh_within_ms"),
        ({"mesh_within_ms": 1.5}, "/policy/mesh_within_ms"),
        ({"cap_worst": 1}, "/policy/cap_worst"),
        ({"capworst": True}, "/policy/capworst"),
    ],
)
def test_what_no_policy_is(place, policy, pointer):
    assert place.org.api.post("/v1/meetings", {"policy": policy}).expect(422).json["pointer"] == pointer


def test_on_one_node_that_not_all_measured(place):
    a, b = place.node("a"), place.node("b")
    place.report("ann", a={"udp": 10})
    place.report("bob", b={"udp": 10})
    place.admin.post(f"/v1/nodes/{b}/drain").expect(200)
    wait_state(place.admin, b, state="draining")
    m = place.meeting()
    place.join(m, "ann")
    bob = place.join(m, "bob")
    assert bob["node"] == a and bob["why"]["reason"] == "not_measured"
    ann = place.join(m, "ann")
    assert ann["node"] == a and ann["why"]["reason"] == "least_mean_rtt"
    assert "with a figure of 1 of the 2 participants" in ann["why"]["sentence"]
    assert place.org.api.get(f"/v1/meetings/{m}/explain").expect(200).json["outcome"] == "common_node"
