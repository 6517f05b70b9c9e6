"""What the lab runs inside its namespaces to look at a network: `python3 inside.py COMMAND ARGUMENTS...`, one JSON
value per line on stdout. Stands alone; exact times come from the kernel's receive timestamps.

rtt COUNT SPACING_MS ADDRESS...       round trips by ICMP echo
stun udp|tcp|tls LOCAL_PORT TIMEOUT SERVER...   the mapped address that each server (host:port) sees, from one port;
                                      tls trusts the CA file $LAB_CA only
await LOCAL_PORT SECONDS SERVER       the mapped address, then the first datagram from anybody else, or null
send LOCAL_PORT TO TEXT               one datagram
receive LOCAL_PORT SECONDS            the next datagram and who sent it, or null
later LOCAL_PORT SECONDS              a server: a datagram "1.5" is answered after 1.5 s
ask TO TIMEOUT DELAY...               asks such a server, once for each delay; from a new port each time
burst TO COUNT                        numbered datagrams, 10 ms between hundreds
collect LOCAL_PORT SECONDS COUNT      the numbers that arrived, in their order
"""
import ipaddress
import json
import os
import select
import socket
import ssl
import statistics
import struct
import sys
import time

SO_TIMESTAMPNS = 35
IP_RECVERR, IPV6_RECVERR = 11, 25
MAGIC = 0x2112A442


def tell(value):
    print(json.dumps(value), flush=True)


def family_of(ip):
    return socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET


def split(text, port=0):
    """"host:port", "[v6]:port" or a bare host, resolved."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        rest = rest.lstrip(":")
    elif text.count(":") == 1:
        host, _, rest = text.partition(":")
    else:
        host, rest = text, ""
    info = socket.getaddrinfo(host, int(rest or port), type=socket.SOCK_DGRAM)[0]
    return info[0], info[4]


def udp_socket(family, port=0, errors=False):
    """A bound socket; with `errors`, ICMP errors come back as exceptions."""
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    if not errors:
        return s
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    return s


# round trips

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def echo_request(family, ident, seq):
    kind = 128 if family == socket.AF_INET6 else 8
    body = struct.pack("!HH24x", ident, seq)
    return struct.pack("!BBH", kind, 0, checksum(struct.pack("!BBH", kind, 0, 0) + body)) + body


def parse_echo(family, data):
    at = 0 if family == socket.AF_INET6 else (data[0] & 15) * 4
    kind, _, _, ident, seq = struct.unpack_from("!BBHHH", data, at)
    return (ident, seq) if kind == (129 if family == socket.AF_INET6 else 0) else (None, None)


def stamp_ns(ancillary):
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanos = struct.unpack("qq", data[:16])
            return seconds * 1_000_000_000 + nanos
    return time.time_ns()


def raw_socket(family):
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    s = socket.socket(family, socket.SOCK_RAW, protocol)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.setblocking(False)
    return s


def drain(sockets, ident, sent, took, wait):
    ready, _, _ = select.select(list(sockets.values()), [], [], max(wait, 0))
    for s in ready:
        try:
            data, ancillary, _, _ = s.recvmsg(256, 128)
        except BlockingIOError:
            continue
        who, seq = parse_echo(s.family, data)
        if who == ident and seq in sent:
            address, at = sent.pop(seq)
            took[address].append((stamp_ns(ancillary) - at) / 1000)


def rtt(count, spacing_ms, *addresses):
    """Sends `count` rounds, `spacing_ms` apart from packet to packet, and waits a second for the last answers."""
    sockets = {f: raw_socket(f) for f in {family_of(a) for a in addresses}}
    ident, seq, sent, took = os.getpid() & 0xffff, 0, {}, {a: [] for a in addresses}
    for _ in range(int(count)):
        for address in addresses:
            family = family_of(address)
            seq = (seq + 1) & 0xffff
            packet = echo_request(family, ident, seq)
            sent[seq] = (address, time.time_ns())
            sockets[family].sendto(packet, (address, 0))
            until = time.monotonic() + float(spacing_ms) / 1000
            while time.monotonic() < until:
                drain(sockets, ident, sent, took, until - time.monotonic())
    until = time.monotonic() + 1
    while sent and time.monotonic() < until:
        drain(sockets, ident, sent, took, until - time.monotonic())
    tell({a: {"received": len(t), "min_us": round(min(t)), "median_us": round(statistics.median(t))} if t else
          {"received": 0} for a, t in took.items()})


# STUN

def binding_request():
    return struct.pack("!HHI", 1, 0, MAGIC) + os.urandom(12)


def mapped_address(data, request):
    """The XOR-MAPPED-ADDRESS of the answer to `request`, as text; None when it isn't one."""
    if len(data) < 20 or data[:2] != b"\x01\x01" or data[4:20] != request[4:20]:
        return None
    at, end = 20, 20 + struct.unpack_from("!H", data, 2)[0]
    while at + 4 <= min(end, len(data)):
        kind, length = struct.unpack_from("!HH", data, at)
        if kind == 0x20:
            port = struct.unpack_from("!H", data, at + 6)[0] ^ (MAGIC >> 16)
            ip = bytes(a ^ b for a, b in zip(data[at + 8:at + 4 + length], request[4:20]))
            text = str(ipaddress.ip_address(ip))
            return f"[{text}]:{port}" if len(ip) == 16 else f"{text}:{port}"
        at += 4 + (length + 3) // 4 * 4
    return None


