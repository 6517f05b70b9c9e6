# timeout: 300
"""berth-node --standalone over UDP, TCP and TLS; health and metrics."""

import http.client
import os
import shutil
import socket
import ssl
import struct
import subprocess

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
    needs_v6,
    tls_connect,
    tls_context,
    udp_ask,
    udp_silence,
)
from support.process import BUILD


# ---- UDP ----


@pytest.mark.parametrize("fingerprint", [False, True])
def test_udp_binding(shared, fingerprint):
    request = stun.message(fingerprint=fingerprint)
    data, peer, local = udp_ask(shared.addresses("udp")[0], request)
    answer = stun.Message(data)
    assert answer.kind == stun.BINDING_SUCCESS and answer.txid == request[8:20]
    assert answer.mapped() == local
    assert (answer.get(stun.FINGERPRINT) is not None) == fingerprint
    assert answer.get(stun.SOFTWARE) is None
    assert len(data) == 32 + (8 if fingerprint else 0)


@pytest.mark.parametrize("asked", ["127.0.0.1", "127.0.0.2", "127.9.8.7"])
def test_udp_answers_from_the_address_asked(shared, asked):
    port = shared.port("udp", 1)  # bound to 0.0.0.0
    data, peer, local = udp_ask((asked, port), stun.message())
    assert peer == (asked, port)
    assert stun.Message(data).mapped()[1] == local[1]


@needs_v6
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_ipv6(shared, certificate, transport):
    address = next(a for a in shared.addresses(transport) if a[0] == "::1")
    if transport == "udp":
        data, peer, local = udp_ask(address, stun.message())
        assert peer[0] == "::1"
        assert stun.Message(data).mapped() == local
        return
    with connect(address) as raw:
        context = tls_context(certificate)
        s = context.wrap_socket(raw, server_hostname="localhost") if transport == "tls" else raw
        assert stun.ask(s).mapped() == ("::1", s.getsockname()[1])
        s.close()


@needs_v6
def test_ipv6_wildcard_answers_from_the_address_asked(start):
    node = start("--udp", "[::]:0", "--threads", "1")
    data, peer, local = udp_ask(("::1", node.port("udp")), stun.message())
    assert peer[:2] == ("::1", node.port("udp"))
    assert stun.Message(data).mapped() == local


def test_several_addresses_and_ports(start):
    args = []
    for address in ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.3:0"):
        args += ["--udp", address, "--tcp", address]
    node = start(*args, "--threads", "2")
    assert len(set(node.addresses("udp"))) == 3 and len(set(node.addresses("tcp"))) == 3
    for address in node.addresses("udp"):
        data, peer, _ = udp_ask(address, stun.message())
        assert peer == address and stun.Message(data).kind == stun.BINDING_SUCCESS
    for address in node.addresses("tcp"):
        with connect(address) as s:
            assert stun.ask(s).mapped() == s.getsockname()


def test_threads_share_port_and_work(start):
    node = start("--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--threads", "4")
    for _ in range(40):  # each from another port: they spread over the threads
        udp_ask(node.addresses("udp")[0], stun.message())
        with connect(node.addresses("tcp")[0]) as s:
            stun.ask(s)


def test_udp_unknown_attribute(shared):
    request = stun.message(attributes=stun.attribute(0x7ABC, b"x") + stun.attribute(0xC001, b"optional"))
    answer = stun.Message(udp_ask(shared.addresses("udp")[0], request)[0])
    assert answer.kind == stun.BINDING_ERROR and answer.error() == 420
    assert answer.get(stun.UNKNOWN_ATTRIBUTES)[:2] == b"\x7a\xbc"


@pytest.mark.parametrize("size", [4, 100, 1200, 1444, 1500])
def test_udp_padded_requests_get_a_small_answer(shared, size):
    """How a path's MTU is found; the longest comes in fragments where the MTU is 1500."""
    request = stun.message(attributes=stun.attribute(stun.PADDING, bytes(size)))
    answer = udp_ask(shared.addresses("udp")[0], request)[0]
    assert stun.Message(answer).kind == stun.BINDING_SUCCESS and len(answer) == 32


