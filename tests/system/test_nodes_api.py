# timeout: 300, alone
"""/v1/nodes and /v1/clusters: registration, heartbeats, maintenance, and the list that agents probe."""

import pytest
from support.api import listed, node_body, register, state, wait_state
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    """A client with a key that enrols cloud nodes."""
    return admin.with_token(node_key)


@pytest.fixture(scope="module")
def mesh(admin, org):
    """A client with a key that enrols the org's mesh nodes."""
    return admin.with_token(org.new_key("node"))


def test_register_list_and_again(cloud, org):
    answer = cloud.post("/v1/nodes", node_body("reg-1", 1)).expect(201).json
    assert answer.pop("now").endswith("Z") and len(answer.pop("ticket_keys")) == 3
    assert answer == {"node": "reg-1", "class": "cloud", "org": "cloud", "heartbeat_s": 5, "drain": False}
    again = cloud.post("/v1/nodes", node_body("reg-1", 1)).expect(200).json
    assert {k: again[k] for k in answer} == answer
    wait_for(lambda: "reg-1" in listed(org.api), what="reg-1 to be listed")
    assert listed(org.agent("a1"))["reg-1"] == {
        "node": "reg-1",
        "cluster": "reg-1-cluster",
        "class": "cloud",
        "region": "eu",
        "addresses": {"udp": ["192.0.2.1:5004"], "tcp": ["192.0.2.1:5004"], "tls": ["192.0.2.1:443"]},
        "tls_name": "reg-1.example",
    }


def test_list_has_version_and_probe_policy(org):
    body = org.api.get("/v1/nodes").expect(200).json
    assert body["version"]
    for member in ("samples", "spacing_ms", "timeout_ms", "budget_ms", "reprobe_after_s"):
        assert body["policy"][member] > 0


def test_advertised_addresses_replace_bound_ones(cloud, org):
    register(
        cloud,
        "nat-1",
        seen_by=[org.api],
        addresses={"udp": ["10.0.0.5:5004"], "tcp": ["0.0.0.0:5004"], "tls": ["[::]:443", "[2001:db8::5]:443"]},
        advertise={"udp": ["203.0.113.5:5004", "[2001:db8::5]:5004"]},
    )
    assert listed(org.api)["nat-1"]["addresses"] == {
        "udp": ["203.0.113.5:5004", "[2001:db8::5]:5004"],
        "tls": ["[2001:db8::5]:443"],
    } | ({"tcp": []} if "tcp" in listed(org.api)["nat-1"]["addresses"] else {})


def test_digests_of_keys_are_handed_out(cloud, org):
    """tls_spki: what agents hold the key of a TLS connection against."""
    first, second = ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")
    register(cloud, "spki-1", seen_by=[org.api], tls_spki=[first, second])
    assert listed(org.agent("a1"))["spki-1"]["tls_spki"] == [first, second]
    cloud.post("/v1/nodes", node_body("spki-1", tls_spki=[second])).expect(200)  # after a reload of its certificate
    wait_for(lambda: listed(org.api)["spki-1"]["tls_spki"] == [second], what="the new list")
    cloud.post("/v1/nodes", node_body("spki-1", tls_spki=[])).expect(200)
    wait_for(lambda: "tls_spki" not in listed(org.api)["spki-1"], what="the list to be gone")


def test_etag_names_the_list_and_not_its_load(cloud, org, make_org):
    register(cloud, "etag-1", seen_by=[org.api])
    first = org.api.get("/v1/nodes").expect(200)
    assert first.headers["Cache-Control"] == "private"
    assert "Authorization" in first.headers["Vary"]
    etag = first.headers["ETag"]
    cloud.post("/v1/nodes/etag-1/heartbeat", {"load": {"cpu": 0.9, "sessions": 40, "packets_per_s": 1e5, "bandwidth_bps": 1e8}}).expect(200)
    wait_for(lambda: state_cpu(org, "etag-1") == pytest.approx(0.9, abs=0.001), what="the load to be known")
    same = org.api.get("/v1/nodes", headers={"If-None-Match": etag}).expect(304)
    assert same.body == b"" and same.headers["ETag"] == etag
    org.api.get("/v1/nodes", headers={"If-None-Match": f'"other", W/{etag}'}).expect(304)
    org.api.get("/v1/nodes", headers={"If-None-Match": "*"}).expect(304)
    org.api.get("/v1/nodes", headers={"If-None-Match": '"other"'}).expect(200)
    assert make_org().api.get("/v1/nodes").expect(200).headers["ETag"] == etag  # the same list, the same tag
    register(cloud, "etag-2", 2, seen_by=[org.api])
    changed = org.api.get("/v1/nodes", headers={"If-None-Match": etag}).expect(200)
    assert changed.headers["ETag"] != etag
    assert changed.json["version"] != first.json["version"]


