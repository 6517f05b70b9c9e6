# timeout: 300
"""Round trips between nodes: berth-nodes probe each other and tell a real controller; what an org measures is its own."""

import itertools

import pytest
from support.api import Heartbeats, listed, node_body, register, result
from support.process import free_port, wait_for

PROBED = 60  # seconds: two heartbeats for the list, one for the figures, a look of the controller's; and a busy machine


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


@pytest.fixture(scope="module")
def mesh(admin, org):
    return admin.with_token(org.new_key("node"))


def peers(client, name):
    """{id: entry}, of a node that the catalogue has."""
    return {n["node"]: n for n in client.get(f"/v1/nodes/{name}/peers").expect(200).json["nodes"]}


def rtts(client, name):
    """{peer: microseconds}, of those that are known."""
    answer = client.get(f"/v1/nodes/{name}/peers")
    return {n["node"]: n["rtt_us"] for n in answer.json["nodes"] if "rtt_us" in n} if answer.status == 200 else {}


def told(database):
    rows = database.sql("select org, node, to_org, to_node from node_rtt where node like 'link-%' and rtt_us >= 0").split()
    return {tuple(r.split("|")) for r in rows}


def test_nodes_probe_each_other_and_tell_it(node, cloud, admin, org, make_org, database, controller, world):
    """Each measures whom it may know, over what there is, and is shown nobody else."""
    other = make_org("Other")
    fast = {"peer_probe_interval": 1}
    silent = {"peer_probe_interval": 0}
    database.sql("insert into node_rtt values ('cloud', 'old-a', 'cloud', 'old-b', 5, now() - interval '21 minutes')")
    mute = f"127.0.0.1:{free_port()}"  # nobody listens there
    cloud.post("/v1/nodes", node_body("link-mute", addresses={"udp": [mute]})).expect(201)
    one = node("link-1", **fast)
    node("link-2", **fast, location="52.37,4.9")
    node("link-tcp", **silent, udp=None, tls=None)
    node("link-tls", **silent, udp=None, tcp=None)
    node("link-v6", **silent, udp=f"[::1]:{free_port()}", tcp=None, tls=None)
    node("link-mine", token=org.new_key("node"), **fast)
    node("link-mine-2", token=org.new_key("node"), **silent)
    node("link-theirs", token=other.new_key("node"), **fast)
    passive = {"link-tcp", "link-tls", "link-v6"}
    in_cloud = {"link-1", "link-2"} | passive
    wanted = {("cloud", a, "cloud", b) for a in ("link-1", "link-2") for b in in_cloud - {a}}
    wanted |= {(o.id, n, "cloud", c) for o, n in ((org, "link-mine"), (other, "link-theirs")) for c in in_cloud}
    wanted.add((org.id, "link-mine", org.id, "link-mine-2"))
    wait_for(lambda: told(database) >= wanted, PROBED, "all round trips in the database")
    assert told(database) == wanted, "and none that crosses an org, or goes from the cloud to a mesh"
    wait_for(lambda: controller.metrics()["berth_node_pairs"] == 18, PROBED, "the controller to know them all")
    assert set(rtts(cloud, "link-1")) == in_cloud - {"link-1"}
    assert all(0 < us < 1_000_000 for us in rtts(cloud, "link-1").values())
    assert set(rtts(org.api, "link-mine")) == in_cloud | {"link-mine-2"}
    everyone = in_cloud | {"link-mute"}
    assert set(peers(cloud, "link-1")) == everyone - {"link-1"}
    assert set(peers(org.api, "link-mine-2")) == everyone | {"link-mine"}
    assert set(peers(admin, "link-theirs")) == everyone
    assert set(rtts(cloud, "link-tcp")) == {"link-1", "link-2"}, "whoever doesn't probe knows it from those who do"
    org.api.get("/v1/nodes/link-theirs/peers").problem(404, "unknown_node")
    org.api.get("/v1/nodes/link-1/peers").problem(404, "unknown_node")
    apart = {"ann": "link-1", "bob": "link-2"}
    assert plan_of(org.api, "link-1", "link-2") == apart, "they are near each other, as they found out"
    values = one.metrics()
    assert (values["berth_node_peers"], values["berth_node_peers_measured"]) == (len(everyone) - 1, len(everyone) - 2)
    assert values['berth_node_peer_probes_total{result="ok"}'] > 0 and values["berth_node_peer_rtt_age_seconds"] < 60
    assert controller.metrics()["berth_node_pairs_left_out"] == 0
    assert controller.metrics()['berth_node_pairs_age_seconds{which="newest"}'] < 60
    wait_for(lambda: one.metrics()["berth_node_peers_unreachable"] == 1, PROBED, "link-1 to give link-mute up")
    assert "event=peer_unreachable node=link-mute" in one.process.log
    mute_sql = "select rtt_us from node_rtt where node = 'link-1' and to_node = 'link-mute'"
    wait_for(lambda: database.sql(mute_sql) == "-1", PROBED, "link-1 to tell that it doesn't reach link-mute")
    shown = world.agent("node", "show", "link-1", "--rtt", controller=controller, token=world.admin_key)
    assert shown.returncode == 0 and "link-v6" in shown.stdout and " ms" in shown.stdout, shown.stdout + shown.stderr
    assert one.stop() == 0
    wait_for(lambda: database.sql("select count(*) from node_rtt where node = 'old-a'") == "0", 60, "the old row to be dropped")


