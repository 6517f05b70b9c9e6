"""berth-node --standalone as a child process of a test, on ports that the kernel chose."""

import json
import resource
import signal
import subprocess
import threading

from support.certs import self_signed
from support.process import NODE

DEADLINE = 20


def make_certificate(folder, name="node", subject="localhost"):
    """(cert, key) as files; a self-signed certificate for `subject`, localhost and 127.0.0.1."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    self_signed(cert, key, subject, [f"DNS:{subject}", "DNS:localhost", "IP:127.0.0.1"])
    return cert, key


class Node:
    """Starts the program with these arguments and waits until it is ready."""

    def __init__(self, *args, env=None, start_only=False, descriptors=None):
        self.events = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [str(NODE), *map(str, args), "--log-format", "json", "--die-with-parent"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            preexec_fn=descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))),
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not start_only:
            self.wait_for("ready")

    def _read(self):
        for line in self.process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "text", "text": line.rstrip()}
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "end_of_log"})
            self.changed.notify_all()

    def find(self, name, **fields):
        """Events of that name so far."""
        return [e for e in list(self.events) if e["event"] == name and fields.items() <= e.items()]

    def wait_for(self, name, count=1, **fields):
        with self.changed:
            found = self.changed.wait_for(
                lambda: len(self.find(name, **fields)) >= count or self.find("end_of_log"), DEADLINE
            )
        assert found and len(self.find(name, **fields)) >= count, f"no event {name} {fields} in:\n{self.log()}"
        return self.find(name, **fields)[count - 1]

    def log(self):
        return "\n".join(str(e) for e in list(self.events))

    def addresses(self, transport):
        """[("ip", port)] as bound, in the order of the arguments."""
        found = []
        for event in self.find("listening", transport=transport):
            host, port = event["address"].rsplit(":", 1)
            found.append((host.strip("[]"), int(port)))
        return found

    def port(self, transport, index=0):
        return self.addresses(transport)[index][1]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        """The exit status."""
        status = self.process.wait(deadline)
        self.reader.join(deadline)
        return status

    def stop(self):
        """Ends it in order; the exit status, which is not 0 when a sanitizer complained."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.wait()
        self.process.stderr.close()
        return status


def run_once(*args, env=None):
    """For runs that end by themselves: (status, stdout, stderr)."""
    done = subprocess.run([str(NODE), *map(str, args)], capture_output=True, text=True, timeout=DEADLINE,
                          env={"PATH": "/usr/bin:/bin", **(env or {})})  # fmt: skip
    return done.returncode, done.stdout, done.stderr
