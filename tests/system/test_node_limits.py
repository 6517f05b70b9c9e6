# timeout: 300
"""berth-node under sources, streams and connections that ask too much, or too little."""

import select
import socket
import ssl
import time

import pytest

import berth_stun as stun
from node_kit import (  # noqa: F401 (fixtures among them)
    TIMEOUT,
    certificate,
    shared,
    start,
    tls_args,
    connect,
    metrics,
    tls_connect,
    tls_context,
    udp_ask,
)
from support.process import wait_for


# ---- UDP ----


def test_rate_limit_of_one_source_leaves_others_alone(start):
    node = start("--udp", "127.0.0.1:0", "--threads", "2", "--stun-rate", "50", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.1.1", 0))
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for _ in range(1000):
            flood.sendto(stun.message(), address)
        udp_ask(address, stun.message(), source="127.0.2.2", timeout=2)
        wait_for(lambda: metrics(node)["berth_node_limited_total"] > 500, 20, "the flood was limited")
        flood.setblocking(False)
        answers = 0
        try:
            while flood.recv(2048):
                answers += 1
        except BlockingIOError:
            pass
        assert 50 <= answers < 400
        # Another port is the same source.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.1.1", 0))
            other.settimeout(TIMEOUT)
            limited = metrics(node)["berth_node_limited_total"]
            for _ in range(200):
                other.sendto(stun.message(), address)
            wait_for(lambda: metrics(node)["berth_node_limited_total"] > limited, 20, "another port is limited too")


def test_rate_limit_by_prefix(start):
    node = start("--udp", "127.0.0.1:0", "--stun-rate", "100", "--stun-rate-prefix", "150", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    for host in range(1, 9):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((f"127.0.7.{host}", 0))
            for _ in range(90):  # below the limit of one address
                s.sendto(stun.message(), address)
    wait_for(lambda: metrics(node)["berth_node_limited_total"] > 100, 20, "the /24 was limited")
    udp_ask(address, stun.message(), source="127.0.8.1", timeout=2)


def test_rate_limit_off(start):
    node = start("--udp", "127.0.0.1:0", "--stun-rate", "0", "--metrics", "127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(node.addresses("udp")[0])
        s.settimeout(TIMEOUT)
        for _ in range(5000):
            s.send(stun.message())
            s.recv(2048)
    assert metrics(node)["berth_node_limited_total"] == 0


# ---- connections ----


def test_silent_flood_disturbs_nobody(start, tls_args, certificate):
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--udp", "127.0.0.1:0", *tls_args, "--threads", "1",
                 "--first-timeout", "5", "--handshake-timeout", "5", "--metrics", "127.0.0.1:0")  # fmt: skip
    silent = [connect(node.addresses("tcp")[0]) for _ in range(300)]
    half_open = [connect(node.addresses("tls")[0]) for _ in range(300)]
    for s in half_open[:150]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello that never goes on
    wait_for(lambda: metrics(node)['berth_node_connections_open{transport="tls"}'] >= 300, 20, "all are open")
    worst = 0
    for _ in range(20):
        started = time.monotonic()
        with connect(node.addresses("tcp")[0]) as s:
            stun.ask(s)
        udp_ask(node.addresses("udp")[0], stun.message())
        worst = max(worst, time.monotonic() - started)
    with tls_connect(node, certificate) as s:
        stun.ask(s)
    assert worst < 1
    # And all of them are ended by the node.
    for s in silent + half_open:
        s.settimeout(TIMEOUT)
        assert stun.is_closed(s)
        s.close()
    counted = metrics(node)
    assert counted['berth_node_connections_ended_total{reason="idle"}'] == 300
    assert counted['berth_node_tls_handshakes_total{result="timeout"}'] == 300


def test_idle_connection_is_closed_after_its_time(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--first-timeout", "30", "--idle-timeout", "1")
    with connect(node.addresses("tcp")[0]) as s:
        started = time.monotonic()
        stun.ask(s)
        assert stun.is_closed(s)
        assert 0.9 < time.monotonic() - started < 8


def test_slow_bytes_do_not_extend_the_first_timeout(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--first-timeout", "1")
    with connect(node.addresses("tcp")[0]) as s:
        started = time.monotonic()
        s.settimeout(0.1)
        closed = False
        for byte in stun.message(attributes=stun.attribute(0x8022, b"x" * 400)):
            try:
                s.sendall(bytes([byte]))
                closed = s.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
            if closed:
                break
        assert closed and time.monotonic() - started < 8


HELD_MOST = 512 * 1024  # bytes; what is on its way included


def held(port):
    """Bytes that the kernel keeps for the peers of connections to this port, to be sent or acknowledged; None: there are none."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    sizes = [int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return sum(sizes) if sizes else None


def pour(s, request, port):
    """Requests without end, of which no answer is read, until the node ends it. The most that it held meanwhile."""
    most = 0
    s.setblocking(False)
    while (now := held(port)) is not None:
        most = max(most, now)
        if now > HELD_MOST:
            break
        try:
            s.send(request)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            select.select([], [s], [], 0.1)
        except OSError:
            break
    return most


@pytest.mark.parametrize("what", ["tcp", "tls", "http"])
def test_answers_that_nobody_reads_take_little_memory(start, tls_args, certificate, what):
    """Of the kernel, too, which would keep megabytes for each connection."""
    transport = "tls" if what == "tls" else "tcp"
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", *tls_args, "--threads", "1", "--idle-timeout", "5")
    port = node.port(transport)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        if transport == "tls":
            s = tls_context(certificate).wrap_socket(s, server_hostname="localhost")
        one = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" if what == "http" else stun.message()
        assert 0 < pour(s, one * 500, port) <= HELD_MOST
        s.close()


def test_connection_cap(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--max-connections", "5")
    kept = [connect(node.addresses("tcp")[0]) for _ in range(5)]
    for s in kept:
        stun.ask(s)
    with connect(node.addresses("tcp")[0]) as s:
        assert stun.is_closed(s)
    for s in kept:
        stun.ask(s)
    kept.pop().close()

    def accepted():
        with connect(node.addresses("tcp")[0]) as s:
            try:
                return stun.ask(s)
            except (OSError, EOFError):
                return None

    wait_for(accepted, 20, "a place is free again")


def test_connection_cap_per_source(start):
    node = start("--tcp", "0.0.0.0:0", "--threads", "2", "--max-connections-per-ip", "3")
    port = node.port("tcp")

    def open_from(source):
        return socket.create_connection(("127.0.0.1", port), TIMEOUT, source_address=(source, 0))

    kept = [open_from("127.0.3.1") for _ in range(3)]
    for s in kept:
        stun.ask(s)
    with open_from("127.0.3.1") as s:
        assert stun.is_closed(s)
    with open_from("127.0.3.2") as s:
        stun.ask(s)
    for s in kept:
        stun.ask(s)
        s.close()


def test_health_answers_while_connections_use_up_the_descriptors(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "2", "--metrics", "127.0.0.1:0", descriptors=300)
    room = node.wait_for("limits")["connections"]
    assert 50 <= room < 300
    crowd = [connect(node.addresses("tcp")[0]) for _ in range(400)]
    wait_for(lambda: metrics(node)['berth_node_connections_open{transport="tcp"}'] >= room, 20, "all places are taken")
    refused = 'berth_node_connections_refused_total{transport="tcp",limit="listener"}'
    wait_for(lambda: metrics(node)[refused] > 0, 20, "others are refused")
    for _ in range(20):
        metrics(node)
    assert not node.find("accept_paused")
    for s in crowd:
        s.close()
