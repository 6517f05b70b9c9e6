"""Every file in connect/: `berth meeting join --connect` in a network of the lab, and which rung it ends on, how soon, and that it
stays there."""
import glob
import json
import os

import pytest

from labnet.kernel import why_not
from labnet.scenario import Scenario
from labnet.service import finish
from test_scenarios import Stage, check_heartbeats, check_nodes

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "connect", "*.toml")))


def connect(stage, agent, asked):
    meeting = stage.service.ask("POST", "/v1/meetings", {"policy": asked.get("policy", {})},
                                stage.service.org_key)["id"]
    words = ["meeting", "join", meeting, "--json", "--connect", "--seconds", str(asked["seconds"])]
    words += ["--probe"] if asked.get("probe") else []
    proc = stage.service.start_agent(stage.lab.hosts[agent], words)
    answer = finish(proc, statuses=(asked.get("exit", 0),))
    print(f"{agent}: {json.dumps(answer['connection'], indent=1)}")
    return answer


def check(answer, asked):
    found = answer["connection"]
    assert len(found["rungs"]) == len(answer["ladder"])
    assert all(r["won"] or r["why"] for r in found["rungs"]), "of each rung it is told why it did not win"
    if "why" in asked:
        assert {r["why"] for r in found["rungs"]} == {asked["why"]}
    if asked.get("exit", 0) != 0:
        assert (found["ok"], found["came_up"]) == (False, 0)
        return
    least, most = asked["decided_ms"]
    assert (found["ok"], found["transport"], found["came_up"]) == (True, asked["transport"], 1)
    assert least * 1000 <= found["decided_us"] <= most * 1000
    assert found["keepalive"]["received"] >= asked.get("least_received", 0)
    assert found["keepalive"]["lost"] == 0
    if asked.get("same_mapping"):
        won = next(r for r in found["rungs"] if r["won"])
        assert won["mapped_address"] == found["mapped_address"], "the pinhole closed, and opened as another"


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_connect(path):
    scenario = Scenario(path)
    with Stage(scenario) as stage:
        for agent, table in scenario.data["connect"].items():
            for asked in table:
                check(connect(stage, agent, asked), asked)
        check_heartbeats(stage)
        check_nodes(stage)
