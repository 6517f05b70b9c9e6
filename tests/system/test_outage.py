# timeout: 300
"""When PostgreSQL stops, dies, or just doesn't answer: refusals in time, nothing that was answered is lost, and all is well again."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from support.api import report_body
from support.berth import Controller
from support.process import free_port, wait_for

DEADLINE_MS = 1500


@pytest.fixture(scope="module")
def controller(controllers, own_postgres):
    return controllers(request_deadline=DEADLINE_MS)


@pytest.fixture(autouse=True)
def running(own_postgres, controller):
    """Each test starts and ends with everything up."""
    yield
    if not own_postgres.process.running():
        own_postgres.start()
    controller.wait_ready()


def calls(org):
    agent = org.agent("out")
    return [
        lambda: agent.post("/v1/reports", report_body([])),
        lambda: org.api.get("/v1/agents"),
        lambda: org.api.get("/v1/agents/out/report"),
        lambda: org.api.delete("/v1/agents/nobody"),
        lambda: org.admin.get("/v1/orgs"),
    ]


def refused_in_time(call):
    start = time.monotonic()
    answer = call().problem(503, "database_unavailable")
    assert time.monotonic() - start < DEADLINE_MS / 1000 + 1
    assert int(answer.headers["Retry-After"]) >= 1


def test_away_and_back(own_postgres, controller, org):
    own_postgres.stop()
    wait_for(lambda: controller.probe("/readyz") == 503, what="readiness to go")
    for call in calls(org):
        refused_in_time(call)
    asked = [int(org.api.get("/v1/agents").expect(503).headers["Retry-After"]) for _ in range(40)]
    assert set(asked) == {1, 2, 3}  # who is refused together doesn't come back together
    assert controller.probe("/livez") == 200
    assert controller.client().get("/livez").status == 200
    org.api.with_token("nonsense").get("/v1/agents").expect(401)
    # Later, when nothing is known to be current any more, it is the same.
    gone = time.monotonic()
    wait_for(lambda: time.monotonic() > gone + 5, what="5 s to pass")
    for call in calls(org):
        refused_in_time(call)
    own_postgres.start()
    controller.wait_ready()
    org.agent("back").post("/v1/reports", report_body([])).expect(201)
    assert controller.process.running()


def test_frozen_and_back(own_postgres, controller, org):
    """The server accepts and never answers: only deadlines help."""
    pids = [own_postgres.process.pid]
    pids += map(int, Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for call in calls(org):
            refused_in_time(call)
        assert controller.probe("/livez") == 200
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    controller.wait_ready()
    org.agent("thawed").post("/v1/reports", report_body([])).expect(201)


def test_after_kill_9_of_postgres_the_report_is_there(own_postgres, controller, org):
    bodies = []
    for n in range(5):
        bodies.append(report_body([]))
        org.agent(f"kept-{n}").post("/v1/reports", bodies[-1]).expect(201)
    own_postgres.kill()  # right after the last answer
    own_postgres.start()
    controller.wait_ready()
    for n, body in enumerate(bodies):
        assert org.api.get(f"/v1/agents/kept-{n}/report").expect(200).json["report_id"] == body["report_id"]
        org.agent(f"kept-{n}").post("/v1/reports", body).expect(200)


def test_after_kill_9_of_both(own_postgres, controller, org):
    body = report_body([])
    org.agent("both").post("/v1/reports", body).expect(201)
    controller.kill()
    own_postgres.kill()
    own_postgres.start()
    controller.start()
    assert org.api.get("/v1/agents/both/report").expect(200).json["report_id"] == body["report_id"]


def test_a_controller_starts_without_its_database(own_postgres, controllers):
    own_postgres.stop()
    late = controllers(ready=False)
    wait_for(lambda: late.probe("/livez") == 200, what="liveness")
    assert late.probe("/readyz") == 503
    own_postgres.start()
    late.wait_ready()
    assert late.stop() == 0


def test_it_ends_in_time_while_the_database_is_away(own_postgres, controllers):
    mine = controllers()
    own_postgres.stop()
    start = time.monotonic()
    assert mine.stop() == 0
    assert time.monotonic() - start < 10


def test_a_host_that_never_answers_is_gone_past(own_postgres, database, world, controller):
    """Of two hosts the first is a machine that has died, so that nothing refuses: every connection comes to the second."""
    with socket.create_server(("127.0.0.1", free_port()), backlog=64) as dead:  # takes connections, says nothing
        there = f"127.0.0.1:{own_postgres.port}/"
        url = database.url.replace(there, f"127.0.0.1:{dead.getsockname()[1]},{there}") + "?target_session_attrs=read-write"
        mine = Controller(world, url, {"threads": 2}).start()
        api = mine.client(world.admin_key)
        wait_for(lambda: all(api.get("/v1/orgs").status == 200 for _ in range(8)), 10, "both threads to serve")
        assert mine.stop() == 0


def test_a_lost_connection_costs_a_moment(database, controller, org):
    """An operator ends every connection; the next requests get 503 or their answer, and soon their answer."""
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
                 "and datname = current_database()")  # fmt: skip
    org.api.get("/v1/agents").expect(200, 503)
    wait_for(lambda: org.api.get("/v1/agents").status == 200, 5, "the connections to be back")
    controller.wait_ready()


def test_a_slow_statement_is_ended_in_time(database, controller, org):
    """Somebody's lock on the table: requests end at their deadline, and none is left behind."""
    import subprocess

    from support.process import clean_env

    holder = subprocess.Popen(
        ["psql", "-XAtq", database.url, "-c", "begin; lock table report in access exclusive mode; select pg_sleep(4)"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    wait_for(
        lambda: database.sql("select count(*) from pg_locks where relation = 'report'::regclass "
                             "and mode = 'AccessExclusiveLock' and granted") == "1", 10, "the lock",
    )  # fmt: skip
    refused_in_time(lambda: org.agent("waits").post("/v1/reports", report_body([])))
    refused_in_time(lambda: org.api.get("/v1/agents"))
    holder.wait()
    wait_for(lambda: org.agent("waits").post("/v1/reports", report_body([])).status == 201, 10, "reports to go in again")
