# timeout: 300, alone
"""Orgs and keys: made, listed, revoked, erased; JWTs; rotation of the master key."""

import re
import secrets
import time

import jwt
import pytest
from support.api import register, report
from support.process import wait_for


def test_an_org_is_made_listed_and_found(admin):
    made = admin.post("/v1/orgs", {"name": "Ünïcode & Söhne"}).expect(201).json
    assert re.fullmatch(r"o[a-z0-9]{10}", made["id"]) and made["name"] == "Ünïcode & Söhne"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", made["created_at"])
    assert admin.get(f"/v1/orgs/{made['id']}").expect(200).json == made
    ids = [o["id"] for o in admin.get("/v1/orgs?limit=500").expect(200).json["items"]]
    assert made["id"] in ids and "cloud" in ids and ids == sorted(ids)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": None}, {"name": "x" * 201}, {"name": "a\nb"}])
def test_bad_org_names(admin, body):
    assert admin.post("/v1/orgs", body).problem(422, "invalid_member").json["pointer"] == "/name"


def test_unknown_orgs(admin, org):
    for path in ("/v1/orgs/o0000000000", "/v1/orgs/NOT-AN-ID", "/v1/orgs/%00"):
        admin.get(path).problem(404, "not_found")
        admin.delete(path).problem(404, "not_found")
    admin.delete("/v1/orgs/cloud").problem(409, "conflict")
    org.api.get(f"/v1/orgs/{org.id}").expect(200)
    org.api.get("/v1/orgs/cloud").problem(404, "not_found")


def test_paging_goes_over_everything_once(admin, make_org):
    for _ in range(5):
        make_org()
    whole = [o["id"] for o in admin.get("/v1/orgs?limit=500").json["items"]]
    seen, cursor = [], ""
    while cursor is not None:
        page = admin.get("/v1/orgs?limit=2" + (f"&cursor={cursor}" if cursor else "")).expect(200).json
        assert len(page["items"]) <= 2
        seen += [o["id"] for o in page["items"]]
        cursor = page["next"]
    assert seen == whole


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=", "cursor=***", "cursor=a", "limit=-1"])
def test_bad_paging(admin, query):
    admin.get(f"/v1/orgs?{query}").problem(400, "bad_request")


def test_a_key_is_shown_once_and_never_stored(admin, org, database):
    answer = admin.post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201)
    made = answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    key_id, _, secret = made["key"].partition(".")
    assert key_id == made["key_id"] and key_id.startswith(org.id + "_o") and len(secret) == 43
    assert made["org"] == org.id and made["kind"] == "org"
    shown = admin.get(f"/v1/keys/{key_id}").expect(200).json
    assert shown == {k: v for k, v in made.items() if k != "key"}
    everything = database.sql("select string_agg(k::text, ' ') from api_key k")
    assert key_id in everything and secret not in everything


def test_an_org_manages_its_own_keys_alone(org, make_org, admin):
    other = make_org()
    made = org.api.post("/v1/keys", {"kind": "node"}).expect(201).json  # its own org goes without saying
    assert made["org"] == org.id and made["kind"] == "node"
    org.api.post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201)
    org.api.post("/v1/keys", {"org": other.id, "kind": "org"}).problem(404, "not_found")
    org.api.post("/v1/keys", {"org": "cloud", "kind": "node"}).problem(404, "not_found")
    theirs = other.key.split(".")[0]
    org.api.get(f"/v1/keys/{theirs}").problem(404, "not_found")
    org.api.delete(f"/v1/keys/{theirs}").problem(404, "not_found")
    org.api.get(f"/v1/keys?org={other.id}").problem(404, "not_found")
    mine = org.api.get("/v1/keys?limit=500").expect(200).json["items"]
    assert mine and {k["org"] for k in mine} == {org.id}
    assert all("key" not in k for k in mine)
    other.api.get("/v1/meetings").expect(200)  # and still works
    both = {k["org"] for k in admin.get("/v1/keys?limit=500").expect(200).json["items"]}
    assert {org.id, other.id} <= both
    assert {k["org"] for k in admin.get(f"/v1/keys?org={other.id}").json["items"]} == {other.id}


