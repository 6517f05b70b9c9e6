# timeout: 240
"""libberth follows the controller's events: as berth watch shows it, over real controllers, and through a proxy."""

import json
import re

import pytest
from support.process import AGENT, wait_for
from support.proxies import tinyproxy


class Watch:
    """A berth watch that stays; its stream's events."""

    def __init__(self, world, controller, agent, token, *args, ready=True):
        self.process = world.start([AGENT, "watch", "--json", "--controller", controller.url, "--ca", world.authority.file,
                                    "--agent", agent, "--token", token, *args], f"follow-{agent}")
        if ready:
            self.wait("up")

    def lines(self, event):
        lines = [json.loads(line) for line in self.process.log.splitlines() if line.startswith("{")]
        return [e for e in lines if e["event"] == event]

    def stream(self, name):
        return [e for e in self.lines("stream") if e["name"] == name]

    def wait(self, name, n=1, seconds=40):
        return wait_for(lambda: len(self.stream(name)) >= n and self.stream(name), seconds, lambda: f"{n} {name}\n{self.process.log}")

    def wait_reports(self, n, seconds=40):
        wait_for(lambda: len([r for r in self.lines("report") if "error" not in r]) >= n, seconds, lambda: f"{n} reports\n{self.process.log}")


@pytest.fixture(scope="module")
def put(database, org):
    def put(agent, n=1, body='{"meeting": "m"}'):
        sql = f"select outbox_put('{org.id}', '{agent}', 'assignment', '{body}') from generate_series(1, {n})"
        last = database.sql(sql).splitlines()[-1]
        database.sql("notify berth_outbox, '*'")
        return int(last)

    return put


@pytest.fixture(scope="module")
def near(node, org):
    started = node("near")
    wait_for(lambda: org.api.get("/v1/nodes").json["nodes"], 20, "the node to be listed")
    return started


def test_a_probe_that_is_asked_for_is_made_and_reported(world, controller, org, near):
    watch = Watch(world, controller, "asked", org.jwt("asked"))
    watch.wait_reports(1)
    org.api.post("/v1/agents/asked/probe").expect(202)
    assert watch.wait("probe")[0]["data"] == {"reason": "asked"}
    watch.wait_reports(2)
    assert watch.process.stop() == 0


def test_an_assignment_reaches_the_application(world, controller, org, near, put):
    watch = Watch(world, controller, "moved", org.key)  # with an org key the agent is named
    body = {"meeting": "m1", "node": "n2", "transport": "udp", "ladder": [], "why": {"reason": "x", "sentence": "It is nearer."}}
    put("moved", body=json.dumps(body))
    assert watch.wait("assignment")[0]["data"] == body
    words = world.start([AGENT, "watch", "--controller", controller.url, "--ca", world.authority.file, "--agent", "moved",
                         "--token", org.key], "follow-words")
    wait_for(lambda: "following the controller's events" in words.log, 20, "the stream")
    put("moved", body=json.dumps(body))
    wait_for(lambda: re.search(r"Z  moved in m1: to n2 over udp\. It is nearer\.$", words.log, re.M), 20, lambda: f"the line\n{words.log}")
    put("moved", body='{"odd": 1}')
    wait_for(lambda: "moved in ?: to ? over ?." in words.log, 20, lambda: f"the line\n{words.log}")
    assert watch.process.stop() == 0 and words.stop() == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_happens_while_the_controller_is_away_comes_once(world, controllers, org, near, put, how):
    third = controllers()
    agent = f"away-{how}"
    watch = Watch(world, third, agent, org.jwt(agent))
    put(agent, body='{"n": 1}')
    watch.wait("assignment")
    getattr(third, how)()
    down = watch.wait("down")[0]
    assert ("error" in down) == (how == "kill"), down
    put(agent, body='{"n": 2}')
    third.start()
    watch.wait("up", 2)
    put(agent, body='{"n": 3}')
    assert [e["data"]["n"] for e in watch.wait("assignment", 3)] == [1, 2, 3]
    assert not watch.stream("reset")
    assert watch.process.stop() == 0 and third.stop() == 0


def test_what_is_lost_is_a_reset(world, controllers, org, near, put, database):
    third = controllers()
    watch = Watch(world, third, "lost", org.jwt("lost"))
    put("lost")
    watch.wait("assignment")
    third.stop()
    put("lost", 2)
    database.sql(f"delete from outbox where org = '{org.id}' and agent = 'lost'")
    third.start()
    assert watch.wait("reset")[0]["data"] == {}
    put("lost", body='{"n": 4}')
    assert watch.wait("assignment", 2)[1]["data"] == {"n": 4}
    assert watch.process.stop() == 0 and third.stop() == 0


def test_the_stream_takes_the_proxys_way(world, controller, org, near, put):
    proxy = tinyproxy()
    try:
        watch = Watch(world, controller, "behind", org.jwt("behind"), "--proxy", proxy.url)
        put("behind")
        watch.wait("assignment")
        proxy.process.kill()  # and with it what went through it
        assert watch.wait("down")[0]["error"] == "the controller could not be reached"
        assert watch.process.stop() == 0
    finally:
        proxy.close()


def test_a_refused_token_is_told_and_not_hammered(world, controller):
    watch = Watch(world, controller, "mallory", "o1_o000000000000.nonsense", ready=False)
    down = watch.wait("down")
    assert down[0]["error"] == "the controller refused" and down[0]["http_status"] == 401
    assert down[0]["retry_in_us"] >= 150_000_000
    assert watch.process.stop() == 0