def test_udp_behaviour_discovery_is_off(shared):
    for kind, value in ((stun.CHANGE_REQUEST, bytes(4)), (stun.RESPONSE_PORT, b"\x10\x00\x00\x00")):
        answer = stun.Message(udp_ask(shared.addresses("udp")[0], stun.message(attributes=stun.attribute(kind, value)))[0])
        assert answer.error() == 420 and answer.get(stun.UNKNOWN_ATTRIBUTES)[:2] == struct.pack("!H", kind)
    answer = stun.Message(udp_ask(shared.addresses("udp")[0], stun.message())[0])
    assert answer.get(stun.OTHER_ADDRESS) is None and answer.get(stun.RESPONSE_ORIGIN) is None


WRONG = {
    "wrong fingerprint": stun.message(fingerprint=True)[:-1] + b"\x00",
    "no cookie": stun.message(cookie=0x12345678),
    "indication": stun.message(stun.BINDING_INDICATION),
    "an answer": stun.message(stun.BINDING_SUCCESS),
    "not stun": b"\x80" * 40,
    "empty": b"",
    "huge": stun.message(attributes=stun.attribute(0x8022, b"a" * 3000)),
}


@pytest.mark.parametrize("name", [k for k in WRONG])
def test_udp_silence(shared, name):
    request = WRONG[name]
    if name == "wrong fingerprint":
        request = request[:-4] + bytes(b ^ 0x55 for b in request[-4:])
    assert udp_silence(shared.addresses("udp")[0], request)


def test_udp_every_wrong_length_is_silence(shared):
    right = stun.message(attributes=stun.attribute(0x8022, b"abcdefg"), fingerprint=True)
    for size in range(len(right)):
        assert udp_silence(shared.addresses("udp")[0], right[:size]), size
    for wrong in range(0, 64):
        if wrong != len(right) - 20:
            request = right[:2] + struct.pack("!H", wrong) + right[4:]
            assert udp_silence(shared.addresses("udp")[0], request), wrong


# ---- TCP ----


@pytest.mark.parametrize("fingerprint", [False, True])
def test_tcp_plain(shared, fingerprint):
    with connect(shared.addresses("tcp")[0]) as s:
        for _ in range(3):
            answer = stun.ask(s, stun.message(fingerprint=fingerprint))
            assert answer.kind == stun.BINDING_SUCCESS and answer.mapped() == s.getsockname()


def test_tcp_rfc4571(shared):
    with connect(shared.addresses("tcp")[0]) as s:
        for _ in range(3):
            request = stun.message(fingerprint=True)
            s.sendall(stun.framed(request))
            answer = stun.receive_framed(s)
            assert answer.txid == request[8:20] and answer.mapped() == s.getsockname()


def test_tcp_rfc4571_media_and_empty_frames_are_passed_over(shared):
    with connect(shared.addresses("tcp")[0]) as s:
        s.sendall(stun.framed(stun.message()))
        stun.receive_framed(s)
        request = stun.message()
        s.sendall(stun.framed(b"\x80" * 172) + stun.framed(b"") + stun.framed(request))
        assert stun.receive_framed(s).txid == request[8:20]


@pytest.mark.parametrize("wrap", [bytes, stun.framed], ids=["plain", "rfc4571"])
def test_tcp_byte_by_byte(shared, wrap):
    request = stun.message(fingerprint=True, attributes=stun.attribute(0x8022, b"slow"))
    with connect(shared.addresses("tcp")[0]) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wrap(request) * 2:
            s.sendall(bytes([byte]))
        for _ in range(2):
            answer = stun.receive_message(s) if wrap is bytes else stun.receive_framed(s)
            assert answer.txid == request[8:20]


def test_tcp_many_requests_at_once(shared):
    """Far more answers than one write holds, in order."""
    requests = [stun.message() for _ in range(2000)]
    with connect(shared.addresses("tcp")[0]) as s:
        s.sendall(b"".join(requests))
        for request in requests:
            assert stun.receive_message(s).txid == request[8:20]


