"""A tiny writer of MaxMind's format (version 2.0): networks of IPv4 to countries, enough for a real reader."""

import ipaddress
import struct

UINT16, UINT32, UINT64 = 5, 6, 9


def _control(kind, size):
    assert size < 29 and kind != 0
    return bytes([kind << 5 | size]) if kind <= 7 else bytes([size, kind - 7])


def _value(v):
    if isinstance(v, str):
        return _control(2, len(v.encode())) + v.encode()
    if isinstance(v, tuple):
        raw = v[1].to_bytes((v[1].bit_length() + 7) // 8, "big")
        return _control(v[0], len(raw)) + raw
    if isinstance(v, list):
        return _control(11, len(v)) + b"".join(_value(x) for x in v)
    return _control(7, len(v)) + b"".join(_value(k) + _value(x) for k, x in v.items())


def write(path, countries, kind="Test-Country"):
    """countries: {"203.0.113.0/24": "NL"}."""
    nodes, data, offsets = [[None, None]], b"", {}
    for net, country in countries.items():
        net = ipaddress.ip_network(net)
        if country not in offsets:
            offsets[country] = len(data)
            data += _value({"country": {"iso_code": country}})
        bits = f"{int(net.network_address):032b}"[: net.prefixlen]
        at = 0
        for bit in bits[:-1]:
            if nodes[at][int(bit)] is None:
                nodes[at][int(bit)] = len(nodes)
                nodes.append([None, None])
            at = nodes[at][int(bit)]
        nodes[at][int(bits[-1])] = ("data", offsets[country])
    n, tree = len(nodes), b""
    for pair in nodes:
        for record in pair:
            v = n if record is None else record if isinstance(record, int) else n + 16 + record[1]
            tree += struct.pack(">I", v)
    about = {
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, 1),
        "database_type": kind,
        "description": {"en": "test"},
        "ip_version": (UINT16, 4),
        "languages": ["en"],
        "node_count": (UINT32, n),
        "record_size": (UINT16, 32),
    }
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _value(about))