def state_cpu(org, name):
    return (state(org.admin, name)["load"] or {}).get("cpu")


def test_heartbeat_carries_load_to_the_operator_only(cloud, admin, org):
    register(cloud, "load-1", seen_by=[org.api], capacity=250, labels={"rack": "r7"}, location={"lat": 50.1, "lon": 8.7})
    load = {"cpu": 0.25, "packets_per_s": 1234, "sessions": 17, "bandwidth_bps": 5000000}
    assert state(admin, "load-1")["load"] is None, "nobody has told it yet"
    assert [c["cpu"] for c in admin.get("/v1/clusters?limit=500").expect(200).json["items"] if c["cluster"] == "load-1-cluster"] == [None]
    answer = cloud.post("/v1/nodes/load-1/heartbeat", {"load": load}).expect(200).json
    assert answer.pop("peers_version") and answer.pop("now").endswith("Z") and len(answer.pop("ticket_keys")) == 3
    assert answer == {"org": "cloud", "heartbeat_s": 5, "drain": False}
    wait_for(lambda: (state(admin, "load-1")["load"] or {}).get("sessions") == 17, what="the load to be known")
    seen = state(admin, "load-1")
    assert seen["load"]["packets_per_s"] == 1234 and seen["load"]["bandwidth_bps"] == 5000000
    assert seen["org"] == "cloud" and seen["state"] == "up" and seen["capacity"] == 250
    assert seen["labels"] == {"rack": "r7"} and seen["location"] == {"lat": 50.1, "lon": 8.7}
    assert 0 <= seen["heartbeat_age_s"] < 5
    assert set(listed(org.api)["load-1"]) == {"node", "cluster", "class", "region", "addresses", "tls_name"}


def test_a_second_node_of_the_same_name_is_told_of(cloud, controller):
    """Two programs that enrol with one id take each other's place: the log names both addresses."""
    event = "event=registered_while_alive_elsewhere"
    told = controller.process.log.count(event)
    register(cloud, "twin", 201)
    register(cloud, "twin", 201)  # the same again
    assert controller.process.log.count(event) == told
    register(cloud, "twin", 202)
    wait_for(lambda: controller.process.log.count(event) == told + 1, what="the warning")
    line = next(text for text in reversed(controller.process.log.splitlines()) if event in text)
    assert "level=warn" in line and "twin" in line and "192.0.2.201:5004" in line and "192.0.2.202:5004" in line
    cloud.post("/v1/nodes/twin/heartbeat", {"stopping": True}).expect(200)
    register(cloud, "twin", 203)  # one that has said that it ends may come back elsewhere
    register(cloud, "twin", 203)
    assert controller.process.log.count(event) == told + 1


def test_of_two_with_one_id_the_last_to_register_is_the_node(cloud, admin):
    """The other is told so, changes nothing, and is the node again once that one has gone."""
    first, second = ("A" * 42 + last for last in "AE")
    register(cloud, "twins", 204, media_key=first)
    register(cloud, "twins", 205, media_key=second)
    beat = "/v1/nodes/twins/heartbeat"
    cloud.post(beat, {"media_key": first, "stopping": True}).problem(409, "node_replaced")
    cloud.post(beat, {"media_key": second}).expect(200)
    cloud.post(beat).expect(200)  # one that doesn't say
    cloud.post(beat, {"media_key": second, "stopping": True}).expect(200)
    cloud.post(beat, {"media_key": first}).problem(404, "unknown_node")
    register(cloud, "twins", 204, media_key=first)
    cloud.post(beat, {"media_key": first}).expect(200)
    cloud.post(beat, {"media_key": 7}).problem(422, "invalid_member")
    admin.delete("/v1/nodes/twins").expect(204)


