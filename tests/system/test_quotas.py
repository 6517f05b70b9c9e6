# timeout: 300, alone
"""What an org may have at once: each bound is met, passed by nobody, and makes room again."""


import pytest
from support.api import node_body, register
from support.process import at_once

NODES, MEETINGS, KEYS = 3, 4, 5
THREADS = 2
WRITERS = 2  # a thread's connections on which meetings are made


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(max_org_nodes=NODES, max_org_meetings=MEETINGS, max_org_keys=KEYS, threads=THREADS)


def exceeded(answer, option, bound):
    detail = answer.problem(409, "quota_exceeded").json["detail"]
    assert option in detail and str(bound) in detail and "operator" in detail, detail


def test_meetings_alive(make_org):
    org, other = make_org(), make_org()
    for n in range(MEETINGS):
        org.api.post("/v1/meetings", {"id": f"m{n}"}).expect(201)
    exceeded(org.api.post("/v1/meetings", {"id": "one-more"}), "max-org-meetings", MEETINGS)
    org.api.get("/v1/meetings/one-more").problem(404, "unknown_meeting")
    org.api.post("/v1/meetings", {"id": "m0"}).expect(200)  # it is there already
    org.api.post("/v1/meetings", {"id": "m0", "policy": {"private": True}}).problem(409, "conflict")
    other.api.post("/v1/meetings", {"id": "one-more"}).expect(201)
    org.api.delete("/v1/meetings/m0").expect(204)
    org.api.post("/v1/meetings", {"id": "one-more"}).expect(201)
    exceeded(org.api.post("/v1/meetings"), "max-org-meetings", MEETINGS)


def test_keys_that_are_not_revoked(make_org, admin):
    org = make_org()  # has one
    keys = [org.api.post("/v1/keys", {"kind": "node"}).expect(201).json["key_id"] for _ in range(KEYS - 1)]
    exceeded(org.api.post("/v1/keys", {"kind": "org"}), "max-org-keys", KEYS)
    exceeded(admin.post("/v1/keys", {"org": org.id, "kind": "org"}), "max-org-keys", KEYS)
    org.api.delete(f"/v1/keys/{keys[0]}").expect(204)
    org.api.post("/v1/keys", {"kind": "org"}).expect(201)
    exceeded(org.api.post("/v1/keys", {"kind": "org"}), "max-org-keys", KEYS)


def test_the_clouds_keys_are_the_operators_affair(admin):
    for _ in range(KEYS + 1):
        admin.post("/v1/keys", {"org": "cloud", "kind": "node"}).expect(201)


def test_mesh_nodes(make_org, admin, node_key):
    org = make_org()
    mesh = admin.with_token(org.new_key("node"))
    for n in range(NODES):
        register(mesh, f"q-{n}", n + 1)
    exceeded(mesh.post("/v1/nodes", node_body("q-more")), "max-org-nodes", NODES)
    exceeded(admin.post("/v1/nodes", node_body("q-more", org=org.id)), "max-org-nodes", NODES)
    mesh.post("/v1/nodes", node_body("q-0", 9)).expect(200)  # it is there already
    cloud = admin.with_token(node_key)
    for n in range(NODES + 1):
        register(cloud, f"q-cloud-{n}", n + 20)
    org.api.delete("/v1/nodes/q-0").expect(204)
    mesh.post("/v1/nodes", node_body("q-more")).expect(201)
    exceeded(mesh.post("/v1/nodes", node_body("q-0")), "max-org-nodes", NODES)  # deleted ones come back as new ones
    mesh.post("/v1/nodes", node_body("q-cloud-0")).problem(403, "node_not_yours")


def test_at_the_same_moment_it_is_passed_by_one_for_each_writer_at_most(make_org):
    org = make_org()

    def make_some(_):
        return [org.api.post("/v1/meetings").expect(201, 409).status for _ in range(10)]

    made = [status for some in at_once(make_some, range(8)) for status in some]
    assert MEETINGS <= made.count(201) <= MEETINGS + THREADS * WRITERS
    assert len(org.api.get("/v1/meetings?limit=500").expect(200).json["items"]) == made.count(201)


def test_no_bound(controllers, world, make_org):
    org = make_org()
    free = controllers(max_org_meetings=0, max_org_nodes=0, max_org_keys=0, threads=1)
    api = free.client(org.key)
    for _ in range(max(MEETINGS, KEYS, NODES) + 1):
        api.post("/v1/meetings").expect(201)
        api.post("/v1/keys", {"kind": "node"}).expect(201)
    mesh = free.client(api.post("/v1/keys", {"kind": "node"}).expect(201).json["key"])
    for n in range(NODES + 1):
        register(mesh, f"free-{n}", n + 40)
