"""Programs that are measured: started on a core, ended with this script however that ends; CPU and memory as the operating system
has them."""
import ctypes
import glob
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests/system")
from support.certs import self_signed  # noqa: E402, F401: found by the line above; topics have it from here, as the next two
from support.process import free_port  # noqa: E402, F401
from support.scratch import clear_scratch, scratch  # noqa: E402, F401


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def script(main):
    """A script's main: what it has started and made goes with it, however it is ended; after a kill -9 the folders go by the next
    one's start."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    clear_scratch()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


def say(text):
    print(text, file=sys.stderr, flush=True)


def on_core(core, command):
    return ["taskset", "-c", str(core), *command]


def cpu_us(pid):
    """CPU time of all of its threads, to the nanosecond: /proc/PID/stat knows no less than 10 ms."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path, encoding="ascii") as f:
                total += int(f.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # a thread that has ended meanwhile
    return total / 1000


def family(pid):
    """A process and all below it."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        found.append(at)
        for path in glob.glob(f"/proc/{at}/task/*/children"):
            try:
                with open(path, encoding="ascii") as f:
                    todo += [int(p) for p in f.read().split()]
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def ended_cpu_us(pid):
    """CPU time of its children that have ended, and of theirs: PostgreSQL has a process for each connection."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            user, system = f.read().rpartition(")")[2].split()[13:15]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(user) + int(system)) * 1e6 / os.sysconf("SC_CLK_TCK")


def family_cpu_us(pid):
    return sum(cpu_us(p) + ended_cpu_us(p) for p in family(pid))


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


class Program:
    """A child in a with statement; its error output is shown where it ends before its time."""

    def __init__(self, command, core=None, env=None, cwd=None):
        self.command = on_core(core, command) if core is not None else list(command)
        self.env, self.cwd = env, cwd

    def __enter__(self):
        self.errors = open(os.memfd_create("errors"), "w+b")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                                        env=self.env, cwd=self.cwd, preexec_fn=die_with_parent)
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def wait_until(self, condition, what, deadline=30.0):
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.errors.seek(0)
                tail = self.errors.read()[-2000:].decode(errors="replace")
                raise SystemExit(f"{self.command[0]} ended with status {self.process.returncode}:\n{tail}")
            if condition():
                return
            time.sleep(0.05)
        raise SystemExit(f"{' '.join(self.command)}: {what}: waited {deadline:.0f} s")


def output(command, statuses=(0,), env=None):
    """What a program writes until it ends by itself, and with one of these statuses."""
    command = list(map(str, command))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace", env=env, check=False, preexec_fn=die_with_parent)
    if done.returncode not in statuses:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr}")
    return done.stdout


def berth_load(args, *words, core=None):
    """Its figures. Exit status 1, nothing was answered, is a figure too."""
    command = [f"{args.build}/loadtest/berth-load", *words, "--json"]
    return json.loads(output(on_core(core, command) if core is not None else command, (0, 1)))


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def tcp_answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