def test_heartbeats_stay_on_their_page(cloud, database):
    """Every few seconds from every node: no index entry, no change of the catalogue, no notification."""
    register(cloud, "hot-1")

    def stats():
        row = database.sql("select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'node_load'")
        return [int(n) for n in row.split("|")]

    version = database.sql("select version from catalogue")
    before = stats()
    for i in range(60):
        cloud.post("/v1/nodes/hot-1/heartbeat", {"load": {"sessions": i}}).expect(200)
    wait_for(lambda: stats()[0] >= before[0] + 60, what="the statistics of the updates")
    updates, hot = (a - b for a, b in zip(stats(), before))
    assert hot >= updates - 3
    assert database.sql("select version from catalogue") == version


def test_heartbeat_of_an_unknown_node(cloud):
    cloud.post("/v1/nodes/never-seen/heartbeat", {"load": {}}).problem(404, "unknown_node")
    cloud.post("/v1/nodes/bad%20id/heartbeat", {"load": {}}).problem(404, "unknown_node")


def test_drain_and_undrain_reach_the_node(cloud, admin, org):
    register(cloud, "drain-1", seen_by=[org.api])
    assert admin.post("/v1/nodes/drain-1/drain").expect(200).json == {"node": "drain-1", "drain": True}
    assert cloud.post("/v1/nodes/drain-1/heartbeat", {"load": {}}).expect(200).json["drain"] is True
    wait_state(admin, "drain-1", state="draining", drain=True)
    assert cloud.post("/v1/nodes", node_body("drain-1")).expect(200).json["drain"] is True  # a restart doesn't forget
    assert "drain-1" in listed(org.api)  # still probed
    assert admin.post("/v1/nodes/drain-1/undrain", {}).expect(200).json == {"node": "drain-1", "drain": False}
    wait_state(admin, "drain-1", state="up", drain=False)


def test_a_stopping_node_is_down_at_once(cloud, admin):
    register(cloud, "stop-1", seen_by=[admin])
    cloud.post("/v1/nodes/stop-1/heartbeat", {"load": {}, "stopping": True}).expect(200)
    wait_state(admin, "stop-1", state="down")
    cloud.post("/v1/nodes", node_body("stop-1")).expect(200)
    wait_state(admin, "stop-1", state="up")


def test_silence_makes_a_node_down_and_ten_minutes_unlist_it(cloud, admin, org, database):
    register(cloud, "mute-1", seen_by=[admin])
    database.sql("update node_load set heartbeat_at = now() - interval '16 seconds' where node = 'mute-1'")
    wait_state(admin, "mute-1", state="down")
    assert "mute-1" in listed(org.api)
    database.sql("update node_load set heartbeat_at = now() - interval '601 seconds' where node = 'mute-1'")
    wait_for(lambda: "mute-1" not in listed(org.api), what="mute-1 to leave the list")
    assert state(admin, "mute-1")["state"] == "down"  # the operator still sees what is missing
    cloud.post("/v1/nodes/mute-1/heartbeat", {"load": {}}).expect(200)
    wait_for(lambda: "mute-1" in listed(org.api), what="mute-1 to come back")


def test_delete_and_come_back(cloud, admin, org):
    register(cloud, "gone-1", seen_by=[org.api])
    admin.post("/v1/nodes/gone-1/drain").expect(200)
    admin.delete("/v1/nodes/gone-1").expect(204)
    wait_for(lambda: "gone-1" not in listed(org.api), what="gone-1 to leave the list")
    admin.delete("/v1/nodes/gone-1").problem(404, "unknown_node")
    cloud.post("/v1/nodes/gone-1/heartbeat", {"load": {}}).problem(404, "unknown_node")
    assert cloud.post("/v1/nodes", node_body("gone-1")).expect(200).json["drain"] is False
    wait_for(lambda: "gone-1" in listed(org.api), what="gone-1 to come back")


