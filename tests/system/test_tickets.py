# timeout: 180, alone
"""Tickets: what an assignment brings opens with the keys that its node was told, and with nobody else's; nothing is kept."""

import datetime
import secrets
import subprocess

import pytest
from support.api import Heartbeats, node_body, register, report
from support.process import wait_for
from support.stream import Stream
from support.ticket import node_key as derived
from support.ticket import open_ticket, turn_credential, unbase64


@pytest.fixture(scope="module")
def cloud(admin, node_key, org):
    client = admin.with_token(node_key)
    for i, name in enumerate(("t-1", "t-2"), 1):
        register(client, name, i, seen_by=[org.api])
    hearts = Heartbeats(client, "t-1", "t-2")
    yield client
    hearts.stop()


def beat(client, node):
    return client.post(f"/v1/nodes/{node}/heartbeat", {"load": {}}).expect(200).json


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def join(api, meeting, agent, status=201):
    return api.post(f"/v1/meetings/{meeting}/participants", {"agent": agent}).expect(status).json


def other(node):
    return {"t-1": "t-2", "t-2": "t-1"}[node]


def test_a_ticket_opens_for_its_node_alone(org, cloud):
    meeting = org.api.post("/v1/meetings", {"policy": {"bitrate_kbps": 2500, "last_n": 9}}).expect(201).json["id"]
    got = join(org.api, meeting, "ann")
    media, node = got["media"], got["node"]
    assert set(media) == {"username", "password", "expires_at", "epoch", "bitrate_kbps", "last_n"}
    assert (media["bitrate_kbps"], media["last_n"]) == (2500, 9) and media["epoch"] > 0
    mine, theirs = beat(cloud, node), beat(cloud, other(node))
    assert mine["org"] == "cloud" and len(mine["ticket_keys"]) == 3
    said = open_ticket(media, mine["ticket_keys"], "cloud", node)
    now = unix(mine["now"])
    assert abs(said.pop("number") / 1e6 - now) < 60 and abs(said["expires_s"] - now - 3600) < 60
    assert abs(unix(media["expires_at"]) - said.pop("expires_s")) < 1e-6
    limits = {"epoch": media["epoch"], "kbps": 2500, "last_n": 9}
    assert said == {"kind": 1, "org": org.id, "meeting": meeting, "who": "ann", **limits}
    assert open_ticket(media, theirs["ticket_keys"], "cloud", other(node)) is None
    assert open_ticket(media, mine["ticket_keys"], "cloud", other(node)) is None
    assert not {k["key"] for k in mine["ticket_keys"]} & {k["key"] for k in theirs["ticket_keys"]}


def test_keys_are_of_the_day(cloud, world):
    master = bytes.fromhex(world.master_key_file.read_text().strip())
    told = beat(cloud, "t-1")
    today = int(unix(told["now"])) // 86400
    assert [unbase64(k["key"]) for k in told["ticket_keys"]] == [derived(master, "cloud", "t-1", today + d) for d in (-1, 0, 1)]


def test_a_registration_brings_keys_too(cloud):
    told = cloud.post("/v1/nodes", node_body("t-1", 1)).expect(200)
    assert told.json["ticket_keys"] == beat(cloud, "t-1")["ticket_keys"] and told.json["org"] == "cloud"
    assert told.headers["Cache-Control"] == "no-store"


def test_only_a_node_key_is_told(admin, cloud, org):
    """An operator's or org's key manages nodes; it isn't told what admits to them."""
    assert "ticket_keys" not in beat(admin, "t-1")
    mesh = admin.with_token(org.new_key("node"))
    register(mesh, "mine", 9)
    assert "ticket_keys" not in beat(org.api, "mine") and beat(org.api, "mine")["org"] == org.id
    assert len(beat(mesh, "mine")["ticket_keys"]) == 3
    mesh.post("/v1/nodes/t-1/heartbeat", {"load": {}}).problem(404, "unknown_node")
    org.api.delete("/v1/nodes/mine").expect(204)


def test_a_repeated_join_gives_a_fresh_ticket(org, cloud):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    first, again = join(org.api, meeting, "bob"), join(org.api, meeting, "bob", 200)
    keys = beat(cloud, first["node"])["ticket_keys"]
    a, b = (open_ticket(j["media"], keys, "cloud", first["node"]) for j in (first, again))
    assert b.pop("number") > a.pop("number") and b.pop("expires_s") >= a.pop("expires_s") and a == b
    assert first["media"]["username"] != again["media"]["username"] and first["media"]["password"] != again["media"]["password"]
    assert a["kbps"] == 0 and a["last_n"] == 0 and "last_n" not in first["media"]


def test_the_moved_and_the_failed_get_tickets(org, cloud, admin, database):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    report(org.agent("cat"), {"t-1": {"udp": 20}, "t-2": {"udp": 25}})
    first = join(org.api, meeting, "cat")
    stream = Stream(org.agent("cat"))
    admin.post(f"/v1/nodes/{first['node']}/drain").expect(200)
    told = stream.next().json
    assert told["node"] == other(first["node"]) and told["moved_from"] == first["node"]
    said = open_ticket(told["media"], beat(cloud, told["node"])["ticket_keys"], "cloud", told["node"])
    assert (said["who"], said["meeting"], said["epoch"]) == ("cat", meeting, told["media"]["epoch"])
    assert said["epoch"] == first["media"]["epoch"] + 1
    assert "node_org" not in told["media"] and told["ice_servers"] == [] and told["services"] == {}
    stored = database.sql(f"select body from outbox where body ? 'moved_from' and body ->> 'meeting' = '{meeting}'")
    assert f'"epoch":{said["epoch"]}' in stored.replace(" ", "") and "password" not in stored and "username" not in stored
    admin.post(f"/v1/nodes/{first['node']}/undrain").expect(200)
    path = f"/v1/meetings/{meeting}/participants/cat/failure"
    answer = org.agent("cat").post(path, {"node": told["node"], "transport": "udp", "reason": "no answer"}).expect(200).json
    said = open_ticket(answer["media"], beat(cloud, answer["node"])["ticket_keys"], "cloud", answer["node"])
    assert said["who"] == "cat" and said["epoch"] == answer["media"]["epoch"]
    stream.close()


