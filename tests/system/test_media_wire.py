# timeout: 300 heavy alone
"""What somebody sees who listens on the wire during calls over UDP, TCP and TLS: tshark, as root. STUN, SRTP, SRTCP, frames of
RFC 4571 and TLS; nothing of what was sent. What berth-load sends holds a known text and known SSRCs."""

import os
import shutil
import signal
import struct
import zlib

import pytest
from support.process import BUILD, Process, run, wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="capturing packets needs root"),
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]

LOAD = BUILD / "loadtest" / "berth-load"
TEXT = b"berth-load:plain"  # loadtest/media_packet.h
PEOPLE = 3
AUDIO_SSRCS = {2 * n for n in range(1, PEOPLE + 1)}
COOKIE = bytes.fromhex("2112a442")
SEEN = {"udp": {"stun", "rtp", "rtcp"}, "tcp": {"tcp", "stun", "rtp", "rtcp"}, "tls": {"tcp", "tls"}}


@pytest.fixture(scope="module")
def media_node(node):
    made = node("wire-1", threads=1, session_drain_timeout=0, drain_timeout=0)
    wait_for(lambda: "sessions_admitted" in made.process.log, 20, "the node to be told the keys of tickets")
    return made


@pytest.fixture(scope="module")
def captured(world, controller, org, media_node):
    """{transport: a capture of its port during a call}."""
    token = world.folder / "load.token"
    token.write_text(org.key + "\n")
    files = {}
    for transport in SEEN:
        files[transport] = world.folder / f"{transport}.pcap"
        dump = Process(["dumpcap", "-P", "-i", "lo", "-f", f"port {media_node.port(transport)}", "-w", files[transport]],
                       world.folder / f"dumpcap-{transport}.log")  # fmt: skip
        try:
            wait_for(lambda: f"File: {files[transport]}" in dump.log or not dump.running(), 20, "dumpcap to listen")
            done = run([LOAD, "media", "--controller", controller.url, "--token-file", token, "--ca", world.authority.file,
                        "--participants", PEOPLE, "--video-kbps", 100, "--seconds", 2, "--transport", transport])  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert dump.running(), dump.tail()
        finally:
            dump.signal(signal.SIGINT)
            dump.wait()
    return files


def tshark(file, *fields, decode=()):
    """The fields of every packet."""
    done = run(["tshark", "-n", "-r", file, "-o", "rtp.version0_type:STUN", "--enable-heuristic", "stun_udp",
                "--enable-heuristic", "rtcp_udp", "--enable-heuristic", "rtp_udp", *(w for d in decode for w in ("-d", d)),
                "-T", "fields", *(w for f in fields for w in ("-e", f))])  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def messages(media_node, captured, transport):
    """Every datagram, or frame of RFC 4571, as bytes."""
    if transport == "udp":
        return [bytes.fromhex(p) for (p,) in tshark(captured["udp"], "udp.payload")]
    streams, found = {}, []
    for stream, port, payload in tshark(captured["tcp"], "tcp.stream", "tcp.srcport", "tcp.payload"):
        streams.setdefault((stream, port), bytearray()).extend(bytes.fromhex(payload))
    for data in streams.values():
        at = 0
        while at < len(data):
            (size,) = struct.unpack_from("!H", data, at)
            found.append(bytes(data[at + 2 : at + 2 + size]))
            assert len(found[-1]) == size, "the stream ends within a frame"
            at += 2 + size
    return found


@pytest.mark.parametrize("transport", SEEN)
def test_nothing_that_was_sent_is_seen(captured, transport):
    data = captured[transport].read_bytes()
    assert len(data) > 100000
    for at in range(len(TEXT)):
        part = (TEXT + TEXT)[at : at + 8]
        assert part not in data, (transport, part)


@pytest.mark.parametrize("transport", SEEN)
def test_tshark_sees_nothing_else(media_node, captured, transport):
    decode = [f"tcp.port=={media_node.port('tcp')},rtp", f"tcp.port=={media_node.port('tls')},tls"]
    seen = {}
    for protocols, kind in tshark(captured[transport], "frame.protocols", "tls.record.content_type", decode=decode):
        last = protocols.split(":")[-1]
        seen[last] = seen.get(last, 0) + 1
        assert set(kind.split(",")) <= {"", "20", "21", "22", "23"}, kind
    assert set(seen) <= SEEN[transport], seen
    assert seen["tls" if transport == "tls" else "stun"] >= PEOPLE and (transport == "tls" or seen["rtp"] > 200), seen


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_each_message_is_stun_or_srtp(media_node, captured, transport):
    stun, rtcp, ssrcs, payloads = 0, 0, {}, []
    for m in messages(media_node, captured, transport):
        assert len(m) >= 12, m
        if m[0] >> 6 == 0:
            assert m[4:8] == COOKIE, m
            stun += 1
            continue
        assert m[0] >> 6 == 2, m
        if 192 <= m[1] <= 223:
            rtcp += 1
            payloads.append(m[8:])
            continue
        ssrc = struct.unpack_from("!I", m, 8)[0]
        ssrcs[ssrc] = ssrcs.get(ssrc, 0) + 1
        payloads.append(m[20 if m[0] & 0x10 else 12 :])
    assert AUDIO_SSRCS <= set(ssrcs) and stun >= 4 * PEOPLE and rtcp > 0, (stun, rtcp, ssrcs)
    hidden = b"".join(payloads)
    assert len(zlib.compress(hidden, 9)) > 0.99 * len(hidden), "what should be enciphered can be compressed"
