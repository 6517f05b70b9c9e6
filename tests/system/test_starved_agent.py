# timeout: 240, alone
"""The agent at the end of its memory: one allocation after the other fails, alone or with those that follow; it is told so
or goes on, leaks nothing, and works once there is memory again. BERTH_SOAK=1 takes every allocation, BERTH_SEED repeats a run."""

import json
import os
import random
import subprocess
import time

import pytest
from support.process import BUILD, clean_env, wait_for

SOAK = bool(os.environ.get("BERTH_SOAK"))
SEED = int(os.environ.get("BERTH_SEED", time.time_ns() % 1_000_000))
SECONDS, STEP = (1000, 1) if SOAK else (120, 23)


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(rate_limit=0)


def test_every_allocation_may_fail(world, controller, org, node):
    first = 1 if SOAK else random.Random(SEED).randint(1, STEP)
    print(f"BERTH_SEED={SEED}")
    node("near")
    wait_for(lambda: "near" in str(org.api.get("/v1/nodes").json), 20, "the node to be listed")
    meeting = org.api.post("/v1/meetings", {}).expect(201).json["id"]
    out = subprocess.run([BUILD / "tests" / "starved-agent", controller.url, org.jwt("ann"), str(world.authority.file), meeting,
                          str(first), str(STEP), str(SECONDS)], capture_output=True, text=True, env=clean_env(),
                         timeout=SECONDS + 100, check=False)  # fmt: skip
    lives = [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
    wrong = [x for x in lives if x["wrong"]]
    assert out.returncode == 0 and not wrong, f"{wrong}\n{out.stderr[-4000:]}"
    failed = [x for x in lives if x["failed"]]
    assert max(x["fails_at"] for x in failed) > 500 and not lives[-1]["failed"], "it had no time to come to the end"
    print(f"{len(failed)} lives, of {lives[-1]['allocations']} allocations at most; "
          f"{sum(x['given_up'] for x in failed)} reports given up")
