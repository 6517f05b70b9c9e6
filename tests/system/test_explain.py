# alone
"""GET /v1/meetings/{id}/explain and POST /v1/simulate: every candidate, what it costs and of what, and what speaks against it."""

import itertools
import json

import pytest
from support.api import Heartbeats, register, report, result


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


@pytest.fixture(scope="module")
def places(org, cloud):
    """Three nodes: near, far, and one that nobody reaches."""
    for n, name in enumerate(("near", "far", "mute"), 1):
        register(cloud, name, n, region="eu" if name != "far" else "us", seen_by=[org.api])
    beats = Heartbeats(cloud, "near", "far", "mute")
    yield org
    beats.stop()


@pytest.fixture
def meeting(places, count=itertools.count(1)):
    def make(people=("ann", "bob"), **policy):
        id = f"m{next(count)}"
        places.api.post("/v1/meetings", {"id": id, "policy": policy}).expect(201)
        for n, agent in enumerate(people):
            rows = {"near": {"udp": 20 + n}, "far": {"udp": None, "tcp": 100}, "mute": {"udp": None, "tcp": None, "tls": None}}
            report(places.api, rows, agent=agent)
            places.api.post(f"/v1/meetings/{id}/participants", {"agent": agent}).expect(201)
        return id

    return make


def explain(org, id, query=""):
    return org.api.get(f"/v1/meetings/{id}/explain{query}").expect(200).json


def by_node(item):
    return {c["node"]: c for c in item["candidates"]}


def test_every_candidate_and_its_terms(places, meeting):
    id = meeting()
    answer = explain(places, id)
    assert answer["meeting"] == id and answer["outcome"] == "common_node" and answer["node"] == "near" and answer["next"] is None
    assert answer["participants"] == 2 and answer["moved"] == 0 and answer["costs"]["latency_ms"] == pytest.approx(20.5)
    assert [i["participant"] for i in answer["items"]] == ["ann", "bob"]
    for item in answer["items"]:
        assert item["measured"] and item["node"] == "near"
        assert item["decided"]["node"] == "near" and item["decided"]["reason"] == "stays"
        assert item["participant"] in item["decided"]["sentence"] and item["candidates_total"] == 3
        assert item["candidates"][0]["node"] == "near" and item["candidates"][0]["chosen"]
        for c in item["candidates"]:
            assert c["node"] in c["sentence"]
            if "terms_ms" in c:
                assert sum(c["terms_ms"].values()) == pytest.approx(c["cost_ms"], abs=0.01)
    ann = by_node(answer["items"][0])
    assert ann["near"]["terms_ms"]["round_trip"] == 10 and ann["near"]["terms_ms"]["others"] == pytest.approx(10.5, abs=0.2)
    assert ann["near"]["transport"] == "udp" and "rejected" not in ann["near"]
    far, mute = ann["far"], ann["mute"]
    assert far["transport"] == "tcp" and far["terms_ms"]["round_trip"] == 50 and far["terms_ms"]["transport"] == 10
    assert mute["rejected"] == ["unreachable_for"] and "reached" in mute["sentence"] and "cost_ms" not in mute


def test_what_a_policy_rejects(places, meeting):
    ann = by_node(explain(places, meeting(regions={"deny": ["us"]}))["items"][0])
    assert ann["far"]["rejected"] == ["region_denied"] and "policy" in ann["far"]["sentence"]


def test_without_a_report(places, meeting):
    id = meeting()
    places.api.post(f"/v1/meetings/{id}/participants", {"agent": "cid"}).expect(201)
    cid = explain(places, id, "?agent=cid")["items"][0]
    assert not cid["measured"] and cid["decided"]["node"] == "near" and len(cid["candidates"]) == 3


