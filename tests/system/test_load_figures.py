# alone
"""What berth-load's figures count, against servers of which a test knows what they answer: none."""

import json
import subprocess

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
