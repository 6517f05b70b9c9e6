# timeout: 300, alone
"""Who has no live report is predicted from those who have: from whom, how surely, and what other orgs learn of it."""

import itertools

import pytest
from support import mmdb
from support.api import Heartbeats, now, register, report
from support.process import CONTROLLER, run, wait_for

NEAR, FAR = "p-near", "p-far"


@pytest.fixture(scope="module")
def countries(session_folder):
    path = session_folder / "countries.mmdb"
    mmdb.write(path, {"203.0.113.0/24": "NL", "198.51.0.0/16": "NL", "8.8.0.0/16": "US", "9.9.0.0/16": "DE"})
    return path


@pytest.fixture(scope="module")
def controller(controllers, countries):
    return controllers(report_lifetime=60, geoip=countries)


@pytest.fixture(scope="module")
def world_of_two(admin, node_key, make_org):
    """Two cloud nodes that everybody knows, kept alive."""
    cloud = admin.with_token(node_key)
    viewer = make_org("Viewer").api
    for n, name in enumerate((NEAR, FAR), 1):
        register(cloud, name, n, seen_by=[viewer])
    beats = Heartbeats(cloud, NEAR, FAR)
    yield
    beats.stop()


class Place:
    """An org of its own for each test."""

    count = itertools.count(1)

    def __init__(self, make_org):
        self.make_org, self.org, self.n = make_org, make_org(), 0

    def report(self, agent, near=10, far=90, network="office", mapped=("203.0.113.7",), org=None, udp=True, **more):
        results = {NEAR: {"udp": near if udp else None, "tls": near + 5}, FAR: {"udp": far if udp else None, "tls": far + 5}}
        report((org or self.org).api, results, agent=agent, network=network, mapped=mapped, **more)

    def join(self, agent, network=None, mapped=None, client=None):
        self.n += 1
        meeting = f"m{self.n}"
        self.org.api.post("/v1/meetings", {"id": meeting}).expect(201)
        body = {} if client else {"agent": agent}
        if network or mapped:
            body["network"] = {k: v for k, v in (("id", network), ("mapped_addresses", mapped)) if v}
        return (client or self.org.api).post(f"/v1/meetings/{meeting}/participants", body).expect(201).json

    def prediction(self, *args, **more):
        return self.join(*args, **more)["why"].get("prediction")


@pytest.fixture
def place(make_org, world_of_two):
    return Place(make_org)


def test_nothing_to_predict_from(place):
    answer = place.join("ann", network="office", mapped=["203.0.113.7"])
    assert answer["why"]["reason"] == "no_live_report" and "prediction" not in answer["why"]


def test_its_own_network_goes_first(place):
    for agent, near in (("a", 10), ("b", 12), ("c", 14)):
        place.report(agent, near=near)
    place.report("elsewhere", near=200, far=10, network="home")
    answer = place.join("ann", network="office", mapped=["203.0.113.7"])
    told = answer["why"]["prediction"]
    assert (told["source"], told["agents"], told["rtt_us"]) == ("network", 3, 12000) and 60 <= told["confidence_pct"] < 80
    assert answer["node"] == NEAR and answer["why"]["reason"] == "no_live_report"
    assert "3 agents of its network" in answer["why"]["sentence"] and "12.0 ms" in answer["why"]["sentence"]
    assert [r["transport"] for r in answer["ladder"]] == ["udp", "tcp", "tls", "proxy"]  # a guess takes no rung away


def test_prefix_then_wider_then_org(place):
    place.report("a", mapped=["203.0.113.7", "2001:db8:1:2::7"])
    place.report("z", near=90, far=10, network="home", mapped=["8.8.4.4"])
    for mapped, source in (
        (["203.0.113.99"], "prefix"),
        (["203.0.112.99"], "wider"),
        (["203.0.200.99"], "wider"),
        (["2001:db8:1:77::1"], "prefix"),
        (["2001:db8:2::1"], "wider"),
        (["2001:db9::1"], "org"),
        (["192.168.1.1"], "org"),
        (["198.51.7.1"], "org_country"),  # the country of a's address
    ):
        answer = place.join("ann", network="new", mapped=mapped)
        assert answer["why"]["prediction"]["source"] == source, mapped
        if source != "org":
            assert answer["why"]["prediction"]["agents"] == 1 and answer["node"] == NEAR, mapped


def test_what_its_network_blocks(place):
    for agent in "abc":
        place.report(agent, udp=False)
    answer = place.join("ann", network="office")
    near = next(c for c in answer["why"]["candidates"] if c["node"] == NEAR)
    assert near["transport"] == "tls" and near["rtt_us"] == 15000


def test_expired_is_never_used(place):
    place.report("a", measured_at=now(-56))
    assert place.prediction("ann", network="office")["source"] == "network"
    wait_for(lambda: place.org.api.get("/v1/agents/a/report").status == 404, 15, "the report to expire")
    assert place.prediction("ann", network="office", mapped=["9.1.1.1"]) is None


