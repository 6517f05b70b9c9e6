# timeout: 300, alone
"""Who may: tokens of every kind, good, bad, revoked, and of the wrong kind."""

import base64
import json
import time

import jwt
import pytest
from support.api import report_body
from support.process import wait_for


def b64(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def claims(org, **changed):
    made = {"iss": org.key.split(".")[0], "sub": "a1", "exp": int(time.time()) + 600}
    made.update(changed)
    return {k: v for k, v in made.items() if v is not None}


def signed(org, key=None, algorithm="HS256", headers=None, **changed):
    return jwt.encode(claims(org, **changed), key or org.key, algorithm=algorithm, headers=headers)


BAD_TOKENS = {
    "empty": lambda o: "",
    "garbage": lambda o: "garbage",
    "two dots, no JWT": lambda o: "a.b.c",
    "key with a wrong secret": lambda o: o.key[:-1] + ("A" if o.key[-1] != "A" else "B"),
    "key with no secret": lambda o: o.key.split(".")[0] + ".",
    "another org's id with this secret": lambda o: "o" + "z" * 10 + o.key[11:],
    "node key's kind with an org key's secret": lambda o: o.key.replace("_o", "_n", 1),
    "alg none": lambda o: f"{b64({'alg': 'none'})}.{b64(claims(o))}.",
    "alg none, signed": lambda o: f"{b64({'alg': 'none'})}." + ".".join(signed(o).split(".")[1:]),
    "alg HS512": lambda o: signed(o, algorithm="HS512"),
    "alg HS384": lambda o: signed(o, algorithm="HS384"),
    "forged": lambda o: signed(o, key="x" * 40),
    "signed with the secret alone": lambda o: signed(o, key=o.key.split(".")[1]),
    "payload changed": lambda o: ".".join(
        [signed(o).split(".")[0], b64(claims(o, sub="somebody-else")), signed(o).split(".")[2]]
    ),
    "no iss": lambda o: signed(o, iss=None),
    "no sub": lambda o: signed(o, sub=None),
    "no exp": lambda o: signed(o, exp=None),
    "exp too far ahead": lambda o: signed(o, exp=int(time.time()) + 25 * 3600),
    "exp text": lambda o: signed(o, iss=None) and f"{signed(o).split('.')[0]}.{b64({**claims(o), 'exp': 'soon'})}.x",
    "not yet": lambda o: signed(o, nbf=int(time.time()) + 3600),
    "crit header": lambda o: signed(o, headers={"crit": ["exp"]}),
    "unknown grant": lambda o: signed(o, grants=["everything"]),
    "sub no agent id": lambda o: signed(o, sub="a b"),
    "oversized": lambda o: signed(o, note="x" * 4000),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_bad_tokens(case, org):
    answer = org.api.with_token(BAD_TOKENS[case](org)).post("/v1/reports", report_body([]))
    answer.expect(401)
    assert answer.code in ("unauthorized", "token_invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_expired_token_says_so(org):
    late = org.api.with_token(signed(org, exp=int(time.time()) - 1))
    late.post("/v1/reports", report_body([])).problem(401, "token_expired")


def test_no_token_and_another_scheme(org):
    nobody = org.api.with_token(None)
    nobody.get("/v1/agents").problem(401, "unauthorized")
    nobody.get("/v1/agents", headers={"Authorization": "Basic dXNlcjpwYXNz"}).problem(401, "unauthorized")
    nobody.get("/v1/agents", headers={"Authorization": f"bearer {org.key}"}).expect(200)  # a scheme knows no case


@pytest.mark.parametrize("header", ["Authorization", "content-type", "Last-Event-ID"])
def test_a_header_that_is_there_twice(org, header):
    """Whoever is in the way may have looked at the other one: neither counts."""
    values = {"Authorization": (f"Bearer {org.key}", "Bearer another"), "content-type": ("application/json", "text/plain"), "Last-Event-ID": ("1", "2")}
    for order in (values[header], values[header][::-1]):
        connection = org.api.connection()
        connection.putrequest("GET", "/v1/agents")
        if header != "Authorization":
            connection.putheader("Authorization", f"Bearer {org.key}")
        for value in order:
            connection.putheader(header, value)
        connection.endheaders()
        response = connection.getresponse()
        body = json.loads(response.read())
        assert (response.status, body["code"]) == (400, "bad_request") and header.lower() in body["detail"]
        connection.close()


def test_a_good_token_works(org):
    org.api.with_token(signed(org)).post("/v1/reports", report_body([])).expect(201)


def test_grants(org):
    probe, join = org.agent("g1", grants=["probe"]), org.agent("g1", grants=["join"])
    probe.post("/v1/reports", report_body([])).expect(201)
    join.post("/v1/reports", report_body([])).problem(403, "grant_missing")
    org.agent("g1", grants=["probe", "join"]).post("/v1/reports", report_body([])).expect(201)
    org.agent("g1", grants=[]).post("/v1/reports", report_body([])).problem(403, "grant_missing")
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    probe.post(f"/v1/meetings/{meeting}/participants").problem(403, "grant_missing")


def test_whose_agent(org):
    a1 = org.agent("a1")
    a1.post("/v1/reports", report_body([])).expect(201)
    a1.post("/v1/reports", report_body([], agent="a1")).expect(201)
    a1.post("/v1/reports", report_body([], agent="a2")).problem(403, "agent_mismatch")
    org.api.post("/v1/reports", report_body([], agent="a2")).expect(201)
    org.api.post("/v1/reports", report_body([])).problem(422, "agent_required")
    org.api.post("/v1/reports", report_body([], agent="a b")).problem(422, "invalid_member")
    org.api.post("/v1/reports", {**report_body([]), "agent": 7}).problem(422, "invalid_member")


def test_the_wrong_kind_is_403(org, admin):
    node = org.api.with_token(org.new_key("node"))
    for client in (node, org.agent("a1"), admin):
        client.get("/v1/agents").problem(403, "forbidden")
        client.delete("/v1/agents/a1").problem(403, "forbidden")
    for client in (node, admin):
        client.post("/v1/reports", report_body([])).problem(403, "forbidden")


@pytest.mark.parametrize(
    "who,method,path,detail",
    [
        ("node", "GET", "/v1/agents", "this call takes an org key, not a node key"),
        ("admin", "GET", "/v1/meetings", "this call takes an org key, not the admin key"),
        ("agent", "GET", "/v1/orgs", "this call takes the admin key, not an agent's JWT"),
        ("org", "GET", "/v1/orgs", "this call takes the admin key, not an org key"),
        ("node", "GET", "/v1/nodes", "this call takes the admin key or an org key or an agent's JWT, not a node key"),
    ],
)
def test_a_403_says_which_key_is_needed(org, admin, who, method, path, detail):
    client = {"node": org.api.with_token(org.new_key("node")), "agent": org.agent("a1"), "admin": admin, "org": org.api}[who]
    assert client.call(method, path).problem(403, "forbidden").json["detail"] == detail


def test_a_401_says_what_is_wrong(org, admin):
    key_id = org.key.split(".")[0]
    for token, code, words in (
        (None, "unauthorized", "Authorization header"),
        ("neither", "unauthorized", "neither a key"),
        (f"{key_id}.{'A' * 43}", "token_invalid", "secret is wrong"),
        ("a.b.c", "token_invalid", "not a JWT"),
    ):
        detail = admin.with_token(token).get("/v1/nodes").problem(401, code).json["detail"]
        assert words in detail, detail


def test_unknown_paths_and_methods(org):
    org.api.get("/v1/nothing").problem(404, "not_found")
    org.api.get("/").problem(404, "not_found")
    org.api.get("/v1/agents/").problem(404, "not_found")
    org.api.get("/v1//agents").problem(404, "not_found")
    wrong = org.api.call("PATCH", "/v1/agents")
    wrong.problem(405, "method_not_allowed")
    assert wrong.headers["Allow"] == "GET, HEAD"
    assert org.api.call("HEAD", "/v1/agents").expect(200).body == b""
    assert set(org.api.call("PUT", "/v1/agents/x").problem(405, "method_not_allowed").headers["Allow"].split(", ")) == {
        "GET", "HEAD", "DELETE"
    }  # fmt: skip


def test_every_answer_has_its_id_and_limits(org):
    first, second = org.api.get("/v1/agents"), org.api.get("/v1/nothing")
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert second.json["request_id"] == second.headers["X-Request-Id"]
    for answer in (first, second):
        assert int(answer.headers["RateLimit-Limit"]) >= int(answer.headers["RateLimit-Remaining"]) >= 0
        assert int(answer.headers["RateLimit-Reset"]) >= 0


def test_rate_limits_are_per_caller(controllers, org):
    limited = controllers(rate_limit=1, rate_burst=5)
    busy, calm = limited.client(org.jwt("busy")), limited.client(org.jwt("calm"))
    answers = [busy.get("/v1/nothing") for _ in range(8)]
    refused = [a for a in answers if a.status == 429]
    assert 2 <= len(refused) <= 3, [a.status for a in answers]
    refused[0].problem(429, "rate_limited")
    assert int(refused[0].headers["Retry-After"]) >= 1
    calm.get("/v1/nothing").problem(404, "not_found")
    limited.client().get("/v1/nothing").problem(404, "not_found")
    wait_for(lambda: busy.get("/v1/nothing").status == 404, 10, "the limit to let it pass again")
    limited.stop()


# ---- revoking ----


def seconds_until_401(*clients):
    start = time.monotonic()
    wait_for(lambda: all(c.get("/v1/agents/x").status == 401 for c in clients), 10, "the key to stop")
    return time.monotonic() - start


def test_a_revoked_key_stops_within_5_s_on_every_controller(org, admin, controllers):
    second = controllers()
    key = org.new_key()
    here, there = org.api.with_token(key), second.client(key)
    token = jwt.encode({"iss": key.split(".")[0], "sub": "a1", "exp": int(time.time()) + 600}, key, algorithm="HS256")
    for client in (here, there):
        client.get("/v1/agents/x").problem(404, "unknown_agent")
    org.api.with_token(token).post("/v1/reports", report_body([])).expect(201)
    admin.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)
    assert seconds_until_401(here, there) < 5
    here.get("/v1/agents/x").problem(401, "token_invalid")
    org.api.with_token(token).post("/v1/reports", report_body([])).problem(401, "token_invalid")
    org.api.get("/v1/agents").expect(200)  # the org's other keys live on
    second.stop()


def test_a_deleted_orgs_keys_stop(make_org, admin):
    doomed = make_org("Doomed")
    doomed.api.get("/v1/agents").expect(200)
    admin.delete(f"/v1/orgs/{doomed.id}").expect(204)
    assert seconds_until_401(doomed.api) < 5


# ---- keys from files, read again at SIGHUP ----


def test_master_keys_rotate(controllers, org, world, admin):
    import secrets
    import signal

    mine = controllers()
    old_text = world.master_key_file.read_text()
    try:
        world.master_key_file.write_text(f"# the new one signs\n{secrets.token_hex(32)}\n{old_text}")
        mine.process.signal(signal.SIGHUP)
        wait_for(lambda: "what=keys" in mine.process.log, what="the keys to be read again")
        fresh = mine.client(world.admin_key).post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201).json["key"]
        mine.client(fresh).get("/v1/agents").expect(200)
        mine.client(org.key).get("/v1/agents").expect(200)  # made with the old master key
        org.api.with_token(fresh).get("/v1/agents").problem(401, "token_invalid")  # the other controller hasn't read it
        world.master_key_file.write_text("nonsense\n")
        mine.process.signal(signal.SIGHUP)
        wait_for(lambda: "keys_failed" in mine.process.log, what="the broken file to be refused")
        mine.client(fresh).get("/v1/agents").expect(200)  # what was in force stays
    finally:
        world.master_key_file.write_text(old_text)
    mine.stop()


def test_admin_keys_rotate(controllers, world):
    import signal

    mine = controllers()
    old_text = world.admin_key_file.read_text()
    try:
        world.admin_key_file.write_text("another-admin-key-0123456789\n")
        mine.process.signal(signal.SIGHUP)
        wait_for(lambda: mine.client("another-admin-key-0123456789").get("/v1/orgs").status == 200, what="the new key")
        mine.client(world.admin_key).get("/v1/orgs").expect(401)
    finally:
        world.admin_key_file.write_text(old_text)
    mine.stop()


def test_nothing_secret_is_logged(controllers, org, world):
    mine = controllers(log_level="debug")
    token = org.jwt("a1")
    mine.client(org.key).get("/v1/agents").expect(200)
    mine.client(token).post("/v1/reports", report_body([])).expect(201)
    mine.client(world.admin_key).get("/v1/orgs").expect(200)
    mine.stop()
    log = mine.process.log
    assert "event=request" in log
    for secret in (org.key.split(".")[1], token.split(".")[2], world.admin_key, world.master_key):
        assert secret not in log
