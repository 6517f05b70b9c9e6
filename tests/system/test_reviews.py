"""Meetings are decided on again: somebody leaves or measures anew, a node can't serve any longer; and the moved are told."""

import itertools
import json

import pytest
from support.api import Heartbeats, register, report, result
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


class Place:
    """Nodes of a region of their own, kept alive, and meetings that are kept to it."""

    def __init__(self, org, admin, cloud, database, name):
        self.org, self.admin, self.cloud, self.database, self.name = org, admin, cloud, database, name
        self.meetings, self.beats, self.names = 0, [], []

    def nodes(self, *suffixes):
        names = [f"{self.name}-{s}" for s in suffixes]
        for n, name in enumerate(names, 1):
            register(self.cloud, name, n, region=self.name, seen_by=[self.org.api])
        self.beats.append(Heartbeats(self.cloud, *names))
        self.names += names
        return names

    def end(self):
        """Its nodes are no more, so that their silence is nothing to the others'."""
        for beats in self.beats:
            beats.stop()
        for name in self.names:
            self.admin.delete(f"/v1/nodes/{name}").expect(204, 404)
        self.database.sql("delete from health_doubt")

    def report(self, agent, **by):
        report(self.org.api, {f"{self.name}-{n}": ways for n, ways in by.items()}, agent=agent)

    def meeting(self, *agents):
        self.meetings += 1
        id = f"{self.name}-{self.meetings}"
        self.org.api.post("/v1/meetings", {"id": id, "policy": {"regions": {"allow": [self.name]}}}).expect(201)
        for agent in agents:
            self.org.api.post(f"/v1/meetings/{id}/participants", {"agent": agent}).expect(201)
        return id

    def seats(self, id):
        items = self.org.api.get(f"/v1/meetings/{id}/participants").expect(200).json["items"]
        return {i["participant"]: i["node"] for i in items}

    def leave(self, id, agent):
        self.org.api.delete(f"/v1/meetings/{id}/participants/{agent}").expect(204)

    def told(self, agent):
        """What the agent was told: the bodies of its events."""
        whose = f"org = '{self.org.id}' and agent = '{agent}'"
        rows = self.database.sql(f"select body from outbox where {whose} and kind = 'assignment' order by seq")
        return [json.loads(r) for r in rows.splitlines()]

    def long_ago(self):
        """Whoever was moved may be moved again."""
        self.database.sql(f"update participant set moved_at = moved_at - interval '61 seconds' where org = '{self.org.id}'")


@pytest.fixture
def place(make_org, admin, cloud, database, count=itertools.count(1)):
    made = Place(make_org(), admin, cloud, database, f"v{next(count)}")
    yield made
    made.end()


def reviews(controller):
    return sum(v for k, v in controller.metrics().items() if k.startswith("berth_reviews_total"))


def reviewed(controller, what):
    """Does it, and waits until a meeting has been decided on again for it."""
    before = reviews(controller)
    what()
    wait_for(lambda: reviews(controller) > before, 10, "a review")


def pulled_away(place):
    """ann is nearer to a, and on b for bob's sake."""
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 20}, b={"udp": 60})
    place.report("bob", a={"udp": 300}, b={"udp": 10})
    id = place.meeting("ann", "bob")
    assert place.seats(id) == {"ann": b, "bob": b}
    assert [e["node"] for e in place.told("ann")] == [b]  # she was moved by bob's join
    return a, b, id


def test_who_is_left_behind_goes_where_it_is_better(place):
    a, b, id = pulled_away(place)
    place.long_ago()
    place.leave(id, "bob")
    wait_for(lambda: place.seats(id) == {"ann": a}, 10, "ann to be moved")
    event = place.told("ann")[-1]
    assert event["meeting"] == id and event["participant"] == "ann" and event["node"] == a and event["moved_from"] == b
    assert event["why"]["reason"] == "moved" and "ms less" in event["why"]["sentence"]
    assert event["ladder"][0]["transport"] == "udp" and place.told("bob") == []


def test_nobody_is_moved_twice_within_the_interval(place, controller):
    a, b, id = pulled_away(place)
    reviewed(controller, lambda: place.leave(id, "bob"))
    assert place.seats(id) == {"ann": b} and len(place.told("ann")) == 1


def test_a_drained_nodes_meetings_go_one_by_one(place, controller):
    """Forty meetings, more than are taken up at a time."""
    a, b = place.nodes("a", "b")
    for agent in ("ann", "bob"):
        place.report(agent, a={"udp": 10}, b={"udp": 50})
    ids = [place.meeting("ann", "bob") for _ in range(40)]
    assert {n for id in ids for n in place.seats(id).values()} == {a}
    before = reviews(controller)
    place.admin.post(f"/v1/nodes/{a}/drain").expect(200)
    wait_for(lambda: all(set(place.seats(id).values()) == {b} for id in ids), 20, "the node to be empty")
    assert reviews(controller) - before >= 40
    told = place.told("ann")
    assert {e["meeting"] for e in told} == set(ids) and {e["node"] for e in told} == {b}
    assert told[0]["why"]["reason"] == "forced" and "drained" in told[0]["why"]["sentence"]


def test_who_is_moved_by_guess_still_follows_the_others(place, controller):
    """Nothing is known of ann: her node was a guess, and so is the one that she is moved to as that is drained."""
    nodes = place.nodes("a", "b", "c")
    id = place.meeting("ann")
    first = place.seats(id)["ann"]
    place.admin.post(f"/v1/nodes/{first}/drain").expect(200)
    wait_for(lambda: place.seats(id)["ann"] != first, 20, "ann to be moved")
    second = place.seats(id)["ann"]
    (third,) = set(nodes) - {first, second}
    place.report("bob", **{second[-1]: {"udp": 400}, third[-1]: {"udp": 10}})
    place.long_ago()
    place.org.api.post(f"/v1/meetings/{id}/participants", {"agent": "bob"}).expect(201)
    assert place.seats(id) == {"ann": third, "bob": third}


