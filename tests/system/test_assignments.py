# timeout: 300
"""Which node a participant is given, over which transport, and why."""

import itertools

import pytest
from support.api import listed, node_body, now, register, report, result, state, wait_state
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


class Region:
    """Nodes of a region of their own, so that tests don't meet; meetings are kept to it by policy."""

    def __init__(self, org, admin, cloud, name):
        self.org, self.admin, self.cloud, self.name = org, admin, cloud, name
        self.meetings = 0

    def node(self, suffix, n=1, by=None, **more):
        name = f"{self.name}-{suffix}"
        register(by or self.cloud, name, n, region=self.name, seen_by=[self.org.api], **more)
        return name

    def meeting(self, **policy):
        self.meetings += 1
        id = f"{self.name}-{self.meetings}"
        self.org.api.post("/v1/meetings", {"id": id, "policy": {"regions": {"allow": [self.name]}, **policy}}).expect(201)
        return id

    def join(self, meeting, agent, expect=(200, 201), **more):
        answer = self.org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": agent, **more})
        return answer.expect(*([expect] if isinstance(expect, int) else expect)).json

    def report(self, agent, results, **more):
        report(self.org.api, {f"{self.name}-{n}": by for n, by in results.items()}, agent=f"{agent}", **more)

    def seats(self, meeting):
        items = self.org.api.get(f"/v1/meetings/{meeting}/participants").expect(200).json["items"]
        return {i["participant"]: (i["node"], i["transport"]) for i in items}


@pytest.fixture
def region(make_org, admin, cloud, count=itertools.count(1)):
    return Region(make_org(), admin, cloud, f"r{next(count)}")


def candidates(answer):
    return {c["node"]: c for c in answer["why"]["candidates"]}


def test_the_least_mean_over_everybody(region):
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 30}, "b": {"udp": 40}})
    region.report("bob", {"a": {"udp": 190}, "b": {"udp": 20}})
    m = region.meeting()
    first = region.join(m, "ann")
    assert first["node"] == a and first["why"]["reason"] == "least_mean_rtt"
    assert candidates(first)[a]["mean_rtt_us"] == 30000 and candidates(first)[b]["mean_rtt_us"] == 40000
    second = region.join(m, "bob")
    assert second["node"] == b
    why = candidates(second)
    assert why[b] == {"node": b, "cluster": f"{b}-cluster", "class": "cloud", "region": region.name, "mean_rtt_us": 30000, "transport": "udp", "rtt_us": 20000}
    assert why[a]["mean_rtt_us"] == 110000 and why[a]["rtt_us"] == 190000 and "rejected" not in why[a]
    assert second["why"]["candidates"][0]["node"] == b
    assert b in second["why"]["sentence"] and "30.0 ms" in second["why"]["sentence"]
    assert region.seats(m) == {"ann": (b, "udp"), "bob": (b, "udp")}  # the first joiner decides nothing
    assert region.join(m, "ann", expect=200)["node"] == b


def test_nobody_is_moved_for_little(region):
    """One node for both would be better by 10 ms, which is less than a third of what ann has: nodes are joined, and she stays."""
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 10}, "b": {"udp": 40}})
    region.report("bob", {"a": {"udp": 90}, "b": {"udp": 20}})
    m = region.meeting()
    assert region.join(m, "ann")["node"] == a
    assert region.join(m, "bob")["node"] == b
    assert region.seats(m) == {"ann": (a, "udp"), "bob": (b, "udp")}
    assert region.join(m, "ann", expect=200)["node"] == a
    region.report("cid", {"a": {"udp": 90}, "b": {"udp": 20}})
    assert region.join(m, "cid")["node"] == b
    shown = region.org.api.get(f"/v1/meetings/{m}").expect(200).json
    assert shown["node"] == b, "most of them are there, whatever it was before"
    assert shown["nodes"] == [{"node": b, "participants": 2}, {"node": a, "participants": 1}]


