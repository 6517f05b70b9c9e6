# timeout: 300, alone
"""Meetings and who is in them: made, listed, joined, left. Which node is chosen is in test_assignments.py."""


import pytest
from support.api import Heartbeats, register, report
from support.process import at_once, wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key, org):
    client = admin.with_token(node_key)
    register(client, "m-1", 1, seen_by=[org.api])
    register(client, "m-2", 2, seen_by=[org.api])
    hearts = Heartbeats(client, "m-1", "m-2")
    yield client
    hearts.stop()


@pytest.fixture
def meeting(org, cloud):
    return org.api.post("/v1/meetings").expect(201).json["id"]


def test_made_with_an_id_of_ours(org):
    made = org.api.post("/v1/meetings").expect(201).json
    assert made["id"] and made["policy"] == {} and made["participants"] == 0 and made["created_at"].endswith("Z")
    assert org.api.get(f"/v1/meetings/{made['id']}").expect(200).json == made


def test_made_with_an_id_of_theirs_and_again(org):
    policy = {"regions": {"deny": ["us"], "allow": ["eu", "be"]}, "private": False, "expected_size": 20, "bitrate_kbps": 900, "transports": ["tls", "tcp"]}
    made = org.api.post("/v1/meetings", {"id": "weekly-1", "policy": policy}).expect(201).json
    assert made["policy"]["regions"] == {"allow": ["be", "eu"], "deny": ["us"]}
    assert org.api.post("/v1/meetings", {"id": "weekly-1"}).expect(200).json == made
    assert org.api.post("/v1/meetings", {"id": "weekly-1", "policy": policy}).expect(200).json == made
    same = dict(policy, transports=["tcp", "tls"])
    assert org.api.post("/v1/meetings", {"id": "weekly-1", "policy": same, "unknown": "member"}).expect(200).json == made
    org.api.post("/v1/meetings", {"id": "weekly-1", "policy": {}}).problem(409, "conflict")
    org.api.post("/v1/meetings", {"id": "weekly-1", "policy": dict(policy, private=True)}).problem(409, "conflict")


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({"id": ""}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"id": "x" * 129}, "/id"),
        ({"id": 5}, "/id"),
        ({"policy": []}, "/policy"),
        ({"policy": {"regions": "eu"}}, "/policy/regions"),
        ({"policy": {"regions": {"allow": "eu"}}}, "/policy/regions/allow"),
        ({"policy": {"regions": {"deny": [1]}}}, "/policy/regions/deny"),
        ({"policy": {"private": "yes"}}, "/policy/private"),
        ({"policy": {"expected_size": 0}}, "/policy/expected_size"),
        ({"policy": {"bitrate_kbps": -1}}, "/policy/bitrate_kbps"),
        ({"policy": {"last_n": 501}}, "/policy/last_n"),
        ({"policy": {"region": {"deny": ["us"]}}}, "/policy/region"),
        ({"policy": {"regions": {"denies": ["us"]}}}, "/policy/regions/denies"),
        ({"policy": {"deny": None}}, "/policy/deny"),
        ({"policy": {"ä" * 40: 1}}, "/policy"),
        ({"policy": {"transports": []}}, "/policy/transports"),
        ({"policy": {"transports": ["udp", "sctp"]}}, "/policy/transports"),
    ],
)
def test_bad_meetings_name_the_member(org, body, pointer):
    assert org.api.post("/v1/meetings", body).problem(422, "invalid_member").json["pointer"] == pointer


