# timeout: 300, alone, heavy
"""Every call, with every kind of token that must not make it: the wrong org's key, a node key, a JWT without the grant, none.
The calls are those that the controller documents: one that is added there and not here fails the first test."""

import uuid

import pytest
from support.api import Heartbeats, node_body, register, report, report_body, result
from support.process import wait_for
from support.stream import answer_of_stream

ADMIN, ORG, NODE, PROBE, JOIN, BARE, ANYONE = "admin", "org", "node", "probe", "join", "a JWT without grants", "anyone"


class Stage:
    """Two orgs with one of everything each; `mine` is whose things the calls are about."""

    def __init__(self, admin, make_org, node_key):
        self.admin = admin
        self.mine, self.theirs = make_org("Mine"), make_org("Theirs")
        self.cloud = admin.with_token(node_key)
        register(self.cloud, "iso-cloud", 1, seen_by=[self.mine.api, self.theirs.api])
        for n, o in ((2, self.mine), (3, self.theirs)):
            o.node_api = admin.with_token(o.new_key("node"))
            o.spare = o.new_key().split(".")[0]
        register(self.mine.node_api, "iso-mesh", 2, region="secret", seen_by=[self.mine.api])
        report(self.mine.api, {"iso-cloud": {"udp": 9}, "iso-mesh": {"udp": 5}}, agent="secret-agent")
        self.mine.api.post("/v1/meetings", {"id": "secret-meeting"}).expect(201)
        self.mine.api.post("/v1/meetings/secret-meeting/participants", {"agent": "secret-agent"}).expect(201)

    def row_counts(self, database):
        """What there is of `mine`: a call that must not be made changes none of it."""
        of = {t: f"org = '{self.mine.id}'" for t in ("report", "meeting", "participant", "node", "api_key")}
        of["node"] += " and deleted_at is null and not drain"
        of["api_key"] += " and revoked_at is null"
        of["org"] = f"id = '{self.mine.id}' and deleted_at is null"
        return database.sql("select " + ", ".join(f"(select count(*) from {t} where {w})" for t, w in of.items()))


@pytest.fixture(scope="module")
def stage(admin, make_org, node_key):
    made = Stage(admin, make_org, node_key)
    hearts = [Heartbeats(made.cloud, "iso-cloud"), Heartbeats(made.mine.node_api, "iso-mesh")]
    yield made
    for h in hearts:
        h.stop()


class Call:
    """One documented call about `mine`. `may`: who may make it. `wrong`: what another org's key is told; None: the call
    speaks of nothing in particular, and is then about the caller's own org."""

    def __init__(self, method, pattern, may, path=None, body=None, wrong=None):
        self.method, self.pattern, self.may = method, pattern, may
        self.path, self.body, self.wrong = path or pattern, body, wrong

    def make(self, stage, client):
        path = self.path.format(org=stage.mine.id, key=stage.mine.spare)
        body = self.body(stage) if callable(self.body) else self.body
        if self.pattern == "/v1/stream":  # which has no end
            return answer_of_stream(client, path)
        return client.call(self.method, path, body)

    def __repr__(self):
        return f"{self.method} {self.pattern}"


def secret_report(stage):
    return report_body([result("iso-mesh", "udp", 5), result("iso-cloud", "udp", 9)], agent="secret-agent")


def secret_simulation(stage):
    return {"participants": [{"agent": "a", "results": [result("iso-mesh", "udp", 5)]}]}