def test_the_rank_is_by_the_transport_really_used(region):
    """UDP blocked: what counts is the way that is left, not a figure over another."""
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": None, "tcp": None, "tls": 30}, "b": {"udp": None, "tcp": 80, "tls": 10}})
    answer = region.join(region.meeting(), "ann")
    assert answer["node"] == a and answer["transport"] == "tls"
    assert [r["transport"] for r in answer["ladder"]] == ["tls"]
    assert candidates(answer)[b]["transport"] == "tcp" and candidates(answer)[b]["rtt_us"] == 80000


def test_the_least_of_the_samples_counts(region):
    """A low quantile: one slow sample makes no node far."""
    a, b = region.node("a"), region.node("b", 2)
    rows = [result(a, "udp", 10), result(b, "udp", 12)]
    rows[0]["rtt_us"] = {"min": 10000, "median": 70000, "p95": 200000}
    report(region.org.api, rows, agent="ann")
    assert region.join(region.meeting(), "ann")["node"] == a


def test_a_node_that_one_cannot_reach_serves_nobody(region):
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 1}, "b": {"udp": 50}})
    region.report("bob", {"a": {"udp": None, "tcp": None, "tls": None}, "b": {"tls": 60}})
    m = region.meeting()
    assert region.join(m, "ann")["node"] == a
    answer = region.join(m, "bob")
    assert answer["node"] == b and answer["transport"] == "tls"
    assert candidates(answer)[a]["rejected"] == ["unreachable_for"]
    assert candidates(answer)[a]["unreachable_for"] == ["bob"]
    assert region.seats(m) == {"ann": (a, "udp"), "bob": (b, "tls")}  # each by its own node: they are joined


def test_no_common_node(region):
    a, _, c = region.node("a"), region.node("b", 2), region.node("c", 3)
    region.report("ann", {"a": {"udp": 5}, "b": {"udp": None}, "c": {"udp": None}})
    region.report("bob", {"a": {"udp": None}, "b": {"udp": 9}, "c": {"udp": 7}})
    m = region.meeting()
    region.join(m, "ann")
    answer = region.join(m, "bob")
    assert answer["node"] == c and answer["why"]["reason"] == "no_common_node"
    assert region.seats(m) == {"ann": (a, "udp"), "bob": (c, "udp")}


def test_a_new_node_that_nobody_measured_yet(region):
    a = region.node("a")
    region.report("ann", {"a": {"udp": 50}})
    b = region.node("b", 2)
    answer = region.join(region.meeting(), "ann")
    assert answer["node"] == a
    assert candidates(answer)[b]["rejected"] == ["not_measured_by"] and candidates(answer)[b]["not_measured_by"] == ["ann"]


def test_reports_older_than_every_node(region):
    """The nodes were all replaced since: what nobody measured is tried rather than refused, and kept together."""
    region.node("old")
    for agent in ("ann", "bob"):
        region.report(agent, {"old": {"udp": 5}}, capabilities=["tcp", "tls"])
    region.admin.delete(f"/v1/nodes/{region.name}-old").expect(204)
    a, b = region.node("a"), region.node("b", 2)
    m = region.meeting()
    first = region.join(m, "ann")
    assert first["node"] in (a, b) and first["why"]["reason"] == "not_measured"
    assert [r["transport"] for r in first["ladder"]] == ["tcp", "tls"]
    assert region.join(m, "bob")["node"] == first["node"]


def test_untested_is_not_unreachable(region):
    a, b = region.node("a"), region.node("b", 2)
    report(region.org.api, [result(a, "udp", status="untested"), result(b, "udp", 50)], agent="ann")
    answer = region.join(region.meeting(), "ann")
    assert answer["node"] == b and candidates(answer)[a]["rejected"] == ["not_measured_by"]


