"""Participants of media over every transport: sockets are Python's, what is in the packets is tests/media_peer's."""

import base64
import os
import socket
import ssl
import struct
import subprocess
import time

from support.process import BUILD

PEER = BUILD / "tests" / "media-peer"
IP_RECVTOS = 13
SECONDS = 10


class Udp:
    def __init__(self, address, source="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        self.socket.connect(address)
        self.dscp = None  # of the newest packet

    def send(self, packet):
        self.socket.send(packet)

    def receive(self, seconds):
        """A packet, or None."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            data, control, _, _ = self.socket.recvmsg(2048, 64)
        except TimeoutError:
            return None
        self.dscp = next((value[0] >> 2 for level, kind, value in control if kind == socket.IP_TOS), None)
        return data

    def close(self):
        self.socket.close()


class Stream:
    """Frames of RFC 4571 on a connected socket."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""

    def write(self, data):
        self.socket.sendall(data)

    def send(self, packet):
        self.write(struct.pack("!H", len(packet)) + packet)

    def send_all(self, packets):
        self.write(b"".join(struct.pack("!H", len(p)) + p for p in packets))

    def read(self):
        return self.socket.recv(65536)

    def receive(self, seconds):
        """A packet, or None; EOFError where the node has closed."""
        end = time.monotonic() + seconds
        while True:
            if len(self.buffer) >= 2:
                size = struct.unpack("!H", self.buffer[:2])[0]
                if len(self.buffer) >= 2 + size:
                    packet, self.buffer = self.buffer[2 : 2 + size], self.buffer[2 + size :]
                    return packet
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.read()
            except TimeoutError:
                return None
            if data is None:
                continue
            if not data:
                raise EOFError("the node has closed the connection")
            self.buffer += data

    def close(self):
        self.socket.close()


class WebSocket(Stream):
    """The same in binary messages, after GET /stun."""

    def __init__(self, sock):
        super().__init__(sock)
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /stun HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.raw = b""
        sock.settimeout(SECONDS)
        while b"\r\n\r\n" not in self.raw:
            self.raw += sock.recv(4096)
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def write(self, data):
        size = struct.pack("!BH", 0x80 | 126, len(data)) if len(data) > 125 else struct.pack("!B", 0x80 | len(data))
        self.socket.sendall(b"\x82" + size + bytes(4) + data)  # a mask of zeroes

    def read(self):
        """The payload of one message, None: it isn't whole yet."""
        if not self.whole():
            data = self.socket.recv(65536)
            if not data:
                return data
            self.raw += data
            if not self.whole():
                return None
        at, size = self.head()
        payload, first = self.raw[at : at + size], self.raw[0]
        self.raw = self.raw[at + size :]
        return payload if first == 0x82 else b""  # a close frame ends it

    def head(self):
        size = self.raw[1] if len(self.raw) >= 2 else 0
        return (2, size) if size < 126 else (4, struct.unpack("!H", self.raw[2:4])[0])

    def whole(self):
        if len(self.raw) < 4:
            return len(self.raw) >= 2 and self.raw[1] == 0
        at, size = self.head()
        return len(self.raw) >= at + size


def open_carrier(name, node, authority):
    """`name`: udp, tcp, tls, websocket."""
    host, port = node.address({"websocket": "tls"}.get(name, name)).rsplit(":", 1)
    if name == "udp":
        return Udp((host, int(port)))
    raw = socket.create_connection((host, int(port)), SECONDS)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if name == "tcp":
        return Stream(raw)
    context = ssl.create_default_context(cafile=authority.file)
    wrapped = context.wrap_socket(raw, server_hostname="localhost")
    return Stream(wrapped) if name == "tls" else WebSocket(wrapped)


class Participant:
    """A ticket, a carrier, and what it has sent and got."""

    def __init__(self, name, media, carrier):
        self.name = name
        self.media = media
        self.carrier = carrier
        self.got = {}  # {ssrc: [sequence numbers]}
        self.rtcp = 0
        self.sequence = 0
        self.answers = []
        self.process = subprocess.Popen([PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def transact(self, *words, seconds=SECONDS, carrier=None):
        """Sends the request (over UDP again and again) and returns its answer's words."""
        carrier = carrier or self.carrier
        request = bytes.fromhex(self.ask(*words))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            carrier.send(request)
            until = time.monotonic() + (0.5 if isinstance(carrier, Udp) else seconds)
            while time.monotonic() < until:
                packet = carrier.receive(until - time.monotonic())
                if packet is None:
                    break
                if packet[0] >> 6:
                    self.take(packet)
                    continue
                answer = self.ask("answer", packet.hex()).split()
                if answer != ["none"]:
                    return answer
        raise AssertionError(f"{self.name}: no answer to {words[0]} within {seconds} s")

    def hello(self, carrier=None):
        """Into a session, proving its address where that is asked for."""
        answer = self.transact("hello", self.media["username"], self.media["password"], carrier=carrier)
        if answer[:2] == ["error", "438"]:
            answer = self.transact("hello", self.media["username"], self.media["password"], answer[2], carrier=carrier)
        return answer

    def consent(self, *words, carrier=None):
        return self.transact("consent", *words, carrier=carrier)

    def join(self):
        assert self.hello() == ["welcome"]
        assert self.consent() == ["ok"]  # and it is heard from
        return self

    def packets(self, ssrc, count, length=100):
        made = [bytes.fromhex(self.ask("send", ssrc, self.sequence + i, length)) for i in range(count)]
        self.sequence += count
        return made

    def take(self, packet):
        words = self.ask("receive", packet.hex()).split()
        assert words[0] in ("rtp", "rtcp"), (self.name, words, packet.hex())
        if words[0] == "rtcp":
            self.rtcp += 1
        else:
            self.got.setdefault(int(words[1]), []).append(int(words[2]))

    def drain(self, ssrc, count, seconds=SECONDS):
        """Receives until it has `count` packets of that source."""
        end = time.monotonic() + seconds
        while len(self.got.get(ssrc, [])) < count:
            packet = self.carrier.receive(end - time.monotonic()) if time.monotonic() < end else None
            if packet is None:
                raise AssertionError(f"{self.name}: {len(self.got.get(ssrc, []))} of {count} packets of {ssrc} in {seconds} s")
            if packet[0] >> 6:
                self.take(packet)

    def close(self):
        self.carrier.close()
        self.process.stdin.close()
        self.process.wait()
