# timeout: 300
"""Reports and agents: what comes in comes back, once, for its own org alone, by the database's clock."""

import datetime
import uuid

import pytest
from support.api import now, register, report_body, result
from support.process import at_once, wait_for

LIFETIME = datetime.timedelta(hours=2)


@pytest.fixture(scope="module", autouse=True)
def nodes(admin, node_key, org):
    cloud = admin.with_token(node_key)
    for n in range(1, 5):
        register(cloud, f"n{n}", n, seen_by=[org.api] if n == 4 else [])
    return cloud


def join(nodes, org, meeting, agent):
    """Takes part, once the controller has heard that n1 is alive."""

    def joined():
        nodes.post("/v1/nodes/n1/heartbeat", {"load": {}}).expect(200)
        return org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": agent}).expect(201, 503).status == 201

    wait_for(joined, what=f"{agent} to take part")


@pytest.fixture
def agent(org):
    """A client with a JWT of a fresh agent; .name is the agent's id."""
    name = f"a-{uuid.uuid4().hex[:8]}"
    client = org.agent(name)
    client.name = name
    return client


def time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def every_member():
    return [
        result("n1", "udp", 10, address="192.0.2.1:5004", mapped_address="198.51.100.7:40001"),
        result("n1", "tcp", 11, address="[2001:db8::1]:5004", connect_us=10400, mapped_address="[2001:db8::7]:40002"),
        result("n1", "tls", 12, address="192.0.2.1:443", connect_us=10400, tls_us=23000, framing="stun"),
        result("n1", "proxy", 30, address="192.0.2.1:443", framing="websocket",
               via_proxy={"url": "http://proxy.example:3128", "scheme": "http", "auth": "ntlm", "tls_intercepted": True}),
        result("n2", "udp", status="timeout", address="192.0.2.2:5004", sent=7, received=0),
        result("n2", "tcp", status="refused"),
        result("n2", "tls", status="tls_error"),
        result("n2", "proxy", status="proxy_error"),
        result("n3", "udp", status="untested"),
    ]  # fmt: skip


def test_a_report_comes_back_exactly(org, agent):
    sent = report_body(every_member(), network="office", capabilities=["udp", "tls"])
    answer = agent.post("/v1/reports", sent).expect(201).json
    assert answer["report_id"] == sent["report_id"] and answer["agent"] == agent.name
    assert time(answer["expires_at"]) == time(sent["measured_at"]) + LIFETIME
    stored = org.api.get(f"/v1/agents/{agent.name}/report").expect(200).json
    assert stored.pop("agent") == agent.name
    assert stored.pop("received_at") == answer["received_at"]
    assert stored.pop("expires_at") == answer["expires_at"]
    assert time(stored.pop("measured_at")) == time(sent.pop("measured_at"))
    assert stored == sent


def test_a_repeat_is_200_and_one_row(org, agent, database):
    body = report_body(every_member())
    first = agent.post("/v1/reports", body).expect(201).json
    assert agent.post("/v1/reports", body).expect(200).json == first
    assert org.api.post("/v1/reports", {**body, "agent": agent.name}).expect(200).json == first
    changed = {**body, "results": [result("n1", "udp", 99)]}
    assert agent.post("/v1/reports", changed).expect(200).json == first, "nothing new for an id known already"
    assert database.sql(f"select count(*) from report where agent = '{agent.name}'") == "1"
    agent.post("/v1/reports", {**body, "measured_at": now()}).expect(201)
    assert database.sql(f"select count(*) from report where agent = '{agent.name}'") == "2"


def test_the_same_id_of_another_agent_or_org_is_another_report(org, agent, make_org):
    body = report_body([])
    agent.post("/v1/reports", body).expect(201)
    org.api.post("/v1/reports", {**body, "agent": agent.name + "-2"}).expect(201)
    make_org("Second").agent(agent.name).post("/v1/reports", body).expect(201)


def test_many_at_once_make_one(agent, controllers, controller, database):
    body = report_body(every_member())
    second = controllers()
    clients = [agent, second.client(agent.token)]
    answers = at_once(lambda i: clients[i % 2].post("/v1/reports", body), range(16))
    assert sorted(a.status for a in answers) == [200] * 15 + [201]
    assert database.sql(f"select count(*) from report where agent = '{agent.name}'") == "1"
    second.stop()


def test_ahead_counts_from_receipt(agent):
    answer = agent.post("/v1/reports", report_body([], measured_at=now(55))).expect(201).json
    assert time(answer["expires_at"]) == time(answer["received_at"]) + LIFETIME