def test_tcp_peer_that_never_reads_is_not_read_from(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--metrics", "127.0.0.1:0")
    with connect(node.addresses("tcp")[0]) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(1)
        block = stun.message() * 3000
        sent = 0
        with pytest.raises(TimeoutError):  # the node stops reading; our send fills both buffers
            while sent < 100_000_000:
                sent += s.send(block)
        assert sent < 16_000_000  # what the kernel's buffers and one read of the node's hold
        with connect(node.addresses("tcp")[0]) as other:  # the only thread serves on
            stun.ask(other)


BROKEN = {
    "garbage": b"\xff" * 8,
    "http but not GET": b"POST /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "http2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no cookie": stun.message(cookie=0x01020304),
    "length not a multiple of 4": b"\x00\x01\x00\x05" + stun.message()[4:],
    "too long": b"\x00\x01\xff\xfc" + stun.message()[4:],
    "frame too long": b"\x40\x00" + stun.message(),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_tcp_broken_stream_is_closed(shared, name):
    with connect(shared.addresses("tcp")[0]) as s:
        s.sendall(BROKEN[name])
        assert stun.is_closed(s)


def test_tcp_break_after_a_request_is_answered_and_closed(shared):
    with connect(shared.addresses("tcp")[0]) as s:
        request = stun.message()
        s.sendall(request + b"\xff" * 40)
        assert stun.receive_message(s).txid == request[8:20]
        assert stun.is_closed(s)


def test_tcp_wrong_fingerprint_is_silence(shared):
    wrong = stun.message(fingerprint=True)
    wrong = wrong[:-4] + bytes(b ^ 0xFF for b in wrong[-4:])
    with connect(shared.addresses("tcp")[0]) as s:
        request = stun.message()
        s.sendall(wrong + request)
        assert stun.receive_message(s).txid == request[8:20]


def test_tcp_unknown_attribute(shared):
    with connect(shared.addresses("tcp")[0]) as s:
        answer = stun.ask(s, stun.message(attributes=stun.attribute(0x7FFF)))
        assert answer.kind == stun.BINDING_ERROR and answer.error() == 420


# ---- TLS ----


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "alpn, selected",
    [
        (None, None),
        (["stun.nat-discovery"], "stun.nat-discovery"),
        (["stun.turn"], "stun.turn"),
        (["http/1.1"], "http/1.1"),
        (["something-else"], None),
        (["h2"], None),
    ],
)
def test_tls_stun(shared, certificate, version, alpn, selected):
    with tls_connect(shared, certificate, alpn=alpn, version=version) as s:
        assert s.selected_alpn_protocol() == selected
        assert stun.ask(s).mapped() == s.getsockname()
        request = stun.message()
        s.sendall(request)
        assert stun.receive_message(s).txid == request[8:20]


def test_tls_rfc4571_byte_by_byte(shared, certificate):
    with tls_connect(shared, certificate) as s:
        request = stun.message(fingerprint=True)
        for byte in stun.framed(request):
            s.sendall(bytes([byte]))
        assert stun.receive_framed(s).txid == request[8:20]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_old_version_is_refused(shared, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with connect(shared.addresses("tls")[0]) as raw, pytest.raises(OSError):
        context.wrap_socket(raw)


@pytest.mark.parametrize("path, status, body", [("/livez", 200, b"ok\n"), ("/readyz", 200, b"ok\n"), ("/metrics", 404, None)])
@pytest.mark.parametrize("alpn", [None, ["http/1.1"], ["h2", "http/1.1"]])
def test_https_on_the_tls_port(shared, certificate, alpn, path, status, body):
    conn = http.client.HTTPSConnection("localhost", shared.port("tls"), timeout=TIMEOUT, context=tls_context(certificate, alpn))
    conn.sock = tls_connect(shared, certificate, alpn=alpn)
    for _ in range(2):  # the connection is kept
        conn.request("GET", path)
        answer = conn.getresponse()
        got = answer.read()
        assert answer.status == status and answer.version == 11
        assert body is None or got == body
    conn.close()


def test_https_byte_by_byte(shared, certificate):
    with tls_connect(shared, certificate) as s:
        for byte in b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            s.sendall(bytes([byte]))
        answer = b""
        while chunk := s.recv(4096):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok\n")


def test_https_method_not_allowed(shared, certificate):
    conn = http.client.HTTPSConnection("localhost", shared.port("tls"), timeout=TIMEOUT, context=tls_context(certificate))
    conn.sock = tls_connect(shared, certificate)
    conn.request("POST", "/livez", b"x")
    answer = conn.getresponse()
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert answer.headers["Content-Type"] == "application/problem+json"
    conn.close()


@pytest.mark.parametrize("alpn", [None, ["h2"]])
def test_http2_is_refused(shared, certificate, alpn):
    with tls_connect(shared, certificate, alpn=alpn) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert stun.is_closed(s)


def test_http2_upgrade_is_ignored(shared, certificate):
    with tls_connect(shared, certificate) as s:
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")  # fmt: skip
        assert s.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"\x80\x81\x82\x83", b"QUIT\r\n", b"GET" + b"X" * 5])