def test_without_a_report(region):
    """It goes where the others are; alone, to the least loaded node."""
    a, b = region.node("a"), region.node("b", 2)
    region.cloud.post(f"/v1/nodes/{a}/heartbeat", {"load": {"cpu": 0.8}}).expect(200)
    wait_for(lambda: ((state(region.admin, a) or {}).get("load") or {}).get("cpu", 0) > 0.7)
    alone = region.join(region.meeting(), "ann")
    assert alone["node"] == b and alone["why"]["reason"] == "no_live_report"
    assert [r["transport"] for r in alone["ladder"]] == ["udp", "tcp", "tls", "proxy"]
    assert "taken as the least loaded node" in alone["why"]["sentence"]
    m = region.meeting()
    region.join(m, "cid"), region.join(m, "dan")
    with_others = region.join(m, "ann")
    assert with_others["node"] == b and f"it goes to {b}, where 2 others are." in with_others["why"]["sentence"]
    region.report("bob", {"a": {"udp": 5}, "b": {"udp": 50}})
    m = region.meeting()
    assert region.join(m, "bob")["node"] == a
    again = region.join(m, "ann")
    assert again["node"] == a and again["why"]["reason"] == "no_live_report" and "ann" in again["why"]["sentence"]
    assert candidates(again)[a]["mean_rtt_us"] == 5000  # bob's alone


def test_capabilities_of_join_and_of_report(region):
    region.node("a")
    everything = {"a": {"udp": None, "tcp": None, "tls": 30, "proxy": 50}}
    region.report("ann", everything, capabilities=["udp", "tcp"])
    region.join(region.meeting(), "ann", expect=503)
    region.report("ann", everything, capabilities=["udp", "tcp", "tls"])
    answer = region.join(region.meeting(), "ann")
    assert [r["transport"] for r in answer["ladder"]] == ["tls"]
    m = region.meeting()
    assert region.join(m, "ann", capabilities=["proxy"])["transport"] == "proxy"
    assert region.join(m, "ann", capabilities=["udp", "tls", "proxy"])["transport"] == "tls"
    silent = region.join(region.meeting(), "cid", capabilities=["tcp", "tls"])
    assert [r["transport"] for r in silent["ladder"]] == ["tcp", "tls"]


def test_ladder_has_what_answered_and_the_proxy(region):
    a = region.node(
        "a",
        addresses={"udp": ["192.0.2.1:5004", "192.0.2.1:3478"], "tcp": ["192.0.2.1:5004"], "tls": ["192.0.2.1:443", "[2001:db8::1]:443"]},
    )
    proxy = {"url": "http://proxy.example:3128", "scheme": "http", "auth": "none", "tls_intercepted": False}
    report(
        region.org.api,
        [
            result(a, "udp", 10, address="192.0.2.1:3478"),
            result(a, "tcp"),
            result(a, "tls", 20, address="[2001:db8::1]:443"),
            result(a, "proxy", 40, address="192.0.2.1:443", via_proxy=proxy),
        ],
        agent="ann",
    )
    name = f"{a}.example"
    assert region.join(region.meeting(), "ann")["ladder"] == [
        {"transport": "udp", "address": "192.0.2.1:3478"},
        {"transport": "tls", "address": "[2001:db8::1]:443", "tls_name": name},
        {"transport": "proxy", "address": "192.0.2.1:443", "tls_name": name, "proxy": "http://proxy.example:3128"},
    ]
    # An address that the node no longer has is not handed out.
    region.cloud.post("/v1/nodes", node_body(a, region=region.name, addresses={"udp": ["192.0.2.77:5004"]})).expect(200)
    wait_for(lambda: listed(region.org.api)[a]["addresses"]["udp"] == ["192.0.2.77:5004"])
    assert region.join(region.meeting(), "ann")["ladder"] == [{"transport": "udp", "address": "192.0.2.77:5004"}]


def proxied(node, ms, address="192.0.2.1:443", url="http://gate.example:3128"):
    """A proxy's row, as the agent writes it."""
    via = {"url": url, "scheme": "http", "auth": "basic", "tls_intercepted": False}
    return result(node, "proxy", ms, address=address, via_proxy=via)


