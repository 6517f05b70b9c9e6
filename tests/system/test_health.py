# timeout: 200
"""Nodes go out of service and come back by themselves: missed heartbeats, failures, probes; and when all seem dead at once."""

import pytest
from support.api import Heartbeats, register, report, state, wait_state
from support.process import wait_for

NODES = ("h-a", "h-b", "h-c")


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


@pytest.fixture(scope="module")
def other(make_org):
    return make_org("Other")


@pytest.fixture(scope="module")
def beats(cloud, org, other):
    for n, name in enumerate(NODES, 1):
        register(cloud, name, n, region="h", seen_by=[org.api])
    made = Heartbeats(cloud, *NODES)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def well(beats, database):
    """Every test starts with nodes that nothing was ever said of."""
    beats.names = NODES
    database.sql("update node_load set heartbeat_at = now(); delete from report; delete from node_failure; delete from node_probe; delete from node_health;"
                 " delete from health_doubt; update event set cleared_at = now() where cleared_at is null")


def silent(beats, database, *names, seconds=16):
    """No heartbeats of these from now on, nor since so many seconds."""
    beats.names = tuple(n for n in NODES if n not in names)

    def aged():
        database.sql(f"update node_load set heartbeat_at = least(heartbeat_at, now() - interval '{seconds} seconds') where node = any (array{list(names)})")
        return True

    aged()
    wait_for(lambda: database.sql("select count(*) from node_load where heartbeat_at > now() - interval '3 seconds'") == str(3 - len(names)) and aged(), 10, "the silence")


def later(database, seconds):
    """What is kept of the past was so much longer ago."""
    database.sql(
        f"update node_health set since = since - interval '{seconds} seconds', bad_at = bad_at - interval '{seconds} seconds';"
        f" update health_doubt set heard_at = heard_at - interval '{seconds} seconds';"
        f" update node_failure set at = at - interval '{seconds} seconds'"
    )


def some_turns(database):
    before = int(database.sql("select turn from health_turn"))
    wait_for(lambda: int(database.sql("select turn from health_turn")) > before + 1, 20, "turns")


def events(admin, kind="node_health"):
    return {e["subject"]: e for e in admin.get("/v1/events?open=true&limit=500").expect(200).json["items"] if e["kind"] == kind}


def join(org, meeting, agent="ann", expect=201):
    org.api.post("/v1/meetings", {"id": meeting, "policy": {"regions": {"allow": ["h"]}}}).expect(200, 201)
    return org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": agent}).expect(expect).json


def why(answer, node):
    return next(c for c in answer["why"]["candidates"] if c["node"] == node)


def test_silence_and_back(org, admin, beats, database):
    report(org.api, {"h-a": {"udp": 10}, "h-b": {"udp": 30}, "h-c": {"udp": 50}}, agent="ann")
    silent(beats, database, "h-a", seconds=12)
    wait_state(admin, "h-a", health="suspect")
    assert join(org, "s1")["node"] == "h-b", "who is suspect gets nobody new while there are others"
    wait_for(lambda: events(admin).get("h-a", {}).get("severity") == "warning", 10, "the event")
    silent(beats, database, "h-a")
    wait_state(admin, "h-a", health="quarantined", state="down")
    assert why(join(org, "s2"), "h-a")["rejected"] == ["unhealthy"]
    wait_for(lambda: events(admin)["h-a"]["severity"] == "critical", 10, "the same event to be worse")
    assert "heartbeats" in events(admin)["h-a"]["detail"] and list(events(admin)) == ["h-a"]
    beats.names = NODES
    wait_state(admin, "h-a", state="up")
    later(database, 5)
    wait_state(admin, "h-a", seconds=20, health="probation", state="up")
    wait_for(lambda: events(admin)["h-a"]["severity"] == "info", 10, "the event to say so")
    served = [join(org, f"p{i}")["node"] for i in range(24)]
    assert 0 < served.count("h-a") < 12, "a trickle"
    later(database, 60)
    wait_state(admin, "h-a", health="in_service")
    wait_for(lambda: not events(admin), 10, "the event to be cleared")
    assert join(org, "s3")["node"] == "h-a"


def test_drained_nodes_may_be_silent(admin, beats, database):
    admin.post("/v1/nodes/h-b/drain").expect(200)
    silent(beats, database, "h-b", seconds=60)
    some_turns(database)
    assert state(admin, "h-b")["health"] == "in_service" and not events(admin)
    admin.post("/v1/nodes/h-b/undrain").expect(200)


def fail(database, org, node, agents):
    """So many agents of this org have just said that the node did not work."""
    database.sql(
        "insert into node_failure (org, agent, node_org, node, transport, counted, at)"
        f" select '{org}', 'a' || g, 'cloud', '{node}', 0, true, now() from generate_series(1, {agents}) g"
        " on conflict (org, agent, node_org, node, transport) do update set at = excluded.at"
    )


def test_failures_of_several_orgs(admin, beats, database):
    fail(database, "o1", "h-b", 20)
    fail(database, "o2", "h-b", 4)
    wait_state(admin, "h-b", health="quarantined", state="up")
    wait_for(lambda: "did not work" in events(admin).get("h-b", {}).get("detail", ""), 10, "the event")
    later(database, 300)
    fail(database, "o1", "h-b", 20)
    wait_state(admin, "h-b", seconds=20, health="probation")


