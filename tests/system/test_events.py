# timeout: 240
"""Events: raised, told again, cleared; listed by pages; counted; bounded."""

import pytest
from support.api import register
from support.process import wait_for


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


def raise_event(database, kind, subject, severity="warning", org="cloud", detail="It is so."):
    return database.sql(f"select event_raise('{org}', '{kind}', '{subject}', '{severity}', '{detail}')")


def events(admin, query="?open=true"):
    items, cursor = [], ""
    while cursor is not None:
        page = admin.get(f"/v1/events{query}{'&' if '?' in query else '?'}limit=2{cursor}").expect(200).json
        items += page["items"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    return items


def find(admin, kind, subject=None, query="?open=true"):
    return [e for e in events(admin, query) if e["kind"] == kind and subject in (None, e["subject"])]


def test_raised_told_again_and_cleared(admin, database, org, controller):
    assert raise_event(database, "test", "one") == "t"
    assert raise_event(database, "test", "one", "critical", detail="It is worse.") == "f"
    (e,) = find(admin, "test")
    assert (e["severity"], e["times"], e["detail"], e["org"], e["cleared_at"]) == ("critical", 2, "It is worse.", "cloud", None)
    assert raise_event(database, "test", "two") == "t" and raise_event(database, "test", "one", org=org.id) == "t"
    assert [e["subject"] for e in find(admin, "test")] == ["one", "two", "one"], "the newest first, two a page"
    wait_for(lambda: controller.metrics()['berth_events_open{severity="critical"}'] == 1, 10, "the gauge")
    wait_for(lambda: controller.metrics()['berth_events_open{severity="warning"}'] == 2, 10, "the gauge")
    assert database.sql("select event_clear('cloud', 'test', 'one')") == "t"
    assert database.sql("select event_clear('cloud', 'test', 'one')") == "f"
    assert len(find(admin, "test")) == 2
    (e,) = find(admin, "test", query="?open=false")
    assert e["cleared_at"] and e["subject"] == "one"
    assert len(find(admin, "test", query="?severity=warning")) == 2 and len(find(admin, "test", query="")) == 3
    assert raise_event(database, "test", "one") == "t", "it is a new one then"
    database.sql("update event set cleared_at = now() where cleared_at is null")


def test_who_may_and_what_may_be_asked(admin, org, cloud):
    org.api.get("/v1/events").problem(403, "forbidden")
    org.agent("a").get("/v1/events").problem(403, "forbidden")
    cloud.get("/v1/events").problem(403, "forbidden")
    for query in ("severity=bad", "severity=", "open=yes", "limit=0", "cursor=!"):
        admin.get(f"/v1/events?{query}").problem(400, "bad_request")
    admin.get("/v1/events?cursor=eHg").expect(200)  # a place that no event has


def test_they_are_bounded(admin, database):
    database.sql("update event set cleared_at = now() where cleared_at is null")
    database.sql("select count(event_raise('cloud', 'many', 'n' || g, 'info', 'x')) from generate_series(1, 1005) g")
    assert database.sql("select count(*) from event where kind = 'many'") == "1000"
    (e,) = find(admin, "too_many_events")
    assert e["severity"] == "critical" and e["times"] == 5
    database.sql("update event set cleared_at = now() where kind = 'many'")
    database.sql("select event_tidy(60, 86400, 10)")
    assert database.sql("select count(*) from event where cleared_at is not null") == "10"
    database.sql("update event set cleared_at = now() - interval '2 days' where kind = 'many'")
    database.sql("select event_tidy(60, 86400, 10)")
    assert database.sql("select count(*) from event where kind = 'many'") == "0"


def test_an_org_takes_nobody_elses_room(admin, database, org, make_org):
    """A hundred of one org's are open, a thousand of all orgs', and the cloud has its own; whose room is short says so."""
    database.sql("update event set cleared_at = now() where cleared_at is null")
    other = make_org("Other")
    database.sql(f"select count(event_raise('{org.id}', 'many', 'n' || g, 'info', 'x')) from generate_series(1, 105) g")
    are_open = "select count(*) from event where cleared_at is null"
    assert database.sql(f"{are_open} and kind = 'many' and org = '{org.id}'") == "100"
    (e,) = find(admin, "too_many_events")
    assert (e["org"], e["severity"], e["times"]) == (org.id, "critical", 5) and org.id in e["detail"]
    assert raise_event(database, "many", "n1", org=org.id) == "f", "what is open is told again"
    assert raise_event(database, "nodes_silent", "", org=org.id) == "t", "there is room for that"
    assert raise_event(database, "many", "n1", org=other.id) == "t"
    database.sql(
        "insert into event (org, kind, subject, severity, detail)"
        " select 'x' || g / 100, 'many', 'n' || g, 'info', 'x' from generate_series(1, 890) g"
    )
    database.sql("select count(event_raise('x9', 'many', 'm' || g, 'info', 'x')) from generate_series(1, 30) g")
    assert 990 < int(database.sql(f"{are_open} and org <> 'cloud' and kind = 'many'")) <= 1000
    assert {e["org"] for e in find(admin, "too_many_events")} == {org.id, "cloud"}
    assert raise_event(database, "many", "one") == "t" and raise_event(database, "nodes_silent", "") == "t"
    database.sql("update event set cleared_at = now() where cleared_at is null")


def test_many_silent_nodes_of_an_org_hide_no_cloud_node(admin, org, cloud, database):
    """A thousand of its mesh nodes are quarantined: that is told within its bounds, and of a cloud node that is quarantined then, too."""
    register(cloud, "ev-cloud", 20, seen_by=[org.api])
    columns, health = "org, id, cluster, region, addresses", "org, node, state, cause, since, bad_at, strikes"
    database.sql(
        f"insert into node ({columns}) select '{org.id}', 'a-dark-' || g, cluster, region, addresses"
        " from node, generate_series(1, 1000) g where id = 'ev-cloud';"
        " insert into node_load (org, node, heartbeat_at) select org, id, now() - interval '1 minute'"
        f" from node where org = '{org.id}' on conflict do nothing;"
        f" insert into node_health ({health}) select org, id, 2, 1, now(), now(), 1 from node where org = '{org.id}'"
    )
    of_org = f"select count(*) from event where kind = 'node_health' and org = '{org.id}' and cleared_at is null"
    wait_for(lambda: database.sql(of_org) == "100" and find(admin, "too_many_events"), 30, "the org's hundred")
    bad = "now() + interval '1 hour'"
    database.sql(f"insert into node_health ({health}) values ('cloud', 'ev-cloud', 2, 2, now(), {bad}, 1)")
    wait_for(lambda: find(admin, "node_health", "ev-cloud"), 20, "the cloud node's event")
    database.sql(
        f"delete from node_health; delete from node_load where org = '{org.id}'; delete from node where org = '{org.id}';"
        " update event set cleared_at = now()"
    )


def test_a_join_without_room_is_told(admin, org, cloud, database):
    register(cloud, "ev-full", 1, region="ev-full", capacity=1, seen_by=[org.api])
    for m in ("one", "two"):
        org.api.post("/v1/meetings", {"id": m, "policy": {"regions": {"allow": ["ev-full"]}}}).expect(201)
    org.api.post("/v1/meetings/one/participants", {"agent": "ann"}).expect(201)
    org.api.post("/v1/meetings/two/participants", {"agent": "ann"}).problem(503, "no_node")
    wait_for(lambda: find(admin, "no_node"), 10, "the event")
    (e,) = find(admin, "no_node")
    assert e["org"] == org.id and e["severity"] == "critical"
    assert e["detail"].startswith("meeting two: ") and "1 full" in e["detail"]
    database.sql("update event set seen_at = now() - interval '2 minutes' where kind = 'no_node'")
    wait_for(lambda: not find(admin, "no_node"), 20, "the event to be cleared, as nobody has met with it again")


def test_the_least_loaded_serves_where_all_are_overloaded(admin, org, cloud):
    for i, (name, cpu) in enumerate({"ov-a": 0.99, "ov-b": 0.97}.items()):
        register(cloud, name, 10 + i, region="ov", seen_by=[org.api])
        cloud.post(f"/v1/nodes/{name}/heartbeat", {"load": {"cpu": cpu}}).expect(200)
    org.api.post("/v1/meetings", {"id": "hot", "policy": {"regions": {"allow": ["ov"]}}}).expect(201)
    wait_for(lambda: all(n["load"] for n in admin.get("/v1/nodes").json["nodes"] if n["region"] == "ov"), 10, "the load")
    assert org.api.post("/v1/meetings/hot/participants", {"agent": "ann"}).expect(201).json["node"] == "ov-b"
    wait_for(lambda: find(admin, "overloaded", "ov-b"), 10, "the event")
    (e,) = find(admin, "overloaded")
    assert e["severity"] == "warning" and "97 %" in e["detail"]


def test_the_command_fits_a_terminal(world, controller, admin, database):
    wait_for(lambda: not find(admin, "too_many_events"), 20, "the end of what the tests before have met with")
    raise_event(database, "test", "a-node-with-quite-a-long-name-1", "critical", detail="Something is wrong with it, " + "very " * 20)
    env = {"BERTH_CONTROLLER": controller.url, "BERTH_ADMIN_TOKEN": world.admin_key, "BERTH_CA": world.authority.file}
    done = world.agent("event", "list", "--open", "--severity", "critical", env={**env, "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert "Something is wrong" in done.stdout and "a-node-with" in done.stdout
    listed = world.agent("event", "list", "--json", env=env)
    assert any(e["kind"] == "test" for e in listed.json()["items"])
    assert world.agent("event", "list", "--severity", "bad", env=env).returncode == 3