def test_only_the_proxy_gets_out(region):
    a, b = region.node("a"), region.node("b", 2)
    rows = [result(n, t) for n in (a, b) for t in ("udp", "tcp", "tls")]
    report(region.org.api, rows + [proxied(a, 60), proxied(b, 20, "192.0.2.2:443", "http://u:secret@gate.example:3128")], agent="ann")
    answer = region.join(region.meeting(), "ann")
    assert answer["node"] == b and answer["transport"] == "proxy"
    assert answer["ladder"] == [
        {"transport": "proxy", "address": "192.0.2.2:443", "tls_name": f"{b}.example", "proxy": "http://gate.example:3128"}
    ]
    assert candidates(answer)[b] | {"mean_rtt_us": 20000, "transport": "proxy", "rtt_us": 20000} == candidates(answer)[b]
    assert region.join(region.meeting(transports=["proxy"]), "ann")["ladder"] == answer["ladder"]
    for policy, said in (({"transports": ["udp", "tcp", "tls"]}, {}), ({}, {"capabilities": ["udp", "tcp", "tls"]})):
        refused = region.org.api.post(f"/v1/meetings/{region.meeting(**policy)}/participants", {"agent": "ann", **said})
        assert "2 unreachable_for" in refused.problem(503, "no_node").json["detail"]


def test_a_proxy_is_the_last_rung_and_given_to_those_who_can_alone(region):
    a = region.node("a")
    rows = [result(a, "udp"), result(a, "tcp"), result(a, "tls", 90, address="192.0.2.1:443"), proxied(a, 30)]
    report(region.org.api, rows, agent="ann", capabilities=["udp", "tcp", "tls", "proxy"])
    report(region.org.api, rows, agent="bob", capabilities=["udp", "tcp", "tls"])
    m = region.meeting()
    assert [r["transport"] for r in region.join(m, "ann")["ladder"]] == ["tls", "proxy"]
    assert [r["transport"] for r in region.join(m, "bob")["ladder"]] == ["tls"]
    assert [r["transport"] for r in region.join(m, "ann", capabilities=["udp", "proxy"])["ladder"]] == ["proxy"]
    assert region.join(region.meeting(transports=["tls"]), "ann")["ladder"][-1]["transport"] == "tls"


def test_a_proxy_that_failed_is_no_rung(region):
    a = region.node("a")
    report(region.org.api, [result(a, "tls", 50), result(a, "proxy", status="proxy_error")], agent="ann")
    assert [r["transport"] for r in region.join(region.meeting(), "ann")["ladder"]] == ["tls"]


def test_a_proxy_tunnels_to_tls_alone(region):
    region.node("a", addresses={"udp": ["192.0.2.1:5004"], "tcp": ["192.0.2.1:5004"]}, tls_name=None)
    assert [r["transport"] for r in region.join(region.meeting(), "new")["ladder"]] == ["udp", "tcp"]
    region.join(region.meeting(transports=["proxy"]), "new", expect=503)


def test_inside_and_outside_addresses(region, make_org):
    """A mesh node that is reached one way from its own LAN and another from elsewhere: all are told to be probed, and each
    agent's ladder has what answered that agent."""
    region.org = make_org()
    both = {t: [f"192.168.7.7:{p}", f"198.51.100.7:{p}"] for t, p in (("udp", 5004), ("tls", 443))}
    mesh = region.node("mesh", by=region.admin.with_token(region.org.new_key("node")), addresses={"udp": ["192.168.7.7:5004"]}, advertise=both)
    cloud = region.node("cloud", 2)
    assert listed(region.org.api)[mesh]["addresses"] == both
    for agent, ip, ms in (("inside", "192.168.7.7", 1), ("outside", "198.51.100.7", 30)):
        rows = [result(mesh, "udp", ms, address=f"{ip}:5004"), result(mesh, "tls", ms, address=f"{ip}:443"), result(cloud, "udp", 40)]
        report(region.org.api, rows, agent=agent)
        answer = region.join(region.meeting(), agent)
        assert answer["node"] == mesh and candidates(answer)[mesh]["class"] == "mesh"
        assert answer["ladder"] == [
            {"transport": "udp", "address": f"{ip}:5004"},
            {"transport": "tls", "address": f"{ip}:443", "tls_name": f"{mesh}.example"},
        ]
    # Without a report every address is a rung, in the order advertised.
    assert [r["address"] for r in region.join(region.meeting(private=True), "new", capabilities=["udp"])["ladder"]] == both["udp"]


