# timeout: 120, alone
"""Node and controller do their work under what their systemd units allow: system calls, address families, no memory that is written and
run, one capability, nobody's user, a read-only system. A call that the unit refuses ends the program here."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.api import report_body
from support.berth import Controller, Node, flags
from support.process import BUILD, CONTROLLER, NODE, wait_for

CONFINE = Path(__file__).with_name("confine.py")
GROUP = 54321  # as SupplementaryGroups= of a drop-in gives the service
# The leak check traces the process, which no unit allows.
ENV = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0", "CONFINE_GROUPS": GROUP}


@pytest.fixture(scope="module", autouse=True)
def possible():
    if os.geteuid() != 0 or not shutil.which("systemd-analyze"):
        pytest.skip("wants root, and systemd's lists of system calls")
    pytest.importorskip("seccomp")


@pytest.fixture(scope="module")
def place(world):
    """Where nobody may read programs and, by its group, keys."""
    for folder in (world.folder, *world.folder.parents):
        if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    for file in (world.master_key_file, world.admin_key_file, *world.certificate, world.authority.file):
        os.chown(file, 0, GROUP)
        Path(file).chmod(0o640)
        for folder in Path(file).parents:
            if folder.stat().st_mode & 0o001 == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
    return world.folder


def start(world, place, program, unit, argv, name):
    copy = place / program.name
    shutil.copy(program, copy)
    copy.chmod(0o755)
    confined = ["unshare", "--mount", sys.executable, CONFINE, BUILD / unit, copy, *argv]
    return world.start(confined, name, env=ENV)


@pytest.fixture(scope="module")
def controller(world, place, database):
    made = Controller(world, database.url, {"threads": 2})
    made.process = start(world, place, CONTROLLER, "controller/berth-controller.service", made.argv[1:], "controller-confined")
    made.wait_ready()
    return made


@pytest.fixture(scope="module")
def confined_node(world, place, controller, node_key):
    made = Node(world, "confined", {"threads": 2}, controller, node_key)
    made.process = start(world, place, NODE, "node/berth-node.service", flags(made.options), "node-confined")
    made.wait_ready()
    return made


def test_they_are_confined(controller, confined_node):
    for process in (controller.process, confined_node.process):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == ["65534"] * 4 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        assert int(status["CapBnd"], 16) == 1 << 10 and int(status["CapEff"], 16) == 0


def test_their_work_is_done(controller, confined_node, org, world):
    wait_for(lambda: "confined" in org.api.get("/v1/nodes").body.decode(), 20, "the node to be listed")
    probed = world.agent("probe", "--json", "--report", "--agent", "ann", controller=controller, token=org.key)
    assert probed.returncode == 0, probed.stderr
    (row,) = [n for n in probed.json()["nodes"] if n["node"] == "confined"]
    assert {r["transport"]: r["status"] for r in row["results"] if r["transport"] != "proxy"} == dict.fromkeys(
        ("udp", "tcp", "tls"), "reachable"
    )
    org.api.post("/v1/meetings", {"id": "m"}).expect(201)
    joined = world.agent("join", "m", "--seconds", "1", "--agent", "ann", controller=controller, token=org.key)
    assert joined.returncode == 0, joined.stderr


def test_reload_too(controller, confined_node, org):
    for process in (controller.process, confined_node.process):
        process.signal(signal.SIGHUP)
        wait_for(lambda: "event=reloaded" in process.log, what="the reload")
    org.agent("late").post("/v1/reports", report_body([])).expect(201)


def test_what_the_unit_forbids_ends_a_program(place):
    """The test would notice: a program that asks for another namespace, or for memory to write and run, is ended."""
    for code in ("import ctypes; ctypes.CDLL(None).unshare(0x10000000)",
                 "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"):  # fmt: skip
        done = subprocess.run(
            ["unshare", "--mount", sys.executable, CONFINE, BUILD / "node/berth-node.service", sys.executable, "-c", code],
            capture_output=True, text=True, env={**os.environ, "CONFINE_GROUPS": str(GROUP)},
        )  # fmt: skip
        assert done.returncode == -signal.SIGSYS, (done.returncode, done.stderr)
