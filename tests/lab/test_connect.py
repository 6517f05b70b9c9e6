"""Every file in connect/: `berth meeting join --connect` in a network of the lab, and which rung it ends on, how soon, and
that it stays there."""
import glob
import json
import os

import pytest

from labnet.kernel import why_not
from labnet.scenario import Scenario
from labnet.stage import Stage
from test_scenarios import check_nodes, check_service, skip_unless_installed

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "connect", "*.toml")))


def connect(stage, agent, asked):
    words = ["--connect", "--seconds", str(asked["seconds"])] + (["--probe"] if asked.get("probe") else [])
    answer = stage.join(agent, asked.get("policy", {}), words, statuses=(asked.get("exit", 0),))
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
    won = next(r for r in found["rungs"] if r["won"])
    least, most = asked["decided_ms"]
    assert (found["ok"], found["transport"], found["came_up"]) == (True, asked["transport"], 1)
    assert least * 1000 <= found["decided_us"] <= most * 1000
    assert found["keepalive"]["received"] >= asked.get("least_received", 0)
    assert found["keepalive"]["lost"] == 0
    assert found["address"].startswith(asked.get("address", ""))
    assert "framing" not in asked or found["framing"] == asked["framing"]
    assert "via" not in asked or won["proxy"].startswith(f"http://{asked['via']}.lab:")
    if asked.get("same_mapping"):
        assert won["mapped_address"] == found["mapped_address"], "the pinhole closed, and opened as another"


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_connect(path):
    scenario = Scenario(path)
    skip_unless_installed(scenario)
    with Stage(scenario) as stage:
        for agent, table in scenario.data["connect"].items():
            for asked in table:
                check(connect(stage, agent, asked), asked)
        check_service(stage)
        check_nodes(stage)
