# timeout: 120
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
    slowest = 0.0
    while join.is_alive():
        asked = time.monotonic()
        org.api.get("/v1/meetings").expect(200)
        slowest = max(slowest, time.monotonic() - asked)
    join.join()
    assert answers[0].status == 201, answers[0].json
    assert time.monotonic() - began > 1.0
    assert slowest < 0.6


def test_a_join_that_waits_too_long_is_told_so(org, cloud, locked):
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]
    locked(meeting, 8)
    answer = org.agent("late").post(f"/v1/meetings/{meeting}/participants", {}).problem(503, "database_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    org.api.get("/v1/meetings").expect(200)
