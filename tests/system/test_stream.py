# timeout: 240
"""GET /v1/stream: events through whichever controller, resumed, bounded, ended when they must be; and asking for a probe."""

import json
import socket
import time

import pytest
from support.api import register, report
from support.berth import mint_jwt as mint
from support.process import wait_for
from support.stream import Stream, answer_of_stream

REPLACED = 4  # streams of one agent on one thread; one more ends the oldest


@pytest.fixture(scope="module")
def controller(controllers):
    """The one that most tests ask. Few streams, and quick to lose patience."""
    return controllers(threads=1, max_streams=12, max_org_streams=8, stream_keepalive=1)


@pytest.fixture(scope="module")
def second(controllers):
    return controllers(threads=2)


@pytest.fixture
def org(make_org):
    return make_org()


@pytest.fixture
def put(database):
    def put(org, agent, n=1, kind="assignment", body='{"meeting": "m"}', tell=True):
        """Puts events as a transaction of a controller does; the number of the last."""
        sql = f"select outbox_put('{org.id}', '{agent}', '{kind}', '{body}') from generate_series(1, {n})"
        number = int(database.sql(sql).splitlines()[-1])
        if tell:
            database.sql("notify berth_outbox, '*'")
        return number

    return put


@pytest.fixture
def stream():
    made = []

    def open_one(*args, **kw):
        made.append(Stream(*args, **kw))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def streams_open(controller):
    return controller.metrics()["berth_streams_open"]


@pytest.fixture(autouse=True)
def nothing_left(controller):
    """What a test has closed is noticed, so that bounds begin anew."""
    yield
    wait_for(lambda: streams_open(controller) == 0, 10, "closed streams to be noticed")


def test_an_event_comes_through_either_controller(controller, second, org, put, stream):
    put(org, "a1")  # so it is known
    agent = org.agent("a1")
    here, there = stream(agent), stream(second.client(agent.token))
    by_key = stream(org.api, agent="a1")
    org.api.post("/v1/agents/a1/probe").expect(202)
    seen = [s.expect("probe") for s in (here, there, by_key)]
    assert [e.json for e in seen] == [{"reason": "asked"}] * 3 and len({e.id for e in seen}) == 1
    number = put(org, "a1", body='{"meeting": "m", "node": "n2", "why": {"reason": "x"}}')
    for s in (here, there, by_key):
        event = s.expect("assignment")
        assert event.json == {"meeting": "m", "node": "n2", "why": {"reason": "x"}} and int(event.id) == number
    assert here.answer.headers["Cache-Control"] == "no-store"


def test_resuming_brings_what_was_missed_once_and_in_order(second, org, put, stream):
    first = put(org, "a1", 3)
    agent = org.agent("a1")
    numbers = range(first - 1, first + 1)
    assert [int(stream(agent, last=first - 2).expect("assignment").id) for _ in numbers] == [first - 1] * 2
    there = stream(second.client(agent.token), last=first - 2)
    assert [int(there.expect("assignment").id) for _ in numbers] == list(numbers)
    more = put(org, "a1", 40)  # many more than are read at once
    assert [int(there.expect("assignment").id) for _ in range(40)] == list(range(first + 1, more + 1))


@pytest.mark.parametrize("last", ["1", "x", "-1", "99999999999999999999", "999999999999999999"])
def test_a_position_that_cannot_be_resumed_is_reset(org, put, stream, last):
    number = put(org, "a1")
    one = stream(org.agent("a1"), last=last)
    event = one.expect("reset")
    assert event.json == {} and int(event.id) == number
    assert int(one.last) == number
    put(org, "a1")
    assert int(one.expect("assignment").id) == number + 1


def test_what_was_dropped_is_reset(org, put, stream, database):
    number = put(org, "a1", 3)
    database.sql(f"update outbox set at = now() - interval '2 hours' where org = '{org.id}' and seq < {number}")
    assert int(database.sql("select outbox_drop(3600, 1000)")) >= 2
    agent = org.agent("a1")
    assert stream(agent, last=number - 3).expect("reset").id == str(number)
    assert stream(agent, last=number - 1).expect("assignment").id == str(number)


def test_housekeeping_drops_by_the_setting(org, put, database):
    put(org, "old", 2)
    database.sql(f"update outbox set at = now() - interval '61 minutes' where org = '{org.id}'")
    wait_for(lambda: database.sql(f"select count(*) from outbox where org = '{org.id}'") == "0", 15, "old events to be dropped")


def test_a_stream_is_quiet_but_for_comments(org, stream):
    one = stream(org.agent("a1"))
    assert one.next(comments=True).comment


def test_news_that_were_lost_are_found(org, put, stream):
    """As by a controller that was killed between commit and NOTIFY."""
    one = stream(org.agent("a1"))
    number = put(org, "a1", tell=False)
    assert int(one.expect("assignment").id) == number


