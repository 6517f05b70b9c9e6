# timeout: 300
"""berth-node --standalone, driven through its sockets and signals alone."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

import berth_stun as stun
from nodes import BUILD, Node, make_certificate, run_once, until

TIMEOUT = 10
HAS_V6 = os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in open("/proc/net/if_inet6").read()
needs_v6 = pytest.mark.skipif(not HAS_V6, reason="this machine has no IPv6 loopback")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("cert"))


@pytest.fixture(scope="module")
def tls_args(certificate):
    return ["--cert", certificate[0], "--key", certificate[1]]


@pytest.fixture
def start():
    """Starts nodes; each must end in order, whatever was done to it."""
    nodes = []

    def make(*args, **kwargs):
        nodes.append(Node("--standalone", *args, **kwargs))
        return nodes[-1]

    yield make
    for node in nodes:
        assert node.stop() == 0, node.log()


@pytest.fixture(scope="module")
def shared(tls_args):
    """One node for the tests that leave it as it was."""
    v6 = ["--udp", "[::1]:0", "--tcp", "[::1]:0", "--tls", "[::1]:0"] if HAS_V6 else []
    node = Node(
        "--standalone", "--threads", "2", "--udp", "127.0.0.1:0", "--udp", "0.0.0.0:0", "--tcp", "127.0.0.1:0",
        "--tls", "127.0.0.1:0", *v6, *tls_args, "--metrics", "127.0.0.1:0",
    )  # fmt: skip
    yield node
    assert node.stop() == 0, node.log()


def connect(address, timeout=TIMEOUT):
    return socket.create_connection(address, timeout)


def udp_ask(address, request, source=None, timeout=TIMEOUT):
    """(answer's bytes, where it came from, our own address); sends again after a second, as UDP may lose."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as s:
        if source:
            s.bind((source, 0))
        s.settimeout(min(timeout, 1))
        end = time.monotonic() + timeout
        while True:
            s.sendto(request, address)
            try:
                data, peer = s.recvfrom(2048)
                local = (source or ("::1" if s.family == socket.AF_INET6 else "127.0.0.1"), s.getsockname()[1])
                return data, peer, local
            except TimeoutError:
                if time.monotonic() > end:
                    raise


def udp_silence(address, request):
    """No answer to it, although one to a right request that was sent after it, from the same socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(address)
        s.settimeout(TIMEOUT)
        right = stun.message()
        s.send(request)
        s.send(right)
        return stun.Message(s.recv(2048)).txid == right[8:20]


def tls_context(certificate, alpn=None, version=None):
    context = ssl.create_default_context(cafile=certificate[0])
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def tls_connect(node, certificate, index=0, **kwargs):
    raw = connect(node.addresses("tls")[index])
    return tls_context(certificate, **kwargs).wrap_socket(raw, server_hostname="localhost")


def metrics(node):
    conn = http.client.HTTPConnection("127.0.0.1", node.port("metrics"), timeout=TIMEOUT)
    conn.request("GET", "/metrics")
    answer = conn.getresponse()
    text = answer.read().decode()
    conn.close()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


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


def test_rate_limit_of_one_source_leaves_others_alone(start):
    node = start("--udp", "127.0.0.1:0", "--threads", "2", "--stun-rate", "50", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.1.1", 0))
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for _ in range(1000):
            flood.sendto(stun.message(), address)
        udp_ask(address, stun.message(), source="127.0.2.2", timeout=2)
        until(lambda: metrics(node)["berth_node_limited_total"] > 500, "the flood was limited")
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
            until(lambda: metrics(node)["berth_node_limited_total"] > limited, "another port is limited too")


def test_rate_limit_by_prefix(start):
    node = start("--udp", "127.0.0.1:0", "--stun-rate", "100", "--stun-rate-prefix", "150", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    for host in range(1, 9):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((f"127.0.7.{host}", 0))
            for _ in range(90):  # below the limit of one address
                s.sendto(stun.message(), address)
    until(lambda: metrics(node)["berth_node_limited_total"] > 100, "the /24 was limited")
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
    "http": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
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


def test_silent_flood_disturbs_nobody(start, tls_args, certificate):
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--udp", "127.0.0.1:0", *tls_args, "--threads", "1",
                 "--first-timeout", "5", "--handshake-timeout", "5", "--metrics", "127.0.0.1:0")  # fmt: skip
    silent = [connect(node.addresses("tcp")[0]) for _ in range(300)]
    half_open = [connect(node.addresses("tls")[0]) for _ in range(300)]
    for s in half_open[:150]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello that never goes on
    until(lambda: metrics(node)['berth_node_connections_open{transport="tls"}'] >= 300, "all are open")
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

    until(accepted, "a place is free again")


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


# ---- reload ----


def certificate_of(node):
    return ssl.get_server_certificate(node.addresses("tls")[0], timeout=TIMEOUT)


def test_reload_of_certificate_under_an_open_connection(start, tmp_path):
    cert, key = make_certificate(tmp_path, "one")
    node = start("--tls", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--cert", cert, "--key", key, "--threads", "2")
    before = certificate_of(node)
    with tls_connect(node, (cert, key)) as tls, connect(node.addresses("tcp")[0]) as tcp:
        stun.ask(tls)
        stun.ask(tcp)
        fresh = make_certificate(tmp_path, "two")
        shutil.copy(fresh[0], cert)
        shutil.copy(fresh[1], key)
        node.signal(signal.SIGHUP)
        node.wait_for("reloaded")
        assert certificate_of(node) != before
        stun.ask(tls)
        stun.ask(tcp)
    # A broken file changes nothing.
    now = certificate_of(node)
    cert.write_text("not a certificate")
    node.signal(signal.SIGHUP)
    assert "certificate" in node.wait_for("reload_failed")["error"]
    assert certificate_of(node) == now


def test_reload_of_configuration(start, tmp_path):
    config = tmp_path / "node.conf"
    config.write_text("[listen]\ntcp = 127.0.0.1:0\nudp = 127.0.0.1:0\n[limits]\nidle-timeout = 60\nstun-rate = 5\n")
    node = start("--config", config, "--threads", "1")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        config.write_text("[listen]\ntcp = 127.0.0.1:0\nudp = 127.0.0.2:0\n[limits]\nidle-timeout = 1\nstun-rate = 0\n")
        node.signal(signal.SIGHUP)
        node.wait_for("reloaded")
        assert node.find("changed", key="idle-timeout") and node.find("changed", key="stun-rate")
        assert node.find("change_needs_restart", key="udp")
        stun.ask(s)  # the connection lives on; the new time is in force from here
        assert stun.is_closed(s)
    for _ in range(20):
        udp_ask(node.addresses("udp")[0], stun.message(), timeout=3)
    config.write_text("[listen]\nnonsense = 1\n")
    node.signal(signal.SIGHUP)
    assert "nonsense" in node.wait_for("reload_failed")["error"]


# ---- the end ----


def test_sigterm_with_nothing_open_ends_at_once(start):
    node = start("--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--drain-timeout", "60")
    started = time.monotonic()
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert time.monotonic() - started < 10


def test_sigterm_lets_open_streams_finish(start, tls_args, certificate):
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--udp", "127.0.0.1:0", *tls_args,
                 "--drain-timeout", "60", "--metrics", "127.0.0.1:0")  # fmt: skip
    with connect(node.addresses("tcp")[0]) as s, tls_connect(node, certificate) as tls:
        stun.ask(s)
        stun.ask(tls)
        node.signal(signal.SIGTERM)
        node.wait_for("draining", open=2)

        def refused():
            try:
                connect(node.addresses("tcp")[0]).close()
                return False
            except ConnectionRefusedError:
                return True

        until(refused, "new connections are refused")
        conn = http.client.HTTPConnection("127.0.0.1", node.port("metrics"), timeout=TIMEOUT)
        conn.request("GET", "/readyz")
        assert conn.getresponse().status == 503
        conn.close()
        stun.ask(s)
        stun.ask(tls)
    assert node.wait() == 0


def test_drain_timeout_and_second_sigterm(start):
    node = start("--tcp", "127.0.0.1:0", "--drain-timeout", "1")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        node.signal(signal.SIGTERM)
        assert stun.is_closed(s)
        assert node.wait() == 0
    node = start("--tcp", "127.0.0.1:0", "--drain-timeout", "3600")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        node.signal(signal.SIGTERM)
        node.wait_for("draining")
        node.signal(signal.SIGTERM)
        assert node.wait() == 0


def test_dies_with_its_parent(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)\n"
        "while 'event=ready' not in p.stderr.readline(): pass\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    args = [str(BUILD / "node" / "berth-node"), "--standalone", "--udp", "127.0.0.1:0", "--die-with-parent"]
    parent = subprocess.Popen(["/usr/bin/python3", "-c", script, *args], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    def gone():
        try:
            return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    until(gone, "the node ended with its parent", 5)


# ---- usage ----


@pytest.mark.parametrize(
    "args, says",
    [
        ([], "--controller"),
        (["--standalone"], "--udp"),
        (["--standalone", "--tls", "127.0.0.1:0"], "--cert"),
        (["--standalone", "--udp", "localhost:3478"], "ADDR:PORT"),
        (["--standalone", "--udp", "127.0.0.1:0", "--threads", "many"], "threads"),
        (["--standalone", "--udp", "127.0.0.1:0", "--nonsense"], "nonsense"),
        (["--controller", "https://127.0.0.1:1"], "--token-file"),
        (["--standalone", "--udp", "127.0.0.1:0", "--location", "north"], "--location"),
    ],
)
def test_usage_errors(args, says):
    status, out, err = run_once(*args)
    assert status == 2 and says in err and out == ""


def test_port_that_is_taken_is_an_error(shared):
    for transport in ("udp", "tcp"):
        host, port = shared.addresses(transport)[0]
        status, _, err = run_once("--standalone", f"--{transport}", f"{host}:{port}")
        assert status == 1 and "another program listens there" in err


def test_missing_certificate_is_an_error(tmp_path):
    status, _, err = run_once("--standalone", "--tls", "127.0.0.1:0", "--cert", tmp_path / "no.pem", "--key", tmp_path / "no.key")
    assert status == 1 and "no.pem" in err


def test_check_config_help_version_sample(tmp_path):
    status, out, _ = run_once("--standalone", "--udp", "127.0.0.1:0", "--check-config")
    assert status == 0 and out
    status, out, _ = run_once("--help")
    assert status == 0 and "--standalone" in out and max(map(len, out.splitlines())) <= 80
    status, out, _ = run_once("--version")
    assert status == 0 and out.startswith("berth-node ")
    status, out, _ = run_once("--print-config")
    sample = tmp_path / "sample.conf"
    sample.write_text(out)
    assert run_once("--config", sample, "--standalone", "--udp", "127.0.0.1:0", "--check-config")[0] == 0


def test_standalone_ignores_a_controller_in_the_environment(start):
    node = start("--udp", "127.0.0.1:0", env={"BERTH_CONTROLLER": "https://127.0.0.1:1", "BERTH_TOKEN": "x"})
    udp_ask(node.addresses("udp")[0], stun.message())
    assert not node.find("call_failed")
