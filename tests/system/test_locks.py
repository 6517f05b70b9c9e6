# timeout: 120, heavy
"""One locked row holds up who wants it, and nobody else."""

import threading
import time

import pytest
from support.api import Heartbeats, register
from support.process import wait_for


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(threads=1)


@pytest.fixture(scope="module")
def cloud(admin, node_key, org):
    client = admin.with_token(node_key)
    register(client, "l-1", 1, seen_by=[org.api])
    hearts = Heartbeats(client, "l-1")
    yield client
    hearts.stop()


@pytest.fixture
def locked(database, org):
    """locked(meeting, seconds): another session keeps the meeting's row."""
    threads = []

    def lock(meeting, seconds):
        sql = f"update meeting set epoch = epoch where org = '{org.id}' and id = '{meeting}'; select pg_sleep({seconds})"
        threads.append(threading.Thread(target=database.sql, args=(sql,)))
        threads[-1].start()
        wait_for(lambda: database.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "1", 20, "the lock")

    yield lock
    for thread in threads:
        thread.join()


def test_a_join_waits_and_others_do_not(org, cloud, locked):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    answers = []
    locked(meeting, 2)
    began = time.monotonic()
    join = threading.Thread(target=lambda: answers.append(org.agent("waits").post(f"/v1/meetings/{meeting}/participants", {})))
    join.start()
    beside = 0
    while join.is_alive():
        org.api.get(f"/v1/meetings/{meeting}").expect(200)
        beside += join.is_alive()  # one that waited as well would be answered when the join is
    join.join()
    assert answers[0].status == 201, answers[0].json
    assert time.monotonic() - began > 1.0
    assert beside > 2


def test_leaving_and_ending_wait_as_joining_does(org, cloud, locked):
    """Or a seat would stay taken because somebody decided at the same moment."""
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    org.agent("leaves").post(f"/v1/meetings/{meeting}/participants", {}).expect(201)
    locked(meeting, 1)
    org.agent("leaves").delete(f"/v1/meetings/{meeting}/participants/leaves").expect(204)
    assert org.api.get(f"/v1/meetings/{meeting}/participants").expect(200).json["items"] == []
    locked(meeting, 1)
    org.api.delete(f"/v1/meetings/{meeting}").expect(204)


def test_a_join_that_waits_too_long_is_told_so(org, cloud, locked):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    locked(meeting, 8)
    answer = org.agent("late").post(f"/v1/meetings/{meeting}/participants", {}).problem(503, "database_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    org.api.get(f"/v1/meetings/{meeting}").expect(200)


def test_erasing_an_agent_that_waits_holds_up_nobody(org, cloud, locked, database):
    """It has a queue of its own: what is asked after it is answered before it."""
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    org.agent("erased").post(f"/v1/meetings/{meeting}/participants", {}).expect(201)
    locked(meeting, 10)
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%delete from participant%'"
    order = []
    while order != ["read", 503]:  # on a busy machine an erasure may have given up before it was seen to wait
        order.clear()
        erasing = threading.Thread(target=lambda: order.append(org.api.delete("/v1/agents/erased").status))
        erasing.start()
        wait_for(lambda: not erasing.is_alive() or database.sql(waiting) == "1", 20, "the erasure to wait for the lock")
        org.api.get(f"/v1/meetings/{meeting}").expect(200)
        order.append("read")
        erasing.join()
        assert 204 not in order, "the erasure was to meet the lock, and never to be done before what came after it"


def test_an_agent_with_more_than_a_piece_is_erased_whole(org, cloud, database):
    """More meetings than one transaction of an erasure takes."""
    database.sql(f"insert into meeting (org, id, epoch) select '{org.id}', 'many-' || n, 0 from generate_series(1, 450) n")
    database.sql(
        "insert into participant (org, meeting, agent, node_org, node, transport, ladder)"
        f" select '{org.id}', 'many-' || n, 'busy', 'cloud', 'l-1', 0, '{{0}}' from generate_series(1, 450) n"
    )
    org.api.delete("/v1/agents/busy").expect(204)
    assert database.sql("select count(*) from participant where agent = 'busy'") == "0"
    assert database.sql("select count(*) from meeting where id like 'many-%' and epoch = 1") == "450"
    org.api.delete("/v1/agents/busy").problem(404, "unknown_agent")


def test_what_is_revoked_is_known_in_time_whatever_else_waits(org, cloud, database):
    """All that a controller looks at every second is locked, but keys and orgs: nobody is turned away, and a revoked key stops."""
    key = org.new_key()
    revoked = org.api.with_token(key)
    revoked.get("/v1/meetings").expect(200)
    tables = "node_rtt, node_load, event, tally, health_turn, report_partition"
    sql = f"begin; lock table {tables} in access exclusive mode; select pg_sleep(9); commit"
    holder = threading.Thread(target=database.sql, args=(sql,))
    holder.start()
    asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    wait_for(lambda: database.sql(asleep) == "1", 20, "the locks")
    org.admin.delete(f"/v1/keys/{key.split('.')[0]}").expect(204)
    wait_for(lambda: revoked.get("/v1/meetings").status == 401, 5, "the key to stop")
    beside = 0
    while holder.is_alive():
        org.api.get("/v1/meetings").expect(200)
        beside += holder.is_alive()  # one that waited for a lock would be answered when there is none
    holder.join()
    assert beside > 2
