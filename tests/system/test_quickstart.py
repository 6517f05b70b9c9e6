# timeout: 900, serial, alone
"""./quickstart as a person runs it, in this very source folder: what it prints, and what it leaves behind (nothing)."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.process import SOURCE, clean_env, run, wait_for

SCRIPT = SOURCE / "quickstart"
BUILD = SOURCE / "build"
ENV = BUILD / "quickstart" / "env"


@pytest.fixture(scope="module", autouse=True)
def folder_is_free():
    lock = BUILD / "quickstart" / "lock"
    if lock.exists():
        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pytest.skip("a quickstart is up in this folder")


def leftovers():
    """Processes that run a program of build/, or in build/quickstart/, or hold its lock."""
    found = []
    places = [str(BUILD / p) for p in ("node", "agent", "controller", "quickstart")]
    data = BUILD / "quickstart" / "postgres" / "data-path"
    if data.exists():
        places.append(data.read_text().strip())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            where = os.readlink(entry / "cwd")
        except OSError:
            continue
        if any(w.startswith(p + "/") or w == p for w in [*words[:1], where] for p in places) or str(SCRIPT) in words[:2]:
            found.append((entry.name, words[:4]))
    return found


def listening(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((host, int(port))) == 0


def once_json():
    done = run([SCRIPT, "--once", "--json"], timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answer():
    return once_json()


def test_json_has_the_documented_shape(answer):
    assert set(answer) == {"ok", "controller", "nodes", "probes", "assignments", "media"}
    assert answer["ok"] is True
    assert [m["agent"] for m in answer["media"]] == [a["agent"] for a in answer["assignments"]]
    for media in answer["media"]:
        assert media["transport"] == "udp" and media["sent"] > 50 and media["received"] > 50
        assert media["rtt_us"] > 0 and media["jitter_us"] >= 0
    assert answer["controller"].startswith("https://127.")
    assert len(answer["nodes"]) == 3
    for node in answer["nodes"]:
        assert node["node"] and node["cluster"]
        for transport in ("udp", "tcp", "tls"):
            assert node["addresses"][transport] and all(a.startswith("127.") for a in node["addresses"][transport])
    agents = [p["agent"] for p in answer["probes"]]
    assert len(set(agents)) == len(agents) >= 2
    names = {n["node"] for n in answer["nodes"]}
    for probe in answer["probes"]:
        pairs = {(r["node"], r["transport"]) for r in probe["results"]}
        assert {(n, t) for n in names for t in ("udp", "tcp", "tls")} <= pairs
        assert all(r["status"] == "reachable" and r["rtt_us"]["median"] > 0 for r in probe["results"])
    assert sorted(a["agent"] for a in answer["assignments"]) == sorted(agents)
    for assignment in answer["assignments"]:
        assert assignment["node"] in names and assignment["transport"] == "udp" and assignment["why"]


def test_once_leaves_nothing(answer):
    assert leftovers() == []
    assert not listening(answer["controller"].removeprefix("https://"))
    for node in answer["nodes"]:
        assert not any(listening(a) for t in ("tcp", "tls") for a in node["addresses"][t])
    assert not ENV.exists()


def test_the_second_run_is_quick(answer):
    began = time.monotonic()
    once_json()
    assert time.monotonic() - began < 30


def read_env():
    done = subprocess.run(["bash", "-c", ". \"$1\" && env -0", "_", ENV],
                          capture_output=True, check=True, env=clean_env())
    pairs = (line.partition("=") for line in done.stdout.decode().split("\0"))
    return {k: v for k, _, v in pairs if k.startswith("BERTH_")}


class Up:
    """A quickstart that stays up."""

    def __init__(self, folder, arguments=()):
        self.log = folder / "quickstart.log"
        with open(self.log, "wb") as out:
            self.popen = subprocess.Popen([SCRIPT, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                          env=clean_env(), start_new_session=True)

    def wait_for_text(self, text, seconds=300):
        def seen():
            assert self.popen.poll() is None or text in self.log.read_text(), self.log.read_text()
            return text in self.log.read_text()

        wait_for(seen, seconds, f"quickstart to print '{text}'")

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()


@pytest.fixture
def up(tmp_path, request):
    started = Up(tmp_path, getattr(request, "param", ()))
    yield started
    started.close()


def test_up_until_interrupted(answer, up):
    up.wait_for_text("Ctrl-C stops everything")
    settings = read_env()
    assert settings.keys() - clean_env().keys() == {"BERTH_CONTROLLER", "BERTH_TOKEN", "BERTH_ADMIN_TOKEN", "BERTH_CA", "BERTH_METRICS"}
    assert ENV.stat().st_mode & 0o077 == 0
    probe = run([BUILD / "agent" / "berth", "probe", "--json"], env=settings)
    assert probe.returncode == 0, probe.stderr
    assert len(json.loads(probe.stdout)["nodes"]) == 3
    metrics = run(["curl", "-sf", "--noproxy", "*", settings["BERTH_METRICS"]])
    assert metrics.returncode == 0 and "# TYPE" in metrics.stdout
    shown = up.log.read_text()
    for heading in ("Nodes", "Probes", "Assignments", settings["BERTH_CONTROLLER"]):
        assert heading in shown
    up.popen.send_signal(signal.SIGINT)
    assert up.popen.wait(30) == 130
    assert "stopping" in up.log.read_text()
    assert leftovers() == [] and not ENV.exists()


@pytest.mark.parametrize("moment", ["building", "PostgreSQL is up", "nodes are up", "Ctrl-C stops everything"])
def test_kill_9_leaves_nothing_after_5_seconds(answer, up, moment):
    up.wait_for_text(moment)
    up.popen.kill()
    up.popen.wait()
    wait_for(lambda: leftovers() == [], 5, "everything to end after kill -9")


def test_the_run_after_kill_9_works(answer):
    once_json()
    assert leftovers() == []


def test_arguments():
    unknown = run([SCRIPT, "--nonsense"])
    assert unknown.returncode == 2 and "--nonsense" in unknown.stderr and unknown.stdout == ""
    help_text = run([SCRIPT, "--help"])
    assert help_text.returncode == 0 and "--once" in help_text.stdout and "--lab" in help_text.stdout


# ---- --lab ----

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")
IN_NETWORK = {"open": "udp", "udp-blocked": "tcp", "443-only": "tls", "proxy-only": "proxy"}


@needs_root
def test_lab_needs_root():
    other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    if run([*other, "test", "-r", SCRIPT]).returncode != 0:
        pytest.skip("nobody else can read this folder")
    refused = run([*other, SCRIPT, "--lab"])
    assert refused.returncode == 2 and "root" in refused.stderr and refused.stdout == ""


@needs_root
def test_lab_ends_on_every_transport():
    done = run([SCRIPT, "--lab", "--once", "--json"], timeout=600)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True and answer["controller"] == "https://controller.lab"
    assert {a["network"]: a["transport"] for a in answer["assignments"]} == IN_NETWORK
    assert {a["network"]: a["connection"]["transport"] for a in answer["assignments"]} == IN_NETWORK
    assert {p["network"] for p in answer["probes"]} == set(IN_NETWORK)
    assert leftovers() == [] and not ENV.exists()


def processes():
    """{pid: (parent, when it started)}."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            if words[0] != "Z":
                found[int(entry.name)] = (int(words[1]), words[19])
        except (OSError, ValueError, IndexError):
            continue
    return found