def test_tls_broken_stream_is_closed(shared, certificate, data):
    with tls_connect(shared, certificate) as s:
        s.sendall(data)
        assert stun.is_closed(s)


def test_tls_clear_text_is_closed(shared):
    with connect(shared.addresses("tls")[0]) as s:
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stun.is_closed(s)


# ---- other projects' clients ----


def test_coturn_client(shared):
    tool = shutil.which("turnutils_stunclient")
    if not tool:
        pytest.skip("coturn isn't installed")
    address, port = shared.addresses("udp")[0]
    done = subprocess.run([tool, "-p", str(port), address], capture_output=True, text=True, timeout=TIMEOUT)
    assert "UDP reflexive addr: 127.0.0.1:" in done.stdout + done.stderr


def test_libre_client_over_tcp(shared):
    tool = BUILD / "tests" / "peers" / "stun_tcp_re"
    if not tool.exists():
        pytest.skip("stun_tcp_re wasn't built: libre isn't installed")
    address, port = shared.addresses("tcp")[0]
    done = subprocess.run([tool, address, str(port)], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0 and done.stdout.startswith("127.0.0.1:"), done.stderr


# ---- health and metrics ----


def test_metrics_count(start, tls_args, certificate):
    node = start("--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", *tls_args,
                 "--metrics", "127.0.0.1:0", "--threads", "2")  # fmt: skip
    for _ in range(3):
        udp_ask(node.addresses("udp")[0], stun.message())
    with connect(node.addresses("tcp")[0]) as tcp, tls_connect(node, certificate) as tls:
        stun.ask(tcp)
        stun.ask(tls)
        counted = metrics(node)
    assert counted['berth_node_requests_total{transport="udp"}'] >= 3
    assert counted['berth_node_answers_total{transport="tcp"}'] == 1
    assert counted['berth_node_answers_total{transport="tls"}'] == 1
    assert counted['berth_node_connections_open{transport="tcp"}'] == 1
    assert counted['berth_node_tls_handshakes_total{result="ok"}'] == 1
    assert counted['berth_node_sent_bytes_total{transport="tcp"}'] == 32


def test_no_listener_but_those_asked_for(start):
    node = start("--udp", "127.0.0.1:0", "--threads", "1")
    inodes = set()
    for fd in os.listdir(f"/proc/{node.process.pid}/fd"):
        target = os.readlink(f"/proc/{node.process.pid}/fd/{fd}")
        if target.startswith("socket:"):
            inodes.add(target[8:-1])
    listening = set()
    for name in ("tcp", "tcp6"):
        for line in open(f"/proc/{node.process.pid}/net/{name}").read().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.add(fields[1])
    assert listening == set()