def test_policy_transports(region):
    a, b = region.node("a"), region.node("b", 2, addresses={"udp": ["192.0.2.2:5004"]})
    region.report("ann", {"a": {"udp": 5, "tcp": 6, "tls": 40}, "b": {"udp": 1}})
    answer = region.join(region.meeting(transports=["tls"]), "ann")
    assert answer["node"] == a and [r["transport"] for r in answer["ladder"]] == ["tls"]
    assert "no_transport" in candidates(answer)[b]["rejected"]


def test_policy_regions(region):
    a = region.node("a")
    region.report("ann", {"a": {"udp": 5}})
    region.org.api.post("/v1/meetings", {"id": f"{region.name}-deny", "policy": {"regions": {"allow": [region.name], "deny": [region.name]}}}).expect(201)
    path = f"/v1/meetings/{region.name}-deny/participants"
    region.org.api.post(path, {"agent": "ann"}).problem(451, "no_region_allowed")
    region.org.api.post("/v1/meetings", {"id": f"{region.name}-moon", "policy": {"regions": {"allow": ["moon"]}}}).expect(201)
    region.org.api.post(f"/v1/meetings/{region.name}-moon/participants", {"agent": "ann"}).problem(451, "no_region_allowed")
    assert region.join(region.meeting(), "ann")["node"] == a


def test_private_meetings_use_the_mesh_alone(region, make_org):
    region.org = make_org()
    region.node("a")
    m = region.meeting(private=True)
    region.report("ann", {"a": {"udp": 1}})
    refused = region.org.api.post(f"/v1/meetings/{m}/participants", {"agent": "ann"}).problem(503, "no_node")
    assert "not_private" in refused.json["detail"]
    mesh = region.node("mesh", 2, by=region.admin.with_token(region.org.new_key("node")))
    region.report("ann", {"a": {"udp": 1}, "mesh": {"udp": 70}})
    answer = region.join(m, "ann")
    assert answer["node"] == mesh and candidates(answer)[mesh]["class"] == "mesh"
    assert candidates(answer)[f"{region.name}-a"]["rejected"] == ["not_private"]
    assert region.join(region.meeting(), "ann")["node"] == mesh  # an own node within 250 ms goes before any cloud node


def test_drained_and_silent_nodes_are_left(region, database):
    a, b, c = region.node("a"), region.node("b", 2), region.node("c", 3)
    region.report("ann", {"a": {"udp": 1}, "b": {"udp": 2}, "c": {"udp": 3}})
    m = region.meeting()
    assert region.join(m, "ann")["node"] == a
    region.admin.post(f"/v1/nodes/{a}/drain").expect(200)
    answer = region.join(m, "bob")  # at once: the database is asked, not only the copy in memory
    assert answer["node"] == b and candidates(answer)[a]["rejected"] == ["drained"]
    assert region.seats(m)["ann"] == (b, "udp")

    def silent():
        """b alone is: the others here send no heartbeats of their own, and were most of them silent, it would count for nothing."""
        database.sql(
            "delete from health_doubt; update node_load set heartbeat_at ="
            f" case when node = '{b}' then now() - interval '20 seconds' else now() end"
        )
        return (state(region.admin, b) or {}).get("state") == "down"

    wait_for(silent, 20, "b to be down")
    answer = region.join(m, "ann")
    assert answer["node"] == c and candidates(answer)[b]["rejected"] == ["unhealthy"]
    region.admin.post(f"/v1/nodes/{c}/drain").expect(200)
    wait_state(region.admin, c, state="draining")
    refused = region.org.api.post(f"/v1/meetings/{m}/participants", {"agent": "ann"}).problem(503, "no_node")
    assert refused.headers["Retry-After"] and "2 drained" in refused.json["detail"]
    assert region.seats(m)["ann"] == (c, "udp")  # who is in stays in
    region.admin.post(f"/v1/nodes/{a}/undrain").expect(200)
    wait_state(region.admin, a, state="up")
    assert region.join(m, "ann")["node"] == a