def test_list_and_end(make_org):
    org = make_org()
    ids = [org.api.post("/v1/meetings", {"id": f"l-{i}"}).expect(201).json["id"] for i in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = org.api.get("/v1/meetings?limit=2" + (f"&cursor={cursor}" if cursor else "")).expect(200).json
        seen += [m["id"] for m in page["items"]]
        cursor = page["next"]
    assert seen == ids
    org.api.delete("/v1/meetings/l-3").expect(204)
    org.api.delete("/v1/meetings/l-3").problem(404, "unknown_meeting")
    org.api.get("/v1/meetings/l-3").problem(404, "unknown_meeting")
    assert [m["id"] for m in org.api.get("/v1/meetings").json["items"]] == ["l-0", "l-1", "l-2", "l-4"]


def test_join_by_backend_and_by_agent(org, meeting):
    path = f"/v1/meetings/{meeting}/participants"
    first = org.api.post(path, {"agent": "ann"}).expect(201).json
    assert set(first) == {"participant", "node", "cluster", "transport", "ladder", "ice_servers", "services", "media", "report", "why"}
    assert first["participant"] == "ann" and first["node"] in ("m-1", "m-2")
    assert first["transport"] == "udp" and first["ice_servers"] == []
    assert first["ladder"][0] == {"transport": "udp", "address": f"192.0.2.{first['node'][-1]}:5004"}
    assert [r["transport"] for r in first["ladder"]] == ["udp", "tcp", "tls", "proxy"]
    assert first["ladder"][2]["tls_name"] == f"{first['node']}.example"
    second = org.agent("bob").post(path).expect(201).json
    assert second["participant"] == "bob" and second["node"] == first["node"]
    again = org.api.post(path, {"agent": "ann"}).expect(200).json
    assert {k: again[k] for k in again if k not in ("why", "media")} == {k: first[k] for k in first if k not in ("why", "media")}
    items = org.agent("bob").get(path).expect(200).json["items"]
    assert [(i["participant"], i["node"], i["transport"]) for i in items] == [
        ("ann", first["node"], "udp"),
        ("bob", first["node"], "udp"),
    ]
    assert items[0]["cluster"] == first["cluster"] and items[0]["joined_at"].endswith("Z")
    shown = org.api.get(f"/v1/meetings/{meeting}").json
    assert shown["participants"] == 2 and shown["node"] == first["node"]


def test_agent_rules(org, meeting):
    path = f"/v1/meetings/{meeting}/participants"
    org.api.post(path, {}).problem(422, "agent_required")
    org.api.post(path).problem(422, "agent_required")
    org.api.post(path, {"agent": "a b"}).problem(422, "invalid_member")
    org.api.post(path, {"agent": 5}).problem(422, "invalid_member")
    org.agent("ann").post(path, {"agent": "bob"}).problem(403, "agent_mismatch")
    org.agent("ann").post(path, {"agent": "ann"}).expect(201)
    org.agent("ann", grants=["probe"]).post(path).problem(403, "grant_missing")
    org.agent("ann", grants=["join"]).post(path).expect(200)
    org.agent("bob").delete(f"{path}/ann").problem(403, "agent_mismatch")


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({"network": 5}, "/network"),
        ({"network": "a b"}, "/network"),
        ({"network": {"id": ""}}, "/network"),
        ({"capabilities": "udp"}, "/capabilities"),
        ({"capabilities": ["udp", "udp"]}, "/capabilities/1"),
        ({"capabilities": ["icmp"]}, "/capabilities/0"),
    ],
)
def test_bad_joins_name_the_member(org, meeting, body, pointer):
    answer = org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": "ann", **body})
    assert answer.problem(422, "invalid_member").json["pointer"] == pointer


def test_leave(org, meeting):
    path = f"/v1/meetings/{meeting}/participants"
    for agent in ("ann", "bob"):
        org.api.post(path, {"agent": agent}).expect(201)
    org.api.delete(f"{path}/ann").expect(204)
    org.api.delete(f"{path}/ann").problem(404, "unknown_agent")
    org.agent("bob").delete(f"{path}/bob").expect(204)
    assert org.api.get(path).expect(200).json == {"items": [], "next": None}
    org.api.post(path, {"agent": "ann"}).expect(201)  # new again


def test_unknown_meetings(org, cloud):
    for m in ("never-was", "a%20b", "x" * 200):
        path = f"/v1/meetings/{m}/participants"
        org.api.post(path, {"agent": "ann"}).problem(404, "unknown_meeting")
        org.api.get(path).problem(404, "unknown_meeting")
        org.api.delete(f"{path}/ann").problem(404, "unknown_meeting")


def test_participants_are_paged(org, meeting):
    path = f"/v1/meetings/{meeting}/participants"
    agents = [f"p{i:02}" for i in range(7)]
    for agent in reversed(agents):
        org.api.post(path, {"agent": agent}).expect(201)
    seen, cursor = [], ""
    while cursor is not None:
        page = org.api.get(f"{path}?limit=3" + (f"&cursor={cursor}" if cursor else "")).expect(200).json
        seen += [p["participant"] for p in page["items"]]
        cursor = page["next"]
    assert seen == agents


def test_an_ended_meeting_takes_its_participants_along(org, meeting, database):
    org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": "ann"}).expect(201)
    org.api.delete(f"/v1/meetings/{meeting}").expect(204)
    assert database.sql(f"select count(*) from participant where meeting = '{meeting}'") == "0"
    org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": "ann"}).problem(404, "unknown_meeting")