def false_reports(api, node):
    """Three agents that this org invents: everything works for them but this node."""
    for n in range(3):
        report(api, {**{name: {"udp": 5} for name in NODES}, node: {"udp": None}}, agent=f"false{n}")


def test_one_org_makes_a_node_no_dearer_for_others(org, other, admin, beats, database):
    """By reports and by failures, as much as it likes: by no more than 15 ms, which is what its failures cost."""
    report(org.api, {"h-a": {"udp": 5}, "h-b": {"udp": 28}, "h-c": {"udp": 60}}, agent="ann")
    false_reports(other.api, "h-a")
    fail(database, other.id, "h-a", 50)
    assert int(database.sql("select node_probe_look(64); select fail from node_probe where node = 'h-a'")) == 1
    database.sql("update node_probe set work = 0")
    some_turns(database)
    assert state(admin, "h-a")["health"] == "in_service" and not events(admin)
    assert join(org, "f1")["node"] == "h-a", "5 and 15 ms are less than 28"


def test_one_org_does_not_hold_a_node_in_quarantine(other, admin, beats, database):
    silent(beats, database, "h-a")
    wait_state(admin, "h-a", health="quarantined")
    false_reports(other.api, "h-a")
    fail(database, other.id, "h-a", 50)
    database.sql("select node_probe_look(64)")
    beats.names = NODES
    wait_state(admin, "h-a", seconds=20, health="probation")


def test_probes_of_several_orgs(make_org, admin, beats, database):
    orgs = [make_org() for _ in range(2)]
    rows = {"h-c": {"udp": None, "tcp": None, "tls": None}, "h-a": {"udp": 5}}
    for n in range(3):
        report(orgs[0].api, rows, agent=f"a{n}")
    report(orgs[1].api, {"h-c": {"udp": 5}, "h-a": {"udp": None}}, agent="fine")
    looked = "select node_probe_look(64); select fail || ' ' || work from node_probe where node = 'h-c'"
    assert database.sql(looked).split() == ["1", "1"]
    some_turns(database)
    assert state(admin, "h-c")["health"] == "in_service", "for one org it fails, for another it works"
    database.sql("delete from report")
    for org in orgs:
        for n in range(3):
            report(org.api, rows, agent=f"b{n}")
    assert database.sql(looked).split() == ["2", "0"]
    wait_state(admin, "h-c", health="quarantined")
    assert state(admin, "h-a")["health"] == "in_service"


def test_large_reports_of_one_org(org, other, admin, beats, database):
    """They hold up neither the turns nor what others' probes say; and no more of them is looked at than is stated."""
    for n in range(3):
        report(other.api, {"h-c": {"udp": None}, "h-a": {"udp": 5}}, agent=f"b{n}")
    report(org.api, {"h-a": {"udp": 5}}, agent="large")
    columns = database.sql(
        "select string_agg(attname, ', ' order by attnum) from pg_attribute"
        " where attrelid = 'report'::regclass and attnum > 0 and attgenerated = '' and not attisdropped"
    )
    large = {"agent": "'large' || g", "report_id": "gen_random_uuid()", "received_at": "now()"}
    large["names"] = "array(select 'name-of-some-length-' || i from generate_series(1, 1024) i)"
    large |= {c: "array(select (1 + i % 1024)::smallint from generate_series(1, 4096) i)" for c in ("node", "address")}
    mixed = "array(select (1 + (i * 7919 + g) % 3)::smallint from generate_series(1, 4096) i)"
    large |= {"transport": mixed, "status": mixed}
    values = ", ".join(large.get(c, c) for c in columns.split(", "))
    database.sql(
        f"insert into report ({columns}) select {values} from report, generate_series(1, 150) g"
        f" where org = '{org.id}' and agent = 'large'"
    )
    database.sql("update health_turn set probes_at = '-infinity'; delete from node_probe")
    voices = "select fail || ' ' || work from node_probe where node = 'h-c'"
    wait_for(lambda: database.sql(voices) == "1 0", 15, "a look at the probes")
    assert database.sql("select now() - probes_at < interval '15 seconds' from health_turn") == "t"
    silent(beats, database, "h-b")
    wait_state(admin, "h-b", health="quarantined")


def test_all_dead_at_once(org, admin, beats, database, controllers):
    """Then it is not they who are dead: participants are assigned as before, through any controller, and it is told."""
    other = controllers().client(org.key)
    silent(beats, database, *NODES, seconds=20)
    wait_for(lambda: "" in events(admin, "nodes_silent"), 10, "the event")
    assert join(org, "d1")["node"] in NODES
    org.api.post("/v1/meetings", {"id": "d2", "policy": {"regions": {"allow": ["h"]}}}).expect(201)
    assert other.post("/v1/meetings/d2/participants", {"agent": "ann"}).expect(201).json["node"] in NODES
    assert all(state(admin, n)["health"] == "in_service" for n in NODES) and not events(admin)
    beats.names = NODES[:2]
    wait_for(lambda: database.sql("select heard_at is not null from health_doubt") == "t", 10, "most to be heard")
    some_turns(database)
    assert state(admin, "h-c")["health"] == "in_service", "the others are given time to come back"
    later(database, 15)
    wait_state(admin, "h-c", seconds=30, health="quarantined")
    wait_for(lambda: not events(admin, "nodes_silent"), 10, "the doubt to end: most are heard, and the others had their time")
    assert state(admin, "h-a")["health"] == "in_service"
