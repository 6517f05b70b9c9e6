# alone
"""`berth join`: test media between participants through a real node, as people and machines are told of it."""

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.process import at_once, wait_for


@pytest.fixture(scope="module")
def berth(world, controller, org, node):
    """berth("join", ...) as this org, of a controller with one node."""

    def call(*args, env=None, token=None):
        return world.agent(*args, controller=controller, token=token or org.key, env=env)

    call.node = node("join-1", cluster="east")
    wait_for(lambda: len(call("node", "list", "--json").json()["nodes"]) >= 1, what="the node to be listed")
    assert call("meeting", "create", "talk").returncode == 0
    assert call("meeting", "create", "tls-only", "--transport", "tls").returncode == 0
    return call


def together(berth, meeting, agents, *args, env=None):
    return at_once(lambda a: berth("join", meeting, "--agent", a, *args, env=env), agents)


def test_three_hear_each_other(berth):
    agents = ["ann", "ben", "cho"]
    for agent, done in zip(agents, together(berth, "talk", agents, "--seconds", "4", "--json")):
        assert done.returncode == 0, done.stderr
        told = done.json()
        assert (told["ok"], told["node"], told["transport"], told["came_up"]) == (True, "join-1", "udp", 1)
        assert told["suite"] == "AEAD_AES_128_GCM"
        assert {s["name"] for s in told["sources"]} == set(agents) - {agent}
        assert told["agent"] == agent and [e["event"] for e in told["events"]] == ["up"], told["events"]
        assert done.stderr == ""
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
        assert re.search(r"up after \d+ ms", done.stdout)
        assert ": up on join-1 over udp\n" in done.stderr  # no terminal is needed for what happens
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
    assert "make it: berth meeting create nowhere" in done.stderr
    assert "nowhere" in done.stderr or "unknown_meeting" in done.stderr, done.stderr
    assert done.stdout == ""


def test_the_tokens_agent_joins(berth, org):
    """And nobody else: a name that is not the token's is a mistake."""
    done = berth("join", "talk", "--agent", "ben", "--seconds", "1", token=org.jwt("ann"))
    assert (done.returncode, done.stdout) == (2, "") and "ann" in done.stderr and "ben" in done.stderr
    done = berth("join", "talk", "--seconds", "2", token=org.jwt("ann"))
    assert done.returncode == 0 and " as ann, " in done.stdout, done.stderr


@pytest.mark.parametrize("token,says", [
    (lambda org: "wrong.key", "check --token"),
    (lambda org: org.jwt("ann", grants=["probe"]), "berth key token --grants"),
    (lambda org: org.jwt("ann", exp=int(time.time()) - 600), "make a new token: berth key token"),
])
def test_refusals_say_what_to_do(berth, org, token, says):
    done = berth("join", "talk", "--seconds", "20", token=token(org))
    assert done.returncode == 3 and says in done.stderr, done.stderr


def test_a_private_meeting_without_own_nodes_says_what_helps(berth):
    assert berth("meeting", "create", "inside", "--private").returncode == 0
    done = berth("join", "inside", "--agent", "ann", "--seconds", "20")
    assert done.returncode == 3 and "berth key create --kind node" in done.stderr, done.stderr


def test_an_absurd_meeting_is_2(berth):
    assert berth("join", "no slashes/please", "--seconds", "1").returncode == 2


# ---- the last: it ends the node ----


def test_a_call_that_is_lost_for_good_is_1(berth):
    """The figures stay, and the error says what was lost; who comes then learns which ways were tried."""
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(berth, "join", "talk", "--agent", a, "--seconds", "5", *more) for a, more in
                 {"ann": (), "ben": ["--json"]}.items()]
        seats = lambda: berth("meeting", "show", "talk", "--json").json()["participants"]  # noqa: E731
        wait_for(lambda: {"ann", "ben"} <= {p["participant"] for p in seats()}, what="both to join")
        up = lambda: sum(v for k, v in berth.node.metrics().items() if k.startswith("berth_node_sessions{"))  # noqa: E731
        wait_for(lambda: up() == 2, what="both to be up")
        berth.node.process.signal(signal.SIGKILL)
        late = pool.submit(berth, "join", "talk", "--agent", "cho", "--seconds", "2")
        ann, ben, cho = (f.result() for f in (*calls, late))
    assert ann.returncode == 1, ann
    assert re.search(r"the call was lost after \d+ s on join-1 \(.+\) and did not come back", ann.stderr), ann
    assert re.search(r"^Sent \d+ packets\.$", ann.stdout, re.M) and " - " not in ann.stdout
    told = ben.json()
    assert ben.returncode == 1 and (told["ok"], told["state"]) == (False, "lost"), told
    assert [e["event"] for e in told["events"]][:2] == ["up", "lost"] and told["events"][1]["node"] == "join-1"
    assert cho.returncode == 1, cho
    assert "join-1 was not reached: udp 127.0.0.1:" in cho.stderr and "berth firewall" in cho.stderr, cho.stderr
