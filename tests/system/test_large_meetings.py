# timeout: 300, heavy
"""Meetings of many people with many measurements: what is decided, and where they end."""


import pytest
from support.api import Heartbeats, listed, node_body, report, result
from support.process import at_once, wait_for

PEOPLE, NODES = 100, 200
PEOPLE_MAX, ROWS_MAX, REPORT_ROWS_MAX = 500, 500000, 4096
TRANSPORTS = ("udp", "tcp", "tls")


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(threads=1)


@pytest.fixture
def meeting(make_org, admin, node_key):
    """A meeting of a fresh org, which has one node: (org, path of its participants)."""
    org = make_org()
    cloud = admin.with_token(node_key)
    cloud.post("/v1/nodes", node_body("big-1")).expect(200, 201)
    wait_for(lambda: "big-1" in listed(org.api), 10, "the node to be listed")
    hearts = Heartbeats(cloud, "big-1")
    org.api.post("/v1/meetings", {"id": "m"}).expect(201)
    yield org, "/v1/meetings/m/participants"
    hearts.stop()


def fill(database, org, n):
    """n more participants, x1, x2, ..., seated as somebody who is in the meeting."""
    database.sql(
        "insert into participant (org, meeting, agent, node_org, node, transport, ladder)"
        f" select org, meeting, 'x' || i, node_org, node, transport, ladder from participant, generate_series(1, {n}) i where org = '{org.id}'"
    )


def figure(person, node):
    """One node is near to all, so that it is the answer whatever else counts."""
    return 5 + person % 3 if node == 77 else 20 + (node * 37 + person * 11) % 150


def test_a_hundred_people_over_two_hundred_nodes(make_org, admin, database):
    org = make_org()
    mesh = admin.with_token(org.new_key("node"))
    for n in range(NODES):
        mesh.post("/v1/nodes", node_body(f"n{n:03}", n + 1)).expect(201)
    wait_for(lambda: len([n for n in listed(org.api) if n.startswith("n")]) == NODES, 30, "the nodes to be listed")
    for p in range(PEOPLE):
        rows = [result(f"n{n:03}", t, figure(p, n) + 3 * k) for n in range(NODES) for k, t in enumerate(TRANSPORTS)]
        report(org.api, rows if p % 2 else rows[::-1], agent=f"p{p:02}")  # in whatever order
    database.sql(f"update node_load set heartbeat_at = now() + interval '5 minutes' where org = '{org.id}'")
    org.api.post("/v1/meetings", {"id": "m", "policy": {"private": True}}).expect(201)
    path = "/v1/meetings/m/participants"
    at_once(lambda first: [org.api.post(path, {"agent": f"p{p:02}"}).expect(201) for p in range(first, PEOPLE, 4)], range(4))
    means = {f"n{n:03}": sum(figure(p, n) for p in range(PEOPLE)) * 1000 // PEOPLE for n in range(NODES)}
    last = org.api.post(path, {"agent": "p00"}).expect(200).json
    assert last["node"] == "n077"
    shown = {c["node"]: c["mean_rtt_us"] for c in last["why"]["candidates"] if c["class"] == "mesh"}
    assert shown == {n: means[n] for n in shown} and len(shown) == 50
    seats = org.api.get(f"{path}?limit=500").expect(200).json["items"]
    assert [s["participant"] for s in seats] == [f"p{p:02}" for p in range(PEOPLE)]
    assert {s["node"] for s in seats} == {last["node"]}


def test_a_meeting_is_full(database, meeting):
    org, path = meeting
    org.api.post(path, {"agent": "ann"}).expect(201)
    fill(database, org, PEOPLE_MAX - 2)
    org.api.post(path, {"agent": "bob"}).expect(201)
    refused = org.api.post(path, {"agent": "cid"}).problem(409, "meeting_full")
    assert "participants" in refused.json["detail"]
    assert org.api.post(path, {"agent": "bob"}).expect(200).json["node"]  # who is in it may ask again
    org.api.delete(f"{path}/ann").expect(204)
    org.api.post(path, {"agent": "cid"}).expect(201)


def test_more_rows_than_one_decision_weighs(database, meeting):
    org, path = meeting
    report(org.api, [result("big-1", "udp", 9)], agent="x0")
    org.api.post(path, {"agent": "x0"}).expect(201)
    most = ROWS_MAX // REPORT_ROWS_MAX
    fill(database, org, most)
    ints = f"array_fill({{}}::int, array[{REPORT_ROWS_MAX}])"
    figures = ", ".join(ints.format(v) for v in (9000, 9000, 9000, 5, 5, -1, -1))
    small = ", ".join(ints.format(v) + "::smallint[]" for v in (1, 0, 1, 0, 0, 0))
    database.sql(
        "insert into report select org, 'x' || i, gen_random_uuid(), measured_at, received_at, expires_at, network, mapped, capabilities, names, addrs,"
        f" {small}, {figures}, proxies from report, generate_series(1, {most}) i where org = '{org.id}'"
    )
    assert org.api.post(path, {"agent": "ann"}).expect(201).json["node"] == "big-1"
    database.sql(  # one more of them is more than is weighed
        f"insert into participant select org, meeting, 'y1', node_org, node, transport, ladder from participant where org = '{org.id}' and agent = 'x1';"
        " insert into report select org, 'y1', gen_random_uuid(), measured_at, received_at, expires_at, network, mapped, capabilities, names, addrs,"
        " node, transport, status, framing, address, mapped_address, rtt_min_us, rtt_median_us, rtt_p95_us, sent, received, connect_us, tls_us, proxies"
        f" from report where org = '{org.id}' and agent = 'x1'"
    )
    refused = org.api.post(path, {"agent": "bob"}).problem(409, "meeting_full")
    assert "reports" in refused.json["detail"]
    org.api.delete(f"{path}/y1").expect(204)
    org.api.post(path, {"agent": "bob"}).expect(201)