def simulated(api, left, right):
    """Two who are 10 ms from one node each, and 100 ms from the other's, together."""
    people = [
        {"agent": "ann", "results": [result(left, "udp", 10), result(right, "udp", 100)]},
        {"agent": "bob", "results": [result(left, "udp", 100), result(right, "udp", 10)]},
    ]
    return api.post("/v1/simulate", {"participants": people}).expect(200).json


def plan_of(api, left, right):
    return simulated(api, left, right)["plan"]


def test_a_node_without_peer_probes_stays_silent(node, cloud):
    n = node("quiet-1", peer_probe_interval=0)
    assert "berth_node_peers" not in n.metrics()
    assert n.stop() == 0


# ---- what is told ----


def beat(client, name, rtt, **more):
    return client.post(f"/v1/nodes/{name}/heartbeat", {"load": {}, "rtt": rtt, **more})


def test_the_lesser_of_both_directions_counts(cloud, org):
    for i, name in enumerate(("way-a", "way-b")):
        register(cloud, name, 10 + i, seen_by=[org.api])
    beat(cloud, "way-a", [{"node": "way-b", "rtt_us": 30000}]).expect(200)
    beat(cloud, "way-b", [{"node": "way-a", "rtt_us": 20000}]).expect(200)
    wait_for(lambda: rtts(cloud, "way-a").get("way-b") == 20000, 20, "the lesser")
    assert rtts(cloud, "way-b")["way-a"] == 20000
    assert 0 <= peers(cloud, "way-a")["way-b"]["rtt_age_s"] < 60


def test_a_decision_minds_the_way_between_nodes(cloud, org):
    for i, name in enumerate(("dec-a", "dec-b")):
        register(cloud, name, 15 + i, seen_by=[org.api])
    alive = Heartbeats(cloud, "dec-a", "dec-b")
    try:
        assert len(set(plan_of(org.api, "dec-a", "dec-b").values())) == 1, "the participants' own round trips say 90 to 110 ms"
        beat(cloud, "dec-a", [{"node": "dec-b", "rtt_us": 20000}]).expect(200)
        apart = {"ann": "dec-a", "bob": "dec-b"}
        wait_for(lambda: plan_of(org.api, "dec-a", "dec-b") == apart, 20, "each at the nearest: the nodes are near each other")
        beat(cloud, "dec-a", [{"node": "dec-b", "rtt_us": 300000}]).expect(200)
        wait_for(lambda: plan_of(org.api, "dec-a", "dec-b") != apart, 20, "both at one node: the nodes are far from each other")
        beat(cloud, "dec-a", [{"node": "dec-b", "rtt_us": 20000}]).expect(200)
        wait_for(lambda: plan_of(org.api, "dec-a", "dec-b") == apart, 20, "they are near again")
        beat(cloud, "dec-a", [{"node": "dec-b", "rtt_us": None}]).expect(200)
        wait_for(lambda: plan_of(org.api, "dec-a", "dec-b") != apart, 20, "both at one node: the nodes don't reach each other")
        assert "dec-b" not in rtts(cloud, "dec-a")
        told = [c for i in simulated(org.api, "dec-a", "dec-b")["items"] for c in i["candidates"] if c["node"][:4] == "dec-"]
        assert [c["rejected"] for c in told if not c.get("chosen")] == [["no_link"]] * 2 and "reach each other" in told[1]["sentence"], told
    finally:
        alive.stop()


