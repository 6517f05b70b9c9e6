# timeout: 300, heavy, alone
"""kill -9 of each process at random moments under load: what was answered is there afterwards, and the counts agree.

BERTH_SOAK_SECONDS makes it longer than a round of each; BERTH_SEED repeats a run.
"""

import os
import random
import time

import pytest
from support.process import wait_for
from support.traffic import Traffic

SOAK_S = float(os.environ.get("BERTH_SOAK_SECONDS", 0))
SEED = int(os.environ.get("BERTH_SEED", time.time_ns() % 1_000_000))


@pytest.fixture(scope="module")
def controller(own_postgres, controllers):
    return controllers(request_deadline=2000, rate_limit=0)


@pytest.fixture(scope="module")
def second(controllers):
    return controllers(request_deadline=2000, rate_limit=0)


@pytest.fixture(scope="module")
def load(controller, second, org, node, database):
    served = node("killed-1")
    wait_for(lambda: "killed-1" in str(org.api.get("/v1/nodes").json), what="the node to be listed")
    running = Traffic([c.client(org.key) for c in (controller, second)], "killed-1")
    yield running, served
    if not running.ended.is_set():
        running.ended.set()


def goes_on(traffic, more=20):
    """Calls are answered again."""
    before = traffic.answered
    wait_for(lambda: traffic.answered >= before + more, 60, "calls to be answered again")


def test_nothing_answered_is_lost_whoever_is_killed(load, controller, second, own_postgres, database):
    traffic, served = load
    rng = random.Random(SEED)
    print(f"BERTH_SEED={SEED}")
    end = time.monotonic() + SOAK_S
    wait_for(lambda: traffic.leaves > 0, 60, "somebody to have left")
    rounds = 0
    while rounds == 0 or time.monotonic() < end:
        order = [controller, served, own_postgres, *([second] if SOAK_S else [])]
        rng.shuffle(order)
        for part in order:
            goes_on(traffic, rng.randrange(1, 60))
            part.kill()
            part.start()
            goes_on(traffic)
        rounds += 1
    traffic.stop()
    for c in (controller, second):
        c.wait_ready()
    traffic.check(database)
    assert traffic.unanswered > 0, "nothing was under way when it was killed"
    assert traffic.reports and traffic.seats, "there was nothing to be lost"
    print(f"{rounds} rounds: {traffic.answered} answered, {traffic.refused} refused, {traffic.unanswered} without an answer")
