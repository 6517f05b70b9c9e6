# timeout: 240, alone
"""kill -9 of a watching agent at random moments under load, started again at once: what it keeps in files is whole, it reports again, what it was told
is stored is there, and nobody else notices. BERTH_SEED repeats a run."""

import json
import os
import random
import re
import time

import pytest
from support.process import AGENT, wait_for
from support.traffic import Traffic

SEED = int(os.environ.get("BERTH_SEED", time.time_ns() % 1_000_000))
KILLS = 8


@pytest.fixture(scope="module")
def controller(controllers):
    """Its agents probe again within 2 s, so that most moments are some work's."""
    return controllers(rate_limit=0, reprobe_after=2)


class Watch:
    """`berth watch`, which may be killed and started again; its log goes on."""

    def __init__(self, world, controller, org, agent):
        self.world, self.agent, self.state = world, agent, world.folder / f"state-{agent}"
        self.argv = [AGENT, "watch", "--json", "--controller", controller.url, "--ca", world.authority.file, "--agent", agent,
                     "--token", org.jwt(agent)]  # fmt: skip
        self.start()

    def start(self):
        self.process = self.world.start(self.argv, f"watch-{self.agent}", env={"XDG_STATE_HOME": self.state})
        return self

    def events(self, name, **want):
        whole = [line for line in self.process.log.splitlines() if line.startswith("{") and line.endswith("}")]
        told = [json.loads(line) for line in whole]
        return [e for e in told if e["event"] == name and all(e.get(k) == v for k, v in want.items())]

    def stored(self):
        return {e["report_id"] for e in self.events("report") if "error" not in e}

    def wait_stored(self, more):
        before = len(self.stored())
        wait_for(lambda: len(self.stored()) >= before + more, 40, lambda: f"{more} reports of {self.agent}\n{self.process.tail()}")

    def networks(self):
        """What it remembers between two runs: nothing yet, or whole lines."""
        file = self.state / "berth" / "networks"
        text = file.read_text() if file.exists() else ""
        assert re.fullmatch(r"([0-9a-f]{32} [0-9a-f]{32} [0-9]+\n)*", text), text
        return text


def test_an_agent_that_is_killed_is_back_and_nobody_notices(world, controller, org, node, database):
    rng = random.Random(SEED)
    print(f"BERTH_SEED={SEED}")
    node("near")
    wait_for(lambda: "near" in str(org.api.get("/v1/nodes").json), 20, "the node to be listed")
    killed, other = Watch(world, controller, org, "killed"), Watch(world, controller, org, "other")
    for watch in (killed, other):
        watch.wait_stored(1)
    traffic = Traffic([controller.client(org.key)], "near", threads=3)
    for _ in range(KILLS):
        enough = traffic.answered + rng.randrange(1, 150)
        wait_for(lambda: traffic.answered >= enough, 60, "calls to be answered")
        killed.process.kill()
        killed.networks()
        killed.start()
        if rng.random() < 0.5:  # else it may be killed before it has reported
            killed.wait_stored(1)
    killed.wait_stored(2)
    assert killed.networks(), "it remembers no network"
    other.wait_stored(1)

    traffic.stop()
    traffic.check(database)
    assert (traffic.unanswered, traffic.refused) == (0, 0), "others had their calls cut off"
    assert [e["name"] for e in other.events("stream")] == ["up"], "another's stream was cut off"
    assert not [e for e in other.events("report") if "error" in e], other.process.tail()
    told = {watch.agent: watch.stored() for watch in (killed, other)}
    live = org.api.get("/v1/agents/killed/report").expect(200).json["report_id"]
    there = set(database.sql("select report_id from report").split())  # looked at last: they go on reporting
    for agent, reports in told.items():
        assert reports <= there, f"of {agent} answered reports are gone"
    assert live in there
    wait_for(lambda: controller.metrics()["berth_streams_open"] == 2, 30, "the streams of those who were killed to be gone")
    for watch in (killed, other):
        assert watch.process.stop() == 0