def test_only_what_changes_is_written(cloud, org, database):
    for i, name in enumerate(("same-a", "same-b")):
        register(cloud, name, 20 + i, seen_by=[org.api])

    def row():
        return database.sql("select rtt_us, xmin from node_rtt where node = 'same-a'")

    beat(cloud, "same-a", [{"node": "same-b", "rtt_us": 100000}]).expect(200)
    first = row()
    beat(cloud, "same-a", [{"node": "same-b", "rtt_us": 104900}]).expect(200)  # less than a twentieth
    assert row() == first
    beat(cloud, "same-a", [{"node": "same-b", "rtt_us": 106000}]).expect(200)
    assert row() != first and row().startswith("106000")
    database.sql("update node_rtt set at = now() - interval '5 minutes' where node = 'same-a'")
    beat(cloud, "same-a", [{"node": "same-b", "rtt_us": 106100}]).expect(200)
    assert row().startswith("106100"), "what is told again after long is written: it still holds"


def test_a_list_changes_its_version(cloud, org):
    register(cloud, "ver-1", 40, seen_by=[org.api])

    def version():
        return beat(cloud, "ver-1", []).expect(200).json["peers_version"]

    before = version()
    beat(cloud, "ver-1", [], draining=True).expect(200)
    assert version() == before == cloud.get("/v1/nodes/ver-1/peers").expect(200).json["version"]
    register(cloud, "ver-2", 41, seen_by=[org.api])
    assert version() != before
    assert "ver-2" in peers(cloud, "ver-1") and "ver-1" not in peers(cloud, "ver-1")
    cloud.get("/v1/nodes/never-seen/peers").problem(404, "unknown_node")


BAD = [
    ({}, "invalid_member", "/rtt"),
    ("fast", "invalid_member", "/rtt"),
    ([5], "invalid_member", "/rtt/0"),
    ([{}], "invalid_member", "/rtt/0/node"),
    ([{"node": "bad id", "rtt_us": 5}], "invalid_member", "/rtt/0/node"),
    ([{"node": "bad-b"}], "invalid_member", "/rtt/0/rtt_us"),
    ([{"node": "bad-b", "rtt_us": -1}], "invalid_member", "/rtt/0/rtt_us"),
    ([{"node": "bad-b", "rtt_us": 60_000_001}], "invalid_member", "/rtt/0/rtt_us"),
    ([{"node": "bad-b", "rtt_us": 1.5}], "invalid_member", "/rtt/0/rtt_us"),
    ([{"node": "bad-b", "rtt_us": "5"}], "invalid_member", "/rtt/0/rtt_us"),
    ([{"node": "bad-b", "rtt_us": 5}, {"node": "bad-b", "rtt_us": 6}], "invalid_member", "/rtt/1/node"),
    ([{"node": "bad-a", "rtt_us": 5}], "invalid_member", "/rtt/0/node"),
    ([{"node": "bad-b", "rtt_us": 5}, {"node": "nobody", "rtt_us": 5}], "unknown_node", "/rtt/1/node"),
    ([{"node": "bad-mesh", "rtt_us": 5}], "unknown_node", "/rtt/0/node"),
    ([{"node": "bad-b", "rtt_us": 5}] * 257, "invalid_member", "/rtt"),
]


def test_bad_figures_name_the_member(cloud, mesh, admin, database):
    register(cloud, "bad-a", 50, seen_by=[admin])
    register(cloud, "bad-b", 51, seen_by=[admin])
    register(mesh, "bad-mesh", 52, seen_by=[admin])
    for rtt, code, pointer in BAD:
        assert beat(cloud, "bad-a", rtt).problem(422, code).json["pointer"] == pointer, rtt
    assert database.sql("select count(*) from node_rtt where node = 'bad-a'") == "0", "nothing of it is kept"


def test_so_many_figures_in_one_heartbeat(cloud, admin, database):
    register(cloud, "many-0", 90, seen_by=[admin])
    database.sql(
        "insert into node (org, id, cluster, region, addresses) select org, 'many-' || i, cluster, region, addresses"
        " from node, generate_series(1, 256) i where id = 'many-0'"
    )
    wait_for(lambda: "many-256" in listed(admin), 20, "the nodes to be known")
    beat(cloud, "many-0", [{"node": f"many-{i}", "rtt_us": i} for i in range(1, 257)]).expect(200)
    assert database.sql("select count(*) from node_rtt where node = 'many-0'") == "256"
    database.sql("delete from node where id like 'many-%' and id <> 'many-0'")