def test_pages_and_one_participant(places, meeting):
    id = meeting(people=[f"p{n}" for n in range(5)])
    seen, cursor = [], ""
    for _ in range(3):
        page = explain(places, id, f"?limit=2{cursor}")
        seen += [i["participant"] for i in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert seen == [f"p{n}" for n in range(5)] and page["next"] is None
    one = explain(places, id, "?agent=p3")
    assert [i["participant"] for i in one["items"]] == ["p3"] and one["participants"] == 5
    problem = places.api.get(f"/v1/meetings/{id}/explain?agent=nobody").expect(404).json
    assert problem["code"] == "unknown_agent"
    places.api.get(f"/v1/meetings/{id}/explain?limit=0").expect(400)
    many = meeting(people=[])
    for n in range(45):
        places.api.post(f"/v1/meetings/{many}/participants", {"agent": f"q{n:02}"}).expect(201)
    page = explain(places, many, "?limit=500")  # past the bound: a page has forty
    assert len(page["items"]) == 40 and page["next"]


def test_nobody_in_it_and_nobody_elses(places, meeting, make_org):
    id = meeting(people=[])
    empty = explain(places, id)
    assert empty["items"] == [] and empty["participants"] == 0 and empty["costs"] == {}
    assert make_org().api.get(f"/v1/meetings/{id}/explain").expect(404).json["code"] == "unknown_meeting"
    places.agent("ann").get(f"/v1/meetings/{id}/explain").expect(403)
    places.api.get("/v1/meetings/none/explain").expect(404)


def test_the_command(world, controller, places, meeting):
    id = meeting(regions={"deny": ["us"]})
    table = world.agent("meeting", "explain", id, controller=controller, token=places.key)
    assert table.returncode == 0, table.stderr
    assert "ann stays" in table.stdout and "region denied" in table.stdout and "near" in table.stdout
    assert max(len(line) for line in table.stdout.splitlines()) <= 80
    one = world.agent("meeting", "explain", id, "--participant", "bob", "--json", controller=controller, token=places.key).json()
    assert [i["participant"] for i in one["items"]] == ["bob"]
    many = meeting(people=[f"p{n:02}" for n in range(23)])  # more than a page has
    all = world.agent("meeting", "explain", many, "--json", controller=controller, token=places.key).json()
    assert len(all["items"]) == 23 and all["next"] is None


def test_the_command_explains_a_meeting_that_nobody_could_join(world, controller, places):
    """In words, and without the key to a table that isn't there."""

    def told(**policy):
        id = f"nobody-{'-'.join(policy)}"
        places.api.post("/v1/meetings", {"id": id, "policy": policy}).expect(201)
        told = world.agent("meeting", "explain", id, controller=controller, token=places.key)
        assert told.returncode == 0 and "COST" not in told.stdout, told.stderr
        return " ".join(told.stdout.split())

    assert "no region allowed. What rules the nodes out: 3 region denied." in told(regions={"allow": ["mars"]})
    assert "no node. What rules the nodes out: 3 not private." in told(private=True)
    assert "common node." in told(transports=["udp"])


def test_the_command_simulates(world, controller, places, tmp_path):
    problem = tmp_path / "problem.json"
    problem.write_text(json.dumps({"participants": TWO, "policy": {"regions": {"deny": ["us"]}}}))

    def berth(*args, **more):
        return world.agent("simulate", *args, controller=controller, token=places.key, **more)

    table = berth(str(problem))
    assert table.returncode == 0, table.stderr
    assert "Simulated: 2 participants" in table.stdout and "region denied" in table.stdout
    assert berth(str(problem), "--json").json()["plan"] == {"ann": "near", "bob": "near"}
    one = berth(str(problem), "--participant", "bob", "--json").json()
    assert [i["participant"] for i in one["items"]] == ["bob"]
    problem.write_text(json.dumps({"participants": TWO, "plan": {"ann": "far", "bob": "far"}}))
    moved, answer = " ".join(berth(str(problem)).stdout.split()), berth(str(problem), "--json").json()
    costs, gain = answer["costs"], answer["items"][0]["decided"]["gain_ms"]
    assert f"ann would be moved from far to near: {gain:.2f} ms less." in moved and "not measured by" in moved
    assert f"{costs['present_ms']:.2f} ms with nobody moved, {costs['single_node_ms']:.2f} ms on the best single node" in moved
    assert f"{costs['best_ms']:.2f} ms in the best plan" in moved
    problem.write_text(json.dumps({"participants": [person(f"p{n:02}", near={"udp": n + 1}) for n in range(43)]}))
    assert len(berth(str(problem), "--json").json()["items"]) == 43, "more than a page has"
    problem.write_text("{")
    assert berth(str(problem)).returncode == 2 and "is no JSON: line 1" in berth(str(problem)).stderr
    assert "can't be read" in berth(str(tmp_path / "none")).stderr


# ---- POST /v1/simulate ----


def person(agent, **by):
    return {"agent": agent, "results": [result(n, t, ms) for n, ways in by.items() for t, ms in ways.items()]}


TWO = [person("ann", near={"udp": 20}, far={"udp": 90}), person("bob", near={"udp": 30}, far={"udp": 10})]


def simulate(org, body, query=""):
    return org.api.post(f"/v1/simulate{query}", body).expect(200).json


def test_a_simulation_decides_and_stores_nothing(places):
    before = (places.api.get("/v1/meetings").json, places.api.get("/v1/agents").json)
    answer = simulate(places, {"participants": TWO})
    assert answer["plan"] == {"ann": "near", "bob": "near"} and answer["outcome"] == "common_node"
    assert answer["costs"]["best_ms"] <= answer["costs"]["decided_ms"] + 0.001
    assert [i["participant"] for i in answer["items"]] == ["ann", "bob"]
    assert by_node(answer["items"][1])["far"]["terms_ms"]["round_trip"] == 5
    assert (places.api.get("/v1/meetings").json, places.api.get("/v1/agents").json) == before


def test_a_simulation_of_a_running_meeting(places):
    """Who is there stays for little, and moves for much."""
    far = simulate(places, {"participants": TWO, "plan": {"ann": "far", "bob": "far"}})
    assert far["plan"] == {"ann": "near", "bob": "near"} and far["moved"] == 2 and far["items"][0]["decided"]["reason"] == "moved"
    little = [person("ann", near={"udp": 20}, far={"udp": 25})]
    assert simulate(places, {"participants": little, "plan": {"ann": "far"}})["plan"] == {"ann": "far"}


def test_one_node_is_joined_to_none(places):
    """ann is where her report doesn't speak of, and another node could serve her."""
    answer = simulate(places, {"participants": [person("ann", far={"udp": 20})], "plan": {"ann": "near"}})
    assert answer["plan"] == {"ann": "near"} and answer["nodes_joined"] == 1 and answer["outcome"] == "common_node"
    assert answer["items"][0]["decided"]["reason"] == "stays"


def test_answers_and_explanations_have_one_word_for_it(places, meeting):
    """Also of one who is where nothing measured put it; and who asks again is answered as before, not that it stays."""
    id = meeting(people=["ann", "bob"])
    first = places.api.post(f"/v1/meetings/{id}/participants", {"agent": "cid"}).expect(201).json["why"]
    again = places.api.post(f"/v1/meetings/{id}/participants", {"agent": "cid"}).expect(200).json["why"]
    decided = explain(places, id, "?agent=cid")["items"][0]["decided"]
    assert first == again and again["reason"] == decided["reason"] == "no_live_report", (again, decided)
    body = {"node": "near", "transport": "udp", "reason": "no answer"}
    report(places.api, {"near": {"udp": 20, "tcp": 21}}, agent="bob")
    kept = places.api.post(f"/v1/meetings/{id}/participants/bob/failure", body).expect(200).json
    assert kept["node"] == "near" and kept["why"]["reason"] == "stays"


def test_a_simulation_under_a_policy(places):
    answer = simulate(places, {"participants": TWO, "policy": {"regions": {"allow": ["us"]}}})
    assert answer["plan"] == {"ann": "far", "bob": "far"}
    nowhere = simulate(places, {"participants": TWO, "policy": {"regions": {"allow": ["mars"]}}})
    assert nowhere["outcome"] == "no_region_allowed" and nowhere["plan"] == {"ann": None, "bob": None} and nowhere["costs"] == {}


def test_a_simulation_of_one_or_in_pages(places):
    people = [person(f"p{n}", near={"udp": n + 1}) for n in range(4)]
    assert [i["participant"] for i in simulate(places, {"participants": people}, "?agent=p2")["items"]] == ["p2"]
    page = simulate(places, {"participants": people}, "?limit=3")
    rest = simulate(places, {"participants": people}, f"?limit=3&cursor={page['next']}")
    assert len(page["items"]) == 3 and [i["participant"] for i in rest["items"]] == ["p3"] and rest["next"] is None
    places.api.post("/v1/simulate?agent=zed", {"participants": people}).problem(404, "unknown_agent")


ROW = result("near", "udp", 5)


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({}, "/participants"),
        ({"participants": []}, "/participants"),
        ({"participants": {"agent": "a"}}, "/participants"),
        ({"participants": [{"agent": f"a{n}"} for n in range(501)]}, "/participants"),
        ({"participants": ["a"]}, "/participants/0"),
        ({"participants": [{"results": []}]}, "/participants/0"),
        ({"participants": [{"agent": "a b"}]}, "/participants/0/agent"),
        ({"participants": [{"agent": "a"}, {"agent": "a"}]}, "/participants/1"),
        ({"participants": [{"agent": "a", "results": {}}]}, "/participants/0"),
        ({"participants": [{"agent": "a", "results": [{**ROW, "transport": "smoke"}]}]}, "/participants/0/results/0/transport"),
        ({"participants": [{"agent": "a", "results": [{**ROW, "node": "nowhere"}]}]}, "/participants/0/results/0/node"),
        ({"participants": [{"agent": "a", "results": [ROW, result("far", "udp", 9), ROW]}]}, "/participants/0/results/2"),
        ({"participants": [{"agent": "a", "capabilities": ["smoke"]}]}, "/participants/0/capabilities/0"),
        ({"participants": [{"agent": "a"}, {"agent": "b", "capabilities": "udp"}]}, "/participants/1/capabilities"),
        ({"participants": [{"agent": "a"}], "policy": {"privat": True}}, "/policy/privat"),
        ({"participants": [{"agent": "a"}], "plan": ["near"]}, "/plan"),
        ({"participants": [{"agent": "a"}], "plan": {"a": 1}}, "/plan/a"),
        ({"participants": [{"agent": "a"}], "plan": {"b": "near"}}, "/plan/b"),
        ({"participants": [{"agent": "a"}], "plan": {"b/c": "near"}}, "/plan"),
        ({"participants": [{"agent": "a"}], "plan": {"b" * 128: "near"}}, "/plan"),
        ({"participants": [{"agent": "a"}], "plan": {"a": "nowhere"}}, "/plan/a"),
    ],
)
def test_what_no_simulation_takes(places, body, pointer):
    answer = places.api.post("/v1/simulate", body).expect(422)
    assert answer.json["pointer"] == pointer, answer.json


def test_a_plan_s_stranger_is_named(places):
    answer = places.api.post("/v1/simulate", {"participants": TWO, "plan": {"zed": "near"}}).problem(422, "invalid_member")
    assert "zed" in answer.json["detail"], answer.json


def test_a_simulation_has_a_bound_of_rows(places):
    row = {"node": "near", "transport": "udp", "status": "timeout"}
    people = [{"agent": f"a{n}", "results": [row] * 4000} for n in range(4)]
    places.api.post("/v1/simulate", {"participants": people}).problem(422, "duplicate_result")
    one_more = {"participants": [*people, {"agent": "z", "results": [row]}]}
    places.api.post("/v1/simulate", one_more).problem(422, "too_many_results")


def test_a_simulation_sees_only_the_orgs_own_nodes(places, make_org):
    other = make_org()
    register(other.api, "hidden", 9, seen_by=[other.api])
    body = {"participants": [person("ann", near={"udp": 20})]}
    nodes = {c["node"] for c in simulate(places, body)["items"][0]["candidates"]}
    assert nodes == {"near", "far", "mute"}
    assert "hidden" in {c["node"] for c in simulate(other, body)["items"][0]["candidates"]}
