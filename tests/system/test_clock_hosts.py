# timeout: 300, alone
"""The time of day of a controller's host, of a node's and of an agent's is stepped an hour, forwards and back, under load: the database's clock counts, so
nobody notices. Reports live as long as before, calls and streams go on, assignments stay, and no token or ticket ends before its time or after."""

import itertools
import json

import pytest
from support.api import report, wait_state
from support.berth import Controller, Node
from support.certs import Authority
from support.clock import LIBRARIES, Clock, off_by
from support.media import Participant
from support.process import AGENT, clean_env, wait_for
from support.stream import Stream
from support.traffic import Traffic

HOUR = 3600
MORE = HOUR + 120  # than a ticket is good for
numbers = itertools.count(7000)


@pytest.fixture(scope="module")
def clock(session_folder):
    return Clock(session_folder / "clock-controller")


@pytest.fixture(scope="module")
def node_clock(session_folder):
    return Clock(session_folder / "clock-node")


@pytest.fixture(scope="module")
def authority(session_folder, clock):
    """Of yesterday: a host whose clock is an hour slow would rightly refuse a certificate that begins now."""
    return Authority(session_folder / "yesterday", env=clean_env({"LD_PRELOAD": LIBRARIES[0], "FAKETIME": "-1d"}))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("localhost")


@pytest.fixture(scope="module")
def stepped(world, database, clock):
    """A controller by `clock`, beside the one that is right."""
    return Controller(world, database.url, {}, env=clock.settings()).start()


@pytest.fixture(scope="module")
def teller(controllers):
    """West's own: nobody else tells it the time."""
    return controllers()


@pytest.fixture(scope="module")
def nodes(world, teller, stepped, node, node_key, org, node_clock):
    """east tells the controller that is stepped; west is stepped itself."""
    east = node("east", controller=stepped, region="east", peer_probe_interval=1)
    west = Node(world, "west", {"region": "west", "peer_probe_interval": 1}, teller, node_key, env=node_clock.settings()).start()
    wait_for(lambda: {n["node"] for n in org.api.get("/v1/nodes").json["nodes"]} == {"east", "west"}, 20, "both nodes to be listed")
    return {"east": east, "west": west}


@pytest.fixture
def join(world, org):
    """join(controller, "m", "ann") starts a participant; all leave at the end."""
    made = []

    def start(at, meeting, agent):
        made.append(Participant(world, at, org, meeting, agent, next(numbers), lifetime_s=3 * HOUR))
        return made[-1]

    yield start
    for p in made:
        assert p.leave() == 0, p.tail()


@pytest.fixture
def pair(join, org):
    """ann and bob hear each other on the node of this region."""

    def start(at, meeting, region):
        org.api.post("/v1/meetings", {"id": meeting, "policy": {"regions": {"allow": [region]}}}).expect(201)
        ann, bob = (join(at, meeting, f"{name}-{meeting}") for name in ("ann", "bob"))
        for one, other in ((ann, bob), (bob, ann)):
            one.wait_state("up", region)
            one.wait_heard(other, 20)
        return ann, bob

    return start


def steps(clock, program, seconds):
    clock.step(seconds)
    wait_for(lambda: abs(off_by(program) - seconds) < 60, 20, "the step")


def goes_on(traffic, pair):
    """The load is answered, and who is in a call still hears the other, without ever having been cut off."""
    before = traffic.answered
    wait_for(lambda: traffic.answered >= before + 30, 30, "calls to be answered")
    for one, other in (pair, pair[::-1]):
        one.wait_heard(other, 50)
        stats = one.stats()
        assert (stats["came_up"], stats["moved"]) == (1, 0), one.tail()