M = "/v1/meetings/{meeting}"
SECRET = "/v1/meetings/secret-meeting"
CALLS = [
    Call("GET", "/openapi.json", {ANYONE}),
    Call("GET", "/v1/ip-ranges", {ANYONE}),
    Call("GET", "/v1/nodes", {ADMIN, ORG, PROBE}),
    Call("POST", "/v1/nodes", {ADMIN, ORG, NODE}, body=lambda s: node_body("iso-new", org=s.mine.id), wrong=(422, "invalid_member")),
    Call("POST", "/v1/nodes/{node}/heartbeat", {ADMIN, ORG, NODE}, "/v1/nodes/iso-mesh/heartbeat", {"load": {}}, (404, "unknown_node")),
    Call("GET", "/v1/nodes/{node}/peers", {ADMIN, ORG, NODE}, "/v1/nodes/iso-mesh/peers", wrong=(404, "unknown_node")),
    Call("GET", "/v1/nodes/{node}/turn-secret", {ADMIN, ORG, NODE}, "/v1/nodes/iso-mesh/turn-secret", wrong=(404, "unknown_node")),
    Call("GET", "/v1/nodes/{node}/links", {NODE}, "/v1/nodes/iso-mesh/links", wrong=(404, "unknown_node")),
    Call("POST", "/v1/nodes/{node}/drain", {ADMIN, ORG}, "/v1/nodes/iso-mesh/drain", {}, (404, "unknown_node")),
    Call("POST", "/v1/nodes/{node}/undrain", {ADMIN, ORG}, "/v1/nodes/iso-mesh/undrain", {}, (404, "unknown_node")),
    Call("POST", "/v1/nodes/{node}/weight", {ADMIN, ORG}, "/v1/nodes/iso-mesh/weight", {"weight": 2}, (404, "unknown_node")),
    Call("DELETE", "/v1/nodes/{node}", {ADMIN, ORG}, "/v1/nodes/iso-mesh", wrong=(404, "unknown_node")),
    Call("GET", "/v1/clusters", {ADMIN, ORG}),
    Call("POST", "/v1/reports", {ORG, PROBE}, body=secret_report, wrong=(422, "unknown_node")),
    Call("GET", "/v1/agents", {ORG}),
    Call("GET", "/v1/agents/{agent}", {ORG}, "/v1/agents/secret-agent", wrong=(404, "unknown_agent")),
    Call("GET", "/v1/agents/{agent}/report", {ORG}, "/v1/agents/secret-agent/report", wrong=(404, "no_live_report")),
    Call("DELETE", "/v1/agents/{agent}", {ORG}, "/v1/agents/secret-agent", wrong=(404, "unknown_agent")),
    Call("POST", "/v1/agents/{agent}/probe", {ORG}, "/v1/agents/secret-agent/probe", wrong=(404, "unknown_agent")),
    Call("GET", "/v1/stream", {ORG, PROBE, JOIN, BARE}, "/v1/stream?agent=secret-agent"),
    Call("POST", "/v1/meetings", {ORG}, body={"policy": {"private": True}}),
    Call("GET", "/v1/meetings", {ORG}),
    Call("GET", M, {ORG}, SECRET, wrong=(404, "unknown_meeting")),
    Call("DELETE", M, {ORG}, SECRET, wrong=(404, "unknown_meeting")),
    Call("GET", M + "/explain", {ORG}, SECRET + "/explain", wrong=(404, "unknown_meeting")),
    Call("POST", M + "/participants", {ORG, JOIN}, SECRET + "/participants", {"agent": "secret-agent"}, (404, "unknown_meeting")),
    Call(
        "POST",
        M + "/participants/{agent}/failure",
        {ORG, JOIN},
        SECRET + "/participants/secret-agent/failure",
        {"node": "iso-mesh", "transport": "udp", "reason": "none"},
        (422, "unknown_node"),
    ),
    Call("GET", M + "/participants", {ORG, JOIN}, SECRET + "/participants", wrong=(404, "unknown_meeting")),
    Call("DELETE", M + "/participants/{agent}", {ORG, JOIN}, SECRET + "/participants/secret-agent", wrong=(404, "unknown_meeting")),
    Call("POST", "/v1/simulate", {ORG}, body=secret_simulation, wrong=(422, "unknown_node")),
    *(
        Call("GET", f"/v1/analytics/{what}", {ADMIN, ORG}, f"/v1/analytics/{what}?org={{org}}{more}", wrong=(404, "not_found"))
        for what, more in (("transports", ""), ("rtt", ""), ("calls", ""), ("new-node", "&like=iso-cloud"))
    ),
    Call("GET", "/v1/events", {ADMIN}),
    Call("POST", "/v1/orgs", {ADMIN}, body={"name": "x"}),
    Call("GET", "/v1/orgs", {ADMIN}),
    Call("GET", "/v1/orgs/{org}", {ADMIN, ORG}, "/v1/orgs/{org}", wrong=(404, "not_found")),
    Call("DELETE", "/v1/orgs/{org}", {ADMIN}, "/v1/orgs/{org}"),
    Call("POST", "/v1/keys", {ADMIN, ORG}, body=lambda s: {"org": s.mine.id, "kind": "org"}, wrong=(404, "not_found")),
    Call("GET", "/v1/keys", {ADMIN, ORG}, "/v1/keys?org={org}", wrong=(404, "not_found")),
    Call("GET", "/v1/keys/{key}", {ADMIN, ORG}, "/v1/keys/{key}", wrong=(404, "not_found")),
    Call("DELETE", "/v1/keys/{key}", {ADMIN, ORG}, "/v1/keys/{key}", wrong=(404, "not_found")),
]
EVERY_CALL = pytest.mark.parametrize("call", CALLS, ids=repr)
SECRETS = ("secret", "iso-mesh", "192.0.2.2:")


def test_every_documented_call_is_tried(admin):
    paths = admin.with_token(None).get("/openapi.json").expect(200).json["paths"]
    documented = {(m.upper(), p) for p, item in paths.items() for m in item}
    assert documented == {(c.method, c.pattern) for c in CALLS}


