# timeout: 180, alone
"""Bodies of every call, changed at random: each gets an answer or a documented refusal, no 500, and the next one is served as ever.

BERTH_SEED repeats a run, BERTH_BODIES makes it longer."""

import copy
import http.client
import json
import os
import random
import time

from support.api import node_body, report_body, result

BODIES = int(os.environ.get("BERTH_BODIES", 1200))
SEED = int(os.environ.get("BERTH_SEED", time.time_ns() % 1_000_000))
BODY_MOST = 1_000_000  # above, the connection is closed before all of it is sent: test_http
NASTY = [
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, 2**31, 2**63 - 1, -(2**63), 10**30, "", " ", "\0", "a" * 129, "a" * 5000, "é", "\u202e", "\ud800",
    "../..", "%00", "'; drop table report; --", "{}", "192.0.2.1:5004", "[::1]:99999", "2026-11-21T20:00:00Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", [], {}, [[]], [None] * 300, {"a": {"b": {"c": {}}}}, {"": ""}, ["udp", "udp"], [{}], "NaN",
]  # fmt: skip


def seeds(org):
    """(path, body) as they are right, each read by another part."""
    rows = [result("n-1", t, 10, address="192.0.2.1:5004") for t in ("udp", "tcp", "tls")]
    policy = {"regions": {"allow": ["eu"], "deny": ["us"]}, "private": False, "expected_size": 4, "bitrate_kbps": 100,
              "transports": ["udp", "tls"], "mesh_within_ms": 20, "cap_worst": True, "last_n": 3}  # fmt: skip
    heartbeat = {"load": {"sessions": 3, "cpu": 0.5, "rx_bps": 10, "tx_bps": 10}, "draining": False, "rtt": [{"node": "n-2", "rtt_us": 1000}],
                 "links_version": ""}  # fmt: skip
    return {
        "org": [
            ("/v1/reports", report_body(rows, agent="ann", capabilities=["udp", "tcp"])),
            ("/v1/meetings", {"id": "m-1", "policy": policy}),
            ("/v1/meetings/m/participants", {"agent": "ann", "network": "home", "capabilities": ["udp"]}),
            ("/v1/meetings/m/participants/ann/failure", {"node": "n-1", "transport": "udp", "reason": "no answer"}),
            ("/v1/simulate", {"participants": [{"agent": "ann", "network": "home", "results": rows}, {"agent": "bob"}], "policy": policy,
                              "plan": {"ann": "n-1"}}),
            ("/v1/agents/ann/probe", {}),
            ("/v1/keys", {"org": org.id, "kind": "node"}),
        ],
        "node": [
            ("/v1/nodes", node_body("n-1", 1, labels={"a": "b"}, location={"lat": 1, "lon": 2}, services={"turn": {"urls": ["turn:a:1"]}})),
            ("/v1/nodes/n-1/heartbeat", heartbeat),
        ],
        "admin": [("/v1/nodes/n-1/drain", {}), ("/v1/orgs", {"name": "Another"}), ("/v1/keys", {"org": org.id, "kind": "org"})],
    }  # fmt: skip


def places(value, path=()):
    """Every place in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def change(rng, body):
    """One to three changes of values, and sometimes of the text itself."""
    body = copy.deepcopy(body)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(places(body)))
        if not path:
            body = rng.choice([body, {**body, rng.choice(["x", "", "agent", "org", "id"]): rng.choice(NASTY)}])
            continue
        at = body
        for key in path[:-1]:
            at = at[key]
        if isinstance(at, dict) and rng.random() < 0.2:
            at.pop(path[-1])
        elif isinstance(at, list) and rng.random() < 0.2:
            at.extend(copy.deepcopy(at) * rng.choice([1, 20]))
        else:
            at[path[-1]] = copy.deepcopy(rng.choice(NASTY))
    text = json.dumps(body)
    if rng.random() < 0.15:
        cut = rng.randrange(len(text) + 1)
        text = rng.choice([text[:cut], text[:cut] + rng.choice("{}[],:\"\\0\t") + text[cut:], text.replace("{", '{"agent":"x","agent":"y",', 1)])
    return text


def test_no_body_is_too_much(org, admin, node_key, controller):
    rng = random.Random(SEED)
    clients = {"org": org.api, "node": admin.with_token(node_key), "admin": admin}
    all_seeds = [(who, *one) for who, some in seeds(org).items() for one in some]
    for who, path, body in all_seeds:  # right as they are
        answer = clients[who].post(path, {**body, "id": "m"} if path == "/v1/meetings" else body)
        assert answer.status < 500 or answer.code == "no_node", answer
    connections = {who: c.connection() for who, c in clients.items()}
    statuses = {}
    for _ in range(BODIES):
        who, path, body = rng.choice(all_seeds)
        text = change(rng, body)
        if len(text) > BODY_MOST:
            continue
        data, kind = text.encode("utf-8", "surrogatepass"), {"Content-Type": "application/json"}
        try:
            answer = clients[who].call("POST", path, data, kind, connection=connections[who])
        except (http.client.HTTPException, OSError):  # idle for too long, perhaps: a fresh one tells
            connections[who] = clients[who].connection()
            answer = clients[who].call("POST", path, data, kind, connection=connections[who])
        if answer.headers.get("Connection", "").lower() == "close":
            connections[who].close()
            connections[who] = clients[who].connection()
        said = f"BERTH_SEED={SEED}: {answer} to {text[:1500]}"
        assert answer.status in (200, 201, 202, 204, 400, 403, 404, 409, 413, 422, 429, 451, 503), said
        assert answer.status < 400 or answer.code, said
        assert answer.status != 503 or answer.code not in ("database_unavailable", "internal_error"), said
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    for c in connections.values():
        c.close()
    print(f"BERTH_SEED={SEED}: {statuses}")
    assert statuses.get(422, 0) > BODIES / 4 and sum(statuses.get(s, 0) for s in (200, 201, 202, 204)) > BODIES / 50
    assert controller.client().get("/livez").status == 200