def ask_udp(s, server, timeout):
    request, until = binding_request(), time.monotonic() + timeout
    while time.monotonic() < until:
        try:
            s.sendto(request, server)
            s.settimeout(min(0.3, max(until - time.monotonic(), 0.001)))
            while True:
                mapped = mapped_address(s.recv(2048), request)
                if mapped:
                    return {"status": "reachable", "mapped": mapped}
        except socket.timeout:
            continue
        except OSError as e:
            return {"status": "refused", "error": e.strerror}
    return {"status": "timeout"}


def ask_stream(family, server, local_port, timeout, tls_name=None):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(timeout)
    if local_port:
        s.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", local_port))
    with s:
        try:
            s.connect(server)
            if tls_name:
                s = ssl.create_default_context(cafile=os.environ["LAB_CA"]).wrap_socket(s, server_hostname=tls_name)
            request = binding_request()
            s.sendall(request)
            return {"status": "reachable", "mapped": mapped_address(s.recv(2048), request)}
        except socket.timeout:
            return {"status": "timeout"}
        except ssl.SSLError as e:
            return {"status": "tls_error", "error": str(e)}
        except OSError as e:
            return {"status": "refused", "error": e.strerror}


def stun(protocol, local_port, timeout, *servers):
    answers, bound = [], {}
    for text in servers:
        family, server = split(text, 3478)
        if protocol != "udp":
            name = text.rpartition(":")[0].strip("[]") if protocol == "tls" else None
            answer = ask_stream(family, server, int(local_port), float(timeout), name)
        else:
            if family not in bound:
                bound[family] = udp_socket(family, int(local_port), errors=True)
            answer = ask_udp(bound[family], server, float(timeout))
        answers.append({"server": text, **answer})
    tell(answers)


# single datagrams

def await_stranger(local_port, seconds, server):
    family, address = split(server, 3478)
    s = udp_socket(family, int(local_port))
    tell(ask_udp(s, address, 3))
    tell(next_datagram(s, float(seconds)))


def next_datagram(s, seconds):
    s.settimeout(seconds)
    try:
        data, who = s.recvfrom(4096)
        return {"from": f"{who[0]}:{who[1]}", "text": data.decode("utf-8", "replace")}
    except OSError:
        return None


def send(local_port, to, text):
    family, address = split(to)
    udp_socket(family, int(local_port)).sendto(text.encode(), address)
    tell("sent")


def receive(local_port, seconds):
    s = udp_socket(socket.AF_INET, int(local_port))
    tell("ready")
    tell(next_datagram(s, float(seconds)))


def later(local_port, seconds):
    s = udp_socket(socket.AF_INET, int(local_port))
    s.setblocking(False)
    tell("ready")
    until, due = time.monotonic() + float(seconds), []
    while time.monotonic() < until:
        first = min([until] + [at for at, _ in due])
        if select.select([s], [], [], max(first - time.monotonic(), 0))[0]:
            data, who = s.recvfrom(64)
            due.append((time.monotonic() + float(data), who))
        for item in [d for d in due if d[0] <= time.monotonic()]:
            s.sendto(b"here", item[1])
            due.remove(item)


def ask(to, timeout, *delays):
    family, address = split(to)
    sockets = {d: udp_socket(family) for d in delays}
    for delay, s in sockets.items():
        s.sendto(delay.encode(), address)
    until, answers = time.monotonic() + float(timeout), {d: False for d in delays}
    for delay, s in sockets.items():
        answers[delay] = next_datagram(s, max(until - time.monotonic(), 0.001)) is not None
    tell(answers)


def burst(to, count):
    family, address = split(to)
    s = udp_socket(family)
    for i in range(int(count)):
        s.sendto(b"%d" % i, address)
        if i % 100 == 99:
            time.sleep(0.01)
    tell("sent")


def collect(local_port, seconds, count):
    s = udp_socket(socket.AF_INET, int(local_port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    tell("ready")
    s.settimeout(float(seconds))
    numbers = []
    try:
        while not numbers or numbers[-1] < int(count) - 1:
            numbers.append(int(s.recv(64)))
            s.settimeout(1)
        while True:
            numbers.append(int(s.recv(64)))
    except socket.timeout:
        tell(numbers)


COMMANDS = {"rtt": rtt, "stun": stun, "await": await_stranger, "send": send, "receive": receive, "later": later,
            "ask": ask, "burst": burst, "collect": collect}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