@EVERY_CALL
def test_without_a_token(stage, call):
    answer = call.make(stage, stage.admin.with_token(None))
    if ANYONE in call.may:
        answer.expect(200)
        return
    answer.problem(401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@EVERY_CALL
def test_with_a_forged_key(stage, call):
    key_id = stage.mine.key.split(".")[0]
    call.make(stage, stage.admin.with_token(f"{key_id}.{'x' * 43}")).problem(401, "token_invalid")


@EVERY_CALL
def test_with_a_forged_jwt(stage, call, mint_jwt):
    token = mint_jwt(stage.mine.key.split(".")[0] + "." + "x" * 43, "secret-agent")
    call.make(stage, stage.admin.with_token(token)).problem(401, "token_invalid")


@EVERY_CALL
def test_with_a_jwt_that_another_org_signed_in_my_name(stage, call, mint_jwt):
    token = mint_jwt(stage.theirs.key, "secret-agent", iss=stage.mine.key.split(".")[0])
    call.make(stage, stage.admin.with_token(token)).problem(401, "token_invalid")


@EVERY_CALL
def test_with_the_wrong_orgs_key(stage, call, database):
    before = stage.row_counts(database)
    answer = call.make(stage, stage.theirs.api)
    if ANYONE in call.may:
        answer.expect(200)
    elif ORG not in call.may:
        answer.problem(403, "forbidden")
    elif call.wrong:
        answer.problem(*call.wrong)
    else:
        answer.expect(200, 201)
        assert not any(s in answer.body.decode() for s in SECRETS), answer
    assert stage.row_counts(database) == before


@EVERY_CALL
def test_with_the_wrong_orgs_node_key(stage, call, database):
    before = stage.row_counts(database)
    answer = call.make(stage, stage.theirs.node_api)
    if ANYONE in call.may:
        answer.expect(200)
    elif NODE not in call.may:
        answer.problem(403, "forbidden")
    else:
        answer.problem(*call.wrong)
    assert stage.row_counts(database) == before


@EVERY_CALL
def test_with_the_right_orgs_node_key(stage, call):
    if call.may & {NODE, ANYONE}:
        return
    call.make(stage, stage.mine.node_api).problem(403, "forbidden")


@EVERY_CALL
@pytest.mark.parametrize("grant", ["probe", "join"])
def test_with_the_wrong_orgs_jwt(stage, call, grant, database):
    before = stage.row_counts(database)
    answer = call.make(stage, stage.theirs.agent("secret-agent", grants=[grant]))
    if ANYONE in call.may:
        answer.expect(200)
    elif not call.may & {PROBE, JOIN}:
        answer.problem(403, "forbidden")
    elif grant not in call.may:
        answer.problem(403, "grant_missing")
    elif call.wrong:
        answer.problem(*call.wrong)
    else:
        answer.expect(200)
        assert not any(s in answer.body.decode() for s in SECRETS), answer
    assert stage.row_counts(database) == before


@EVERY_CALL
@pytest.mark.parametrize("grants", [["probe"], ["join"], []], ids=["probe", "join", "none"])
def test_with_a_jwt_that_lacks_the_grant(stage, call, grants):
    if ANYONE in call.may or BARE in call.may or set(grants) & call.may:
        return
    answer = call.make(stage, stage.mine.agent("secret-agent", grants=grants))
    answer.problem(403, "grant_missing" if call.may & {PROBE, JOIN} else "forbidden")


@EVERY_CALL
def test_with_another_agents_jwt(stage, call):
    """A JWT speaks for its own agent alone."""
    if not call.may & {PROBE, JOIN} or "secret-agent" not in call.path + str(call.body if not callable(call.body) else call.body(stage)):
        return
    call.make(stage, stage.mine.agent("somebody-else")).problem(403, "agent_mismatch")


@EVERY_CALL
def test_the_admin_key_sees_no_orgs_data(stage, call):
    if call.may & {ADMIN, ANYONE}:
        return
    call.make(stage, stage.admin).problem(403, "forbidden")


def test_lists_hold_only_ones_own(stage):
    for path in ("/v1/agents", "/v1/meetings", "/v1/keys", "/v1/nodes", "/v1/clusters"):
        assert any(s in stage.mine.api.get(path).expect(200).body.decode() for s in (*SECRETS, stage.mine.id)), path
        theirs = stage.theirs.api.get(path).expect(200).body.decode()
        assert not any(s in theirs for s in (*SECRETS, stage.mine.id)), path


def test_cursors_do_not_lead_into_another_org(stage, make_org):
    """A cursor is a place in one's own list, whoever it came from."""
    third = make_org()
    for o in (stage.mine, third):
        for i in range(3):
            o.api.post("/v1/meetings", {"id": f"c-{o.id}-{i}"}).expect(201)
    cursor = stage.mine.api.get("/v1/meetings?limit=1").json["next"]
    answer = third.api.get(f"/v1/meetings?cursor={cursor}").expect(200)
    assert all(m["id"].startswith(f"c-{third.id}-") for m in answer.json["items"])
    cursor = stage.mine.api.get("/v1/keys?limit=1").json["next"]
    answer = third.api.get(f"/v1/keys?cursor={cursor}").expect(200)
    assert all(k["org"] == third.id for k in answer.json["items"])


def test_same_names_in_two_orgs_do_not_meet(make_org, stage):
    """Agents, meetings and reports of one name: two orgs' worlds stay apart, under joins too."""
    one, two = make_org(), make_org()
    shared = str(uuid.uuid4())
    for o, rtt in ((one, 5), (two, 50)):
        body = report_body([result("iso-cloud", "udp", rtt)], agent="twin")
        body["report_id"] = shared
        o.api.post("/v1/reports", body).expect(201)
        o.api.post("/v1/meetings", {"id": "twin"}).expect(201)
    first = one.api.post("/v1/meetings/twin/participants", {"agent": "twin"}).expect(201).json
    second = two.api.post("/v1/meetings/twin/participants", {"agent": "twin"}).expect(201).json
    assert first["why"]["candidates"][0]["rtt_us"] == 5000 and second["why"]["candidates"][0]["rtt_us"] == 50000
    two.api.delete("/v1/agents/twin").expect(204)
    assert one.api.get("/v1/agents/twin/report").expect(200).json["results"][0]["rtt_us"]["min"] == 5000
    two.api.delete("/v1/meetings/twin").expect(204)
    assert len(one.api.get("/v1/meetings/twin/participants").expect(200).json["items"]) == 1


def test_mesh_nodes_serve_their_own_org_alone(stage):
    """Another org's mesh node is in nobody's candidates, however near a report says it is."""
    stage.theirs.api.post("/v1/meetings", {"id": "near"}).expect(201)
    answer = stage.theirs.api.post("/v1/meetings/near/participants", {"agent": "x"}).expect(201)
    assert not any(s in answer.body.decode() for s in SECRETS)
    stage.theirs.api.post("/v1/meetings", {"id": "private", "policy": {"private": True}}).expect(201)
    refused = stage.theirs.api.post("/v1/meetings/private/participants", {"agent": "x"}).problem(503, "no_node")
    assert not any(s in refused.body.decode() for s in SECRETS)


def test_the_database_keeps_orgs_apart_by_itself(stage, database):
    """Row-level security, whatever a handler's statement says."""
    for table in ("report", "meeting", "participant"):
        count = f"select count(*) from {table}"
        as_tenant = f"begin; set local role berth_tenant; select set_config('berth.org', '{{}}', true); {count}; commit"
        assert int(database.sql(as_tenant.format(stage.mine.id)).splitlines()[-1]) > 0
        assert database.sql(as_tenant.format("nobody")).splitlines()[-1] == "0"
        assert database.sql(f"begin; set local role berth_tenant; {count}; commit").splitlines()[-1] == "0"
    mine = "begin; set local role berth_tenant; select set_config('berth.org', 'other', true); "
    with pytest.raises(AssertionError, match="row-level security"):
        database.sql(mine + f"insert into meeting (org, id) values ('{stage.mine.id}', 'smuggled'); commit")
    for role, sql in (
        ("berth_ingest", "select count(*) from report"),
        ("berth_operator", "select agent from participant"),
        ("berth_operator", "select count(*) from meeting"),
        ("berth_tenant", "select count(*) from node"),
        ("berth_tenant", "select count(*) from api_key"),
        ("berth_tenant", "insert into org (id, name) values ('x', 'x')"),
    ):
        with pytest.raises(AssertionError, match="permission denied"):
            database.sql(f"begin; set local role {role}; {sql}; commit")


def test_the_right_org_can(stage):
    """The calls of this file are well made: with the right key each of them works. Last, for it ends everything."""
    ends = [c for c in CALLS if c.method == "DELETE"]
    clients = {ORG: stage.mine.api, ADMIN: stage.admin, NODE: stage.mine.node_api, ANYONE: stage.admin.with_token(None)}
    for call in [c for c in CALLS if c not in ends] + sorted(ends, key=lambda c: (ADMIN in c.may, "orgs" in c.pattern, -len(c.pattern))):
        client = next(clients[k] for k in (ORG, ADMIN, NODE, ANYONE) if k in call.may)
        answer = call.make(stage, client)
        if call.pattern == "/v1/agents/{agent}" and call.method == "DELETE":
            answer.expect(204, 404)
        else:
            answer.expect(200, 201, 202, 204)
    wait_for(lambda: stage.mine.api.get("/v1/meetings").status == 401, 5, "the org's keys to stop")