def test_erased_is_never_used(place, database):
    place.report("a")
    assert place.prediction("ann", network="office") is not None
    place.org.api.delete("/v1/agents/a").expect(204)
    assert place.prediction("ann", network="office", mapped=["9.1.1.1"]) is None
    place.org.api.delete("/v1/agents/ann").expect(204)
    assert database.sql(f"select count(*) from prediction where org = '{place.org.id}'") == "0"


def test_others_in_the_meeting_are_predicted_too(place):
    """Bob, of a network that others reported from, is where they would be best; his report's lack makes him no stranger."""
    for agent in "abc":
        place.report(agent, near=90, far=10, network="abroad")
    place.org.api.post("/v1/meetings", {"id": "shared"}).expect(201)
    for agent, network in (("bob", "abroad"), ("ann", "abroad")):
        body = {"agent": agent, "network": network}
        answer = place.org.api.post("/v1/meetings/shared/participants", body).expect(201).json
        assert answer["node"] == FAR and answer["why"]["prediction"]["source"] == "network"
    explained = place.org.api.get("/v1/meetings/shared/explain").expect(200).json["items"]
    assert [(p["measured"], p["prediction"]["source"]) for p in explained] == [(False, "network")] * 2
    joined = place.org.api.post("/v1/meetings/shared/participants", {"agent": "a"}).expect(201).json["why"]["sentence"]
    assert "over the 3 participants measured or predicted" in joined, joined


def test_what_came_to_nothing_is_not_remembered(place, admin, node_key, database):
    """The node that was predicted has filled up by the time the plan is to be kept: no figure of it is ever judged."""
    cloud = admin.with_token(node_key)
    register(cloud, "p-tight", 3, seen_by=[place.org.api], capacity=1)
    beats = Heartbeats(cloud, "p-tight")
    report(place.org.api, {"p-tight": {"udp": 1}}, agent="a", network="tight")
    whose = f"'{place.org.id}', 'filled'"
    database.sql(
        f"insert into meeting (org, id) values ({whose});"
        f" insert into participant (org, meeting, agent, node_org, node, transport, ladder) values ({whose}, 'x', 'cloud', 'p-tight', 0, '{{0}}')"
    )
    answer = place.join("ann", network="tight")
    beats.stop()
    assert answer["node"] != "p-tight" and answer["why"]["prediction"]["source"] == "network"
    assert database.sql(f"select count(*) from prediction where org = '{place.org.id}'") == "0"


def test_bounds(place):
    """Sixteen reports of a network are looked at, and sixteen networks of a meeting."""
    for n in range(18):
        place.report(f"r{n}", network="office", near=10 + n)
        place.report(f"s{n}", network=f"net-{n:02}")
    told = place.prediction("ann", network="office")
    assert told["agents"] == 16 and told["source"] == "network"
    place.org.api.post("/v1/meetings", {"id": "many"}).expect(201)
    for n in range(18):
        place.org.api.post("/v1/meetings/many/participants", {"agent": f"p{n:02}", "network": f"net-{n:02}"}).expect(201)
    explained = place.org.api.get("/v1/meetings/many/explain?limit=40").expect(200).json["items"]
    assert [i["participant"] for i in explained if "prediction" not in i] == ["p16", "p17"]


def asked(database, org, **more):
    """What the database tells a tenant: [[source, agents, figures], ...]."""
    args = {"net4": "null", "country": "null", **more}
    sql = (
        f"begin; set local role berth_tenant; select set_config('berth.org', '{org}', true); select source, names, rtt_us"
        f" from predict('ann', array[null]::text[], null, null, {args['net4']}, null, {args['country']}); commit"
    )
    return database.sql(sql).splitlines()[1:]


def test_other_orgs_only_together(place, make_org, database, admin):
    """Five agents of three orgs at least; in whole 5 ms; of cloud nodes alone; of nowhere but where the connection came from."""
    net = 9 << 16 | 9 << 8 | 1  # 9.9.1.0/24
    orgs = [make_org(f"Other {n}") for n in range(3)]
    ask = {"net4": str(net), "country": "'DE'"}
    mesh = admin.with_token(orgs[0].new_key("node"))
    register(mesh, "p-mesh", 9, seen_by=[orgs[0].api])
    posted = [(orgs[0], "a"), (orgs[0], "b"), (orgs[0], "c"), (orgs[0], "d"), (orgs[0], "e"), (orgs[0], "f"), (orgs[1], "a")]
    for org, agent in posted:
        place.report(agent, near=11, mapped=["9.9.1.7"], org=org)
    report(orgs[0].api, {"p-mesh": {"udp": 3}, NEAR: {"udp": 11}}, agent="g", network="x")
    assert asked(database, place.org.id, **ask) == []  # seven agents, two orgs
    place.report("a", near=14, mapped=["9.9.1.9"], org=orgs[2])
    told = asked(database, place.org.id, **ask)
    assert len(told) == 1 and told[0].startswith("others|") and "mesh" not in told[0] and "{15000,15000,90000,95000}" not in told[0]
    figures = {int(f) for f in told[0].split("|")[2].strip("{}").split(",")}
    assert all(f % 5000 == 0 for f in figures) and 15000 in figures
    assert asked(database, place.org.id, net4=str(net + 1)) == []  # the next prefix is none of it
    assert asked(database, place.org.id, net4=str(net + 1), country="'DE'")[0].startswith("country|")
    # An address that is only said to be its own asks about the country, not about the neighbours.
    assert place.prediction("ann", mapped=["9.9.1.3"])["source"] == "country"
    assert "agents" not in place.prediction("ann", mapped=["9.9.1.3"])
    for org in orgs[:2]:  # too few are left
        for agent in "abcdefg":
            org.api.delete(f"/v1/agents/{agent}")
    assert asked(database, place.org.id, **ask) == []