def test_mesh_nodes_are_their_orgs_alone(mesh, org, make_org, admin):
    other = make_org()
    register(mesh, "office", 7, seen_by=[org.api])
    assert listed(org.api)["office"]["class"] == "mesh"
    assert "office" not in listed(other.api)
    for call in ("drain", "undrain"):
        other.api.post(f"/v1/nodes/office/{call}").problem(404, "unknown_node")
    other.api.delete("/v1/nodes/office").problem(404, "unknown_node")
    other_key = admin.with_token(other.new_key("node"))
    other_key.post("/v1/nodes/office/heartbeat", {"load": {}}).problem(404, "unknown_node")
    # Another org may have an office too: neither hears of the other's.
    register(other_key, "office", 8, seen_by=[other.api])
    assert listed(org.api)["office"]["addresses"]["udp"] == ["192.0.2.7:5004"]
    assert listed(other.api)["office"]["addresses"]["udp"] == ["192.0.2.8:5004"]
    # The operator has to say which one.
    admin.post("/v1/nodes/office/drain").problem(404, "unknown_node")
    admin.post(f"/v1/nodes/office/drain?org={org.id}").expect(200)
    wait_for(lambda: any(n["org"] == org.id and n["drain"] for n in admin.get("/v1/nodes").json["nodes"] if n["node"] == "office"))
    # An org maintains its own mesh.
    org.api.post("/v1/nodes/office/undrain").expect(200)
    org.api.delete("/v1/nodes/office").expect(204)
    wait_for(lambda: "office" not in listed(org.api))
    assert "office" in listed(other.api)


def test_a_mesh_node_cannot_take_a_cloud_nodes_id(cloud, mesh, org):
    register(cloud, "fra-1", 3, seen_by=[org.api])
    mesh.post("/v1/nodes", node_body("fra-1", 66)).problem(403, "node_not_yours")
    mesh.post("/v1/nodes/fra-1/heartbeat", {"load": {}}).problem(404, "unknown_node")
    org.api.post("/v1/nodes/fra-1/drain").problem(404, "unknown_node")
    org.api.delete("/v1/nodes/fra-1").problem(404, "unknown_node")
    assert listed(org.api)["fra-1"]["addresses"]["udp"] == ["192.0.2.3:5004"]


def test_a_later_cloud_node_hides_a_mesh_node_of_its_id(cloud, mesh, org):
    register(mesh, "late", 9, seen_by=[org.api])
    register(cloud, "late", 10)
    wait_for(lambda: listed(org.api)["late"]["class"] == "cloud", what="the cloud's node to be listed")


def test_admin_registers_for_an_org(admin, org):
    assert admin.post("/v1/nodes", node_body("by-admin", org=org.id)).expect(201).json["class"] == "mesh"
    assert admin.post("/v1/nodes", node_body("by-admin-cloud")).expect(201).json["class"] == "cloud"
    admin.post("/v1/nodes", node_body("by-admin-2", org="nosuchorg")).problem(422, "invalid_member")
    wait_for(lambda: {"by-admin", "by-admin-cloud"} <= set(listed(org.api)))


@pytest.mark.parametrize(
    "change,pointer",
    [
        ({"node": None}, "/node"),
        ({"node": "a b"}, "/node"),
        ({"node": "x" * 65}, "/node"),
        ({"node": 7}, "/node"),
        ({"cluster": None}, "/cluster"),
        ({"region": ""}, "/region"),
        ({"addresses": None}, "/addresses"),
        ({"addresses": {}}, "/addresses"),
        ({"addresses": []}, "/addresses"),
        ({"addresses": {"udp": ["0.0.0.0:5004"]}}, "/addresses"),
        ({"addresses": {"udp": ["192.0.2.1"]}}, "/addresses/udp/0"),
        ({"addresses": {"udp": ["192.0.2.1:0"]}}, "/addresses/udp/0"),
        ({"addresses": {"udp": "192.0.2.1:1"}}, "/addresses/udp"),
        ({"addresses": {"quic": ["192.0.2.1:1"]}}, "/addresses"),
        ({"addresses": {"udp": [f"192.0.2.1:{p}" for p in range(1, 18)]}}, "/addresses/udp"),
        ({"advertise": {"tls": ["nowhere:443"]}}, "/advertise/tls/0"),
        ({"tls_name": "not a name"}, "/tls_name"),
        ({"tls_spki": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="}, "/tls_spki"),
        ({"tls_spki": ["n4bQ"]}, "/tls_spki"),
        ({"tls_spki": ["n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="] * 5}, "/tls_spki"),
        ({"tls_spki": [None]}, "/tls_spki"),
        ({"capacity": -1}, "/capacity"),
        ({"capacity": 1.5}, "/capacity"),
        ({"capacity": "many"}, "/capacity"),
        ({"labels": ["a"]}, "/labels"),
        ({"labels": {"a": 1}}, "/labels"),
        ({"labels": {str(i): "x" for i in range(65)}}, "/labels"),
        ({"location": {"lat": 91, "lon": 0}}, "/location/lat"),
        ({"location": {"lat": 1}}, "/location"),
        ({"services": "turn"}, "/services"),
    ],
)
def test_bad_registrations_name_the_member(cloud, change, pointer):
    body = node_body("bad-1") | change
    answer = cloud.post("/v1/nodes", {k: v for k, v in body.items() if v is not None})
    answer.problem(422, "invalid_member")
    assert answer.json["pointer"] == pointer


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({"load": 5}, "/load"),
        ({"load": {"cpu": 1.01}}, "/load/cpu"),
        ({"load": {"cpu": "low"}}, "/load/cpu"),
        ({"load": {"sessions": -1}}, "/load/sessions"),
        ({"load": {"sessions": 0.5}}, "/load/sessions"),
        ({"load": {"packets_per_s": 1e300}}, "/load/packets_per_s"),
        ({"load": {}, "draining": "yes"}, "/draining"),
        ({"load": {}, "stopping": 1}, "/stopping"),
    ],
)
def test_bad_heartbeats_name_the_member(cloud, body, pointer):
    register(cloud, "hb-1")
    answer = cloud.post("/v1/nodes/hb-1/heartbeat", body).problem(422, "invalid_member")
    assert answer.json["pointer"] == pointer


