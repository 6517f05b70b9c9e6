# timeout: 300
"""What an org's live reports tell of it as a whole: GET /v1/analytics/..., and `berth analytics`."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.api import Heartbeats, register, report
from support.process import AGENT, run

ONE, TWO = "y-one", "y-two"


@pytest.fixture(scope="module")
def nodes(admin, node_key, make_org):
    cloud, viewer = admin.with_token(node_key), make_org("Viewer").api
    register(cloud, ONE, 1, seen_by=[viewer], location={"lat": 50.1, "lon": 8.7})
    register(cloud, TWO, 2, seen_by=[viewer], location={"lat": 40.7, "lon": -74.0})
    beats = Heartbeats(cloud, ONE, TWO)
    yield
    beats.stop()


@pytest.fixture(scope="module")
def org(make_org, nodes):
    """An office where UDP is blocked for one of three, a home that reaches nothing, and somebody near the office."""
    org = make_org("Analysed")
    for agent, one, udp in (("a", 80, True), ("b", 82, True), ("c", 90, False)):
        results = {ONE: {"udp": one if udp else None, "tls": one + 10}, TWO: {"udp": 90 if udp else None, "tls": 100}}
        report(org.api, results, agent=agent, network="office")
    report(org.api, {ONE: {"udp": None, "tls": None}}, agent="d", network="home")
    report(org.api, {ONE: {"udp": 83}, TWO: {"udp": 91}}, agent="e", network="near")
    report(org.api, {ONE: {"udp": 10}, TWO: {"udp": 95}}, agent="f", network="far")
    return org


def test_transports_by_site(org, make_org):
    page = org.api.get("/v1/analytics/transports").expect(200).json
    assert page["next"] is None
    sites = {i["network"]: i for i in page["items"]}
    assert list(sites) == ["far", "home", "near", "office"]
    office = sites["office"]
    assert (office["agents"], office["blocked"]) == (3, 0)
    assert office["transports"]["udp"] == {"tested": 3, "works": 2, "share": pytest.approx(2 / 3)}
    assert office["transports"]["tls"]["share"] == 1 and "proxy" not in office["transports"]
    assert (sites["home"]["agents"], sites["home"]["blocked"]) == (1, 1)
    assert make_org("Nobody").api.get("/v1/analytics/transports").expect(200).json == {"items": [], "next": None, "sampled": False}


def test_pages(org):
    seen, cursor = [], ""
    while cursor is not None:
        page = org.api.get(f"/v1/analytics/transports?limit=3{cursor and '&cursor=' + cursor}").expect(200).json
        seen += [i["network"] for i in page["items"]]
        cursor = page["next"]
    assert seen == ["far", "home", "near", "office"]
    first = org.api.get("/v1/analytics/rtt?limit=1").expect(200).json
    assert [i["node"] for i in first["items"]] == [ONE]
    second = org.api.get(f"/v1/analytics/rtt?limit=1&cursor={first['next']}").expect(200).json
    assert [i["node"] for i in second["items"]] == [TWO] and second["next"] is None


def test_rtt_by_node(org):
    nodes = {i["node"]: i for i in org.api.get("/v1/analytics/rtt?network=office").expect(200).json["items"]}
    assert nodes[ONE]["rtt_us"] == {"min": 80000, "median": 82000, "p95": 100000}
    assert nodes[ONE]["by_transport"] == {"udp": 2, "tls": 1}
    assert (nodes[ONE]["cluster"], nodes[ONE]["class"]) == (f"{ONE}-cluster", "cloud")
    everywhere = {i["node"]: i for i in org.api.get("/v1/analytics/rtt").expect(200).json["items"]}
    assert (everywhere[ONE]["agents"], everywhere[ONE]["reached"], everywhere[ONE]["rtt_us"]["min"]) == (6, 5, 10000)
    assert "rtt_us" not in org.api.get("/v1/analytics/rtt?network=home").expect(200).json["items"][0]


def test_whom_a_new_node_would_help(org):
    """In the office: its three, and who is near by every figure; not who is near another node."""
    told = org.api.get("/v1/analytics/new-node?network=office").expect(200).json
    assert (told["agents"], told["helped"], told["landmarks"], told["sampled"]) == (5, 4, 2, False)
    sites = {s["network"]: s for s in told["sites"]}
    assert list(sites) == ["office", "near"]  # by what they gain together
    assert sites["office"]["helped"] == 3 and sites["office"]["rtt_then_us"] == 2000
    # The office is at 82 and 90 ms: the greatest difference to 83 and 91 is 1 ms.
    assert sites["near"] == {"network": "near", "agents": 1, "helped": 1, "rtt_now_us": 83000, "rtt_then_us": 6500, "gain_us": 76500}
    assert org.api.get("/v1/analytics/new-node?network=office&min_gain_us=10000000").expect(200).json["sites"] == []


def test_fifty_networks_are_told_of(make_org, nodes):
    many = make_org("Many").api
    for n in range(52):
        report(many, {ONE: {"udp": 80 + n}}, agent=f"a{n}", network=f"net-{n:02}")
    told = many.get("/v1/analytics/new-node?network=net-00").expect(200).json
    assert told["helped"] > 50 and len(told["sites"]) == 50


def test_another_node_beside_one_that_is_there(org):
    """Nobody comes nearer by a second node at the same place."""
    told = org.api.get(f"/v1/analytics/new-node?like={ONE}").expect(200).json
    assert told["helped"] == 0 and told["sites"] == [] and told["agents"] == 5


def test_a_place_on_the_map(org):
    told = org.api.get("/v1/analytics/new-node?lat=-33.9&lon=151.2").expect(200).json
    assert told["landmarks"] == 2 and told["agents"] == 5


def test_refusals(org, admin, make_org):
    new = "/v1/analytics/new-node"
    for query in ("", "?like=x&network=y", "?lat=1", "?lat=91&lon=0", "?lat=x&lon=0", "?lat=0x10&lon=0", "?lat=1&lon=%201",
                  f"?like={ONE}&min_gain_us=0", f"?like={ONE}&limit=0", "?network=a%20b"):  # fmt: skip
        org.api.get(new + query).problem(400, "bad_request")
    org.api.get(new + "?like=nowhere").problem(404, "unknown_node")
    org.api.get(new + "?network=nowhere").problem(409, "place_unknown")
    nobody = make_org("Nobody").api.get(new + f"?like={ONE}").expect(200).json
    assert (nobody["agents"], nobody["helped"], nobody["sites"]) == (0, 0, [])
    for what in ("calls", "rtt", "transports"):
        for query in ("limit=0", "limit=501", "cursor=***"):
            org.api.get(f"/v1/analytics/{what}?{query}").problem(400, "bad_request")
    for query in ("?org=No", "?network=office", "?by=network", "?by=country"):
        admin.get("/v1/analytics/transports" + query).problem(400, "bad_request")
    assert len(admin.get(f"/v1/analytics/rtt?org={org.id}").expect(200).json["items"]) == 2
    org.api.get("/v1/analytics/rtt?org=another").problem(404, "not_found")
    org.agent("a").get("/v1/analytics/rtt").problem(403, "forbidden")


def test_sites_by_prefix(make_org, nodes):
    org = make_org("Seen").api
    for agent, mapped, udp in (("a", "9.8.7.1", 10), ("b", "9.8.7.250", None), ("c", "9.8.6.1", 12), ("d", "2a00:1:2:3::4", 9), ("e", "10.0.0.1", 9)):
        report(org, {ONE: {"udp": udp, "tls": 20}}, agent=agent, network=f"net-{agent}", mapped=[mapped])
    page = org.get("/v1/analytics/transports?by=prefix").expect(200).json
    assert [(i["prefix"], i["agents"]) for i in page["items"]] == [("2a00:1:2::/48", 1), ("9.8.6.0/24", 1), ("9.8.7.0/24", 2)]
    assert page["items"][2]["transports"]["udp"] == {"tested": 2, "works": 1, "share": 0.5} and "orgs" not in page["items"][0]
    first = org.get("/v1/analytics/transports?by=prefix&limit=2").expect(200).json
    rest = org.get(f"/v1/analytics/transports?by=prefix&cursor={first['next']}").expect(200).json
    assert first["items"] + rest["items"] == page["items"]
    told = org.get("/v1/analytics/new-node?network=net-a&by=prefix&min_gain_us=1").expect(200).json
    assert told["helped"] >= 1 and {s["prefix"] for s in told["sites"]} <= {"9.8.7.0/24", "9.8.6.0/24", "2a00:1:2::/48"}


def test_all_organisations_together(make_org, nodes, admin, database):
    """The operator learns sums: nodes of the cloud, and prefixes; networks and mesh nodes are an organisation's own names."""
    for name in ("East", "West"):
        org = make_org(name)
        register(org.api.with_token(org.new_key("node")), "own", 9, seen_by=[org.api])
        report(org.api, {ONE: {"udp": 40}, "own": {"udp": 5}}, agent="same", network="office", mapped=["9.1.2.3"])
    sites = {i["prefix"]: i for i in admin.get("/v1/analytics/transports").expect(200).json["items"]}
    assert (sites["9.1.2.0/24"]["agents"], sites["9.1.2.0/24"]["orgs"]) == (2, 2)
    rtt = {i["node"]: i for i in admin.get("/v1/analytics/rtt").expect(200).json["items"]}
    assert "own" not in rtt and rtt[ONE]["agents"] >= 2
    told = admin.get(f"/v1/analytics/new-node?like={TWO}&min_gain_us=1").expect(200).json
    assert told["agents"] >= 2 and all("prefix" in s and "network" not in s for s in told["sites"])
    assert admin.get("/v1/analytics/calls").expect(200).json["items"] == []
    with pytest.raises(AssertionError, match="only the operator"):
        database.sql("begin; set local role berth_tenant; select set_config('berth.org', 'oabc', true); select count(*) from analytics_sample(10); commit")


