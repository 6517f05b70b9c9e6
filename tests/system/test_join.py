# alone
"""`berth join`: test media between participants through a real node, as people and machines are told of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.process import wait_for


@pytest.fixture(scope="module")
def berth(world, controller, org, node):
    """berth("join", ...) as this org, of a controller with one node."""

    def call(*args, env=None):
        return world.agent(*args, controller=controller, token=org.key, env=env)

    node("join-1", cluster="east")
    wait_for(lambda: len(call("node", "list", "--json").json()["nodes"]) >= 1, what="the node to be listed")
    assert call("meeting", "create", "talk").returncode == 0
    assert call("meeting", "create", "tls-only", "--transport", "tls").returncode == 0
    return call


def together(berth, meeting, agents, *args, env=None):
    with ThreadPoolExecutor(len(agents)) as pool:
        return list(pool.map(lambda a: berth("join", meeting, "--agent", a, *args, env=env), agents))


def test_three_hear_each_other(berth):
    agents = ["ann", "ben", "cho"]
    for agent, done in zip(agents, together(berth, "talk", agents, "--seconds", "4", "--json")):
        assert done.returncode == 0, done.stderr
        told = done.json()
        assert (told["ok"], told["node"], told["transport"], told["came_up"]) == (True, "join-1", "udp", 1)
        assert told["suite"] == "AEAD_AES_128_GCM"
        assert {s["name"] for s in told["sources"]} == set(agents) - {agent}
        assert told["sent"] > 50 and told["packets_refused"] == 0
        for source in told["sources"]:
            assert source["received"] > 50
            assert source["rtt_us"] > 0 and 1 <= source["mos"] <= 4.5 and 0 <= source["r_factor"] <= 93.2


def test_the_policys_transport_is_kept(berth):
    for done in together(berth, "tls-only", ["ann", "ben"], "--seconds", "4", "--json"):
        assert done.returncode == 0, done.stderr
        told = done.json()
        assert told["transport"] == "tls" and told["received"] > 20


def test_the_table_fits_a_terminal(berth):
    for done in together(berth, "talk", ["ann", "a-participant-with-a-rather-long-name"], "--seconds", "4",
                         env={"COLUMNS": "80"}):
        assert done.returncode == 0, done.stderr
        assert "On join-1 over udp to " in done.stdout and "MOS" in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_the_same_agent_from_elsewhere_takes_the_call_over(berth):
    """The first one ends and says why; the second one stays in the meeting."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(berth, "join", "talk", "--agent", "twin", "--seconds", "30")
        seats = lambda: berth("meeting", "show", "talk", "--json").json()["participants"]  # noqa: E731
        wait_for(lambda: "twin" in [p["participant"] for p in seats()], what="the first to join")
        second = pool.submit(berth, "join", "talk", "--agent", "twin", "--seconds", "6", "--json")
        done = first.result()
        assert done.returncode == 1 and "joined meeting 'talk' from elsewhere" in done.stderr, done.stderr
        assert not second.done() and "twin" in [p["participant"] for p in seats()]
        told = second.result()
        assert told.returncode == 0 and told.json()["came_up"] == 1


def test_nobody_else_is_said(berth):
    done = berth("join", "talk", "--agent", "lone", "--seconds", "5")
    assert done.returncode == 0, done.stderr
    assert "Nobody else was heard." in done.stdout


def test_a_meeting_that_is_not_there_is_3(berth):
    done = berth("join", "nowhere", "--agent", "ann", "--seconds", "20")
    assert done.returncode == 3
    assert "nowhere" in done.stderr or "unknown_meeting" in done.stderr, done.stderr
    assert done.stdout == ""


def test_an_absurd_meeting_is_2(berth):
    assert berth("join", "no slashes/please", "--seconds", "1").returncode == 2
