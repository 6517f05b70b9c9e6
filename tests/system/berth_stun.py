"""STUN bytes (RFC 8489) written independently of the C code, for the tests."""

import ipaddress
import os
import struct
import zlib

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_INDICATION, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0011, 0x0101, 0x0111
MAPPED_ADDRESS, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0001, 0x0009, 0x000A
CHANGE_REQUEST, PADDING, RESPONSE_PORT = 0x0003, 0x0026, 0x0027  # RFC 5780, as the next line
RESPONSE_ORIGIN, OTHER_ADDRESS = 0x802B, 0x802C
XOR_MAPPED_ADDRESS, SOFTWARE, FINGERPRINT = 0x0020, 0x8022, 0x8028


def attribute(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def fingerprint_of(head):
    return (zlib.crc32(head) & 0xFFFFFFFF) ^ 0x5354554E


def message(kind=BINDING_REQUEST, attributes=b"", txid=None, fingerprint=False, cookie=COOKIE):
    txid = txid or os.urandom(12)
    length = len(attributes) + (8 if fingerprint else 0)
    head = struct.pack("!HHI", kind, length, cookie) + txid + attributes
    if fingerprint:
        head += attribute(FINGERPRINT, struct.pack("!I", fingerprint_of(head)))
    return head


def framed(payload):
    """RFC 4571."""
    return struct.pack("!H", len(payload)) + payload


class Message:
    """A parsed message; raises AssertionError where it isn't well-formed."""

    def __init__(self, data):
        assert len(data) >= 20, f"too short: {data!r}"
        self.kind, length, cookie = struct.unpack("!HHI", data[:8])
        assert cookie == COOKIE
        assert length == len(data) - 20 and length % 4 == 0
        self.txid = data[8:20]
        self.attributes = []
        at = 20
        while at < len(data):
            kind, size = struct.unpack("!HH", data[at : at + 4])
            value = data[at + 4 : at + 4 + size]
            assert len(value) == size
            if kind == FINGERPRINT:
                assert at + 8 == len(data), "FINGERPRINT is not last"
                assert struct.unpack("!I", value)[0] == fingerprint_of(data[:at]), "wrong FINGERPRINT"
            self.attributes.append((kind, value))
            at += 4 + size + (-size % 4)
        assert at == len(data)

    def get(self, kind):
        return next((value for k, value in self.attributes if k == kind), None)

    def mapped(self):
        """("ip", port) of XOR-MAPPED-ADDRESS."""
        value = self.get(XOR_MAPPED_ADDRESS)
        assert value is not None, f"no XOR-MAPPED-ADDRESS in {self.attributes}"
        family, port = value[1], struct.unpack("!H", value[2:4])[0] ^ (COOKIE >> 16)
        mask = struct.pack("!I", COOKIE) + self.txid
        raw = bytes(a ^ b for a, b in zip(value[4:], mask))
        assert (family, len(raw)) in ((1, 4), (2, 16))
        return str(ipaddress.ip_address(raw)), port

    def error(self):
        value = self.get(ERROR_CODE)
        return value[2] * 100 + value[3] if value else None


def receive(sock, size):
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise EOFError(f"closed after {len(data)} of {size} bytes")
        data += chunk
    return data


def receive_message(sock):
    head = receive(sock, 20)
    return Message(head + receive(sock, struct.unpack("!H", head[2:4])[0]))


def receive_framed(sock):
    return Message(receive(sock, struct.unpack("!H", receive(sock, 2))[0]))


def ask(sock, request=None):
    """One request over a connected stream; the answer, checked to belong to it."""
    request = request or message()
    sock.sendall(request)
    answer = receive_message(sock)
    assert answer.txid == request[8:20]
    return answer


def is_closed(sock):
    """Waits for the peer's end of the connection (an orderly one or a reset); a time-out says no."""
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