def test_a_tenant_sees_no_other_orgs_reports(place, make_org, database):
    other = make_org("Reader").id
    place.report("a")
    reads = f"begin; set local role berth_tenant; select set_config('berth.org', '{other}', true); {{}}; commit"
    for sql in (
        f"select cardinality(vantage_network('{place.org.id}', 'office'))",
        f"select set_config('berth.analyst', 'on', true); select count(*) from report where org = '{place.org.id}'",
        f"select count(*) from prediction where org = '{place.org.id}'",
    ):
        assert database.sql(reads.format(sql)).splitlines()[-1] == "0", sql
    with pytest.raises(AssertionError, match="permission denied"):
        database.sql(reads.format("select * from predictions_judge(10, 60)"))


def test_the_error_is_shown(place, controller):
    metrics = controller.metrics
    count, total = 'berth_prediction_error_ms_count{source="network"}', 'berth_prediction_error_ms_sum{source="network"}'
    unreached = 'berth_prediction_unreached_total{source="network"}'
    place.report("a", near=10)
    place.report("b", near=10)
    before = metrics()
    for agent in ("ann", "bob"):
        assert place.prediction(agent, network="office")["rtt_us"] == 10000
    place.report("ann", near=14)
    report(place.org.api, {NEAR: {"udp": None}, FAR: {"udp": 5}}, agent="bob", network="office")
    wait_for(lambda: metrics()[count] == before[count] + 1 and metrics()[unreached] == before[unreached] + 1, 20, "the errors to be counted")
    assert metrics()[total] == pytest.approx(before[total] + 4)
    assert metrics()["berth_joins_predicted_total"] >= before["berth_joins_predicted_total"] + 2


def test_bad_files_of_countries(world, session_folder, countries, database):
    bad, asn = session_folder / "bad.mmdb", session_folder / "asn.mmdb"
    bad.write_text("no such format")
    mmdb.write(asn, {"203.0.113.0/24": "NL"}, kind="Test-ASN")
    common = [CONTROLLER, "--check-config", "--database", database.url, "--listen", "127.0.0.1:0", "--insecure-http"]
    common += ["--master-key", world.master_key_file, "--admin-key", world.admin_key_file]
    assert run([*common, "--geoip", countries]).returncode == 0
    for path, why in ((bad, "bad.mmdb"), (asn, "has no countries"), (session_folder / "none.mmdb", "No such file")):
        done = run([*common, "--geoip", path])
        assert done.returncode == 2 and "geoip" in done.stderr and why in done.stderr, done.stderr


def test_an_owner_who_is_no_superuser(postgres, database):
    """The database as operations.md makes it: the function sees all reports through the owner's role, and the owner itself sees none."""
    for sql in ("drop role if exists plain_owner", "create role plain_owner login createrole password 'plain'"):
        postgres.sql(sql)
    postgres.sql("create database plain owner plain_owner")
    try:
        for role in ("tenant", "ingest", "operator", "analyst"):
            postgres.sql(f"grant berth_{role} to plain_owner with admin option")
        url = postgres.url("plain", "plain_owner", "plain")
        done = run([CONTROLLER, "migrate", "--database", url])
        assert done.returncode == 0, done.stderr
        row = "'o1', 'a', gen_random_uuid(), now(), now(), now() + interval '1 minute', 'office', '{}', null, '{n}', '{}', '{1}', '{0}', '{1}', '{1}'"
        row += ", '{0}', '{0}', '{7000}', '{7000}', '{7000}', '{5}', '{5}', '{-1}', '{-1}'"
        postgres.sql("create table report_p1 (like report including all)", "plain")
        postgres.sql("alter table report attach partition report_p1 for values from (minvalue) to (maxvalue)", "plain")
        postgres.sql(f"insert into report values ({row})", "plain")
        begin = "begin; set local role plain_owner; select count(*) from report; select count(*) from predictions_judge(9, 9);"
        ask = " set local role berth_tenant; select set_config('berth.org', 'o1', true); select source, rtt_us"
        told = postgres.sql(f"{begin}{ask} from predict('b', '{{office}}', null, null, null, null, null); commit", "plain").splitlines()
        assert told == ["0", "0", "o1", "network|{7000}"]
    finally:
        postgres.sql("drop database if exists plain with (force)")
        postgres.sql("drop owned by plain_owner cascade")
        postgres.sql("drop role plain_owner")