def test_lost_database_connections_lose_nothing(org, put, stream, database):
    one = stream(org.agent("a1"))
    before = put(org, "a1")
    one.expect("assignment")
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
    after = put(org, "a1", 2)
    assert [int(one.expect("assignment").id) for _ in range(2)] == [after - 1, after] and after == before + 2


def test_a_comment_is_in_the_way_of_nothing(make_org, stream, database, controllers):
    """Who waits to be read for, as the connection is lost, is told a comment meanwhile; then the answer is there before that is out."""
    quick = controllers(threads=1, stream_keepalive=1)
    orgs = [make_org() for _ in range(10)]
    streams = [stream(quick.client(o.jwt("a1"))) for o in orgs]
    reader = "datname = current_database() and query like '%outbox_read%' and pid <> pg_backend_pid()"
    for _ in range(4):
        database.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {reader}")
        numbers = database.sql("; ".join(f"select outbox_put('{o.id}', 'a1', 'assignment', '{{}}')" for o in orgs) +
                               "; notify berth_outbox, '*'").split()  # fmt: skip
        assert [one.expect("assignment").id for one in streams] == numbers[:10]


def test_others_events_never_come(make_org, put, stream, controller):
    orgs = [make_org(), make_org()]
    streams = {(o.id, a): stream(o.agent(a)) for o in orgs for a in ("a1", "a2")}
    want = {(o.id, a): str(put(o, a, body=json.dumps({"of": o.id, "to": a}))) for o in orgs for a in ("a1", "a2")}
    for key, one in streams.items():
        event = one.expect("assignment")
        assert event.json == {"of": key[0], "to": key[1]} and event.id == want[key]
    for o in orgs:
        put(o, "a3")
        put(o, "a1", kind="probe")
    for org_id, agent in streams:
        put(next(o for o in orgs if o.id == org_id), agent, body='{"last": true}')
    for (_, agent), one in streams.items():
        if agent == "a1":
            one.expect("probe")
        assert one.expect("assignment").json == {"last": True}


def test_who_may(org, admin, mint_jwt):
    for token in (admin.token, org.new_key("node")):
        answer_of_stream(admin.with_token(token), "/v1/stream?agent=a").problem(403, "forbidden")
    answer_of_stream(admin.with_token(None), "/v1/stream").problem(401, "unauthorized")
    answer_of_stream(org.api, "/v1/stream").problem(422, "agent_required")
    answer_of_stream(org.api, "/v1/stream?agent=a/b").problem(422, "invalid_member")
    answer_of_stream(org.agent("a1"), "/v1/stream?agent=a2").problem(403, "agent_mismatch")
    answer_of_stream(org.agent("a1", grants=[]), "/v1/stream?agent=a1").expect(200)
    org.agent("a1").call("HEAD", "/v1/stream").expect(200)


def test_who_is_moved_by_anothers_join_is_told_through_the_other_controller(org, admin, node_key, second, stream):
    cloud = admin.with_token(node_key)
    for n, name in enumerate(("move-a", "move-b"), 1):
        register(cloud, name, n, region="move", seen_by=[org.api])
    report(org.api, {"move-a": {"udp": 20}, "move-b": {"udp": 60}}, agent="ann")
    report(org.api, {"move-a": {"udp": 300}, "move-b": {"udp": 10}}, agent="bob")
    org.api.post("/v1/meetings", {"id": "m", "policy": {"regions": {"allow": ["move"]}}}).expect(201)
    participants = "/v1/meetings/m/participants"
    ann, bob = (stream(second.client(org.jwt(a))) for a in ("ann", "bob"))
    assert org.api.post(participants, {"agent": "ann"}).expect(201).json["node"] == "move-a"
    assert org.api.post(participants, {"agent": "bob"}).expect(201).json["node"] == "move-b"
    told = ann.expect("assignment").json
    assert (told["meeting"], told["participant"], told["node"]) == ("m", "ann", "move-b") and told["why"]["sentence"]
    assert told["ladder"] == org.api.post(participants, {"agent": "ann"}).expect(200).json["ladder"]
    org.api.post("/v1/agents/bob/probe").expect(202)
    assert bob.next().kind == "probe", "who asked has had the answer, and no event"


# ---- asking for a probe ----


def test_a_probe_is_asked_for_once_in_a_while(org, put, stream, database):
    for unknown in ("nobody", "a%2Fb"):
        org.api.post(f"/v1/agents/{unknown}/probe").problem(404, "unknown_agent")
    assert database.sql(f"select count(*) from outbox_head where org = '{org.id}'") == "0"
    put(org, "a1")
    one = stream(org.agent("a1"))
    for _ in range(3):
        org.api.post("/v1/agents/a1/probe").expect(202)
    first = one.expect("probe")
    database.sql(f"update outbox set at = at - interval '6 seconds' where org = '{org.id}'")
    org.api.post("/v1/agents/a1/probe").expect(202)
    assert int(one.expect("probe").id) == int(first.id) + 1
    org.agent("a1").post("/v1/agents/a1/probe").problem(403, "forbidden")


