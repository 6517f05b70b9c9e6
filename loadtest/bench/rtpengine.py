"""rtpengine in userspace, told over its ng protocol (bencode over UDP) to forward SRTP between two legs, with keys by SDES (RFC
4568)."""
import base64
import os
import socket

from .run import Program, free_port

SUITES = {"gcm": ("AEAD_AES_128_GCM", 28), "cm": ("AES_CM_128_HMAC_SHA1_80", 30)}
PORTS = 1000  # of media, above the one that is asked for
COMMON = {"ICE": "remove", "DTLS": "off", "rtcp-mux": ["require"], "transport-protocol": "RTP/SAVP"}


def encode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(encode(k) + encode(value[k]) for k in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    data = value.encode() if isinstance(value, str) else value
    return b"%d:%s" % (len(data), data)


def decode(data, at=0):
    """The value there, and where it ends."""
    if data[at:at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if data[at:at + 1] in (b"d", b"l"):
        is_list, parts, at = data[at:at + 1] == b"l", [], at + 1
        while data[at:at + 1] != b"e":
            part, at = decode(data, at)
            parts.append(part)
        return (parts if is_list else dict(zip(parts[::2], parts[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def session(port, suite, key):
    return (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/SAVP 111\r\n"
            f"a=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\na=crypto:1 {SUITES[suite][0]} inline:{key}\r\na=sendrecv\r\n")


def said(sdp, suite):
    """Its port and its key of that suite; it leaves out the padding of base64."""
    lines = sdp.decode().splitlines()
    port = next(line.split()[1] for line in lines if line.startswith("m=audio"))
    key = next(line for line in lines if line.startswith("a=crypto") and f" {SUITES[suite][0]} " in line).rsplit("inline:", 1)[1]
    key = key.split("|")[0]
    return int(port), key + "=" * (-len(key) % 4)


class Rtpengine(Program):
    """One worker thread, no kernel module: table -1."""

    def __init__(self, core):
        self.port, self.cookie = free_port(), 0
        first = free_port() & ~1
        super().__init__(["rtpengine", "--foreground", "--log-stderr", "--log-level=4", "--table=-1", "--interface=127.0.0.1",
                          f"--listen-ng=127.0.0.1:{self.port}", f"--port-min={first}", f"--port-max={first + PORTS}",
                          "--num-threads=1", "--timeout=3600", "--no-redis-required", "--config-file=none"], core)

    def __enter__(self):
        super().__enter__()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.socket.connect(("127.0.0.1", self.port))
        self.wait_until(lambda: self.ask("ping", patient=True) == {b"result": b"pong"}, "no answer to ping")
        return self

    def __exit__(self, *why):
        self.socket.close()
        super().__exit__(*why)

    def ask(self, command, patient=False, **words):
        self.cookie += 1
        try:
            said = {"command": command, **{k.replace("_", "-"): v for k, v in words.items()}}
            self.socket.send(b"c%d " % self.cookie + encode(said))
            answer = decode(self.socket.recv(65536).split(b" ", 1)[1])[0]
        except OSError as e:
            if patient:
                return None
            raise SystemExit(f"rtpengine doesn't answer {command}: {e}") from e
        if answer.get(b"result") == b"error":
            raise SystemExit(f"rtpengine refuses {command}: {answer.get(b'error-reason')}")
        return answer

    def call(self, name, suite):
        """Two legs, sender and receiver, as `berth-load media --legs` reads them. Left to itself it hands each side's key to the
        other and never deciphers; a second answer of the sender's with another key makes it decipher with that and encipher with
        the first one."""
        keys = [base64.b64encode(os.urandom(SUITES[suite][1])).decode() for _ in range(3)]
        receiver_key, first_key, sender_key = keys
        sender, receiver = free_port(), free_port()
        words = {**COMMON, "call_id": name, "from_tag": "r"}
        self.ask("offer", sdp=session(receiver, suite, receiver_key), **words)
        self.ask("answer", to_tag="s", sdp=session(sender, suite, first_key), **words)
        offered = self.ask("offer", to_tag="s", sdp=session(receiver, suite, receiver_key), **words)[b"sdp"]
        answered = self.ask("answer", to_tag="s", sdp=session(sender, suite, sender_key), **words)[b"sdp"]
        to_sender, sends_to_sender = said(offered, suite)
        to_receiver, sends_to_receiver = said(answered, suite)
        if sends_to_receiver == sender_key:
            raise SystemExit("rtpengine hands packets on as they are: nothing to compare with")

        def leg(local, remote, send, receive):
            return {"local": f"127.0.0.1:{local}", "remote": f"127.0.0.1:{remote}", "send": base64.b64decode(send).hex(),
                    "receive": base64.b64decode(receive).hex()}

        return [leg(sender, to_sender, sender_key, sends_to_sender),
                leg(receiver, to_receiver, receiver_key, sends_to_receiver)]
