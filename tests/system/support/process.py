"""Child processes that cannot outlive the test runner, with their output at hand."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUILD = Path(os.environ.get("BERTH_BUILD", Path(__file__).parents[3] / "build")).resolve()
SOURCE = Path(os.environ.get("BERTH_SOURCE", Path(__file__).parents[3])).resolve()
NODE = BUILD / "node" / "berth-node"
AGENT = BUILD / "agent" / "berth"
CONTROLLER = BUILD / "controller" / "berth-controller"

SANITIZER = re.compile(
    r"(ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:)"
)


def wait_for(condition, seconds=15.0, what="the condition", every=0.02):
    """Polls until `condition()` is true and returns its value. `what`: a text, or what gives one when it has failed."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what() if callable(what) else what}")
        time.sleep(every)


def at_once(call, items):
    """call(item) for all of them at the same moment, a thread each: the answers in their order. What one of them raises is raised here."""
    items = list(items)
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(call, items))


def alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for yet (in a container, perhaps nobody will) doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


PORTS_GIVEN = Path(tempfile.gettempdir()) / f"berth-test-ports-{os.getuid()}"


def next_port():
    """The next of the 20000 ports below those that the kernel gives out by itself; this user's test runners take turns."""
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    first = max(1024, end - 20000)
    with open(PORTS_GIVEN, "a+") as given:
        fcntl.flock(given, fcntl.LOCK_EX)
        given.seek(0)
        port = int(given.read() or first) + 1
        if not first <= port < end:
            port = first
        given.truncate(0)
        given.write(str(port))
    return port


def free_port(kind=None, host="127.0.0.1"):
    """A port for a program that is told its own: no connection can take it meanwhile, and no other test is given it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kinds = (kind,) if kind else (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    for _ in range(1000):
        port = next_port()
        try:
            for each in kinds:
                with socket.socket(family, each) as s:
                    s.bind((host, port))
            return port
        except OSError:
            continue
    raise AssertionError(f"no port of {host} is free")


def clean_env(extra=None):
    """The environment without anybody's BERTH_ settings or proxies; networks are remembered only where the test says."""
    env = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("BERTH_") and k.lower() not in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    }
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    env.setdefault("TSAN_OPTIONS", f"second_deadlock_stack=1:suppressions={SOURCE}/tests/tsan.supp")
    if "XDG_STATE_HOME" not in (extra or {}):
        env["BERTH_STATE"] = "none"
    env.update({k: str(v) for k, v in (extra or {}).items()})
    return env


class Process:
    """A program under test; stdout and stderr go to one log file."""

    def __init__(self, argv, log: Path, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.log_path = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=clean_env(env),
                cwd=cwd,
            )

    @property
    def pid(self):
        return self.popen.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=15.0):
        """The exit status; a program that doesn't end is killed and reported."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.argv[0]} did not end within {seconds} s\n{self.tail()}") from None

    def stop(self, seconds=45.0):
        """SIGTERM, and the exit status. A sanitizer's look for leaks at the end takes a second or two alone, many beside others."""
        if self.running():
            self.popen.terminate()
        return self.wait(seconds)

    def kill(self):
        """kill -9, and gone when this returns."""
        if self.running():
            self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def tail(self, lines=60):
        text = self.log.splitlines()
        return f"--- {' '.join(self.argv)}\n" + "\n".join(text[-lines:])

    def assert_no_sanitizer_report(self):
        report = SANITIZER.search(self.log)
        assert report is None, f"{self.argv[0]} reported:\n{self.log[report.start():][:6000]}"


def run(argv, timeout=60.0, env=None, stdin=None, cwd=None):
    """Runs a command to its end; the CompletedProcess with text output. Sanitizer reports fail the test."""
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env=clean_env(env),
        cwd=cwd,
    )
    report = SANITIZER.search(done.stderr)
    assert report is None, f"{argv[0]} reported:\n{done.stderr[report.start():][:6000]}"
    return done
