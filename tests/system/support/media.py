"""Participants of calls: tests/system/programs/media_client.c as a child process."""

import json
import subprocess
import threading

from .process import BUILD, clean_env, wait_for


class Participant:
    """Joins `meeting` as `agent`, and sends a packet every 20 ms until it leaves."""

    def __init__(self, world, controller, org, meeting, agent, ssrc, proxy=None, direct=None, env=None, into=(),
                 **claims):
        """`into`: words before the command, that take it to where it is to run."""
        self.agent, self.ssrc, self.lines, self.world = agent, ssrc, [], world
        self.log_path = world.folder / f"media-{meeting}-{agent}.log"
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [*into, "setpriv", "--pdeathsig", "KILL", "--", BUILD / "tests" / "media-client", controller.url,
                 org.jwt(agent, **claims), str(world.authority.file), meeting, str(ssrc),
                 *([proxy] if proxy else []), *([direct] if direct else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1, env=clean_env(env),
            )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.append(json.loads(line))

    def tail(self):
        shown = [*(e for e in list(self.lines) if e["event"] != "stats")][-20:] + self.events("stats")[-1:]
        return "\n".join([*map(str, shown), self.log_path.read_text()[-3000:]])

    def events(self, name):
        return [e for e in list(self.lines) if e["event"] == name]

    def states(self):
        return [(e["state"], e["node"]) for e in self.events("changed")]

    def wait(self, condition, seconds, what):
        try:
            return wait_for(condition, seconds, what)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.tail()}") from None

    def ask(self, word, answer):
        n = len(self.events(answer))
        self.popen.stdin.write(word + "\n")
        self.wait(lambda: len(self.events(answer)) > n or self.popen.poll() is not None, 20, answer)
        assert self.popen.poll() is None, f"{self.agent} ended\n{self.tail()}"
        return self.events(answer)[-1]

    def stats(self):
        return self.ask("stats", "stats")

    def heard(self, other):
        """What came of `other`: packets, gap_us (the longest since reset), last_us, bad."""
        return self.stats()["sources"].get(str(other.ssrc), {"packets": 0, "gap_us": 0, "last_us": 0, "bad": 0})

    def reset(self):
        self.ask("reset", "reset")

    def wait_heard(self, other, n, seconds=30):
        """Until n more packets of `other` have come."""
        start = self.heard(other)["packets"]
        self.wait(lambda: self.heard(other)["packets"] >= start + n, seconds, f"{self.agent} to hear {other.agent}")

    def wait_state(self, state, node=None, seconds=30):
        def reached():
            s = self.stats()
            return s if s["state"] == state and (node is None or s["node"] == node) else None

        return self.wait(reached, seconds, f"{self.agent} to be {state} on {node or 'a node'}")

    def leave(self):
        """Its exit status; what it told before stays in `lines`."""
        if self.popen.poll() is None:
            self.popen.stdin.close()
        try:
            status = self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"{self.agent} did not leave\n{self.tail()}") from None
        self.reader.join(10)
        log = self.log_path.read_text()
        assert "Sanitizer" not in log and "runtime error" not in log, log
        return status
