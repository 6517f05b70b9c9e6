# timeout: 240
"""Media through a real berth-node of two threads with tickets of a real controller, over every transport."""

import time

import pytest

from support.api import listed, report
from support.media_peer import Participant, Udp, open_carrier
from support.process import wait_for

CARRIERS = ("udp", "tcp", "tls", "websocket")
PACKETS, BURST = 60, 20
MEETINGS = 4


@pytest.fixture(scope="module")
def media_node(node, controller):
    made = node("media-1", threads=2, session_drain_timeout=0, drain_timeout=0)
    wait_for(lambda: "sessions_admitted" in made.process.log, 20, "the node to be told the keys of tickets")
    return made


@pytest.fixture
def join(org, media_node, world):
    """join(meeting, agent, carrier): a participant with a session."""
    made = []

    def ticket(meeting, agent):
        client = org.agent(agent)
        if agent not in [p.name for p in made]:
            report(client, {media_node.name: {"udp": 10}})
        return client.post(f"/v1/meetings/{meeting}/participants", {}).expect(200, 201).json["media"]

    def make(meeting, agent, carrier, start=True):
        org.api.post("/v1/meetings", {"id": meeting})
        p = Participant(agent, ticket(meeting, agent), open_carrier(carrier, media_node, world.authority))
        made.append(p)
        return p.join() if start else p

    yield make
    for p in made:
        p.close()


def metric(node, name, **labels):
    family = node.metrics()
    text = ",".join(f'{k}="{v}"' for k, v in labels.items())
    return family[f"berth_node_{name}{{{text}}}" if text else f"berth_node_{name}"]


def exchange(a, others, ssrc, packets=PACKETS):
    """All packets of one come to each of the others, in order and without a gap."""
    before = {b: len(b.got.get(ssrc, [])) for b in others}
    for at in range(0, packets, BURST):
        for packet in a.packets(ssrc, BURST):
            a.carrier.send(packet)
        for b in others:
            b.drain(ssrc, before[b] + at + BURST)
    for b in others:
        numbers = b.got[ssrc]
        assert all((y - x) % 65536 == 1 for x, y in zip(numbers, numbers[1:])), (b.name, numbers)


def test_every_transport_with_every_other(join, media_node):
    """Several meetings, so that both threads are home and streams are on either."""
    started = metric(media_node, "media_packets_total", direction="out")
    for n in range(MEETINGS):
        there = [join(f"all-{n}", f"{c}{n}", c) for c in CARRIERS]
        for i, one in enumerate(there):
            exchange(one, [p for p in there if p is not one], 1000 * n + i)
        for one in there:
            assert one.consent("leave") == ["ok"]
    out = metric(media_node, "media_packets_total", direction="out") - started
    assert out >= MEETINGS * len(CARRIERS) * (len(CARRIERS) - 1) * PACKETS  # and RTCP
    for reason in ("ring_full", "would_block", "error", "slow_receiver", "not_authentic", "over_limit"):
        assert metric(media_node, "media_dropped_total", reason=reason) == 0, reason


def test_each_packet_is_counted_once(join, media_node):
    one, other = join("counted", "one", "udp"), join("counted", "other", "udp")
    before = metric(media_node, "media_packets_total", direction="out")
    exchange(one, [other], 4711, packets=400)
    wait_for(lambda: metric(media_node, "media_packets_total", direction="out") - before >= 400, 10, "the packets to be counted")
    assert metric(media_node, "media_packets_total", direction="out") - before < 600  # and RTCP


def test_dscp(join):
    a, b = join("dscp", "d1", "udp"), join("dscp", "d2", "udp")
    for length, dscp in ((100, 46), (1200, 36)):
        ssrc = length
        for _ in range(5):
            for packet in a.packets(ssrc, 1, length):
                a.carrier.send(packet)
            b.drain(ssrc, len(b.got.get(ssrc, [])) + 1)
        assert b.carrier.dscp == dscp, length


def test_figures_and_log(join, media_node):
    ended = metric(media_node, "sessions_ended_total", reason="left")
    a, b = join("figures", "f1", "udp"), join("figures", "f2", "tcp")
    wait_for(lambda: metric(media_node, "sessions", transport="tcp") >= 1, 5, "the gauge of sessions")
    exchange(a, [b], 77)
    assert a.consent("leave") == ["ok"]
    wait_for(lambda: metric(media_node, "sessions_ended_total", reason="left") == ended + 1, 5, "the count of ends")
    line = next(x for x in media_node.process.log.splitlines() if "session_ended" in x and "meeting=figures" in x)
    assert "reason=left" in line and f"packets_in={PACKETS}" in line and "transport=udp" in line
    assert "127.0.0.1" not in line
    assert b.consent("leave") == ["ok"]