@pytest.mark.parametrize(
    "body,code,pointer",
    [
        ({"kind": "org"}, 422, "/org"),
        ({"org": "cloud"}, 422, "/kind"),
        ({"org": "cloud", "kind": "admin"}, 422, "/kind"),
        ({"org": "cloud", "kind": "org"}, 422, "/kind"),
        ({"org": 7, "kind": "org"}, 422, "/org"),
        ({"org": "o0000000000", "kind": "org"}, 404, "/org"),
        ({"org": "NO", "kind": "org"}, 404, "/org"),
    ],
)
def test_bad_key_requests(admin, body, code, pointer):
    answer = admin.post("/v1/keys", body).problem(code, "not_found" if code == 404 else "invalid_member")
    assert answer.json["pointer"] == pointer


def test_revocation_stops_a_key_within_five_seconds_everywhere(controllers, org):
    second = controllers()
    key = org.new_key()
    token = org.api.with_token(key)
    there = second.client(key)
    agent = second.client(jwt.encode({"iss": key.split(".")[0], "sub": "a", "exp": int(time.time()) + 600}, key))
    for client in (token, there):
        client.get("/v1/meetings").expect(200)
    agent.get("/v1/nodes").expect(200)
    start = time.monotonic()
    org.api.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)
    for client, path in ((token, "/v1/meetings"), (there, "/v1/meetings"), (agent, "/v1/nodes")):
        wait_for(lambda c=client, p=path: c.get(p).status == 401, 5, "the key to stop")
    assert time.monotonic() - start < 5
    there.get("/v1/meetings").problem(401, "token_invalid")
    org.api.get("/v1/meetings").expect(200)  # the org's other keys go on
    assert org.api.get(f"/v1/keys/{key.split('.')[0]}").expect(200).json["revoked_at"]
    org.api.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)  # again: nothing new


def test_a_key_may_revoke_itself(org):
    key = org.new_key()
    client = org.api.with_token(key)
    client.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)
    wait_for(lambda: client.get("/v1/meetings").status == 401, 5, "the key to stop")


def test_deleting_an_org_stops_its_keys_and_erases_its_data(admin, make_org, node_key, database):
    doomed, bystander = make_org(), make_org()
    cloud = admin.with_token(node_key)
    register(cloud, "era-1", seen_by=[doomed.api, bystander.api])
    register(admin.with_token(doomed.new_key("node")), "era-mesh", 2, seen_by=[doomed.api])
    for o in (doomed, bystander):
        report(o.api, {"era-1": {"udp": 5, "tcp": 6, "tls": 7}}, agent="a1")
        o.api.post("/v1/meetings", {"id": "m1"}).expect(201)
        o.api.post("/v1/meetings/m1/participants", {"agent": "a1"}).expect(201)
        o.api.post("/v1/agents/a1/probe").expect(202)
    admin.delete(f"/v1/orgs/{doomed.id}").expect(204)
    for table in ("report", "meeting", "participant", "outbox", "outbox_head"):
        assert database.sql(f"select count(*) from {table} where org = '{doomed.id}'") == "0"
        assert database.sql(f"select count(*) from {table} where org = '{bystander.id}'") != "0"
    assert database.sql(f"select name from org where id = '{doomed.id}'") == ""
    wait_for(lambda: doomed.api.get("/v1/meetings").status == 401, 5, "the org's key to stop")
    admin.get(f"/v1/orgs/{doomed.id}").problem(404, "not_found")
    admin.post("/v1/keys", {"org": doomed.id, "kind": "org"}).problem(404, "not_found")
    wait_for(lambda: "era-mesh" not in {n["node"] for n in admin.get("/v1/nodes").json["nodes"]}, 5)
    admin.delete(f"/v1/orgs/{doomed.id}").expect(204)  # again: what was interrupted would be finished
    assert bystander.api.get("/v1/meetings/m1").expect(200).json["participants"] == 1


def test_a_deleted_orgs_key_makes_nothing_lasting_in_the_meantime(make_org, admin, database):
    """Where a controller hasn't heard of the deletion yet."""
    doomed = make_org()
    database.sql("alter table org disable trigger org_changed")
    try:
        admin.delete(f"/v1/orgs/{doomed.id}").expect(204)
        doomed.api.post("/v1/meetings", {"id": "late"}).expect(401)
    finally:
        database.sql("alter table org enable trigger org_changed")
    assert database.sql(f"select count(*) from meeting where org = '{doomed.id}'") == "0"


# ---- tokens ----


