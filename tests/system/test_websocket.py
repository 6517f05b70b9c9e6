# timeout: 300
"""STUN in a WebSocket, on the TLS port and on a clear one: with python3-websockets as the other implementation, and by raw bytes."""

import asyncio
import base64
import hashlib
import http.client
import signal
import socket
import struct
import time

import pytest
import websockets
from websockets.exceptions import ConnectionClosed

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
)
from support.process import wait_for

BINARY, TEXT, CONTINUE, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
CLEAR, TLS = "tcp", "tls"
both_ports = pytest.mark.parametrize("port", [CLEAR, TLS])


# ---- the other implementation ----


def url(node, port, path="/stun"):
    return f"{'wss' if port == TLS else 'ws'}://localhost:{node.port(port)}{path}"


def run(node, port, certificate, talk, **options):
    """talk(websocket) on a connection by python3-websockets."""

    async def session():
        ssl_context = {"ssl": tls_context(certificate)} if port == TLS else {}
        host = {"host": "127.0.0.1", "port": node.port(port)}
        async with websockets.connect(url(node, port), **ssl_context, **host, **options) as ws:
            return await talk(ws)

    return asyncio.run(asyncio.wait_for(session(), TIMEOUT))


@both_ports
@pytest.mark.parametrize("wrap", [bytes, stun.framed], ids=["plain", "rfc4571"])
def test_binding(shared, certificate, port, wrap):
    async def talk(ws):
        assert ws.subprotocol == "berth.stun"
        for _ in range(3):
            request = stun.message(fingerprint=True)
            await ws.send(wrap(request))
            data = await ws.recv()
            answer = stun.Message(data if wrap is bytes else data[2:])
            assert answer.txid == request[8:20] and answer.mapped() == ws.local_address

    run(shared, port, certificate, talk, subprotocols=["berth.stun"])


@pytest.mark.parametrize("offered, selected", [
    (None, None), (["other"], None), (["other", "berth.stun"], "berth.stun"), (["berth.stun.v9"], None),
])  # fmt: skip
def test_subprotocol(shared, certificate, offered, selected):
    async def talk(ws):
        assert ws.subprotocol == selected
        await ws.send(stun.message())
        assert stun.Message(await ws.recv()).kind == stun.BINDING_SUCCESS

    run(shared, TLS, certificate, talk, subprotocols=offered)


@both_ports
def test_a_request_in_fragments_and_several_in_one_message(shared, certificate, port):
    async def talk(ws):
        requests = [stun.message() for _ in range(100)]
        await ws.send([requests[0][i : i + 1] for i in range(20)])  # twenty fragments
        assert stun.Message(await ws.recv()).txid == requests[0][8:20]
        await ws.send(b"".join(requests))
        got = b""
        while len(got) < 100 * 32:
            got += await ws.recv()
        assert [got[i + 8 : i + 20] for i in range(0, len(got), 32)] == [r[8:20] for r in requests]
        half = stun.message()
        await ws.send(half[:7])
        await ws.send(half[7:])  # borders of messages mean nothing
        assert stun.Message(await ws.recv()).txid == half[8:20]

    run(shared, port, certificate, talk)


@both_ports
def test_ping_and_orderly_close(shared, certificate, port):
    async def talk(ws):
        for payload in (b"", b"x", b"y" * 125):
            await asyncio.wait_for(await ws.ping(payload), TIMEOUT)
        await ws.send(stun.message())
        await ws.recv()
        await ws.close(4000, "done")
        return ws.close_code

    assert run(shared, port, certificate, talk) == 4000


@pytest.mark.parametrize("message, code", [
    ("text", 1003), (b"\xff" * 8, 1003), (b"\0" * 70000, 1009), (stun.message() + b"\xff" * 40, 1003),
    (b"\0" * (1 << 20), 1009),
])  # fmt: skip
def test_bad_messages(shared, certificate, message, code):
    async def talk(ws):
        with pytest.raises(ConnectionClosed):
            await ws.send(message)
            while True:
                await ws.recv()
        return ws.close_code

    assert run(shared, TLS, certificate, talk, ping_interval=None) == code


def test_drain_says_1001(start, tls_args, certificate):
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", *tls_args, "--threads", "1", "--drain-timeout", "10")

    async def talk(ws):
        await ws.send(stun.message())
        await ws.recv()
        node.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        return ws.close_code

    assert run(node, TLS, certificate, talk) == 1001
    assert node.wait() == 0  # it didn't have to wait for its end


# ---- by hand ----

KEY = base64.b64encode(b"0123456789abcdef").decode()
RIGHT = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
         "Sec-WebSocket-Version": "13"}  # fmt: skip