def test_too_far_ahead_and_too_old(agent):
    agent.post("/v1/reports", report_body([], measured_at=now(65))).problem(422, "report_in_future")
    agent.post("/v1/reports", report_body([], measured_at=now(-7201))).problem(422, "report_expired")
    agent.post("/v1/reports", report_body([], measured_at="1999-01-01T00:00:00Z")).problem(422, "report_expired")
    agent.post("/v1/reports", report_body([], measured_at="9999-12-31T23:59:59Z")).problem(422, "report_in_future")
    answer = agent.post("/v1/reports", report_body([], measured_at=now(-7190))).expect(201).json
    assert time(answer["expires_at"]) - time(answer["received_at"]) < datetime.timedelta(seconds=10.1)


def test_other_offsets_name_the_same_moment(org, agent):
    moment = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    agent.post("/v1/reports", report_body([], measured_at=moment.isoformat())).expect(201)
    assert time(org.api.get(f"/v1/agents/{agent.name}/report").json["measured_at"]) == moment


def test_a_clock_that_is_ahead_hides_nothing(org, agent):
    """What was measured in a minute is as new as its receipt."""
    for ahead, ms in ((55, 1), (0, 99)):
        agent.post("/v1/reports", report_body([result("n1", "udp", ms)], measured_at=now(ahead))).expect(201)
    live = org.api.get(f"/v1/agents/{agent.name}/report").expect(200).json
    assert live["results"][0]["rtt_us"]["min"] == 99000


def test_the_newest_of_the_network_counts(org, agent):
    path = f"/v1/agents/{agent.name}/report"
    for network, age, ms in (("home", 30, 1), ("office", 20, 2), ("home", 10, 3), ("office", 40, 4)):
        agent.post("/v1/reports", report_body([result("n1", "udp", ms)], network=network, measured_at=now(-age))).expect(201)

    def rtt(query=""):
        return org.api.get(path + query).expect(200).json["results"][0]["rtt_us"]["min"]

    assert rtt() == 3000
    assert rtt("?network=home") == 3000
    assert rtt("?network=office") == 2000
    org.api.get(path + "?network=elsewhere").problem(404, "no_live_report")
    org.api.get(path + "?network=%ff").problem(400, "bad_request")
    assert org.api.get(f"/v1/agents/{agent.name}").expect(200).json["network"] == "home"


def rows(**changed):
    return report_body([{**result("n1", "udp", 10), **changed}])


BAD = {
    "no id": ({**report_body([]), "report_id": None}, 422, "invalid_member", "/report_id"),
    "id no UUID": ({**report_body([]), "report_id": "7"}, 422, "invalid_member", "/report_id"),
    "network no object": ({**report_body([]), "network": "home"}, 422, "invalid_member", "/network"),
    "network with no id": ({**report_body([]), "network": {}}, 422, "invalid_member", "/network/id"),
    "time no time": (report_body([], measured_at="yesterday"), 422, "invalid_member", "/measured_at"),
    "time a number": ({**report_body([]), "measured_at": 1}, 422, "invalid_member", "/measured_at"),
    "results no array": ({**report_body([]), "results": {}}, 422, "invalid_member", "/results"),
    "row no object": (report_body([7]), 422, "invalid_member", "/results/0"),
    "unknown node": (rows(node="nobody"), 422, "unknown_node", "/results/0/node"),
    "unknown transport": (rows(transport="sctp"), 422, "invalid_member", "/results/0/transport"),
    "unknown status": (rows(status="fine"), 422, "invalid_member", "/results/0/status"),
    "negative RTT": (rows(rtt_us={"min": -1, "median": 1, "p95": 1}), 422, "invalid_member", "/results/0/rtt_us/min"),
    "absurd RTT": (rows(rtt_us={"min": 1, "median": 1, "p95": 10**12}), 422, "invalid_member", "/results/0/rtt_us/p95"),
    "RTT text": (rows(rtt_us={"min": "1", "median": 1, "p95": 1}), 422, "invalid_member", "/results/0/rtt_us/min"),
    "repeated pair": (report_body([result("n1", "udp", 1), result("n2", "udp", 1), result("n1", "udp", 1)]),
                      422, "duplicate_result", "/results/2"),
    "bad address": (rows(address="example.com:1"), 422, "invalid_member", "/results/0/address"),
    "capability": (report_body([], capabilities=["smoke"]), 422, "invalid_member", "/capabilities/0"),
    "10,000 rows": (report_body([{"node": f"x{i}", "transport": "udp", "status": "timeout"} for i in range(10000)]),
                    422, "too_many_results", "/results"),
    "10,000 rows with everything": (report_body([result(f"x{i}", "udp", 1, address="192.0.2.1:5004") for i in range(10000)]),
                                    413, "body_too_large", None),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_reports(case, org, agent):
    body, status, code, pointer = BAD[case]
    body = {k: v for k, v in body.items() if v is not None}
    answer = agent.post("/v1/reports", body).problem(status, code)
    assert answer.json.get("pointer") == pointer, answer
    org.api.get(f"/v1/agents/{agent.name}").problem(404, "unknown_agent")


def test_unknown_members_are_ignored(agent):
    agent.post("/v1/reports", {**report_body([{**result("n1", "udp", 1), "colour": "red"}]), "later": [1]}).expect(201)


def test_the_largest_report(org, admin, node_key, agent, controller):
    """4096 rows: every row comes back, in order."""
    cloud = admin.with_token(node_key)
    for n in range(1024):
        cloud.post("/v1/nodes", {"node": f"big-{n}", "cluster": "big", "region": "eu",
                                 "addresses": {"udp": [f"10.{n >> 8}.{n & 255}.1:5004"]}}).expect(201, 200)  # fmt: skip
    body = report_body([result(f"big-{n}", t, n % 50) for n in range(1024) for t in ("udp", "tcp", "tls", "proxy")])
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=15)
    answer = agent.post("/v1/reports", body)
    while answer.status == 422 and answer.code == "unknown_node" and datetime.datetime.now() < deadline:
        answer = agent.post("/v1/reports", body)
    answer.expect(201)
    assert org.api.get(f"/v1/agents/{agent.name}/report").expect(200).json["results"] == body["results"]


