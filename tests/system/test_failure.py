"""A node that did not work for a participant: another at once, the failed one avoided, and remembered against the node."""

import itertools

import pytest
from support.api import Heartbeats, register, report, result
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


class Place:
    """Nodes of a region of their own, and a meeting that is kept to it."""

    def __init__(self, org, cloud, name):
        self.org, self.cloud, self.name = org, cloud, name
        self.meetings, self.beats = 0, []

    def nodes(self, *suffixes):
        for n, suffix in enumerate(suffixes, 1):
            register(self.cloud, f"{self.name}-{suffix}", n, region=self.name, seen_by=[self.org.api])
        names = [f"{self.name}-{s}" for s in suffixes]
        self.beats.append(Heartbeats(self.cloud, *names))
        return names

    def report(self, agent, **by):
        report(self.org.api, {f"{self.name}-{n}": ways for n, ways in by.items()}, agent=agent)

    def meeting(self, *agents, **policy):
        self.meetings += 1
        id = f"{self.name}-{self.meetings}"
        self.org.api.post("/v1/meetings", {"id": id, "policy": {"regions": {"allow": [self.name]}, **policy}}).expect(201)
        return id, [self.join(id, a) for a in agents]

    def join(self, id, agent):
        return self.org.api.post(f"/v1/meetings/{id}/participants", {"agent": agent}).expect(200, 201).json

    def fail(self, id, agent, node, transport="udp", by=None, **more):
        body = {"node": node, "transport": transport, "reason": "no answer", **more}
        return (by or self.org.api).post(f"/v1/meetings/{id}/participants/{agent}/failure", body)

    def failed(self, *args, **more):
        return self.fail(*args, **more).expect(200).json


@pytest.fixture
def place(make_org, cloud, count=itertools.count(1)):
    made = Place(make_org(), cloud, f"f{next(count)}")
    yield made
    for beats in made.beats:
        beats.stop()


def test_another_node_at_once_and_not_the_same_again(place):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 40})
    id, (first,) = place.meeting("ann")
    assert first["node"] == a
    answer = place.failed(id, "ann", a, by=place.org.agent("ann"))
    assert answer["node"] == b and answer["participant"] == "ann" and answer["ladder"]
    assert answer["avoided"]["node"] == a and answer["avoided"]["transport"] == "udp" and answer["avoided"]["until"].endswith("Z")
    assert answer["why"]["reason"] == "forced" and a in answer["why"]["sentence"]
    assert {c["node"]: c for c in answer["why"]["candidates"]}[a]["rejected"] == ["failed_for"]
    assert place.join(id, "ann")["node"] == b  # nor when it joins again,
    assert place.meeting("ann")[1][0]["node"] == b  # nor in another meeting
    place.report("bob", a={"udp": 10}, b={"udp": 40})
    assert place.meeting("bob")[1][0]["node"] == a  # others aren't kept from it by one failure


def test_only_the_transport_that_failed(place):
    a, _ = place.nodes("a", "b")
    place.report("ann", a={"udp": 10, "tcp": 12, "tls": 14}, b={"udp": 90})
    id, _ = place.meeting("ann")
    answer = place.failed(id, "ann", a)
    assert answer["node"] == a and answer["transport"] == "tcp"
    assert [r["transport"] for r in answer["ladder"]] == ["tcp", "tls"]


def test_a_transport_that_policy_or_node_lacks_is_no_other_way(place):
    """One probe was sent, and a single lost one says nothing against the node that somebody is on: what failed is no such probe."""
    a, b = place.nodes("a", "b")
    once = [result(a, "udp", 10, sent=1, received=1), result(a, "tcp", 12), result(b, "udp", 25)]
    report(place.org.api, once, agent="ann")
    id, (first,) = place.meeting("ann", transports=["udp"])
    assert first["node"] == a and place.failed(id, "ann", a)["node"] == b
    c = f"{place.name}-c"
    register(place.cloud, c, 9, region=place.name, seen_by=[place.org.api], addresses={"udp": ["192.0.2.9:5004"]})
    place.beats.append(Heartbeats(place.cloud, c))
    once = [result(c, "udp", 10, sent=1, received=1), result(c, "tcp", 12), result(b, "udp", 25)]
    report(place.org.api, once, agent="bob")
    id, (first,) = place.meeting("bob")
    assert first["node"] == c and place.failed(id, "bob", c)["node"] == b


def test_a_repeat_changes_nothing(place):
    a, b, _ = place.nodes("a", "b", "c")
    place.report("ann", a={"udp": 10}, b={"udp": 40}, c={"udp": 50})
    id, _ = place.meeting("ann")
    first, second = place.failed(id, "ann", a), place.failed(id, "ann", a)
    assert first["node"] == second["node"] == b and first["avoided"] == second["avoided"]


def test_when_everything_has_failed_the_least_bad_serves(place):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 40})
    id, _ = place.meeting("ann")
    assert place.failed(id, "ann", a)["node"] == b
    last = place.failed(id, "ann", b)
    assert last["node"] in (a, b) and last["why"]["reason"] == "least_bad" and "ann" in last["why"]["sentence"]