def test_an_agent_that_was_away_finds_the_wish(org, put, stream):
    seen = put(org, "a1")
    org.api.post("/v1/agents/a1/probe").expect(202)
    stream(org.agent("a1"), last=seen).expect("probe")


# ---- bounds ----


def test_one_more_stream_of_an_agent_ends_its_oldest(org, put, stream, controller):
    streams = [stream(org.agent("a1")) for _ in range(REPLACED + 1)]
    assert streams[0].expect("reconnect").json["reason"] == "replaced" and streams[0].next() is None
    wait_for(lambda: streams_open(controller) == REPLACED, 5, "the oldest to be gone")
    put(org, "a1")
    for one in streams[1:]:
        one.expect("assignment")


def test_bounds_of_an_org_and_of_a_thread(make_org, stream, controller):
    one, two = make_org(), make_org()
    mine = [stream(one.agent(f"a{i}")) for i in range(8)]
    refused = answer_of_stream(one.agent("more"), "/v1/stream").problem(503, "overloaded")
    assert "org" in refused.json["detail"] and int(refused.headers["Retry-After"]) > 0
    for i in range(4):
        stream(two.agent(f"a{i}"))
    answer_of_stream(two.agent("more"), "/v1/stream").problem(503, "overloaded")
    assert controller.metrics()["berth_streams_refused_total"] == 2
    mine[0].close()
    wait_for(lambda: streams_open(controller) == 11, 5, "the closed one to be noticed")
    stream(one.agent("more"))


def test_a_reader_that_takes_nothing_is_cut_off(org, put, controller, database):
    """With no more held for it than one write and what the kernel takes."""
    agent = org.agent("slow")
    c = agent.connection()
    c.connect()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = controller.metrics()["berth_streams_stalled_total"]
    c.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {agent.token}"})
    wait_for(lambda: streams_open(controller) == 1, 5, "the stream")
    for _ in range(4):
        put(org, "slow", 64, body='{"x": "%s"}' % ("y" * 32000))
    wait_for(lambda: controller.metrics()["berth_streams_stalled_total"] == before + 1, 15, "the reader to be cut off")
    assert streams_open(controller) == 0
    assert controller.metrics()["berth_stream_events_total"] < 256
    c.close()


# ---- ends ----


def test_a_revoked_key_ends_its_streams(org, put, stream, second):
    key = org.new_key()
    by_key = stream(second.client(key), agent="a1")
    signed = stream(org.api.with_token(mint(key, "a1")))
    other = stream(org.agent("a1"))
    started = time.monotonic()
    org.api.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)
    for one in (by_key, signed):
        assert one.expect("reconnect", 5).json["reason"] == "revoked" and one.next() is None
    assert time.monotonic() - started < 5
    put(org, "a1")
    other.expect("assignment")


def test_a_token_that_expires_ends_its_stream(org, stream):
    one = stream(org.agent("a1", exp=int(time.time()) + 2))
    assert one.expect("reconnect", 8).json["reason"] == "expired" and one.next() is None


def test_an_org_that_is_deleted_ends_its_streams(make_org, admin, stream):
    doomed = make_org()
    one = stream(doomed.agent("a1"))
    admin.delete(f"/v1/orgs/{doomed.id}").expect(204)
    assert one.expect("reconnect").json["reason"] == "revoked" and one.next() is None


def test_erasing_an_agent_leaves_its_stream_in_step(org, put, stream, database):
    put(org, "a1", 3)
    one = stream(org.agent("a1"))
    org.api.delete("/v1/agents/a1").expect(204)
    assert database.sql(f"select count(*) from outbox where org = '{org.id}'") == "0"
    number = put(org, "a1")
    assert int(one.expect("assignment").id) == number
    assert stream(org.agent("a1"), last=one.last).next(comments=True).comment


def test_new_master_keys_have_every_token_checked_again(org, stream, controller, world):
    one = stream(org.agent("a1"))
    controller.process.signal(1)
    assert one.expect("reconnect").json["reason"] == "keys" and one.next() is None
    stream(org.agent("a1"))


def test_a_controller_that_stops_says_so(controllers, org, put, stream):
    third = controllers()
    streams = [stream(third.client(org.jwt(f"a{i}"))) for i in range(8)]
    number = put(org, "a0")
    streams[0].expect("assignment")
    started = time.monotonic()
    assert third.stop() == 0
    for one in streams:
        event = one.expect("reconnect")
        assert event.json["reason"] == "shutdown" and event.json["within_ms"] > 0 and event.id is None
        assert one.next() is None
    assert time.monotonic() - started < 5, "well before the time for requests under way"
    assert stream(org.agent("a0"), last=number - 1).expect("assignment").id == str(number)
