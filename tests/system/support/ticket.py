"""Tickets as docs/media.md describes them, by other means than the programs': BLAKE2b of Python, and XChaCha20-Poly1305 written
out (RFC 8439, and the draft's HChaCha20), which is slow and small."""

import base64
import hashlib
import hmac
import struct

DAY_S = 24 * 3600


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def node_key(master, org, node, day):
    said = b"berth-ticket-key-1\0" + org.encode() + b"\0" + node.encode() + b"\0" + struct.pack(">q", day)
    return hashlib.blake2b(said, digest_size=32, key=master).digest()


def key_id(key):
    return hashlib.blake2b(key, digest_size=32).digest()[:4]


def _quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] ^= s[x]
        s[z] = (s[z] << n | s[z] >> (32 - n)) & 0xFFFFFFFF


def _rounds(words):
    s = list(words)
    for _ in range(10):
        for i in range(4):
            _quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            _quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


def _words(key, rest):
    return struct.unpack("<16I", b"expand 32-byte k" + key + rest)


def _block(key, counter, nonce):
    words = _words(key, struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(words, _rounds(words))))


def _poly1305(key, data):
    r, s, a = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, int.from_bytes(key[16:], "little"), 0
    for i in range(0, len(data), 16):
        a = (a + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return ((a + s) & ((1 << 128) - 1)).to_bytes(16, "little")


def _padded(data):
    return data + bytes(-len(data) % 16)


def unseal(key, nonce, sealed, ad):
    """The content, or None: the seal is wrong."""
    s = _rounds(_words(key, nonce[:16]))
    sub, rest = struct.pack("<8I", *s[:4], *s[12:]), bytes(4) + nonce[16:]
    text, tag = sealed[:-16], sealed[-16:]
    lengths = struct.pack("<QQ", len(ad), len(text))
    if not hmac.compare_digest(tag, _poly1305(_block(sub, 0, rest)[:32], _padded(ad) + _padded(text) + lengths)):
        return None
    stream = b"".join(_block(sub, 1 + i, rest) for i in range((len(text) + 63) // 64))
    return bytes(a ^ b for a, b in zip(text, stream))


def open_ticket(media, ticket_keys, org, node):
    """What an assignment's `media` says under the keys that a node was told, None where it doesn't open. Checks the password."""
    sealed = unbase64(media["username"])
    assert sealed[0] == 1 and len(media["username"]) <= 508, media
    for known in ticket_keys:
        key = unbase64(known["key"])
        assert key_id(key) == unbase64(known["id"]) and len(key) == 32
        if sealed[1:5] != key_id(key):
            continue
        content = unseal(key, sealed[5:29], sealed[29:], f"{org}\0{node}".encode())
        if content is None:
            continue
        secret = hashlib.blake2b(sealed, digest_size=32, key=key).digest()
        assert unbase64(media["password"]) == secret, "the password is not the ticket's"
        return parse(content)
    return None


def parse(content):
    kind, number, expires_s, epoch, kbps, last_n = struct.unpack_from(">BQIQIH", content)
    said, at = {"kind": kind, "number": number, "expires_s": expires_s, "epoch": epoch, "kbps": kbps, "last_n": last_n}, 27
    for name in ("org", "meeting", "who"):
        said[name] = content[at + 1 : at + 1 + content[at]].decode()
        at += 1 + content[at]
    assert at == len(content)
    return said


def turn_credential(secret, username):
    """As coturn's use-auth-secret makes it."""
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), "sha1").digest()).decode()
