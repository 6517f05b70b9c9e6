# timeout: 240
"""Calls over libberth: two participants through real nodes, and what happens to them when a node, a controller or a path goes."""

import itertools
import re
import signal
import subprocess

import pytest
from support.media import Participant
from support.process import BUILD, SOURCE, free_port, run, wait_for
from support.certs import Authority
from support.proxies import squid, tinyproxy

AUDIO = BUILD / "agent" / "audio-example"
numbers = itertools.count(1000)


@pytest.fixture(scope="module")
def nodes(node, org):
    started = {name: node(name) for name in ("n1", "n2")}
    wait_for(lambda: len(org.api.get("/v1/nodes").json["nodes"]) == 2, 20, "both nodes to be listed")
    return started


@pytest.fixture
def join(world, controller, org):
    """join("m1", "ann") starts a participant; all that still run leave at the end."""
    made = []

    def start(meeting, agent, at=None, ssrc=None, proxy=None, **more):
        org.api.post("/v1/meetings", {"id": meeting})  # the second one finds it there
        made.append(Participant(world, at or controller, org, meeting, agent, ssrc or next(numbers), proxy, **more))
        return made[-1]

    yield start
    for p in made:
        assert p.leave() == 0, p.tail()


@pytest.fixture
def pair(join):
    """Two who hear each other in a meeting of that name."""

    def start(meeting):
        ann, bob = join(meeting, f"ann-{meeting}"), join(meeting, f"bob-{meeting}")
        for one, other in ((ann, bob), (bob, ann)):
            one.wait_state("up")
            one.wait_heard(other, 20)
        return ann, bob

    return start


def test_two_hear_each_other(nodes, pair, org):
    ann, bob = pair("two")
    for one, other in ((ann, bob), (bob, ann)):
        one.wait_heard(other, 100)
        s = one.stats()
        assert s["transport"] == "udp" and s["suite"] == "AEAD_AES_128_GCM" and s["came_up"] == 1, s
        assert s["refused"] == 0 and s["dropped"] == 0 and 0 <= s["up_us"] and s["rtt_us"] >= 0, s
        assert set(s["sources"]) == {str(other.ssrc)} and s["sources"][str(other.ssrc)]["bad"] == 0, s
        assert s["lost"] <= s["received"] // 10, s  # what was sent before the other was there isn't counted
    assert ann.leave() == 0
    assert bob.stats()["state"] == "up"
    wait_for(lambda: "ann-two" not in org.api.get("/v1/meetings/two/participants").body.decode(), 20, "ann to be gone")


@pytest.mark.parametrize("how", ["kill -9", "silence"])
def test_media_comes_back_after_a_node_is_lost(nodes, pair, how):
    """Killed, its host says that nobody is there; stopped, it is as silent as a host that is gone."""
    ann, bob = pair("killed" if how == "kill -9" else "silent")
    first = ann.stats()["node"]
    for p in (ann, bob):
        p.wait_state("up", first)
        p.reset()
    second = next(n for n in nodes if n != first)
    nodes[first].process.signal(signal.SIGKILL if how == "kill -9" else signal.SIGSTOP)
    for one, other in ((ann, bob), (bob, ann)):
        s = one.wait_state("up", second, 60)
        assert s["moved"] == 1, s
        one.wait_heard(other, 20, 60)
        print(f"{how}: {one.agent} heard nothing for {one.heard(other)['gap_us'] / 1e6:.2f} s")
    nodes[first].kill()
    nodes[first].start()


def test_a_drained_node_is_left_without_a_break(nodes, pair, admin):
    ann, bob = pair("drained")
    first = ann.stats()["node"]
    for p in (ann, bob):
        p.wait_state("up", first)
        p.reset()
    second = next(n for n in nodes if n != first)
    admin.post(f"/v1/nodes/{first}/drain").expect(200)
    for one, other in ((ann, bob), (bob, ann)):
        one.wait_state("up", second, 60)
        one.wait_heard(other, 20, 60)
        assert "lost" not in [state for state, _ in one.states()], one.tail()
        print(f"drain: {one.agent} heard nothing for {one.heard(other)['gap_us'] / 1e6:.2f} s")
    admin.post(f"/v1/nodes/{first}/undrain").expect(200)


def test_a_call_goes_on_without_the_controller(nodes, controllers, join):
    second = controllers()
    ann, bob = join("alone", "ann-alone", second), join("alone", "bob-alone", second)
    for one, other in ((ann, bob), (bob, ann)):
        one.wait_state("up")
        one.wait_heard(other, 20)
    second.kill()
    ann.wait_heard(bob, 300)  # 6 s: more than a consent check
    bob.wait_heard(ann, 5)
    assert ann.stats()["came_up"] == bob.stats()["came_up"] == 1
    second.start()