def stranded(place):
    items = place.admin.get("/v1/events?open=true").expect(200).json["items"]
    return [e for e in items if e["kind"] == "stranded" and e["org"] == place.org.id]


def test_with_nowhere_to_go_they_stay(place, controller):
    (a,) = place.nodes("a")
    place.report("ann", a={"udp": 10})
    id = place.meeting("ann")
    reviewed(controller, lambda: place.admin.post(f"/v1/nodes/{a}/drain").expect(200))
    assert place.seats(id) == {"ann": a} and place.told("ann") == []
    later = f"select review_tries > 0 and review_after > now() from meeting where id = '{id}'"
    wait_for(lambda: place.database.sql(later) == "t", 10, "the meeting to be put off: it isn't tried again at once")
    wait_for(lambda: stranded(place), 10, "the operator to be told")
    (e,) = stranded(place)
    assert (e["subject"], e["severity"]) == (a, "critical") and "drained" in e["detail"]
    place.leave(id, "ann")
    place.database.sql("select event_tidy(60, 3600, 1000)")
    assert not stranded(place)


def test_a_node_that_is_removed(place):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 50})
    id = place.meeting("ann")
    for beats in place.beats:
        beats.stop()
    place.admin.delete(f"/v1/nodes/{a}").expect(204)
    wait_for(lambda: place.seats(id) == {"ann": b}, 10, "ann to be moved")
    assert place.told("ann")[-1]["why"]["reason"] == "forced"


def test_a_fresh_report_moves_by_the_same_rules(place, controller):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 50})
    id = place.meeting("ann")
    reviewed(controller, lambda: place.report("ann", a={"udp": 30}, b={"udp": 20}))  # better, by too little
    assert place.seats(id) == {"ann": a}
    lost = [result(a, "udp", status="timeout", sent=1, received=0), result(b, "udp", 20)]
    reviewed(controller, lambda: report(place.org.api, lost, agent="ann"))  # one lost probe
    assert place.seats(id) == {"ann": a} and place.told("ann") == []
    place.report("ann", a={"udp": 90}, b={"udp": 20})
    wait_for(lambda: place.seats(id) == {"ann": b}, 10, "ann to be moved")
    assert len(place.told("ann")) == 1


def test_another_networks_report_moves_nobody(place, controller):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 50})
    id = place.meeting()
    place.org.api.post(f"/v1/meetings/{id}/participants", {"agent": "ann", "network": "home"}).expect(201)
    rows = [result(a, "udp", 200), result(b, "udp", 5)]
    reviewed(controller, lambda: report(place.org.api, rows, agent="ann", network="office"))
    assert place.seats(id) == {"ann": a}


def test_a_node_that_falls_silent(place, controllers):
    """Its participants go elsewhere."""
    a, b, c = place.nodes("a", "b", "c")
    place.report("ann", a={"udp": 10}, b={"udp": 50}, c={"udp": 60})
    id = place.meeting("ann")
    place.beats[0].stop()
    place.beats.append(Heartbeats(place.cloud, b, c))
    place.database.sql(f"update node_load set heartbeat_at = now() - interval '16 seconds' where node = '{a}'")
    wait_for(lambda: place.seats(id) == {"ann": b}, 30, "ann to be moved")
    assert "unhealthy" in place.told("ann")[-1]["why"]["sentence"]


def test_where_most_fall_silent_nobody_is_moved(place):
    """It is more likely the controllers' own way that is broken. Newcomers go to a node that is heard; and no mesh of an org's has a say in it."""
    a, b, c = place.nodes("a", "b", "c")
    place.report("ann", a={"udp": 10}, b={"udp": 50}, c={"udp": 60})
    place.report("bob", a={"udp": 10}, b={"udp": 50}, c={"udp": 60})
    id = place.meeting("ann")
    assert place.seats(id) == {"ann": a}
    place.beats[0].stop()
    place.beats.append(Heartbeats(place.cloud, c))
    place.database.sql(f"update node_load set heartbeat_at = now() - interval '16 seconds' where node in ('{a}', '{b}')")
    wait_for(lambda: place.database.sql("select org from health_doubt") == "cloud", 10, "the doubt")
    turn = int(place.database.sql("select turn from health_turn"))
    wait_for(lambda: int(place.database.sql("select turn from health_turn")) > turn + 1, 20, "time in which ann would be moved")
    assert place.seats(id) == {"ann": a} and place.told("ann") == []
    assert place.seats(place.meeting("bob")) == {"bob": c}


def test_a_mesh_that_falls_silent_leaves_the_cloud_as_it_is(place, make_org, admin):
    """One with more nodes than the cloud has."""
    other = make_org()
    key = admin.post("/v1/keys", {"org": other.id, "kind": "node"}).expect(201).json["key"]
    mesh = admin.with_token(key)
    for n in range(5):
        register(mesh, f"m{n}", n + 10, region="mesh", seen_by=[other.api])
    a, b, c = place.nodes("a", "b", "c")
    place.report("ann", a={"udp": 10}, b={"udp": 50}, c={"udp": 60})
    id = place.meeting("ann")
    place.beats[0].stop()
    place.beats.append(Heartbeats(place.cloud, b, c))
    place.database.sql(f"update node_load set heartbeat_at = now() - interval '16 seconds' where node = '{a}' or org = '{other.id}'")
    wait_for(lambda: place.database.sql("select org from health_doubt") == other.id, 10, "the org's doubt")
    wait_for(lambda: place.seats(id) == {"ann": b}, 30, "ann to be moved")
