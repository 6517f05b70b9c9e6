# alone
"""The manual pages name every option that the programs have, and none that they haven't."""

import re
import shutil
import subprocess

import pytest

from support.process import AGENT, CONTROLLER, NODE, SOURCE, run

MAN = SOURCE / "docs" / "man"
FLAG = re.compile(r"--[a-z][a-z-]*[a-z]")


def flags_of_page(name):
    return set(FLAG.findall((MAN / name).read_text().replace("\\-", "-")))


def flags_of_help(*argv):
    done = run(argv)
    assert done.returncode == 0
    return set(FLAG.findall(done.stdout))


def flags_of_command():
    overview = run([AGENT, "--help"]).stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)  ", overview, re.M)
    assert "probe" in commands and "meeting join" in commands
    return set().union(*(flags_of_help(AGENT, "help", *c.split()) for c in commands))


@pytest.mark.parametrize(
    "page,flags",
    [
        ("berth.1", flags_of_command),
        ("berth-node.8", lambda: flags_of_help(NODE, "--help")),
        ("berth-controller.8", lambda: flags_of_help(CONTROLLER, "--help")),
    ],
)
def test_page_and_help_agree(page, flags):
    assert flags_of_page(page) == flags()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", ["berth.1", "berth-node.8", "berth-controller.8"])
def test_page_is_clean(page):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", MAN / page], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