# ---- agents ----


def test_agents_page_by_page(make_org):
    org = make_org("Pages")
    names = sorted(f"p{n}" for n in range(23))
    for name in reversed(names):
        org.agent(name).post("/v1/reports", report_body([])).expect(201)
    assert [i["agent"] for i in org.api.get("/v1/agents").expect(200).json["items"]] == names
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = org.api.get(f"/v1/agents?limit=10{cursor and '&cursor=' + cursor}").expect(200).json
        seen += [i["agent"] for i in page["items"]]
        cursor = page["next"]
        pages += 1
    assert seen == names and pages == 3


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=", "limit=1e2", "cursor=%21%21", "cursor=a"])
def test_bad_paging(org, query):
    org.api.get(f"/v1/agents?{query}").problem(400, "bad_request")


def test_erasing_leaves_nothing(nodes, org, agent, database):
    agent.post("/v1/reports", report_body([result("n1", "udp", 5)])).expect(201)
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    join(nodes, org, meeting, agent.name)
    assert org.api.get(f"/v1/agents/{agent.name}").expect(200).json["meetings"] == [meeting]
    org.api.delete(f"/v1/agents/{agent.name}").expect(204)
    org.api.get(f"/v1/agents/{agent.name}").problem(404, "unknown_agent")
    org.api.get(f"/v1/agents/{agent.name}/report").problem(404, "no_live_report")
    org.api.delete(f"/v1/agents/{agent.name}").problem(404, "unknown_agent")
    for table in ("report", "participant"):
        assert database.sql(f"select count(*) from {table} where agent = '{agent.name}'") == "0"


def test_an_agent_that_only_takes_part_is_known(nodes, org):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    join(nodes, org, meeting, "quiet")
    assert org.api.get("/v1/agents/quiet").expect(200).json == {
        "agent": "quiet", "last_report_at": None, "expires_at": None, "network": None, "meetings": [meeting],
    }  # fmt: skip
    assert "quiet" in [i["agent"] for i in org.api.get("/v1/agents").json["items"]]


def test_another_org_sees_nothing(org, make_org, agent):
    agent.post("/v1/reports", report_body([])).expect(201)
    other = make_org("Other")
    assert other.api.get("/v1/agents").expect(200).json["items"] == []
    other.api.get(f"/v1/agents/{agent.name}").problem(404, "unknown_agent")
    other.api.get(f"/v1/agents/{agent.name}/report").problem(404, "no_live_report")
    other.api.delete(f"/v1/agents/{agent.name}").problem(404, "unknown_agent")
    org.api.get(f"/v1/agents/{agent.name}/report").expect(200)