def test_without_a_report_the_transport_that_failed_comes_last(place):
    (a,) = place.nodes("a")
    id, (first,) = place.meeting("ann")
    assert first["transport"] == "udp"
    answer = place.failed(id, "ann", a)
    assert answer["node"] == a and answer["transport"] == "tcp"
    assert [r["transport"] for r in answer["ladder"]] == ["tcp", "tls", "proxy", "udp"]


def test_it_ends_after_its_time(place, database):
    a, b = place.nodes("a", "b")
    place.report("ann", a={"udp": 10}, b={"udp": 40})
    id, _ = place.meeting("ann")
    place.failed(id, "ann", a)
    database.sql(f"update node_failure set at = at - interval '601 seconds' where org = '{place.org.id}'")
    assert place.meeting("ann")[1][0]["node"] == a


def test_the_others_of_the_meeting_stay(place):
    a, b = place.nodes("a", "b")
    for agent in ("ann", "bob", "cid"):
        place.report(agent, a={"udp": 10}, b={"udp": 30})
    id, joined = place.meeting("ann", "bob", "cid")
    assert {j["node"] for j in joined} == {a}
    assert place.failed(id, "ann", a)["node"] == b
    seats = {p["participant"]: p["node"] for p in place.org.api.get(f"/v1/meetings/{id}/participants").json["items"]}
    assert seats == {"ann": b, "bob": a, "cid": a}


def scores(database, node):
    row = database.sql(f"select round(score::numeric, 2), agents, orgs from node_failure_scores(300, 3) where node = '{node}'")
    return tuple(map(float, row.split("|"))) if row else (0, 0, 0)


def test_the_node_is_blamed_by_those_it_served_and_no_org_alone(place, make_org, database, cloud):
    a, b = place.nodes("a", "b")
    agents = [f"p{n}" for n in range(6)]
    for agent in agents:
        place.report(agent, a={"udp": 10}, b={"udp": 30})
    id, joined = place.meeting(*agents)
    assert {j["node"] for j in joined} == {a}
    place.failed(id, "p0", b)  # it was not on it
    assert scores(database, b) == (0, 0, 0)
    for agent in agents:
        place.failed(id, agent, a)
    score, blaming, orgs = scores(database, a)
    assert 2.9 < score <= 3 and blaming == 6 and orgs == 1  # six agents of one org count as three
    place.report("new", a={"udp": 10}, b={"udp": 30})
    id2, _ = place.meeting("new")
    terms = wait_for(lambda: blamed(place, id2, a), 10, "the node's blame to be known")
    assert 0 < terms["failures"] <= 7.5
    database.sql(f"update node_failure set at = at - interval '300 seconds' where org = '{place.org.id}'")
    assert 2.9 < scores(database, a)[0] <= 3  # six halves
    database.sql(f"update node_failure set at = at - interval '600 seconds' where org = '{place.org.id}'")
    assert scores(database, a)[0] < 1


def blamed(place, id, node):
    """The terms at a node that somebody isn't on; None while nobody blames it."""
    body = {"participants": [{"agent": "x"}], "policy": {"regions": {"allow": [place.name]}}}
    answer = place.org.api.post("/v1/simulate", body).expect(200).json
    terms = {c["node"]: c for c in answer["items"][0]["candidates"]}[node]["terms_ms"]
    return terms if terms["failures"] > 0 else None


def test_an_agent_has_so_many_at_a_time(place, database):
    (a,) = place.nodes("a")
    id, _ = place.meeting("ann")
    database.sql(
        f"insert into node_failure (org, agent, node_org, node, transport, counted)"
        f" select '{place.org.id}', 'ann', 'cloud', 'n' || n, 0, true from generate_series(1, 31) n"
    )
    place.failed(id, "ann", a)
    refused = place.fail(id, "ann", a, "tcp")
    refused.problem(429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 1
    place.failed(id, "ann", a)  # a repeat is no more


def test_erasing_an_agent_erases_what_failed_for_it(place, database):
    (a,) = place.nodes("a")
    id, _ = place.meeting("ann")
    place.failed(id, "ann", a)
    place.org.api.delete("/v1/agents/ann").expect(204)
    assert database.sql(f"select count(*) from node_failure where org = '{place.org.id}'") == "0"


@pytest.mark.parametrize(
    "body,code",
    [
        ({"node": 5}, "invalid_member"),
        ({"node": None}, "invalid_member"),
        ({"node": "nowhere"}, "unknown_node"),
        ({"transport": "smoke"}, "invalid_member"),
        ({"transport": None}, "invalid_member"),
        ({"reason": "x" * 201}, "invalid_member"),
        ({"reason": "a\nb"}, "invalid_member"),
    ],
)
def test_what_is_no_failure(place, body, code):
    (a,) = place.nodes("a")
    id, _ = place.meeting("ann")
    place.org.api.post(f"/v1/meetings/{id}/participants/ann/failure", {"node": a, "transport": "udp", **body}).problem(422, code)


def test_whose_it_is(place):
    (a,) = place.nodes("a")
    id, _ = place.meeting("ann")
    place.fail(id, "ann", a, by=place.org.agent("bob")).problem(403, "agent_mismatch")
    place.fail(id, "bob", a).problem(404, "unknown_agent")
    place.fail("none", "ann", a).problem(404, "unknown_meeting")
    assert place.fail(id, "ann", a).expect(200).json["node"] == a
