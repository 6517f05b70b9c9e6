# timeout: 180, alone
"""PostgreSQL with no room on its disk, no connection to give, and slow: refusals in time, nothing that was answered is lost, and it goes on
by itself once there is room."""

import os
import queue
import socket
import threading
import time
from pathlib import Path

import pytest
from support.api import report_body
from support.berth import Controller
from support.postgres import Database, Postgres
from support.process import CONTROLLER, Process, at_once, free_port, run, wait_for
from support.traffic import Traffic

DISK = "224m"
DEADLINE_MS = 1500
PASSWORD = "not-a-secret-of-anybodys"


class Disk:
    """A small file system of the cluster's own, in a mount namespace that a process holds: so nothing stays mounted whatever
    becomes of the test."""

    def __init__(self, folder):
        folder.mkdir()
        self.inside = folder
        mount = f"mount -t tmpfs -o size={DISK},mode=755 berth-test {folder} && exec sleep infinity"
        self.holder = Process(["unshare", "--mount", "sh", "-c", mount], folder.with_suffix(".log"))
        self.folder = Path(f"/proc/{self.holder.pid}/root{folder}")
        wait_for(lambda: not self.holder.running() or os.path.ismount(self.folder), 10, "the disk")

    def fill(self):
        """Takes all that is left; the file to remove."""
        filler = self.folder / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                return filler


@pytest.fixture(scope="module")
def disk(session_folder):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    made = Disk(session_folder / "small-disk")
    if not made.holder.running():
        pytest.skip(f"mounting isn't allowed here: {made.holder.log}")
    yield made
    made.holder.kill()


@pytest.fixture(scope="module")
def server(disk):
    made = Postgres(disk.inside, "max_wal_size=48MB", "min_wal_size=32MB", namespace=disk.holder.pid)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def database(server):
    """Of a user who is no superuser, as docs/operations.md has it: such a one's connections are counted."""
    server.sql(f"create role berth login createrole password '{PASSWORD}'")
    made = Database(server)
    server.sql(f"alter database {made.name} owner to berth")
    made.berth_url = server.url(made.name, "berth", PASSWORD)
    assert run([CONTROLLER, "migrate", "--database", made.berth_url]).returncode == 0
    return made


class Relay:
    """Stands between a controller and PostgreSQL; every piece of data takes `delay_s` each way."""

    def __init__(self, port):
        self.to, self.delay_s = port, 0
        self.listener = socket.create_server(("127.0.0.1", free_port()), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            try:
                other = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                one.close()
                continue
            for a, b in ((one, other), (other, one)):
                due = queue.Queue(1000)
                threading.Thread(target=self._read, args=(a, due), daemon=True).start()
                threading.Thread(target=self._write, args=(b, due), daemon=True).start()

    def _read(self, a, due):
        data = b"x"
        while data:
            try:
                data = a.recv(1 << 16)
            except OSError:
                data = b""
            due.put((time.monotonic() + self.delay_s, data))

    def _write(self, b, due):
        while True:
            at, data = due.get()
            time.sleep(max(0.0, at - time.monotonic()))
            try:
                if not data:
                    b.shutdown(socket.SHUT_RDWR)
                    return
                b.sendall(data)
            except OSError:
                return

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def relay(server):
    made = Relay(server.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def controller(world, relay, database, server):
    url = database.berth_url.replace(f":{server.port}/", f":{relay.port}/")
    return Controller(world, url, {"request_deadline": DEADLINE_MS, "rate_limit": 0, "threads": 2}).start()


def post(org, agent="ill"):
    """A report of some size: it needs room."""
    return org.agent(agent).post("/v1/reports", report_body([], mapped=[f"2001:db8::{n:x}" for n in range(1, 9)]))


def refused(org):
    """Turned away in time, and told when to come back."""
    began = time.monotonic()
    answer = post(org)
    assert answer.status in (201, 503), answer
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) >= 1, answer
        assert time.monotonic() - began < DEADLINE_MS / 1000 + 2
    return answer.status == 503


def works(org):
    return post(org).status == 201


def test_a_full_disk(disk, server, database, controller, org):
    traffic = Traffic([controller.client(org.key)], threads=4)
    wait_for(lambda: traffic.answered >= 40, 30, "calls to be answered")
    filler = disk.fill()
    wait_for(lambda: refused(org), 60, "reports to be refused for want of room")
    assert controller.probe("/livez") == 200
    panics(server)
    assert refused(org) and controller.probe("/livez") == 200 and controller.probe("/readyz") == 503
    before = traffic.answered
    filler.unlink()
    wait_for(lambda: kept_up(server) and controller.probe("/readyz") == 200, 60, "the controller to be ready again")
    wait_for(lambda: traffic.answered >= before + 20, 60, "calls to be answered again")
    traffic.stop()
    traffic.check(database)


def kept_up(server):
    """As a service manager does: where recovery itself found no room, it ended."""
    if not server.process.running():
        server.start()
    return True


def panics(server):
    """The log of PostgreSQL needs room too: where there is none, the server ends at once, and all its connections."""

    def switch():
        server._psql("select pg_switch_wal()", "postgres")
        return "PANIC" in server.process.log or not server.process.running()

    wait_for(switch, 60, "the server to have no room for its log")


def limit(database, n):
    """So many connections and no more; those that there are end."""
    database.sql(f"alter database {database.name} connection limit {n}")
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth'")


def test_out_of_connections(database, controller, org, world):
    limit(database, 4)  # some have one, some don't
    for _ in range(20):
        answer = org.api.get("/v1/agents")
        assert answer.status in (200, 503), answer
    limit(database, 0)
    wait_for(lambda: refused(org), 20, "reports to be refused")
    wait_for(lambda: controller.probe("/readyz") == 503, 20, "readiness to go")
    assert controller.probe("/livez") == 200
    late = Controller(world, database.berth_url, {"rate_limit": 0}).start(ready=False)
    wait_for(lambda: late.probe("/livez") == 200, what="liveness")
    assert late.probe("/readyz") == 503
    database.sql(f"alter database {database.name} connection limit -1")
    for c in (late, controller):
        c.wait_ready()
    wait_for(lambda: works(org), 10, "reports to go in again")
    assert late.stop() == 0


def test_slow(relay, controller, org):
    relay.delay_s = 0.15
    wait_for(lambda: works(org), 20, "a report over a slow way")
    agents = [org.agent(f"slow-{n}") for n in range(8)]
    answers = at_once(lambda a: a.post("/v1/reports", report_body([])).status, agents)  # together, as they share commits
    assert answers == [201] * 8
    relay.delay_s = 2  # beyond what a request may take
    assert refused(org)
    assert controller.probe("/livez") == 200
    relay.delay_s = 0
    wait_for(lambda: works(org), 20, "reports to go in again")
    controller.wait_ready()
