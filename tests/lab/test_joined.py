"""Every file in joined/: who joins one meeting from networks of the lab is on nodes that dial each other, and hears all the others."""
import glob
import json
import os

import pytest

from labnet.kernel import why_not
from labnet.scenario import Scenario
from labnet.service import finish
from labnet.stage import Stage
from test_scenarios import check_service

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FILES = sorted(glob.glob(os.path.join(HERE, "joined", "*.toml")))


def check_links(stage, table):
    log = stage.service.log(f"{table['node']}.node")
    for other, transport in table.get("dials", {}).items():
        assert f"peer=cloud/{other} transport={transport} " in log, log
    assert ("event=link_up" in log) == bool(table.get("dials")), "it is dialled, or it dials"


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.splitext(os.path.basename(p))[0])
def test_joined(path):
    scenario = Scenario(path)
    wanted = scenario.data["joined"]
    with Stage(scenario) as stage:
        for agent in wanted:
            stage.probe_listed(agent)
        meeting = stage.service.ask("POST", "/v1/meetings", {}, stage.service.org_key)["id"]
        there = [(agent, stage.start_agent(agent, ["join", meeting, "--seconds", "15", "--json"])) for agent in wanted]
        told = {agent: finish(proc) for agent, proc in there}
        print(json.dumps(told, indent=1))
        for agent, answer in told.items():
            assert answer["node"] == wanted[agent]["node"]
            assert {s["name"] for s in answer["sources"]} == set(wanted) - {agent}, f"{agent} hears all the others"
            assert answer["packets_refused"] == 0
            check_links(stage, wanted[agent])
        check_service(stage)
