"""Real HTTP proxies on loopback: squid in each of its roles, tinyproxy. They run in the foreground, as ordinary users."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import secret
from .process import Process, free_port, wait_for
from .scratch import scratch

sys.path.append(str(Path(__file__).parents[2] / "lab"))
from labnet import proxyconf  # noqa: E402
from labnet.proxyconf import CERTGEN, SQUID, TINYPROXY  # noqa: E402

USER, PASSWORD = "carol", "correct:horse-battery-staple"
IN_URL = PASSWORD.replace(":", "%3A")
secret.note(PASSWORD)


class Proxy:
    """A running proxy; .url has no credentials."""

    def __init__(self, argv, user, place, folder, port):
        self.place, self.folder, self.port, self.url = place, folder, port, f"http://127.0.0.1:{port}"
        folder.chmod(0o755)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", user, folder], check=True)
            argv = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--pdeathsig", "KILL", "--", *argv]
        self.process = Process(argv, folder / "output.log", cwd=folder)
        wait_for(self.listening, 20, lambda: f"{argv[-1]} to listen on {port}: {self.process.tail()}")

    def listening(self):
        assert self.process.running(), self.process.tail() + "\n" + self.log("cache.log")
        with open("/proc/net/tcp") as f:
            return any(f":{self.port:04X} 00000000:0000 0A" in line for line in f)

    def log(self, name="access.log"):
        file = self.folder / name
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self):
        self.process.kill()  # no patience for its connections; its helpers end with their standard input
        for left in Path("/dev/shm").glob(f"berth{self.port}-*"):  # what a squid that was killed leaves
            left.unlink()
        self.place.close()


def squid(auth=None, connect_ports="1-65535", interceptor=None, trusted=None, websocket=False, certificate=None):
    """interceptor: an Authority whose certificates it shows in place of everybody's, itself trusting the file `trusted`; websocket: what
    it intercepts may upgrade; certificate: (cert, key) with which it is an HTTPS proxy as well, at .https_url."""
    if not os.path.exists(SQUID) or not os.path.exists(CERTGEN):
        pytest.skip("squid-openssl is not installed")
    place, port, auth_lines, extra = contextlib.ExitStack(), free_port(), "", ""
    folder = Path(place.enter_context(scratch()))
    listen = [f"http_port 127.0.0.1:{port}"]
    if auth:
        auth_lines, secrets = proxyconf.auth(auth, folder, USER, PASSWORD)
        (folder / "secrets").write_text(secrets)
    if interceptor:
        for file in (interceptor.file, interceptor.key, trusted):
            shutil.copy(file, folder / (file.name if file != trusted else "trusted.pem"))
        subprocess.run(proxyconf.make_certs(folder), check=True, capture_output=True)
        listen[0] += proxyconf.bump_options(folder)
        extra = proxyconf.bump(folder, folder / "trusted.pem", websocket)
    if certificate:
        for file, name in zip(certificate, ("own.pem", "own.key")):
            shutil.copy(file, folder / name)
        https_port = free_port()
        listen.append(f"https_port 127.0.0.1:{https_port} tls-cert={folder}/own.pem tls-key={folder}/own.key")
    conf = folder / "squid.conf"
    conf.write_text(proxyconf.squid("proxy.test", folder, listen, connect_ports, auth_lines, extra))
    # Its shared memory is named after the service: two of them, or another user's, must not meet there.
    made = Proxy([SQUID, "-N", "-n", f"berth{port}", "-f", conf], "proxy", place, folder, port)
    if certificate:
        made.https_url = f"https://localhost:{https_port}"
    return made


def tinyproxy(basic=False, connect_port=None):
    if not os.path.exists(TINYPROXY):
        pytest.skip("tinyproxy is not installed")
    place, port = contextlib.ExitStack(), free_port()
    folder = Path(place.enter_context(scratch()))
    conf = folder / "tinyproxy.conf"
    login = f"{USER} {PASSWORD.replace(':', '-')}" if basic else ""
    conf.write_text(proxyconf.tinyproxy(folder, port, [connect_port] if connect_port else [], login, "127.0.0.1"))
    return Proxy([TINYPROXY, "-d", "-c", conf], "nobody", place, folder, port)