def test_rotation_keeps_both_working(org, cloud, controllers, world, tmp_path):
    """One controller has the new master key and another doesn't: what either mints opens for a node that called the new one."""
    old, new = world.master_key_file.read_text().strip(), secrets.token_hex(32)
    path = tmp_path / "rotated.key"
    path.write_text(f"{new}\n{old}\n")
    one = controllers(master_key=path)
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    before = join(org.api, meeting, "dan")
    after = one.client(org.key).post(f"/v1/meetings/{meeting}/participants", {"agent": "dan"}).expect(200).json
    node = before["node"]
    keys = beat(one.client(cloud.token), node)["ticket_keys"]
    assert len(keys) == 6 and after["node"] == node
    assert open_ticket(before["media"], keys, "cloud", node) and open_ticket(after["media"], keys, "cloud", node)
    assert open_ticket(after["media"], beat(cloud, node)["ticket_keys"], "cloud", node) is None, "the old keys alone"
    one.stop()


def test_a_setting_says_how_long(controllers, world, org, cloud):
    one = controllers(ticket_lifetime=120)
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    got = one.client(org.key).post(f"/v1/meetings/{meeting}/participants", {"agent": "eve"}).expect(201).json
    told = beat(cloud, got["node"])
    assert abs(unix(got["media"]["expires_at"]) - unix(told["now"]) - 120) < 30
    one.stop()


SERVICES = {
    "turn": {"urls": ["turn:turn.example:3478?transport=udp", "turns:turn.example:443"]},
    "livekit": "wss://sfu.example",
    "other": {"any": ["thing"]},
}


def test_services_and_turn_credentials(org, cloud, admin):
    for i, name in enumerate(("t-1", "t-2"), 1):
        cloud.post("/v1/nodes", node_body(name, i, services=SERVICES)).expect(200)
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]

    def given():
        got = org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": "fay"}).expect(200, 201).json
        return got if got["services"] else None

    wait_for(given, 10, "the services to be known")
    got = given()
    assert got["services"] == {"livekit": "wss://sfu.example", "other": {"any": ["thing"]}}
    (ice,) = got["ice_servers"]
    assert set(ice) == {"urls", "username", "credential"} and ice["urls"] == SERVICES["turn"]["urls"]
    expiry, who = ice["username"].split(":")
    assert who == "fay" and int(expiry) == unix(got["media"]["expires_at"])
    mine, theirs = (cloud.get(f"/v1/nodes/{n}/turn-secret").expect(200) for n in (got["node"], other(got["node"])))
    (secret,) = mine.json["secrets"]
    assert ice["credential"] == turn_credential(secret, ice["username"]) and mine.headers["Cache-Control"] == "no-store"
    assert theirs.json["secrets"] != [secret]
    assert admin.get(f"/v1/nodes/{got['node']}/turn-secret").expect(200).json == mine.json
    org.api.get(f"/v1/nodes/{got['node']}/turn-secret").problem(404, "unknown_node")
    org.agent("fay").get(f"/v1/nodes/{got['node']}/turn-secret").problem(403, "forbidden")


@pytest.mark.parametrize(
    "turn",
    [
        "turn:x", {}, {"urls": []}, {"urls": "turn:x"}, {"urls": ["http://x"]}, {"urls": ["turn:"]}, {"urls": [5]},
        {"urls": ["turn:x"], "credential": "told"}, {"urls": ["turn:" + "x" * 252]}, {"urls": ["turn:x"] * 9},
    ],
)  # fmt: skip
def test_turn_servers_that_are_none(cloud, turn):
    problem = cloud.post("/v1/nodes", node_body("t-1", 1, services={"turn": turn})).problem(422, "invalid_member")
    assert problem.json["pointer"] == "/services/turn"


def test_nothing_secret_is_kept(org, cloud, controllers, database):
    """Not in the database, and not in the log, with all that a controller can log."""
    one = controllers(log_level="debug")
    api, nodes = one.client(org.key), one.client(cloud.token)
    meeting = api.post("/v1/meetings").expect(201).json["id"]
    got = join(api, meeting, "gus")
    secret = [got["media"]["password"], got["media"]["username"][:60], *(i["credential"] for i in got["ice_servers"])]
    for node in ("t-1", "t-2"):
        secret += [k["key"] for k in beat(nodes, node)["ticket_keys"]]
        secret += nodes.get(f"/v1/nodes/{node}/turn-secret").json["secrets"]
    hexed = [unbase64(s).hex() for s in secret if len(s) == 43]
    assert len(hexed) == 9
    dump = subprocess.run(["pg_dump", database.url], check=True, capture_output=True, text=True).stdout
    one.stop()
    assert "gus" in dump and f"/v1/meetings/{meeting}/participants" in one.process.log
    for text in secret + hexed:
        assert text not in dump and text not in one.process.log