def test_another_orgs_mesh_node_is_unknown(admin, org, make_org, agent):
    other = make_org("Meshed")
    mesh = admin.with_token(other.new_key("node"))
    register(mesh, "their-mesh", 9, seen_by=[other.api])
    agent.post("/v1/reports", report_body([result("their-mesh", "udp", 1)])).problem(422, "unknown_node")
    other.agent("m").post("/v1/reports", report_body([result("their-mesh", "udp", 1)])).expect(201)


@pytest.mark.parametrize("agent_id", ["a%20b", "a%2Fb", "%00", "x" * 129, "ü"])
def test_ids_that_no_agent_has(org, agent_id):
    from urllib.parse import quote

    assert org.api.get(f"/v1/agents/{quote(agent_id, safe='%')}").status == 404


# ---- commits ----


def test_one_bad_report_costs_its_neighbours_nothing(org, database, controller):
    """A row that the database refuses, in the middle of others that share its commit."""
    database.sql(
        "create function poison() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); "
        "if new.agent = 'poison' then raise exception 'poisoned'; end if; return new; end $$; "
        "create trigger poison before insert on report for each row execute function poison()"
    )

    def post(name):
        return org.agent(name).post("/v1/reports", report_body([result("n1", "udp", 5)]), connection=connections[name]).status

    before = controller.metrics()["berth_report_retries_total"]
    names = [f"neighbour-{i}" for i in range(24)]
    names.insert(8, "poison")  # amid the others: who comes last may find nobody to share with
    connections = {name: org.api.connection() for name in names}
    for connection in connections.values():
        connection.connect()  # handshakes would spread them
    statuses = dict(zip(names, at_once(post, names)))
    for connection in connections.values():
        connection.close()
    database.sql("drop trigger poison on report; drop function poison()")
    assert statuses.pop("poison") == 503
    assert set(statuses.values()) == {201}, statuses
    assert database.sql("select count(*) from report where agent like 'neighbour-%'") == "24"
    assert controller.metrics()["berth_report_retries_total"] > before, "they never shared a commit"


def test_each_of_one_commit_is_told_what_became_of_it(org, database, controllers):
    """New ones, repeats, one that comes twice, expired ones and some from the future, in statements that take many rows."""
    mine = controllers(threads=1)
    known = [report_body([result("n1", "udp", 5)]) for _ in range(6)]
    told = {i: mine.client(org.key).post("/v1/reports", {**body, "agent": "shared"}).expect(201).json for i, body in enumerate(known)}
    twice = report_body([result("n1", "udp", 6)])
    kinds = {"new": [(201, report_body([result("n1", "udp", 7)])) for _ in range(24)], "repeat": [(200, body) for body in known],
             "twice": [(0, twice), (0, twice), (0, twice)], "expired": [(422, report_body([], measured_at=now(-7201)))] * 2,
             "ahead": [(422, report_body([], measured_at=now(90)))] * 2}
    database.sql("create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$; "
                 "create trigger slow before insert on report for each row execute function slow()")
    before = mine.metrics()
    sent = [(kind, i, status, body) for i in range(24) for kind, all_of in kinds.items() for status, body in all_of[i:i + 1]]

    def post(one):
        kind, i, status, body = one
        return kind, i, status, mine.client(org.key).post("/v1/reports", {**body, "agent": "shared"})

    answers = at_once(post, sent)
    database.sql("drop trigger slow on report; drop function slow()")
    for kind, i, status, answer in answers:
        assert kind == "twice" or answer.status == status, (kind, answer.status, answer.json)
        assert kind != "repeat" or answer.json == told[i], "a repeat is told what the first was"
    assert sorted(a.status for kind, _, _, a in answers if kind == "twice") == [200, 200, 201]
    assert len({a.json["received_at"] for kind, _, _, a in answers if kind == "twice"}) == 1
    assert database.sql("select count(*) from report where agent = 'shared'") == "31"
    since = {name: value - before[name] for name, value in mine.metrics().items() if name in before}
    assert [since[f'berth_reports_total{{result="{result}"}}'] for result in ("new", "repeat", "refused")] == [25, 8, 4]
    assert since["berth_report_commits_total"] < len(answers) / 2, "they hardly shared a commit"
    mine.stop()


def test_after_kill_9_of_the_controller_the_report_is_there(org, agent, controllers):
    mine = controllers()
    body = report_body(every_member())
    mine.client(agent.token).post("/v1/reports", body).expect(201)
    mine.kill()
    assert org.api.get(f"/v1/agents/{agent.name}/report").expect(200).json["report_id"] == body["report_id"]
    agent.post("/v1/reports", body).expect(200)
