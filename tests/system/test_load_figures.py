# alone
"""What berth-load's figures count, against servers of which a test knows what they answer: none, a relay that loses."""

import json
import resource
import select
import socket
import subprocess
import threading

import pytest
from support.process import BUILD, clean_env, free_port

LOAD = BUILD / "loadtest" / "berth-load"


def load(*words, status=0, **how):
    """Its figures; what it complains of where there are none."""
    done = subprocess.run([LOAD, *map(str, words)], capture_output=True, text=True, timeout=60, env=clean_env(),
                          stdin=subprocess.DEVNULL, **how)  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if status != 3 else done.stderr


def test_what_is_held_is_tried_once_each():
    r = load("stun", "--tcp", f"127.0.0.1:{free_port()}", "--hold", "--connections", 100, "--seconds", 1, "--json", status=1)
    assert r["opened"] == r["failed"] == 100, r


def test_what_isnt_begun_joins_no_meeting():
    r = load("meetings", "--url", f"http://127.0.0.1:{free_port()}", "--token", "t", "--rate", 1000000, "--seconds", 1,
             "--json", status=1)  # fmt: skip
    assert r["joined"] == 0 < r["missed"], r
    assert r["sent"] == r["failed"] and r["meetings"] <= r["sent"], r


class Relay:
    """Between two legs of `berth-load media --legs`, whose file it writes. Until each hears the other it isn't a good one: of what the
    first leg sends, the second packet comes altered; the second leg isn't heard before the first one's third."""

    def __init__(self, folder):
        self.sockets, self.legs = [self.socket(), self.socket()], [("127.0.0.1", free_port()) for _ in range(2)]
        self.file, keys, self.came, self.over = folder / "legs", ["11" * 30, "22" * 30], 0, threading.Event()
        self.file.write_text(json.dumps({"participants": 2, "suite": "cm", "legs": [
            {"local": f"127.0.0.1:{leg[1]}", "remote": f"127.0.0.1:{s.getsockname()[1]}", "send": keys[i], "receive": keys[1 - i]}
            for i, (leg, s) in enumerate(zip(self.legs, self.sockets))]}))  # fmt: skip
        self.thread = threading.Thread(target=self.carry)

    @staticmethod
    def socket():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        s.setblocking(False)
        return s

    def carry(self):
        while not self.over.is_set():
            for s in select.select(self.sockets, [], [], 0.1)[0]:
                packet, leg = bytearray(s.recv(2048)), self.sockets.index(s)
                self.came += leg == 0
                if leg == 0 and self.came == 2:
                    packet[-1] ^= 1
                if leg == 0 or self.came > 2:
                    self.sockets[1 - leg].sendto(packet, self.legs[1 - leg])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


@pytest.fixture(scope="module")
def relayed(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("relay")) as relay:
        return load("media", "--legs", relay.file, "--seconds", 1, "--audio-rate", 20, "--json")


def test_legs_say_their_suite(relayed):
    assert relayed["suite"] == "AES_CM_128_HMAC_SHA1_80", relayed


def test_nothing_of_before_counts_in_media(relayed):
    assert relayed["sent"] == relayed["heard"] == 40, relayed
    assert (relayed["missing"], relayed["gaps"], relayed["refused"]) == (0, 0, 0), relayed


def test_no_thread_to_write_rows():
    """No address space has room for their stacks."""
    stack = lambda: resource.setrlimit(resource.RLIMIT_STACK, (1 << 47, resource.getrlimit(resource.RLIMIT_STACK)[1]))  # noqa: E731
    said = load("reports-sql", "--database", "host=127.0.0.1 port=1", "--org", "o", "--seconds", 1, status=3, preexec_fn=stack)
    assert "berth-load reports-sql: no thread" in said, said
