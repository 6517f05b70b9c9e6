# timeout: 240
"""What nodes are told of meetings over several nodes, and of who has left: GET /v1/nodes/{node}/links, and heartbeats that say
when to ask."""

import base64
import hashlib
import secrets

import pytest
from support.api import Heartbeats, register, report
from support.process import wait_for
from support.ticket import open_ticket


def media_key():
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


KEYS = {name: media_key() for name in ("east", "west", "mid", "home-a", "home-b")}


def beat(client, node, version=None):
    body = {"load": {}, "links_version": version} if version else {"load": {}}
    return client.post(f"/v1/nodes/{node}/heartbeat", body).expect(200).json


def links(client, node, since=None):
    return client.get(f"/v1/nodes/{node}/links" + (f"?since={since}" if since else "")).expect(200).json


def of(answer, meeting):
    return next((entry for entry in answer["links"] if entry["meeting"] == meeting), None)


@pytest.fixture(scope="module")
def cloud(admin, node_key, org):
    client = admin.with_token(node_key)
    for i, name in enumerate(("east", "west", "mid"), 1):
        register(client, name, i, seen_by=[org.api], media_key=KEYS[name])
    hearts = Heartbeats(client, "east", "west", "mid")
    yield client
    hearts.stop()


@pytest.fixture(scope="module")
def mesh(admin, org, cloud):
    client = admin.with_token(org.new_key("node"))
    for i, name in enumerate(("home-a", "home-b"), 11):
        register(client, name, i, seen_by=[org.api], media_key=KEYS[name])
    hearts = Heartbeats(client, "home-a", "home-b")
    yield client
    hearts.stop()


def make(org, **policy):
    return org.api.post("/v1/meetings", {"policy": policy}).expect(201).json["id"]


def seat(org, meeting, agent, node):
    """The agent reaches that node alone."""
    others = {n: {"udp": None, "tcp": None, "tls": None} for n in KEYS if n != node}
    report(org.agent(agent), {node: {"udp": 10}, **others})
    got = org.agent(agent).post(f"/v1/meetings/{meeting}/participants").expect(201).json
    assert got["node"] == node, got["why"]
    return got


@pytest.fixture
def pair(org, cloud, mesh):
    """A meeting with ann on east and bob on west."""
    meeting = make(org)
    seat(org, meeting, "ann", "east")
    seat(org, meeting, "bob", "west")
    return meeting


def epoch_of(org, meeting, agent):
    return org.agent(agent).post(f"/v1/meetings/{meeting}/participants").expect(200).json["media"]["epoch"]


def test_both_ends_are_told_and_one_dials(org, cloud, pair):
    east, west = links(cloud, "east"), links(cloud, "west")
    assert east["all"] and not east["more"]
    here, there = of(east, pair), of(west, pair)
    assert here["epoch"] == there["epoch"] == epoch_of(org, pair, "bob")
    assert here["org"] == org.id and not here["leaf"] and "hub" not in here
    (peer,), (back,) = here["peers"], there["peers"]
    assert (peer["node"], peer["org"], peer["class"], peer["role"], peer["leaf"]) == ("west", "cloud", "cloud", "dial", False)
    assert peer["addresses"]["udp"] == ["192.0.2.2:5004"] and peer["tls_name"] == "west.example" and peer["key"] == KEYS["west"]
    assert (back["node"], back["role"], back["key"]) == ("east", "accept", KEYS["east"])
    said = open_ticket(peer["ticket"], beat(cloud, "west")["ticket_keys"], "cloud", "west")
    assert (said["kind"], said["who"], said["org"], said["meeting"]) == (2, "cloud/east", org.id, pair)
    assert said["epoch"] == here["epoch"]
    assert open_ticket(back["ticket"], beat(cloud, "east")["ticket_keys"], "cloud", "east")["who"] == "cloud/west"
    assert of(links(cloud, "mid"), pair) is None


def test_a_heartbeat_says_when_to_ask(org, cloud, mesh):
    version = links(cloud, "east")["version"]
    assert "links_changed" not in beat(cloud, "east")
    wait_for(lambda: not beat(cloud, "east", links(cloud, "east", version)["version"])["links_changed"], 10, "quiet")
    version = links(cloud, "east", version)["version"]
    single = make(org)
    seat(org, single, "amy", "east")
    assert not beat(cloud, "east", version)["links_changed"], "a meeting on one node is no news"
    seat(org, single, "ben", "west")
    assert beat(cloud, "east", version)["links_changed"]
    told = links(cloud, "east", version)
    assert not told["all"] and [entry["meeting"] for entry in told["links"]] == [single]
    assert not beat(cloud, "mid", links(cloud, "mid")["version"])["links_changed"]