def test_unknown_members_are_ignored(cloud):
    cloud.post("/v1/nodes", node_body("new-1", colour="red")).expect(201)
    cloud.post("/v1/nodes/new-1/heartbeat", {"load": {"gpu": 1}, "mood": "good"}).expect(200)


def test_clusters(cloud, admin, org):
    register(cloud, "cl-a", 21, cluster="par", region="fr", capacity=100)
    register(cloud, "cl-b", 22, cluster="par", region="fr", capacity=50)
    register(cloud, "cl-c", 23, cluster="par", region="be", seen_by=[org.api])
    admin.post("/v1/nodes/cl-b/drain").expect(200)
    cloud.post("/v1/nodes/cl-c/heartbeat", {"load": {}, "stopping": True}).expect(200)
    wait_state(admin, "cl-b", state="draining")
    wait_state(admin, "cl-c", state="down")

    def par(client):
        items = client.get("/v1/clusters?limit=500").expect(200).json["items"]
        return next(c for c in items if c["cluster"] == "par")

    assert par(org.api) == {"cluster": "par", "class": "cloud", "state": "degraded", "nodes": 3, "up": 1, "draining": 1, "down": 1}
    assert par(admin)["participants"] == 0
    assert {"participants", "capacity", "cpu"} <= set(par(admin))


def test_clusters_are_paged(cloud, org):
    for i in range(5):
        register(cloud, f"pg-{i}", 30 + i, cluster=f"page-{i}", seen_by=[org.api] if i == 4 else ())
    whole = org.api.get("/v1/clusters?limit=500").expect(200).json
    assert whole["next"] is None
    pages, cursor = [], ""
    while cursor is not None:
        page = org.api.get("/v1/clusters?limit=2" + (f"&cursor={cursor}" if cursor else "")).expect(200).json
        assert 1 <= len(page["items"]) <= 2
        pages += page["items"]
        cursor = page["next"]
    assert pages == whole["items"]


def test_head_and_methods(org):
    head = org.api.call("HEAD", "/v1/nodes").expect(200)
    assert head.body == b"" and head.headers["ETag"]
    answer = org.api.call("PUT", "/v1/nodes").problem(405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"] and "POST" in answer.headers["Allow"]


def test_two_controllers_see_each_others_nodes(controllers, cloud, admin, world, org):
    second = controllers()
    there = second.client(world.admin_key)
    register(cloud, "both-1", 40)
    wait_for(lambda: "both-1" in listed(there), 5, "the other controller to list the node")
    there.post("/v1/nodes/both-1/drain").expect(200)
    wait_state(admin, "both-1", seconds=5, state="draining")
    assert second.client(org.key).get("/v1/nodes").headers["ETag"] == org.api.get("/v1/nodes").headers["ETag"]
    there.delete("/v1/nodes/both-1").expect(204)
    wait_for(lambda: "both-1" not in listed(admin), 5, "the deletion to be seen here")