def test_an_org_tells_no_more_than_it_may(mesh, org, admin, database, controller):
    """What it may tell at once, 131,072 figures, is taken; past that heartbeats are, and their figures are not. The cloud's are."""
    register(mesh, "much-0", 91, seen_by=[org.api])
    database.sql(
        "insert into node (org, id, cluster, region, addresses) select org, 'much-' || i, cluster, region, addresses"
        f" from node, generate_series(1, 256) i where id = 'much-0' and org = '{org.id}'"
    )
    wait_for(lambda: "much-256" in listed(admin), 20, "the nodes to be known")
    held = "berth_node_rtt_held_back_total"
    before = controller.metrics()[held]
    rtt, connection = [{"node": f"much-{i}", "rtt_us": 5000} for i in range(1, 257)], mesh.connection()
    body = {"load": {}, "rtt": rtt}
    wait_for(lambda: [mesh.post("/v1/nodes/much-0/heartbeat", body, connection=connection).expect(200) for _ in range(32)]
             and controller.metrics()[held] > before, 40, "figures to be held back")  # fmt: skip
    figures = itertools.count(900_000)

    def is_held_back():
        """Some more come free while a slow machine asks."""
        us = next(figures)
        beat(mesh, "much-0", [{"node": f"much-{i}", "rtt_us": us} for i in range(1, 257)]).expect(200)
        return database.sql(f"select count(*) from node_rtt where org = '{org.id}' and rtt_us = {us}") == "0"

    wait_for(is_held_back, 40, "a heartbeat that is taken, and its figures not")
    database.sql(f"delete from node where org = '{org.id}' and id like 'much-%'")


def test_a_deleted_node_may_still_be_spoken_of(cloud, admin, database):
    for i, name in enumerate(("del-a", "del-b")):
        register(cloud, name, 60 + i, seen_by=[admin])
    admin.delete("/v1/nodes/del-b").expect(204)
    wait_for(lambda: "del-b" not in peers(cloud, "del-a"), 20, "the list without it")
    beat(cloud, "del-a", [{"node": "del-b", "rtt_us": 5}]).expect(200)
    assert database.sql("select count(*) from node_rtt where node = 'del-a'") == "0"


def test_an_org_speaks_of_its_own_and_the_clouds(mesh, org, make_org, cloud, admin, database):
    stranger = make_org("Stranger")
    theirs = admin.with_token(stranger.new_key("node"))
    register(cloud, "iso-c", 70, seen_by=[org.api, stranger.api])
    register(mesh, "iso-m", 71, seen_by=[org.api])
    register(mesh, "iso-n", 72, seen_by=[org.api])
    register(theirs, "iso-t", 73, seen_by=[stranger.api])
    register(theirs, "iso-m", 74, seen_by=[stranger.api])  # of the same name
    beat(mesh, "iso-m", [{"node": "iso-c", "rtt_us": 1000}, {"node": "iso-n", "rtt_us": 2000}]).expect(200)
    beat(mesh, "iso-m", [{"node": "iso-t", "rtt_us": 5}]).problem(422, "unknown_node")
    beat(theirs, "iso-t", [{"node": "iso-m", "rtt_us": 7000}]).expect(200)
    wait_for(lambda: rtts(theirs, "iso-t") == {"iso-m": 7000}, 20, "their own iso-m")
    wait_for(lambda: rtts(mesh, "iso-n").get("iso-m") == 2000, 20, "our own iso-m")
    assert database.sql(f"select count(*) from node_rtt where org = '{org.id}' and to_org not in ('cloud', '{org.id}')") == "0"
    admin.get("/v1/nodes/iso-m/peers").problem(404, "unknown_node")  # two have it
    answer = admin.get(f"/v1/nodes/iso-m/peers?org={stranger.id}").expect(200).json
    assert {n["node"] for n in answer["nodes"]} >= {"iso-t", "iso-c"} and "iso-n" not in str(answer)
    body = {"load": {}, "rtt": [{"node": "iso-n", "rtt_us": 3}]}
    admin.post(f"/v1/nodes/iso-m/heartbeat?org={stranger.id}", body).problem(422, "unknown_node")
