"""berth-load BERTH_LOAD ROOT: the generator counts right answers as right, wrong ones as wrong, and silence as loss."""
import glob
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

BERTH_LOAD, ROOT = sys.argv[1], sys.argv[2]
sys.path.insert(0, f"{ROOT}/tests/system")
from support.process import free_port  # noqa: E402: found by the line above


def run(*args):
    return subprocess.run([BERTH_LOAD, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


class Yardstick(unittest.TestCase):
    def load_on(self, host, text):
        address = f"{text}:{free_port(socket.SOCK_DGRAM, host)}"
        with subprocess.Popen([BERTH_LOAD, "yardstick", "--udp", address, "--seconds", "30"]) as yardstick:
            try:
                for _ in range(20):  # until it has bound its port
                    done = run("stun", "--udp", address, "--seconds", "1", "--connections", "3", "--json")
                    if done.returncode == 0:
                        break
            finally:
                yardstick.kill()
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertGreater(figures["answered"], 100)
        self.assertEqual((figures["wrong"], figures["wrong_by"]), (0, {}))
        self.assertEqual(figures["sent"], figures["answered"] + figures["lost"])
        self.assertAlmostEqual(figures["answers_per_s"], figures["answered"] / figures["seconds"], delta=1)

    def test_ipv4(self):
        self.load_on("127.0.0.1", "127.0.0.1")

    def test_ipv6(self):
        self.load_on("::1", "[::1]")


class Answers(unittest.TestCase):
    """Against a server that answers as the test says."""

    def load_with(self, answer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(0.1)
            ended = threading.Event()

            def serve():
                while not ended.is_set():
                    try:
                        request, source = server.recvfrom(2048)
                        for reply in answer(request, source):
                            server.sendto(reply, source)
                    except TimeoutError:
                        pass

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                done = run("stun", "--udp", f"127.0.0.1:{server.getsockname()[1]}", "--seconds", "1", "--connections", "1",
                           "--json")
            finally:
                ended.set()
                thread.join()
        return done.returncode, json.loads(done.stdout)

    @staticmethod
    def success(request, source, port_xor=0x2112):
        ip = bytes(a ^ b for a, b in zip(socket.inet_aton(source[0]), request[4:8]))
        return b"\x01\x01\x00\x0c" + request[4:20] + b"\x00\x20\x00\x08\x00\x01" + (source[1] ^ port_xor).to_bytes(2, "big") + ip

    def test_right(self):
        status, figures = self.load_with(lambda request, source: [self.success(request, source)])
        self.assertEqual(status, 0)
        self.assertGreater(figures["answered"], 0)
        self.assertEqual(figures["wrong"], 0)
        self.assertEqual(figures["sent"], figures["answered"] + figures["lost"])

    def test_twice_counts_once(self):
        status, figures = self.load_with(lambda request, source: [self.success(request, source)] * 2)
        self.assertEqual(status, 0)
        self.assertGreater(figures["late"], 0)
        self.assertEqual(figures["wrong"], 0)
        self.assertLessEqual(figures["answered"], figures["sent"])

    def wrong_with(self, kind, answer):
        status, figures = self.load_with(answer)
        self.assertEqual((status, figures["answered"]), (1, 0))
        self.assertGreater(figures["wrong"], 0)
        self.assertEqual((figures["wrong_by"], figures["lost"]), ({kind: figures["wrong"]}, figures["sent"]))

    def test_what_is_wrong_is_told(self):
        self.wrong_with("address", lambda request, source: [self.success(request, source, 0x2113)])
        self.wrong_with("broken", lambda request, source: [request])
        self.wrong_with("error_437", lambda request, source: [b"\x01\x11\x00\x08" + request[4:20] + b"\x00\x09\x00\x04\x00\x00\x04\x25"])

    def test_another_runs_answers(self):
        """A port may have been another run's, whose late answers reach this one: none of its requests is taken for answered."""
        before = []
        self.load_with(lambda request, source: before.append(request) or [])
        late = before[:64]  # the numbers that this run begins with as well
        self.wrong_with("transaction", lambda request, source: [self.success(late.pop(), source)] if late else [])

    def test_silence_is_loss(self):
        status, figures = self.load_with(lambda request, source: [])
        self.assertEqual((status, figures["answered"], figures["wrong"]), (1, 0, 0))
        self.assertGreater(figures["lost"], 0)


class MediaEngine(unittest.TestCase):
    def test_everybody_hears_everybody(self):
        for suite in ("gcm", "cm"):
            done = run("media-engine", "--participants", "3", "--seconds", "1", "--suite", suite, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            self.assertGreater(figures["packets_in"], 100)
            self.assertEqual(figures["packets_out"], 2 * figures["packets_in"])
            self.assertGreater(figures["cpu_us_per_packet_out"], 0)


class MediaParts(unittest.TestCase):
    def test_every_part_costs_something(self):
        done = run("media-parts", "--seconds", "1", "--receivers", "3", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual(figures["receivers"], 3)
        self.assertEqual([(p["suite"], p["bytes"]) for p in figures["parts"]],
                         [("gcm", 172), ("gcm", 1212), ("cm", 172), ("cm", 1212)])
        for part in figures["parts"]:
            us = {name: part[f"{name}_us"] for name in ("receive", "parse", "unprotect", "copy", "protect", "send")}
            self.assertGreater(min(us.values()), 0, part)
            came = us["receive"] + us["parse"] + us["unprotect"]
            self.assertAlmostEqual(part["sum_us"], came / 3 + us["copy"] + us["protect"] + us["send"], delta=0.001)
        self.assertIn(b"sum", run("media-parts", "--seconds", "1").stdout)


class Scratch(unittest.TestCase):
    """Folders of loadtest/compare."""

    def begin(self, place):
        """A run that has one; the run, and its folder."""
        text = f"import sys; sys.path.insert(0, {ROOT + '/loadtest'!r}); sys.dont_write_bytecode = True\n" \
               f"from bench import run\nwith run.scratch({place!r}) as folder: print(folder, flush=True); sys.stdin.read()"
        other = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return other, other.stdout.readline().strip()

    def test_what_a_killed_run_leaves_goes_with_the_next(self):
        sys.path.insert(0, f"{ROOT}/loadtest")
        sys.dont_write_bytecode = True
        from bench import run as bench

        with tempfile.TemporaryDirectory() as place:
            (killed, left), (runs, used) = self.begin(place), self.begin(place)
            killed.kill()
            killed.communicate()
            self.assertTrue(os.path.isdir(left))
            bench.clear_scratch([place])
            self.assertEqual(glob.glob(f"{place}/*"), [used])
            runs.communicate()
            self.assertEqual((runs.returncode, os.listdir(place)), (0, []))


class Rtpengine(unittest.TestCase):
    """What loadtest/compare tells it, without one."""

    def setUp(self):
        sys.path.insert(0, f"{ROOT}/loadtest")
        sys.dont_write_bytecode = True
        from bench import rtpengine

        self.ng = rtpengine

    def test_bencode(self):
        value = {b"a": [b"", b"x" * 12, {b"b": b"1:2"}], b"command": b"ping"}
        self.assertEqual(self.ng.encode({"command": "ping", "a": ["", "x" * 12, {"b": "1:2"}]}),
                         b"d1:al0:12:xxxxxxxxxxxxd1:b3:1:2ee7:command4:pinge")
        self.assertEqual(self.ng.decode(self.ng.encode({k.decode(): v for k, v in value.items()}))[0], value)
        self.assertEqual(self.ng.decode(b"d1:ni-7ee")[0], {b"n": -7})

    def test_session_descriptions(self):
        sdp = self.ng.session(5000, "cm", "A" * 40) + "a=crypto:2 AEAD_AES_128_GCM inline:" + "B" * 38 + "|2^31\r\n"
        self.assertEqual(self.ng.said(sdp.encode(), "cm"), (5000, "A" * 40))
        self.assertEqual(self.ng.said(sdp.encode(), "gcm"), (5000, "B" * 38 + "=="))


class Usage(unittest.TestCase):
    def test_wrong_usage(self):
        for args in ([], ["fly"], ["stun"], ["stun", "--udp", "127.0.0.1:1"], ["stun", "--udp", "x", "--seconds", "1"],
                     ["stun", "--udp", "127.0.0.1:0", "--seconds", "1"], ["stun", "--udp", "127.0.0.1:1", "--seconds", "0"],
                     ["stun", "--udp", "127.0.0.1:1", "--seconds", "3601"], ["stun", "--what"],
                     ["stun", "--udp", "127.0.0.1:1", "--seconds", "1", "--connections", "1025"],
                     ["stun", "--udp", "127.0.0.1:1", "--seconds", "1", "more"], ["yardstick"],
                     ["yardstick", "--udp", "127.0.0.1:1"], ["media-engine"], ["media-engine", "--seconds", "1"],
                     ["media-engine", "--participants", "1", "--seconds", "1"],
                     ["media-engine", "--participants", "2", "--seconds", "1", "--suite", "none"],
                     ["media-parts"], ["media-parts", "--seconds", "1", "--receivers", "501"], ["media"],
                     ["media", "--seconds", "1", "--legs", "x", "--controller", "y"]):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)

    def test_a_wrong_value_is_told_with_its_option(self):
        for words in (["stun", "--seconds", "x"], ["place", "--seed", "q"], ["media", "--meetings", "0"], ["reports-sql", "--threads", "0"]):
            done = run(*words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{words[1]} {words[2]}: not a right value".encode(), done.stderr)

    def test_help(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"yardstick", done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
        for command in re.findall(rb"^  berth-load ([a-z-]+) ", done.stdout, re.M):
            with self.subTest(command=command):
                one = run(command.decode(), "--help")
                self.assertEqual((one.returncode, one.stderr), (0, b""))
                self.assertIn(b"berth-load " + command, one.stdout)
        self.assertIn(b"no command 'fly'", run("fly").stderr)

    def test_files_that_cannot_be_had(self):
        for args in (["media", "--seconds", "1", "--legs", "/no/such/file"],
                     ["stun", "--udp", "127.0.0.1:9", "--seconds", "1", "--tickets", "/no/such/file"]):
            done = run(*args)
            self.assertEqual((done.returncode, b"/no/such/file: No such file" in done.stderr), (3, True), done.stderr)

    def test_a_taken_port(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            done = run("yardstick", "--udp", f"127.0.0.1:{s.getsockname()[1]}", "--seconds", "1")
        self.assertEqual(done.returncode, 3)

    def test_compare_says_what_is_missing(self):
        done = subprocess.run([f"{ROOT}/loadtest/compare", "--build", "/nonexistent"], stderr=subprocess.PIPE, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"build first", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