def test_the_example_of_the_documentation(nodes, world, controller, org, join):
    source = SOURCE / "docs" / "examples" / "audio.c"
    assert source.read_text() in (SOURCE / "docs" / "embedding.md").read_text()
    bob = join("audio", "bob-audio")
    bob.wait_state("up")
    env = {"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.jwt("ann-audio"), "BERTH_CA": world.authority.file}
    done = run([AUDIO, "audio", "150"], env=env)
    assert done.returncode == 0, done.stderr
    assert "up n" in done.stdout and " udp" in done.stdout, done.stdout
    sent, heard = map(int, re.search(r"^sent (\d+), heard (\d+), lost \d+, round trip \d+ us$", done.stdout, re.M).groups())
    assert sent > 50 and heard > 50, done.stdout


def test_media_goes_through_a_proxy(nodes, world, controller, org, join):
    """TLS inside CONNECT, where the policy lets nothing else; who joins has reported what its proxy reaches."""
    proxy = tinyproxy()
    try:
        org.api.post("/v1/meetings", {"id": "proxied", "policy": {"transports": ["proxy"]}}).expect(201)
        pair = []
        for name in ("ann-proxied", "bob-proxied"):
            done = world.agent("probe", "--report", "--proxy", proxy.url, controller=controller, token=org.jwt(name))
            assert done.returncode == 0, done.stderr
            pair.append(join("proxied", name, proxy=proxy.url))
        for one, other in (pair, pair[::-1]):
            assert one.wait_state("up")["transport"] == "proxy"
            one.wait_heard(other, 50)
        pair[0].reset()
        proxy.process.kill()  # and with it the only way: what there was is told, and looked for
        lost = pair[0].wait_state("lost")
        assert lost["came_up"] == 1, lost
        assert [p.leave() for p in pair] == [0, 0]
    finally:
        proxy.close()


def test_media_goes_by_websocket(nodes, world, controller, org, join):
    """The only way to a node looks inside TLS and wants HTTP. What is sent goes from the callers' own threads."""
    boss = Authority(world.folder / "media-boss", "Inspecting Boss CA")
    proxy = squid(interceptor=boss, trusted=world.authority.file, websocket=True)
    direct, env = controller.url.partition("//")[2], {"SSL_CERT_FILE": str(boss.file)}
    try:
        org.api.post("/v1/meetings", {"id": "inside", "policy": {"transports": ["proxy"]}}).expect(201)
        before = sum(n.metrics()["berth_node_websockets_total"] for n in nodes.values())
        pair = []
        for name in ("ann-inside", "bob-inside"):
            done = world.agent("probe", "--report", "--json", "--proxy", proxy.url, "--no-proxy", direct,
                               controller=controller, token=org.jwt(name), env=env)  # fmt: skip
            assert done.returncode == 0 and '"websocket"' in done.stdout, done.stdout + done.stderr
            pair.append(join("inside", name, proxy=proxy.url, direct=direct, env=env))
        for one, other in (pair, pair[::-1]):
            assert one.wait_state("up")["transport"] == "proxy"
            one.wait_heard(other, 100)
            assert one.heard(other)["bad"] == 0
        assert sum(n.metrics()["berth_node_websockets_total"] for n in nodes.values()) >= before + 2
        assert [p.leave() for p in pair] == [0, 0]
    finally:
        proxy.close()


@pytest.mark.parametrize("transport,host", [("tcp", "127.0.0.1"), ("tls", "127.0.0.1"), ("tcp", "[::1]")])
def test_media_goes_over_streams(world, admin, make_org, node, transport, host, controller):
    """A mesh of an org of its own has one node that takes no UDP."""
    own = make_org(f"Org {transport} {host.strip('[]').replace(':', '.')}")
    key = admin.post("/v1/keys", {"org": own.id, "kind": "node"}).expect(201).json["key"]
    left_out = {name: None for name in ("udp", "tcp", "tls") if name != transport}
    left_out[transport] = f"{host}:{free_port()}"
    made = node(f"only-{transport}", token=key, **left_out)
    wait_for(lambda: any(n["node"] == f"only-{transport}" for n in own.api.get("/v1/nodes").json["nodes"]), 20, "the node")
    own.api.post("/v1/meetings", {"id": "streams", "policy": {"private": True, "transports": [transport]}}).expect(201)
    pair = [Participant(world, controller, own, "streams", name, next(numbers)) for name in ("ann", "bob")]
    try:
        for one, other in (pair, pair[::-1]):
            assert one.wait_state("up")["transport"] == transport
            one.wait_heard(other, 50)
            assert one.heard(other)["bad"] == 0
        assert marks(made.address(transport)) == 4 * ["0x90"]  # AF42, both ends of both
    finally:
        assert [p.leave() for p in pair] == [0, 0]


def marks(address):
    """The type of service of each connection's end that carries media there, as the kernel has it."""
    port = address.rsplit(":", 1)[1]
    told = subprocess.run(["ss", "-Htn", "--tos", "state", "established", f"( sport = :{port} or dport = :{port} )"],
                          check=True, capture_output=True, text=True).stdout  # fmt: skip
    return sorted(word.split(":")[1] for word in told.split() if re.match("(tos|tclass):0x", word))


def test_an_ssrc_is_whose_it_was_first(join):
    ann = join("collision", "ann-collision")
    ann.wait_state("up")
    bob, eve = join("collision", "bob-collision"), join("collision", "eve-collision", ssrc=ann.ssrc)
    bob.wait_heard(ann, 20)
    eve.wait(lambda: eve.events("ssrc_refused"), 30, "eve to be told")
    assert eve.events("ssrc_refused") == [{"event": "ssrc_refused", "ssrc": ann.ssrc}]
    assert bob.heard(ann)["bad"] == 0 and not ann.events("ssrc_refused")


def test_who_is_refused_is_told(world, controller, org):
    """A token without the right to join."""
    p = Participant(world, controller, org, "m", "eve", 5, grants=["probe"])
    s = p.wait_state("ended")
    assert s["error"] == "the controller refused" and s["reason"].startswith("403"), s
    assert p.leave() == 0