def test_who_leaves_is_told_and_the_link_ends(org, cloud, pair):
    version = links(cloud, "west")["version"]
    again = org.agent("bob").post(f"/v1/meetings/{pair}/participants").expect(200).json
    number = open_ticket(again["media"], beat(cloud, "west")["ticket_keys"], "cloud", "west")["number"]
    org.api.delete(f"/v1/meetings/{pair}/participants/bob").expect(204)
    told = links(cloud, "west", version)
    (gone,) = [g for g in told["removed"] if g["meeting"] == pair]
    assert (gone["org"], gone["agent"]) == (org.id, "bob") and gone["number"] > number
    assert of(told, pair)["peers"] == [] and of(links(cloud, "east", version), pair)["peers"] == []
    again = seat(org, pair, "bob", "west")
    assert open_ticket(again["media"], beat(cloud, "west")["ticket_keys"], "cloud", "west")["number"] > gone["number"]
    assert of(links(cloud, "west", version), pair)["peers"][0]["node"] == "east"
    org.api.delete(f"/v1/meetings/{pair}").expect(204)
    told = links(cloud, "east", version)
    assert [g["agent"] for g in told["removed"] if g["meeting"] == pair] == ["ann"] and of(told, pair)["peers"] == []


def test_a_new_key_is_told_to_those_who_are_joined(cloud, pair):
    version = links(cloud, "east")["version"]
    KEYS["west"] = media_key()
    register(cloud, "west", 2, media_key=KEYS["west"])
    assert of(links(cloud, "east", version), pair)["peers"][0]["key"] == KEYS["west"]


def test_two_homes_meet_through_a_hub(org, cloud, mesh, database):
    """Mesh nodes that have not reached each other are leaves; the hub is a cloud node in the meeting, else the nearest one."""
    for home, us in (("home-a", 9000), ("home-b", 8000)):
        told = [{"node": "mid", "rtt_us": us}, {"node": "east", "rtt_us": 5 * us}]
        mesh.post(f"/v1/nodes/{home}/heartbeat", {"load": {}, "rtt": told}).expect(200)
    meeting = make(org)
    seat(org, meeting, "cid", "home-a")
    seat(org, meeting, "dot", "home-b")
    a, hub = of(links(mesh, "home-a"), meeting), of(links(cloud, "mid"), meeting)
    assert a["leaf"] and a["hub"] == "mid" and [(p["node"], p["role"]) for p in a["peers"]] == [("mid", "dial")]
    assert not hub["leaf"] and hub["hub"] == "mid" and hub["is_hub"] and not a["is_hub"]
    assert [(p["node"], p["role"], p["leaf"], "ticket" in p) for p in hub["peers"]] == [
        ("home-a", "accept", True, False),
        ("home-b", "accept", True, False),
    ]
    seat(org, meeting, "eli", "west")
    a, hub, west = of(links(mesh, "home-a"), meeting), of(links(cloud, "mid"), meeting), of(links(cloud, "west"), meeting)
    assert [p["node"] for p in a["peers"]] == ["west"] and hub["peers"] == []
    assert west["hub"] == "west" and [p["node"] for p in west["peers"]] == ["home-a", "home-b"]
    mesh.post("/v1/nodes/home-a/heartbeat", {"load": {}, "rtt": [{"node": "home-b", "rtt_us": 3000}]}).expect(200)
    seat(org, meeting, "fox", "west")
    a, west = of(links(mesh, "home-a"), meeting), of(links(cloud, "west"), meeting)
    assert not a["leaf"] and "hub" not in a
    assert [(p["node"], p["role"]) for p in a["peers"]] == [("west", "dial"), ("home-b", "dial")]
    assert [(p["node"], p["role"]) for p in west["peers"]] == [("home-a", "accept"), ("home-b", "accept")]
    database.sql("delete from node_rtt where to_node = 'home-b'")


def test_a_private_meeting_has_no_hub_in_the_cloud(org, cloud, mesh):
    meeting = make(org, private=True)
    seat(org, meeting, "gil", "home-a")
    seat(org, meeting, "hal", "home-b")
    a, b = of(links(mesh, "home-a"), meeting), of(links(mesh, "home-b"), meeting)
    assert "hub" not in a and [(p["node"], p["role"]) for p in a["peers"]] == [("home-b", "dial")]
    assert [(p["node"], p["role"], "ticket" in p) for p in b["peers"]] == [("home-a", "accept", True)]  # whoever reaches the other