def test_everybody_at_once_over_two_controllers(org, controllers, meeting):
    """Forty join one meeting at the same moment: each gets a seat, all on one node, nobody is lost."""
    path = f"/v1/meetings/{meeting}/participants"
    clients = [org.api, controllers().client(org.key)]
    for i in range(40):
        report(org.api, {"m-1": {"udp": 10 + i % 7}, "m-2": {"udp": 12 + i % 5}}, agent=f"p{i}")
    at_once(lambda i: clients[i % 2].post(path, {"agent": f"p{i}"}).expect(201), range(40))
    items = org.api.get(f"{path}?limit=100").json["items"]
    assert len(items) == 40 and len({i["node"] for i in items}) == 1


def test_join_and_leave_at_once(org, meeting):
    """Joins and leaves of one meeting from many threads: every call is answered, and what is left is consistent."""
    path = f"/v1/meetings/{meeting}/participants"

    def churn(n):
        for _ in range(8):
            org.api.post(path, {"agent": f"c{n}"}).expect(201)
            org.api.delete(f"{path}/c{n}").expect(204)

    at_once(churn, range(6))
    assert org.api.get(path).json["items"] == []


def test_a_cursor_that_is_no_text(org):
    for cursor in ("__4", "_w", "AA", "!"):
        org.api.get(f"/v1/meetings?cursor={cursor}").problem(400, "bad_request")


def test_two_controllers_share_a_meeting(org, controllers, world, cloud):
    there = controllers().client(org.key)
    org.api.post("/v1/meetings", {"id": "shared"}).expect(201)
    first = there.post("/v1/meetings/shared/participants", {"agent": "ann"}).expect(201).json
    second = org.api.post("/v1/meetings/shared/participants", {"agent": "bob"}).expect(201).json
    assert first["node"] == second["node"]
    assert len(there.get("/v1/meetings/shared/participants").json["items"]) == 2
    there.delete("/v1/meetings/shared").expect(204)
    org.api.get("/v1/meetings/shared").problem(404, "unknown_meeting")


def test_capacity_is_kept_by_quick_joins(org, cloud, admin):
    """Faster than the catalogue's copy of the load is renewed."""
    register(cloud, "small", 9, region="tiny", capacity=3, seen_by=[org.api])
    answers = []
    for i in range(4):
        org.api.post("/v1/meetings", {"id": f"tiny-{i}", "policy": {"regions": {"allow": ["tiny"]}}}).expect(201)
        answers.append(org.api.post(f"/v1/meetings/tiny-{i}/participants", {"agent": "ann"}))
    assert [a.status for a in answers] == [201, 201, 201, 503]
    refused = answers[3].problem(503, "no_node")
    assert refused.headers["Retry-After"] and "full" in refused.json["detail"]
    org.api.delete("/v1/meetings/tiny-0").expect(204)
    wait_for(
        lambda: org.api.post("/v1/meetings/tiny-3/participants", {"agent": "ann"}).status == 201, 10, "room on the node"
    )


def test_capacity_is_kept_by_meetings_that_join_at_once(org, cloud, controllers):
    """Sixty meetings of one participant each, over two controllers, and room for five."""
    register(cloud, "few", 10, region="few", capacity=5, seen_by=[org.api])
    clients = [org.api, controllers().client(org.key)]
    for i in range(60):
        org.api.post("/v1/meetings", {"id": f"few-{i}", "policy": {"regions": {"allow": ["few"]}}}).expect(201)
    answers = at_once(lambda i: clients[i % 2].post(f"/v1/meetings/few-{i}/participants", {"agent": "ann"}), range(60))
    assert sorted(a.status for a in answers) == [201] * 5 + [503] * 55


def test_made_again_it_is_another(org, database):
    """A plan that was made for the one before must not be kept for it: its epoch is one that the other never had."""
    epoch = "select epoch from meeting where id = 'again'"
    org.api.post("/v1/meetings", {"id": "again"}).expect(201)
    before = int(database.sql(epoch))
    database.sql("update meeting set epoch = epoch + 100 where id = 'again'")
    org.api.delete("/v1/meetings/again").expect(204)
    org.api.post("/v1/meetings", {"id": "again"}).expect(201)
    assert int(database.sql(epoch)) > before + 100