def head(method="GET", path="/stun", version="HTTP/1.1", **changes):
    fields = {**RIGHT, **{k.replace("_", "-"): v for k, v in changes.items()}}
    lines = [f"{method} {path} {version}"] + [f"{k}: {v}" for k, v in fields.items() if v is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def frame(payload=b"", opcode=BINARY, fin=True, mask=b"abcd", rsv=0, length=None):
    size = len(payload) if length is None else length
    out = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if size < 126:
        out += bytes([bit | size])
    elif size < 65536:
        out += struct.pack("!BH", bit | 126, size)
    else:
        out += struct.pack("!BQ", bit | 127, size)
    if not mask:
        return out + payload
    return out + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def receive_head(s):
    data = b""
    while b"\r\n\r\n" not in data:
        data += stun.receive(s, 1)
    return data.decode()


def receive_frame(s):
    """(opcode, payload); what a server sends isn't masked, nor in fragments."""
    first, size = stun.receive(s, 2)
    assert first & 0xF0 == 0x80 and size < 127
    if size == 126:
        size = struct.unpack("!H", stun.receive(s, 2))[0]
    return first & 15, stun.receive(s, size)


def close_code(s):
    """The code of the close frame that comes, after which the connection ends."""
    while True:
        opcode, payload = receive_frame(s)
        if opcode == CLOSE:
            return struct.unpack("!H", payload[:2])[0] if payload else None


def upgraded(node, port=CLEAR, certificate=None, request=None):
    s = tls_connect(node, certificate) if port == TLS else connect(node.addresses("tcp")[0])
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(request or head())
    answer = receive_head(s)
    assert answer.startswith("HTTP/1.1 101 ")
    return s


def test_handshake(shared):
    with connect(shared.addresses("tcp")[0]) as s:
        s.sendall(head(Sec_WebSocket_Protocol="a, berth.stun"))
        lines = receive_head(s).lower().split("\r\n")
        accept = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        assert lines[0].startswith("http/1.1 101")
        assert "upgrade: websocket" in lines and "connection: upgrade" in lines
        assert f"sec-websocket-accept: {accept.lower()}" in lines and "sec-websocket-protocol: berth.stun" in lines
        assert not any(line.startswith("sec-websocket-extensions") for line in lines)


WRONG_HEADS = {
    "version 8": (head(Sec_WebSocket_Version="8"), 426),
    "no version": (head(Sec_WebSocket_Version=None), 426),
    "no upgrade": (head(Upgrade=None, Connection=None), 426),
    "another upgrade": (head(Upgrade="h2c"), 426),
    "upgrade not named in connection": (head(Connection="keep-alive"), 426),
    "http/1.0": (head(version="HTTP/1.0"), 426),
    "no key": (head(Sec_WebSocket_Key=None), 400),
    "short key": (head(Sec_WebSocket_Key="YWJj"), 400),
    "key that is no base64": (head(Sec_WebSocket_Key="!" * 22 + "=="), 400),
    "long key": (head(Sec_WebSocket_Key=base64.b64encode(b"0" * 17).decode()), 400),
    "with a body": (head(Content_Length="3") + b"abc", 400),
    "another path": (head(path="/stun/x"), 404),
    "root": (head(path="/"), 404),
}


@both_ports
@pytest.mark.parametrize("name", list(WRONG_HEADS))
def test_wrong_handshakes(shared, certificate, port, name):
    request, status = WRONG_HEADS[name]
    with tls_connect(shared, certificate) if port == TLS else connect(shared.addresses("tcp")[0]) as s:
        s.sendall(request)
        answer = receive_head(s)
        assert answer.split()[1] == str(status)
        if status == 426:
            assert "sec-websocket-version: 13\r\n" in answer.lower() and "upgrade: websocket\r\n" in answer.lower()


def test_method_not_allowed(shared, certificate):
    with tls_connect(shared, certificate) as s:
        s.sendall(head(method="POST", Content_Length="0"))
        answer = receive_head(s).lower()
        assert answer.split()[1] == "405" and "allow: get\r\n" in answer


@both_ports
def test_everything_byte_by_byte(shared, certificate, port):
    request = stun.message(fingerprint=True)
    s = tls_connect(shared, certificate) if port == TLS else connect(shared.addresses("tcp")[0])
    with s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head() + frame(b"p", PING) + frame(request[:9], fin=False) + frame(request[9:], CONTINUE):
            s.sendall(bytes([byte]))
        assert receive_head(s).startswith("HTTP/1.1 101")
        assert receive_frame(s) == (PONG, b"p")
        opcode, payload = receive_frame(s)
        assert opcode == BINARY and stun.Message(payload).txid == request[8:20]


@both_ports
def test_all_in_one_write(shared, certificate, port):
    """The first frames come with the request to upgrade."""
    requests = [stun.message() for _ in range(50)]
    s = tls_connect(shared, certificate) if port == TLS else connect(shared.addresses("tcp")[0])
    with s:
        s.sendall(head() + b"".join(frame(r) for r in requests) + frame(struct.pack("!H", 1000), CLOSE))
        assert receive_head(s).startswith("HTTP/1.1 101")
        got = b""
        while True:
            opcode, payload = receive_frame(s)
            if opcode == CLOSE:
                break
            got += payload
        assert payload == struct.pack("!H", 1000)
        assert [got[i + 8 : i + 20] for i in range(0, len(got), 32)] == [r[8:20] for r in requests]
        assert stun.is_closed(s)


BAD = {
    "unmasked": (frame(stun.message(), mask=None), 1002),
    "unmasked ping": (frame(b"x", PING, mask=None), 1002),
    "reserved bit": (frame(stun.message(), rsv=4), 1002),
    "reserved opcode": (frame(b"x", 3), 1002),
    "reserved control opcode": (frame(b"x", 11), 1002),
    "continuation of nothing": (frame(b"x", CONTINUE), 1002),
    "new message within one": (frame(b"\0", fin=False) + frame(b"\1"), 1002),
    "fragmented ping": (frame(b"x", PING, fin=False), 1002),
    "long ping": (frame(b"x" * 126, PING), 1002),
    "length in too many bytes": (b"\x82\xfe\x00\x05abcdxxxxx", 1002),
    "length with its highest bit": (b"\x82\xff\xff" + b"\xff" * 7 + b"abcdxxxx", 1002),
    "close of one byte": (frame(b"\x03", CLOSE), 1002),
    "close with a code that can't be": (frame(struct.pack("!H", 1005), CLOSE), 1002),
    "text": (frame(b"hello", TEXT), 1003),
    "no frames of a stream": (frame(b"\xff" * 20), 1003),
    "http inside": (frame(b"GET / HTTP/1.1\r\n\r\n"), 1003),
    "too long": (frame(b"\0", length=65537), 1009),
    "huge": (frame(b"\0", length=1 << 62), 1009),
    "too long in fragments": (frame(b"\0\1", fin=False) + frame(b"\0", CONTINUE, length=65535), 1009),
}


@pytest.mark.parametrize("wait", [False, True], ids=["at once", "after a request"])
@pytest.mark.parametrize("name", list(BAD))
def test_bad_frames(shared, name, wait):
    data, code = BAD[name]
    with upgraded(shared) as s:
        if wait:
            s.sendall(frame(stun.message()))
            assert receive_frame(s)[0] == BINARY
        s.sendall(data + frame(stun.message()))
        assert close_code(s) == code
        if "close" not in name:  # after a close frame of ours the node doesn't wait for another
            s.sendall(frame(struct.pack("!H", code), CLOSE))
            s.shutdown(socket.SHUT_WR)
        assert stun.is_closed(s)


def test_close_is_answered_and_ends_the_connection(shared):
    for payload in (b"", struct.pack("!H", 1000), struct.pack("!H", 4999) + b"bye"):
        with upgraded(shared) as s:
            s.sendall(frame(payload, CLOSE) + frame(stun.message()))  # what follows a close is nothing
            assert receive_frame(s) == (CLOSE, payload[:2])
            assert stun.is_closed(s)


def test_a_peer_that_does_not_answer_our_close_is_left(shared):
    with upgraded(shared) as s:
        began = time.monotonic()
        s.sendall(frame(b"x", TEXT))
        assert close_code(s) == 1003
        assert stun.is_closed(s)
        assert 0.5 < time.monotonic() - began < TIMEOUT


def test_empty_messages_and_pongs_are_nothing(shared):
    with upgraded(shared) as s:
        request = stun.message()
        s.sendall(frame() * 3 + frame(b"unasked", PONG) + frame(fin=False) + frame(request, CONTINUE))
        assert stun.Message(receive_frame(s)[1]).txid == request[8:20]


@pytest.mark.parametrize("what", ["requests", "pings"])
def test_peer_that_never_reads_is_bounded(start, what):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--metrics", "127.0.0.1:0")
    block = frame(stun.message() * 3000) if what == "requests" else frame(b"x" * 125, PING) * 500

    def resident_kb():
        for line in open(f"/proc/{node.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1])

    with upgraded(node) as s:
        s.sendall(block)
        receive_frame(s)
        before = resident_kb()
        s.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):  # the node stops reading; our send fills both buffers
            while sent < 100_000_000:
                sent += s.send(block)
        assert sent < 16_000_000
        assert resident_kb() - before < 32 * 1024  # nearly all of it is what sanitizers keep
        with upgraded(node) as other:  # the only thread serves on
            other.sendall(frame(stun.message()))
            assert receive_frame(other)[0] == BINARY


def test_many_requests_come_back_in_order(shared):
    """Far more answers than the queue holds."""
    requests = [stun.message() for _ in range(3000)]
    with upgraded(shared) as s:
        s.sendall(frame(b"".join(requests)))
        got = b""
        while len(got) < 32 * len(requests):
            opcode, payload = receive_frame(s)
            assert opcode == BINARY
            got += payload
        assert [got[i + 8 : i + 20] for i in range(0, len(got), 32)] == [r[8:20] for r in requests]


def test_idle_times(start):
    node = start("--tcp", "127.0.0.1:0", "--threads", "1", "--first-timeout", "1", "--idle-timeout", "2",
                 "--metrics", "127.0.0.1:0")  # fmt: skip
    began = time.monotonic()
    with upgraded(node) as silent, upgraded(node) as talks:
        talks.sendall(frame(stun.message()))
        receive_frame(talks)
        assert stun.is_closed(silent)
        assert 0.5 < time.monotonic() - began
        talks.sendall(frame(b"", PING))  # a sign of life
        assert receive_frame(talks) == (PONG, b"")
        again = time.monotonic()
        assert stun.is_closed(talks)
        assert 1.5 < time.monotonic() - again < TIMEOUT
    counted = wait_for(lambda: (m := metrics(node))['berth_node_connections_open{transport="tcp"}'] == 0 and m, 20, "all closed")
    assert counted['berth_node_connections_ended_total{reason="idle"}'] == 2
    assert counted["berth_node_websockets_total"] == 2
    assert counted['berth_node_requests_total{transport="tcp"}'] == 1


def test_vanishing_peers(start, tls_args, certificate):
    """Connections that end at every stage leave nothing behind (the sanitizers look as well)."""
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", *tls_args, "--threads", "1", "--metrics", "127.0.0.1:0")
    whole = head() + frame(stun.message()) + frame(b"p", PING) + frame(b"", CLOSE)
    for end in range(1, len(whole), 5):
        for s in (connect(node.addresses("tcp")[0]), tls_connect(node, certificate)):
            s.sendall(whole[:end])
            if end % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            s.close()
    wait_for(lambda: metrics(node)['berth_node_connections_open{transport="tcp"}'] == 0, 20, "closed")
    wait_for(lambda: metrics(node)['berth_node_connections_open{transport="tls"}'] == 0, 20, "closed")


# ---- a clear port ----


@pytest.mark.parametrize("path, status", [("/livez", 200), ("/readyz", 200), ("/metrics", 404), ("/stun", 426), ("/", 404)])
def test_http_on_a_clear_port(shared, path, status):
    conn = http.client.HTTPConnection("127.0.0.1", shared.port("tcp"), timeout=TIMEOUT)
    for _ in range(2):
        conn.request("GET", path)
        answer = conn.getresponse()
        answer.read()
        assert answer.status == status
    conn.close()


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "CONNECT"])
def test_a_clear_port_takes_only_get(shared, method):
    with connect(shared.addresses("tcp")[0]) as s:
        s.sendall(f"{method} /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        assert s.recv(100) == b""


def test_one_clear_port_serves_all_three(shared, certificate):
    address = shared.addresses("tcp")[0]
    with connect(address) as plain, connect(address) as framed, upgraded(shared) as ws:
        assert stun.ask(plain).mapped() == plain.getsockname()
        framed.sendall(stun.framed(stun.message()))
        assert stun.receive_framed(framed).mapped() == framed.getsockname()
        ws.sendall(frame(stun.message()))
        assert stun.Message(receive_frame(ws)[1]).mapped() == ws.getsockname()


def test_stop_with_open_websockets(start, tls_args, certificate):
    """Some talk, some never read, one is in the middle of its request: the end is in order all the same."""
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", *tls_args, "--threads", "2", "--drain-timeout", "1")
    open_ones = [upgraded(node) for _ in range(4)] + [upgraded(node, TLS, certificate) for _ in range(4)]
    for s in open_ones[::2]:
        s.sendall(frame(stun.message() * 3000)[: 40000])
    half = connect(node.addresses("tcp")[0])
    half.sendall(head()[:30])
    assert node.stop() == 0
    for s in [*open_ones, half]:
        s.close()