def test_pages(org, cloud, database):
    """More than fit into an answer come in pages, each once; and what is told then isn't told again."""
    version = links(cloud, "mid")["version"]
    database.sql(
        "insert into node_news (org, meeting, node_org, node, agent, epoch)"
        f" select '{org.id}', 'page-' || i, 'cloud', n, '', 1 from generate_series(1, 450) i, unnest(array['mid', 'east']) n"
    )
    seen, more, sizes = [], True, []
    while more:
        told = links(cloud, "mid", version)
        assert not told["all"]
        seen += [entry["meeting"] for entry in told["links"]]
        sizes.append(len(told["links"]) + len(told["removed"]))
        version, more = told["version"], told["more"]
    assert sizes[:2] == [200, 200] and len(sizes) == 3
    assert len(set(seen)) == len(seen) and {m for m in seen if m.startswith("page-")} == {f"page-{i}" for i in range(1, 451)}
    wait_for(lambda: not beat(cloud, "mid", links(cloud, "mid", version)["version"])["links_changed"], 10, "quiet")
    everything = links(cloud, "mid")
    assert everything["all"] and everything["more"] and links(cloud, "mid", everything["version"])["all"]
    database.sql("delete from node_news where meeting like 'page-%'")


def test_an_old_or_foreign_version_gets_everything(cloud, pair):
    version = links(cloud, "east")["version"]
    since, second = version.split(".")
    for lost in (f"{since}.{int(second) - 4000}", f"{int(since) + 10**9}.{second}"):
        assert beat(cloud, "east", lost)["links_changed"]
        told = links(cloud, "east", lost)
        assert told["all"] and of(told, pair)


def test_late_commits_are_not_missed(org, cloud, database, postgres, pair):
    """A transaction that began before another that was told, and commits after it."""
    import subprocess

    version = links(cloud, "mid")["version"]
    slow = subprocess.Popen(["psql", "-qAt", database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    row = "insert into node_news (org, meeting, node_org, node, agent) values ('{}', '{}', 'cloud', 'mid', '')"
    try:
        slow.stdin.write(f"begin; {row.format(org.id, 'late')}; select 'begun';\n")
        slow.stdin.flush()
        assert slow.stdout.readline().strip() == "begun"
        database.sql(row.format(org.id, "early"))
        told = links(cloud, "mid", version)
        assert of(told, "early") and not of(told, "late")
        slow.stdin.write("commit; select 'done';\n")
        slow.stdin.flush()
        assert slow.stdout.readline().strip() == "done"
        assert beat(cloud, "mid", told["version"])["links_changed"]
        assert of(links(cloud, "mid", told["version"]), "late")
    finally:
        slow.stdin.close()
        slow.wait(10)
    database.sql("delete from node_news where meeting in ('late', 'early')")


def test_an_erased_agent_is_forgotten(org, cloud, database, pair):
    version = links(cloud, "west")["version"]
    org.api.delete("/v1/agents/bob").expect(204)
    told = links(cloud, "west", version)["removed"]
    assert "~" + hashlib.sha256(f"{org.id}/{pair}/bob".encode()).hexdigest() in [g["agent"] for g in told if g["meeting"] == pair]
    assert all(g["agent"] != "bob" for g in told)
    assert database.sql("select count(*) from node_news where agent = 'bob'") == "0"
    assert of(links(cloud, "east"), pair) is None or of(links(cloud, "east"), pair)["peers"] == []


def test_who_may_ask(admin, org, cloud, mesh):
    org.api.get("/v1/nodes/home-a/links").problem(403, "forbidden")
    admin.get("/v1/nodes/east/links").problem(403, "forbidden")
    mesh.get("/v1/nodes/east/links").problem(404, "unknown_node")
    bads = ("x", "1", "1.", ".1", "1.2.3", "1.2.a.3/x/y", "1.2.a.3/O/m/", "-1.5", "1.2.a.b/o/m/",
            "9" * 30 + ".1", "1." + "9" * 19)  # fmt: skip
    for bad in bads:
        cloud.get(f"/v1/nodes/east/links?since={bad}").problem(400, "bad_request")
        cloud.post("/v1/nodes/east/heartbeat", {"links_version": bad}).problem(422, "invalid_member")
    cloud.post("/v1/nodes/east/heartbeat", {"links_version": 5}).problem(422, "invalid_member")
    for bad in ("", "AAAA", "A" * 44, "=" * 43):
        cloud.post("/v1/nodes", {"node": "east", "media_key": bad}).problem(422, "invalid_member")