def test_a_deleted_node_is_left_at_once(region):
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 1}, "b": {"udp": 2}})
    m = region.meeting()
    assert region.join(m, "ann")["node"] == a
    region.admin.delete(f"/v1/nodes/{a}").expect(204)
    assert region.join(m, "bob")["node"] == b
    assert region.seats(m)["ann"] == (b, "udp")


def test_full_nodes_are_passed_over(region):
    a, b = region.node("a", capacity=2), region.node("b", 2)
    for agent in ("ann", "bob", "cid"):
        region.report(agent, {"a": {"udp": 1}, "b": {"udp": 90}})
    m = region.meeting()
    assert [region.join(m, x)["node"] for x in ("ann", "bob")] == [a, a]
    third = region.join(m, "cid")
    assert third["node"] == b and candidates(third)[a]["rejected"] == ["full"]
    assert region.seats(m) == {"ann": (a, "udp"), "bob": (a, "udp"), "cid": (b, "udp")}  # two nodes, joined
    wait_for(lambda: [{n["node"]: n for n in region.admin.get("/v1/nodes").json["nodes"]}[x]["participants"] for x in (a, b)] == [2, 1])


def test_the_live_report_is_the_networks(region):
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 5}, "b": {"udp": 50}}, network="office", measured_at=now(-60))
    region.report("ann", {"a": {"udp": 50}, "b": {"udp": 5}}, network="home", measured_at=now(-30))
    assert region.join(region.meeting(), "ann")["node"] == b  # the one last reported
    assert region.join(region.meeting(), "ann", network="office")["node"] == a
    assert region.join(region.meeting(), "ann", network={"id": "office"})["node"] == a
    assert region.join(region.meeting(), "ann", network="home")["node"] == b
    strange = region.join(region.meeting(), "ann", network="train")
    assert strange["why"]["reason"] == "no_live_report" and "train" in strange["why"]["sentence"]
    m = region.meeting()
    region.join(m, "ann", network="office")
    region.report("bob", {"a": {"udp": 5}, "b": {"udp": 6}})
    assert region.join(m, "bob")["node"] == a  # ann's office still counts
    shown = region.org.api.get(f"/v1/meetings/{m}/participants").json["items"]
    assert [i.get("network") for i in shown] == ["office", None]


def test_a_newer_report_changes_the_assignment(region):
    a, b = region.node("a"), region.node("b", 2)
    region.report("ann", {"a": {"udp": 5}, "b": {"udp": 50}}, measured_at=now(-60))
    m = region.meeting()
    first = region.join(m, "ann")
    assert first["node"] == a
    again = region.join(m, "ann", expect=200)
    assert again.pop("media") and first.pop("media")  # a fresh ticket each time
    assert again == first
    region.report("ann", {"a": {"udp": None}, "b": {"udp": 50}})
    assert region.join(m, "ann", expect=200)["node"] == b


def test_an_expired_report_is_not_used_and_moves_nobody(controllers, make_org, admin, cloud):
    brief = controllers(report_lifetime=3)
    org = make_org()
    region = Region(org, admin, cloud, "brief")
    a, b = region.node("a"), region.node("b", 2)
    short = brief.client(org.key)
    wait_for(lambda: {a, b} <= set(listed(short)), 10, "the second controller to list both nodes")
    report(short, {a: {"udp": 90}, b: {"udp": 5}}, agent="ann")
    m = region.meeting()
    assert region.join(m, "ann")["node"] == b
    wait_for(lambda: short.get("/v1/agents/ann/report").status == 404, 10, "the report to expire")
    assert region.seats(m) == {"ann": (b, "udp")}
    answer = region.join(m, "ann")
    assert answer["node"] == b and answer["why"]["reason"] == "no_live_report"


