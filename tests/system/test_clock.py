# timeout: 120, alone
"""The database's clock is stepped, forwards and back, under load: nothing that was answered is lost, what is refused is refused as documented, and
once it is right again everything is as before."""

import time

import pytest
from support.api import report, report_body
from support.clock import Clock
from support.postgres import Database, Postgres
from support.process import CONTROLLER, run, wait_for
from support.traffic import Traffic


@pytest.fixture(scope="module")
def clock(session_folder):
    return Clock(session_folder / "clock")


@pytest.fixture(scope="module")
def server(session_folder, clock):
    folder = session_folder / "stepped"
    folder.mkdir()
    made = Postgres(folder, env=clock.settings())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def database(server):
    made = Database(server)
    assert run([CONTROLLER, "migrate", "--database", made.url]).returncode == 0
    return made


def off_by(database):
    return float(database.sql("select extract(epoch from clock_timestamp())")) - time.time()


@pytest.mark.parametrize("step", [5400, -5400])
def test_a_step_of_the_databases_clock(clock, database, controller, org, node, step):
    if step > 0:
        node("stepped")
    wait_for(lambda: "stepped" in org.api.get("/v1/nodes").body.decode(), 20, "the node to be listed")
    kept = report(org.api, {"stepped": {"udp": 10}}, agent=f"kept{step}")
    traffic = Traffic([controller.client(org.key)], prefix=f"clock{step}", threads=3)
    wait_for(lambda: traffic.answered >= 30, 30, "calls to be answered")
    clock.step(step)
    wait_for(lambda: abs(off_by(database) - step) < 60, 20, "the step")
    # Nodes go on being judged, by the time that is the database's now: a join below finds one that is well.
    wait_for(lambda: database.sql("select abs(extract(epoch from now() - at)) < 60 and abs(extract(epoch from now() - probes_at)) < 60"
                                  " from health_turn") == "t", 30, "a turn of health at the other time")  # fmt: skip
    # The client's time is the wrong one now, as far as the database is concerned: refused and told so, or taken; never a 500.
    answer = org.api.post("/v1/reports", report_body([], agent="wrong"))
    assert answer.status == 201 or (answer.status == 422 and step < 0), answer
    wait_for(lambda: org.api.post(f"/v1/meetings/clock{step}-meeting-0/participants", {"agent": "late"}).status in (200, 201), 30,
             "a join at the other time")  # fmt: skip
    clock.step(0)
    wait_for(lambda: abs(off_by(database)) < 60, 20, "the step back")
    before = traffic.answered
    wait_for(lambda: traffic.answered >= before + 30, 30, "calls to be answered again")
    traffic.findings = [f for f in traffic.findings if not ("-> 422" in f and "measured_at" in f)]  # as above
    traffic.stop()
    traffic.check(database)
    assert org.api.get(f"/v1/agents/kept{step}/report").expect(200).json["report_id"] == kept.json["report_id"]
    assert controller.probe("/readyz") == 200
