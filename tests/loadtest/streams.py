"""streams BERTH_LOAD ROOT: berth-load stun over TCP and TLS against its yardstick and servers that misbehave; and at a rate."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

BERTH_LOAD, ROOT = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
from support.certs import self_signed  # noqa: E402: found by the line above
from support.process import free_port, wait_for  # noqa: E402


def run(*args):
    return subprocess.run([BERTH_LOAD, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          timeout=60, check=False)


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def yardstick(transport, *more):
    port = free_port()
    with subprocess.Popen([BERTH_LOAD, "yardstick", f"--{transport}", f"127.0.0.1:{port}", "--seconds", "60", *more]) as process:
        try:
            if transport != "udp":
                wait_for(lambda: connects(port), 20, "the yardstick to listen")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="berth-streams-")
        cls.cert, cls.key = f"{cls.folder.name}/cert.pem", f"{cls.folder.name}/key.pem"
        self_signed(cls.cert, cls.key)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertGreater(figures["answered"], 10)
        self.assertEqual((figures["wrong"], figures["failed"]), (0, 0))
        self.assertEqual(figures["latency"]["n"], figures["answered"])
        self.assertGreaterEqual(figures["opened"], figures["answered"])
        return figures

    def test_tcp(self):
        with yardstick("tcp") as at:
            self.check(run("stun", "--tcp", at, "--seconds", 1, "--json"))

    def test_tls_and_resumption(self):
        with yardstick("tls", "--cert", self.cert, "--key", self.key) as at:
            self.assertEqual(self.check(run("stun", "--tls", at, "--seconds", 1, "--json"))["resumed"], 0)
            again = self.check(run("stun", "--tls", at, "--seconds", 2, "--connections", 2, "--resume", "--json"))
            self.assertGreater(again["resumed"], 0)

    def test_a_schedule_is_kept(self):
        with yardstick("tcp") as at:
            figures = self.check(run("stun", "--tcp", at, "--seconds", 2, "--rate", 50, "--arrivals", "fixed", "--json"))
        self.assertEqual(figures["opened"] + figures["missed"], 100)

    def test_udp_schedule(self):
        with yardstick("udp") as at:
            host, port = at.split(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(0.1)
                s.connect((host, int(port)))

                def answers():
                    with contextlib.suppress(OSError):
                        s.send(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
                        return s.recv(100)
                    return None

                wait_for(answers, 20, "the yardstick to answer")
            done = run("stun", "--udp", at, "--seconds", 2, "--rate", 100, "--arrivals", "fixed", "--from", "127.0.0.7", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual(figures["sent"] + figures["missed"], 200)
        self.assertEqual(figures["wrong"], 0)


class Held(unittest.TestCase):
    def test_held_until_input_ends(self):
        """A server that answers and stays: all are told of as held, and the end of the input ends it."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(64)
            kept = []

            def serve():
                for _ in range(20):
                    c, source = server.accept()
                    request = c.recv(100)
                    port = (source[1] ^ 0x2112).to_bytes(2, "big")
                    ip = bytes(a ^ b for a, b in zip(socket.inet_aton(source[0]), request[4:8]))
                    c.sendall(b"\x01\x01\x00\x0c" + request[4:20] + b"\x00\x20\x00\x08\x00\x01" + port + ip)
                    kept.append(c)

            thread = threading.Thread(target=serve)
            thread.start()
            command = [BERTH_LOAD, "stun", "--tcp", f"127.0.0.1:{server.getsockname()[1]}", "--hold", "--connections", "20",
                       "--seconds", "60", "--json"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
                self.assertEqual(json.loads(load.stdout.readline()), {"held": 20})
                thread.join()
                kept.pop().close()  # one is lost meanwhile
                kept.pop().close()
                load.stdin.close()
                figures = json.loads(load.stdout.readline())
                self.assertEqual(load.wait(30), 0)
            self.assertEqual((figures["answered"], figures["failed"], figures["wrong"]), (20, 0, 0))
            self.assertLessEqual(figures["lost"], 2)
            for c in kept:
                c.close()


class Faults(unittest.TestCase):
    def test_nobody_listens(self):
        done = run("stun", "--tcp", f"127.0.0.1:{free_port()}", "--seconds", 1, "--rate", 20, "--arrivals", "fixed", "--json")
        self.assertEqual(done.returncode, 1)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["answered"], figures["failed"] + figures["missed"]), (0, 20))

    def test_a_wrong_answer(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(8)
            server.settimeout(30)

            def serve():
                with contextlib.suppress(OSError):
                    while True:
                        with server.accept()[0] as c:
                            c.sendall(c.recv(100))

            thread = threading.Thread(target=serve)
            thread.start()
            done = run("stun", "--tcp", f"127.0.0.1:{server.getsockname()[1]}", "--seconds", 1, "--rate", 5, "--arrivals",
                       "fixed", "--json")
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.assertEqual(done.returncode, 1)
        figures = json.loads(done.stdout)
        self.assertGreater(figures["wrong"], 0)
        self.assertEqual(figures["wrong_by"], {"broken": figures["wrong"]})

    def test_usage(self):
        at = ["--tcp", "127.0.0.1:1", "--seconds", "1"]
        for args in (["stun", "--tcp", "127.0.0.1:0", "--seconds", "1"], ["stun", *at, "--udp", "127.0.0.1:1"],
                     ["stun", *at, "--connections", "20001"], ["stun", *at, "--resume"], ["stun", *at, "--hold", "--rate", "1"],
                     ["stun", *at, "--arrivals", "often"], ["stun", *at, "--rate", "0"], ["stun", *at, "--from", "127.0.0.1"],
                     ["stun", "--udp", "127.0.0.1:1", "--seconds", "1", "--hold"],
                     ["yardstick", "--tls", "127.0.0.1:1", "--seconds", "1"],
                     ["yardstick", *at, "--cert", "x", "--key", "y"]):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)
        done = run("yardstick", "--tls", f"127.0.0.1:{free_port()}", "--seconds", 1, "--cert", "/none", "--key", "/none")
        self.assertEqual(done.returncode, 3)

    def test_compare_names_its_topics(self):
        done = subprocess.run([f"{ROOT}/loadtest/compare", "tea"], stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"udp, tcp, tls", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