def test_who_is_removed_is_out(join, media_node, org):
    """Within a heartbeat: the session ends, the others' go on, and the ticket of before admits no more."""
    ended = metric(media_node, "sessions_ended_total", reason="removed")
    a, b, c = (join("removed", name, "udp") for name in ("r1", "r2", "r3"))
    exchange(a, [b, c], 88)
    org.api.delete("/v1/meetings/removed/participants/r1").expect(204)
    wait_for(lambda: metric(media_node, "sessions_ended_total", reason="removed") == ended + 1, 20, "the session's end")
    assert a.consent()[:2] == ["error", "437"]
    assert a.hello()[:2] == ["error", "401"]
    exchange(b, [c], 89)
    again = join("removed", "r1", "udp")
    exchange(b, [c, again], 90)
    for one in (b, c, again):
        assert one.consent("leave") == ["ok"]


@pytest.mark.parametrize("what", ("agent", "meeting", "org"))
def test_who_is_deleted_is_out(media_node, make_org, admin, world, what):
    """As who is made to leave: also where the name is no longer there to be told. Only where all is gone nobody goes on."""
    own = make_org(f"Deleted {what}")
    own.api.post("/v1/meetings", {"id": what}).expect(201)
    ended = metric(media_node, "sessions_ended_total", reason="removed")
    made = []
    for name in ("a", "b", "c"):
        client = own.agent(name)
        report(client, {media_node.name: {"udp": 10}})
        media = client.post(f"/v1/meetings/{what}/participants", {}).expect(201).json["media"]
        made.append(Participant(name, media, open_carrier("udp", media_node, world.authority)).join())
    exchange(made[0], made[1:], 91)
    if what == "org":
        admin.delete(f"/v1/orgs/{own.id}").expect(204)
    else:
        own.api.delete(f"/v1/{what}s/{'a' if what == 'agent' else what}").expect(204)
    gone = made[:1] if what == "agent" else made
    wait_for(lambda: metric(media_node, "sessions_ended_total", reason="removed") == ended + len(gone), 20, "the sessions' end")
    for one in gone:
        assert one.consent()[:2] == ["error", "437"] and one.hello()[:2] == ["error", "401"]
    if what == "agent":
        exchange(made[1], made[2:], 92)
    for one in made:
        one.close()


def test_what_nobody_admitted_is_dropped(media_node, join):
    before = metric(media_node, "media_dropped_total", reason="unknown_flow")
    host, port = media_node.address("udp").rsplit(":", 1)
    stranger = Udp((host, int(port)))
    for _ in range(50):
        stranger.send(b"\x80\x6f" + bytes(100))
    wait_for(lambda: metric(media_node, "media_dropped_total", reason="unknown_flow") >= before + 50, 5, "the drops")
    assert stranger.receive(0.1) is None
    stranger.close()
    forged = join("forged", "m1", "tcp", start=False)
    forged.media = {"username": "A" * 300, "password": "B" * 43}
    request = bytes.fromhex(forged.ask("hello", forged.media["username"], forged.media["password"]))
    forged.carrier.send(request)
    answer = forged.carrier.receive(5)
    assert answer is not None and answer[:2] == b"\x01\x11" and len(answer) <= len(request)


def test_a_session_goes_on_over_another_transport(join, world, media_node):
    a, b = join("moves", "v1", "udp"), join("moves", "v2", "tls")
    exchange(a, [b], 5)
    for name in ("websocket", "tcp", "udp"):
        old, new = b.carrier, open_carrier(name, media_node, world.authority)
        answer = b.consent(carrier=new)
        assert answer[:2] == ["error", "438"]
        assert b.consent(answer[2], carrier=new) == ["ok"]
        b.carrier = new
        old.close()
        exchange(a, [b], 5)
        exchange(b, [a], 6)