def test_what_a_worker_knows_of_reports_changes_no_plan(controllers, make_org, admin, cloud, database):
    """A newer report counts at once; one that has expired, or was erased, no more, though the worker has read it for joins before."""
    org = make_org()
    region, api = Region(org, admin, cloud, "known"), controllers(threads=1).client(org.key)
    a, b = region.node("a"), region.node("b", 2)
    wait_for(lambda: {a, b} <= set(listed(api)), 10, "the other controller to list both nodes")
    people = f"/v1/meetings/{region.meeting()}/participants"

    def why(client, agent="cid"):
        return client.post(people, {"agent": agent}).expect(200, 201).json["why"]

    def means():
        return {c["node"]: c["mean_rtt_us"] for c in why(api)["candidates"] if c["node"] in (a, b)}

    region.report("ann", {"a": {"udp": 10}, "b": {"udp": 22}})
    region.report("cid", {"a": {"udp": 20}, "b": {"udp": 62}})
    why(api, "ann")
    region.report("bob", {"a": {"udp": 30}, "b": {"udp": 51}})
    why(api, "bob")
    assert means() == {a: 20000, b: 45000} == means()
    region.report("ann", {"a": {"udp": 40}, "b": {"udp": 82}})
    assert means() == {a: 30000, b: 65000}
    at = now()  # of two measured at the same moment the one that came later counts
    region.report("ann", {"a": {"udp": 50}, "b": {"udp": 85}}, measured_at=at)
    region.report("ann", {"a": {"udp": 70}, "b": {"udp": 88}}, measured_at=at)
    assert means() == {a: 40000, b: 67000}
    region.report("ann", {"a": {"udp": 55}, "b": {"udp": 85}}, measured_at=now(30))  # a clock that is ahead, and is set meanwhile
    assert means() == {a: 35000, b: 66000}
    region.report("ann", {"a": {"udp": 85}, "b": {"udp": 91}}, measured_at=now(5))
    assert means() == {a: 45000, b: 68000}
    database.sql(f"update report set expires_at = now() where org = '{org.id}' and agent = 'bob'")
    assert means()[b] != 68000
    org.api.delete("/v1/agents/ann").expect(204)
    assert why(api, "ann")["reason"] == "no_live_report"
    fresh = controllers(threads=1).client(org.key)

    def told(client, agent):  # of this test's nodes: others fall silent meanwhile
        said = why(client, agent)
        return said["reason"], [c for c in said["candidates"] if c["node"] in (a, b)]

    for agent in ("cid", "bob"):
        assert told(api, agent) == told(fresh, agent)


def test_many_nodes_name_some_candidates_and_count_all(make_org, cloud, admin):
    org = make_org()
    mesh = admin.with_token(org.new_key("node"))
    for i in range(60):
        register(mesh, f"many-{i:02}", i + 1, region="many", seen_by=[org.api] if i == 59 else ())
    report(org.api, {f"many-{i:02}": {"udp": 10 + (i * 37) % 60} for i in range(60)}, agent="ann")
    org.api.post("/v1/meetings", {"id": "m", "policy": {"private": True}}).expect(201)
    answer = org.api.post("/v1/meetings/m/participants", {"agent": "ann"}).expect(201).json
    assert answer["node"] == "many-00"
    why = answer["why"]["candidates"]
    assert len(why) == 50 and why[0]["node"] == "many-00" and answer["why"]["candidates_total"] >= 60
    means = [c["mean_rtt_us"] for c in why]
    assert means == sorted(means)


def test_joins_are_counted(controller, region):
    region.node("a")
    before = controller.metrics()
    region.join(region.meeting(), "ann")
    region.join(region.meeting(transports=["tls"]), "ann", capabilities=["udp"], expect=503)
    after = controller.metrics()
    assert after["berth_joins_total"] == before["berth_joins_total"] + 1
    assert after["berth_joins_refused_total"] == before["berth_joins_refused_total"] + 1