def test_jwt_of_any_library(org):
    org.agent("a1").get("/v1/nodes").expect(200)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": int(time.time()) + 25 * 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": "a/b"},
        {"sub": "x" * 129},
        {"iss": None},
        {"iss": "o0000000000_oaaaaaaaaaaaa"},
        {"grants": ["fly"]},
        {"grants": "probe"},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
    ],
)
def test_jwt_claims_that_are_refused(org, claims):
    from support.berth import mint_jwt

    sub = claims.get("sub", "a1")
    rest = {k: v for k, v in claims.items() if k != "sub"}
    org.api.with_token(mint_jwt(org.key, sub, **rest)).get("/v1/nodes").problem(401, "token_invalid")


def test_jwt_expired(org):
    org.api.with_token(org.jwt("a1", exp=int(time.time()) - 5)).get("/v1/nodes").problem(401, "token_expired")


def test_jwt_forged_and_wrong_algorithms(org, make_org):
    payload = {"iss": org.key.split(".")[0], "sub": "a1", "exp": int(time.time()) + 600}
    secret = org.key.split(".")[1]
    forged = [
        jwt.encode(payload, "not the key"),
        jwt.encode(payload, secret),  # the whole string is the secret, not its second half
        jwt.encode(payload, make_org().key),
        jwt.encode(payload, org.key, algorithm="HS512"),
        jwt.encode(payload, org.key, algorithm="HS384"),
        jwt.encode(payload, None, algorithm="none"),
        jwt.encode(payload, org.key, headers={"crit": ["x"]}),
        jwt.encode(payload, org.key)[:-2],
        jwt.encode(payload, org.key) + "AA",
        jwt.encode(payload, org.key).rpartition(".")[0] + ".",
        ".".join(["e30"] * 3),
        "..",
        "." * 2000,
    ]
    for token in forged:
        answer = org.api.with_token(token).get("/v1/nodes").expect(401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_keys_that_are_none(org):
    key_id, _, secret = org.key.partition(".")
    for token in (
        f"{key_id}.{'A' * 43}",
        f"{key_id}.{secret[:-1]}",
        f"{key_id}.{secret}x",
        f"{key_id}",
        f"{key_id}x.{secret}",
        f"cloud_o{key_id[-12:]}.{secret}",
        "x" * 4000,
        "admin",
        "",
    ):
        org.api.with_token(token).get("/v1/nodes").expect(401)
    for header in ("Basic dXNlcjpwYXNz", "Bearer", "Bearer ", org.key):
        org.api.with_token(None).get("/v1/nodes", headers={"Authorization": header}).expect(401)


def test_node_keys_sign_no_jwt(org):
    node_key = org.new_key("node")
    from support.berth import mint_jwt

    org.api.with_token(mint_jwt(node_key, "a1")).get("/v1/nodes").problem(401, "token_invalid")


def test_master_key_rotation(controllers, world, make_org):
    """The newest of the list signs, all verify; a key of a master that has left the list is no key."""
    org = make_org()
    old_text = world.master_key_file.read_text()
    one = controllers()
    try:
        world.master_key_file.write_text(f"# new\n{secrets.token_hex(32)}\n{old_text}")
        one.restart()
        one.client(org.key).get("/v1/meetings").expect(200)
        fresh = one.client(world.admin_key).post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201).json["key"]
        one.client(fresh).get("/v1/meetings").expect(200)
        org.api.with_token(fresh).get("/v1/meetings").expect(401)  # the first controller has the old list alone
        world.master_key_file.write_text(world.master_key_file.read_text().replace(old_text, ""))
        one.restart()
        one.client(fresh).get("/v1/meetings").expect(200)
        one.client(org.key).get("/v1/meetings").expect(401)
    finally:
        world.master_key_file.write_text(old_text)


def test_master_key_rotation_without_a_restart(controllers, world, make_org):
    org = make_org()
    old_text = world.master_key_file.read_text()
    one = controllers()
    try:
        world.master_key_file.write_text(f"{secrets.token_hex(32)}\n{old_text}")
        one.process.signal(1)  # SIGHUP

        def signed_by_the_new_one():
            made = one.client(world.admin_key).post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201).json["key"]
            return org.api.with_token(made).get("/v1/meetings").status == 401

        wait_for(signed_by_the_new_one, 10, "the new master key to sign")
        one.client(org.key).get("/v1/meetings").expect(200)
    finally:
        world.master_key_file.write_text(old_text)