def test_a_slow_receiver_holds_up_nobody(join, media_node):
    """It reads nothing: its queue drops, the other goes on; once it reads it gets the newest."""
    slow, fast, loud = join("slow", "s1", "tcp"), join("slow", "s2", "udp"), join("slow", "s3", "udp")
    before = metric(media_node, "media_dropped_total", reason="slow_receiver")
    sent = 0
    while metric(media_node, "media_dropped_total", reason="slow_receiver") == before:
        for packet in loud.packets(9, 10, 1200):
            loud.carrier.send(packet)
        sent += 10
        fast.drain(9, sent)
        assert sent < 20000, "the node never dropped for a receiver that takes nothing"
    for packet in loud.packets(9, 20, 1200):
        loud.carrier.send(packet)
    fast.drain(9, sent + 20)
    last = fast.got[9][-1]
    end = time.monotonic() + 10
    while (slow.got.get(9) or [None])[-1] is None or (slow.got[9][-1] - slow.got[9][0]) % 65536 < (last - fast.got[9][0]) % 65536:
        packet = slow.carrier.receive(end - time.monotonic())
        assert packet is not None, "the newest packet never came"
        if packet[0] >> 6:
            slow.take(packet)


@pytest.mark.parametrize("carrier", ("tcp", "tls", "websocket"))
def test_forged_tickets_over_streams_meet_a_limit(crowded, world, carrier):
    """401 a few times, then the connection ends; who comes from the same address with a ticket gets in, at any time."""
    n, a = crowded
    ended = metric(n, "connections_ended_total", reason="over_rate")
    forged = a.media | {"username": a.media["username"][:-9] + "AAAAAAAAA"}
    liar = Participant("liar", forged, open_carrier(carrier, n, world.authority))
    with pytest.raises((EOFError, OSError)):
        for _ in range(300):
            assert liar.hello()[:2] == ["error", "401"]
    assert metric(n, "connections_ended_total", reason="over_rate") == ended + 1
    liar.close()
    for _ in range(10):
        good = Participant(a.name, a.media, open_carrier(carrier, n, world.authority)).join()
        assert good.consent("leave") == ["ok"]
        good.close()


@pytest.fixture(scope="module")
def crowded(node, org, world):
    return alone(node, org, world, "media-5", "udp", stun_rate=100)


def alone(node, org, world, name, carrier, **options):
    """A node that alone may serve a meeting, and a participant of it."""
    n = node(name, threads=2, region=name, **options)
    wait_for(lambda: "sessions_admitted" in n.process.log, 20, "the keys")
    org.api.post("/v1/meetings", {"id": name, "policy": {"regions": {"allow": [name]}}}).expect(201)
    wait_for(lambda: name in listed(org.api), 20, f"{name} to be listed")
    report(org.agent(name), {name: {"udp": 10}})
    media = org.agent(name).post(f"/v1/meetings/{name}/participants", {}).expect(200, 201).json["media"]
    return n, Participant(name, media, open_carrier(carrier, n, world.authority)).join()


def test_sigterm_waits_for_sessions(node, org, world):
    """Nobody is let in any more, and the node ends as soon as who is there has left."""
    n, a = alone(node, org, world, "media-2", "udp", session_drain_timeout=60)
    n.process.popen.terminate()
    wait_for(lambda: "event=draining" in n.process.log, 10, "the drain")
    late = Participant("late", a.media, open_carrier("udp", n, world.authority))
    wait_for(lambda: late.transact("hello", a.media["username"], a.media["password"])[:2] == ["error", "508"], 10, "508")
    assert n.process.running()
    assert a.consent("leave") == ["ok"]
    assert n.process.wait(20) == 0
    assert "reason=left" in n.process.log
    a.close()
    late.close()


def test_who_does_not_move_is_drained(node, org, world):
    """It is asked to move all the time, over both kinds of transport; then its time is over, and the node ends."""
    n, a = alone(node, org, world, "media-4", "udp", session_drain_timeout=2)
    media = org.agent("stays").post("/v1/meetings/media-4/participants", {}).expect(200, 201).json["media"]
    b = Participant("stays", media, open_carrier("tcp", n, world.authority)).join()
    n.process.popen.terminate()
    wait_for(lambda: "event=draining" in n.process.log, 10, "the drain")
    assert a.consent() == ["ok"] and b.consent() == ["ok"]
    assert n.process.wait(20) == 0
    ends = [line for line in n.process.log.splitlines() if "session_ended" in line]
    assert len(ends) == 2 and all("reason=drained" in line for line in ends), ends
    a.close()
    b.close()


def test_who_stays_ends_with_the_node(node, org, world):
    n, a = alone(node, org, world, "media-3", "tls", session_drain_timeout=0, drain_timeout=0)
    assert n.stop() == 0
    assert "reason=node_stopped" in n.process.log
    a.close()