@pytest.fixture(scope="module")
def command(controller, world):
    """berth analytics of an org: command(org, "rtt", ...)."""

    def berth(org, *words):
        env = {"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.key, "BERTH_CA": str(world.authority.file)}
        return run([AGENT, "analytics", *words], env=env)

    return berth


def test_the_command(org, command, world):
    def berth(*words):
        return command(org, *words)

    call = {"node": ONE, "transport": "udp", "seconds": 9, "rtt_us": {"min": 25000, "median": 25000, "p95": 25000}}
    call.update(received=90, lost=10, expected={"transport": "udp", "rtt_us": 20000})
    report(org.api, {}, agent="a", calls=[call])
    for words, wanted in (
        (["transports"], ["office", "67 %", "100 %"]),
        (["rtt", "--network", "office"], [ONE, "82.0 ms"]),
        (["new-node", "--network", "office"], ["4 of 5 agents", "near", "76.5 ms"]),
        (["transports", "--by", "prefix"], ["SITE", "PROXY"]),
        (["rtt", "--network", "nowhere"], ["No live report"]),
        (["calls"], [ONE, "25.0 ms", "10.0 %", "5.0 ms"]),
        (["transports", "--all-orgs", "--admin-token", world.admin_key], ["9.1.2.0/24"]),
    ):
        done = berth(*words)
        assert done.returncode == 0, done.stderr
        assert all(w in done.stdout for w in wanted), done.stdout
        assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
    assert json.loads(berth("new-node", "--like", ONE, "--json").stdout)["helped"] == 0
    assert berth("new-node").returncode == 2
    assert berth("new-node", "--network", "nowhere").returncode == 3


def put_large_reports(database, org, reports, rows, name="large", networks="'net-' || r % 10"):
    """As many reports in ten networks, each of so many rows to nodes that have gone since."""
    database.sql(
        f"""insert into report (org, agent, report_id, measured_at, received_at, expires_at, network, mapped, names, addrs, node, transport, status,
            framing, address, mapped_address, rtt_min_us, rtt_median_us, rtt_p95_us, sent, received, connect_us, tls_us, net4)
        select '{org}', '{name}-' || lpad(r::text, 4, '0'), gen_random_uuid(), now(), now(), now() + interval '1 hour', {networks},
            '{{}}', names, '{{}}', node, transport, status, none, none, none, rtt, rtt, rtt, rtt, rtt, rtt, rtt, (9 << 16) + r % 10
        from generate_series(1, {reports}) r cross join lateral (
            select array_agg(distinct 'a-node-of-a-large-fleet-' || lpad((k / 3)::text, 5, '0')) as names,
                array_agg((k / 3 + 1)::smallint order by k) as node, array_agg((k % 3)::smallint order by k) as transport,
                array_agg(1::smallint order by k) as status, array_agg(0::smallint order by k) as none,
                array_agg(20000 + (r * 7919 + k * 104729) % 80000 order by k) as rtt
            from generate_series(0, {rows} - 1) k) x"""
    )


@pytest.mark.parametrize("reports", [100, 1500])
def test_large_reports_are_answered_of(make_org, nodes, admin, database, command, reports):
    """What one answer looks at is bounded by rows, and it says so where that left something out."""
    org = make_org("Large")
    put_large_reports(database, org.id, reports, rows=1000)
    all_of_them = ("rtt", "transports?by=prefix", "new-node?network=net-1", "new-node?network=net-1&by=prefix")
    for path, sampled in (
        ("rtt?network=net-1", False),  # 150,000 rows
        ("transports?limit=9", reports > 100),  # 40,000 rows of each network and the one behind the page
        *((path, reports > 400) for path in all_of_them),
    ):
        for client, whose in ((org.api, ""), (admin, f"org={org.id}")):
            told = client.get(f"/v1/analytics/{path}{'&' if '?' in path else '?'}{whose}").expect(200).json
            assert told["sampled"] == sampled, path
    for path in ("rtt", "transports", f"new-node?like={ONE}"):
        assert admin.get(f"/v1/analytics/{path}").expect(200).json["sampled"] == (reports > 400), path
    sites = {i["network"]: i for i in org.api.get("/v1/analytics/transports?limit=9").expect(200).json["items"]}
    assert len(sites) == 9 and sites["net-1"]["agents"] == (40 if reports > 400 else 10)
    assert sites["net-1"]["transports"]["udp"]["works"] == sites["net-1"]["agents"]
    assert ("There is more than one answer looks at" in command(org, "rtt").stdout) == (reports > 400)
    assert json.loads(command(org, "rtt", "--json").stdout)["sampled"] == (reports > 400)


def test_a_network_whose_agents_come_last(make_org, nodes, database):
    """What is asked about is in the part that is looked at, however late its agents' names come."""
    org = make_org("Late")
    put_large_reports(database, org.id, 420, rows=1000)
    put_large_reports(database, org.id, 20, rows=1000, name="zz", networks="'late'")
    told = org.api.get("/v1/analytics/new-node?network=late").expect(200).json
    assert told["sampled"] and told["landmarks"] > 0 and {s["network"]: s for s in told["sites"]}["late"]["agents"] == 20
    assert org.api.get("/v1/analytics/rtt?network=late").expect(200).json["sampled"] is False


def test_one_report_larger_than_its_share(make_org, nodes, database):
    """Of a network whose newest report is more than its part of the rows, that report counts all the same."""
    org = make_org("Wide")
    put_large_reports(database, org.id, 10, rows=3000)
    page = org.api.get("/v1/analytics/transports?limit=500").expect(200).json
    assert [i["agents"] for i in page["items"]] == [1] * 10 and page["sampled"]
    assert page["items"][0]["transports"]["tls"] == {"tested": 1, "works": 1, "share": 1}


def test_many_at_once_take_turns(org):
    """Also where one is wrong, and where one's client has gone: the turn goes on to the next."""
    paths = ["/v1/analytics/" + p for p in ("transports", "rtt", "calls", "rtt?by=nonsense", f"new-node?like={ONE}")]
    gone = [org.api.connection() for _ in paths]
    for connection, path in zip(gone, paths):
        connection.request("GET", path, headers={"Authorization": f"Bearer {org.key}"})
    for connection in gone:
        connection.close()
    with ThreadPoolExecutor(20) as many:
        answers = list(many.map(org.api.get, paths * 4))
    for answer in answers:
        if answer.status != 503:  # this machine is slow, and it waited for too long
            answer.expect(400 if "nonsense" in answer.request else 200)
        else:
            answer.problem(503, "overloaded")
    assert {a.status for a in answers} >= {200, 400}