def seats(database):
    return set(database.sql("select meeting, agent, node from participant where agent not like 'load%'").split())


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_of_a_controllers_clock(step, clock, stepped, controller, nodes, pair, join, org, database):
    clients = [c.client(org.key) for c in (controller, stepped)]
    call = pair(stepped, f"controller{step}", "east")
    # By the stepped clock the one would have ended, the other not be allowed yet.
    agent, lifetime_s = f"streams{step}", HOUR // 2 if step > 0 else 24 * HOUR - 60
    speaks = stepped.client(org.jwt(agent, lifetime_s=lifetime_s))
    stream = Stream(speaks)
    kept = report(speaks, {"east": {"udp": 10}}, network="home")
    traffic = Traffic(clients, "east", prefix=f"load-controller{step}", threads=4)
    wait_for(lambda: stepped.metrics()["berth_node_pairs"] == 1, 60, "the nodes' round trip")
    goes_on(traffic, call)
    before = seats(database)

    steps(clock, stepped, step)
    goes_on(traffic, call)
    ends = Stream(stepped.client(org.jwt(f"ends{step}", lifetime_s=15)))
    for api in clients:
        assert api.get(f"/v1/agents/{agent}/report").expect(200).json["report_id"] == kept.json["report_id"]
    newer = report(speaks, {"east": {"udp": 12}}, network="home")
    for api in clients:
        assert api.get(f"/v1/agents/{agent}/report").expect(200).json["report_id"] == newer.json["report_id"]
    assert database.sql("select distinct expires_at - measured_at from report where expires_at <> measured_at") == "02:00:00"  # others tell of calls
    stepped.client(org.jwt("late", lifetime_s=-60)).get("/v1/nodes").problem(401, "token_expired")
    late = join(stepped, f"controller{step}", f"late-{step}")
    late.wait_state("up", "east")
    late.wait_heard(call[0], 20)
    assert seats(database) >= before
    assert stepped.metrics()['berth_node_pairs_age_seconds{which="newest"}'] < 600
    assert ends.expect("reconnect", 60).json["reason"] == "expired"  # by then the sweep has seen the other stream too
    org.api.post(f"/v1/agents/{agent}/probe").expect(202)
    assert stream.expect("probe").json == {"reason": "asked"}

    steps(clock, stepped, 0)
    goes_on(traffic, call)
    assert seats(database) >= before
    traffic.stop()
    traffic.check(database)
    for s in (stream, ends):
        s.close()


@pytest.mark.parametrize("step", [MORE, -MORE])
def test_a_step_of_a_nodes_clock(step, node_clock, controller, teller, admin, nodes, pair, join, org, database):
    west = nodes["west"]
    call = pair(controller, f"node{step}", "west")
    traffic = Traffic([controller.client(org.key)], "west", prefix=f"load-node{step}", threads=4)
    goes_on(traffic, call)
    before = seats(database)

    teller.kill()
    steps(node_clock, west, step)
    late = join(controller, f"node{step}", f"late-{step}")
    late.wait_state("up", "west")
    teller.start()
    goes_on(traffic, call)
    stepped_at = float(database.sql("select extract(epoch from clock_timestamp())"))
    wait_for(lambda: database.sql(f"select extract(epoch from heartbeat_at) > {stepped_at + 6} from node_load where node = 'west'") == "t",
             40, "heartbeats to go on")  # fmt: skip
    wait_state(admin, "west", state="up")
    later = join(controller, f"node{step}", f"later-{step}")
    later.wait_state("up", "west")
    later.wait_heard(call[0], 20)
    assert seats(database) >= before

    steps(node_clock, west, 0)
    goes_on(traffic, call)
    traffic.stop()
    traffic.check(database)
    assert seats(database) >= before


def test_a_step_of_an_agents_clock(session_folder, world, database, controllers, nodes, org):
    """What it measures is as new as it is, whatever its own clock says: longer ago than a report lives, or not yet."""
    clock, eager = Clock(session_folder / "clock-agent"), controllers(reprobe_after=2)
    argv = [AGENT, "watch", "--json", "--controller", eager.url, "--ca", world.authority.file, "--agent", "astray", "--token", org.jwt("astray")]
    watch = world.start(argv, "watch-astray", env=clock.settings())

    def stored():
        told = [json.loads(line) for line in watch.log.splitlines() if line.startswith("{") and line.endswith("}")]
        return [e["report_id"] for e in told if e["event"] == "report" and "error" not in e]

    for step in (0, HOUR, -3 * HOUR, 0):
        clock.step(step)
        before = len(stored())
        wait_for(lambda: len(stored()) >= before + 3, 60, f"reports from {step} s beside the time\n{watch.tail()}")
        old = database.sql(f"select extract(epoch from received_at - measured_at) from report where report_id = '{stored()[-1]}'")
        assert -1 <= float(old) < 30, f"{old} s old as it came, {step} s beside the time"
    assert watch.stop() == 0