def descendants(pid):
    """(pid, when it started) of all that a process has started, and they."""
    everybody, found = processes(), {pid}
    while True:
        more = {p for p, (parent, _) in everybody.items() if parent in found} - found
        if not more:
            return {(p, everybody[p][1]) for p in found if p in everybody}
        found |= more


@needs_root
@pytest.mark.parametrize("up", [["--lab"]], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_lab_stays_up_and_leaves_nothing(up, how):
    up.wait_for_text("Ctrl-C stops everything")
    settings = read_env()
    assert settings["BERTH_CONTROLLER"] == "https://controller.lab" and Path(settings["BERTH_CA"]).exists()
    shown = up.log.read_text()
    for words in ("dave (proxy-only)", "carol (443-only)", "build/quickstart/lab/enter dave build/agent/berth firewall"):
        assert words in shown
    for agent, transport in (("alice", "udp"), ("dave", "proxy")):
        probe = run([BUILD / "quickstart" / "lab" / "enter", agent, BUILD / "agent" / "berth", "probe", "--json", "--require", transport],
                    env=clean_env())
        assert probe.returncode == 0 and len(json.loads(probe.stdout)["nodes"]) == 3, probe.stderr
    family = descendants(up.popen.pid)
    assert len(family) > 20
    up.popen.send_signal(how)
    up.popen.wait(30)
    wait_for(lambda: not family & {(p, start) for p, (_, start) in processes().items()}, 5, "all of the lab to end")
    assert leftovers() == []
    assert how == signal.SIGKILL or not ENV.exists()
