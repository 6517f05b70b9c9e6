"""Everybody comes back at once: 10,000 agents that post a report each, over a connection of its own, as soon as the controllers are
there again, and again when the agent's own timetable says so. No collapse: everybody is answered each time, who is turned away is told when to come
back and they don't come back together, everybody is served in the end, nothing answered is lost."""

import asyncio
import collections
import ctypes
import json
import resource
import ssl
import time

import pytest
from support.api import report_body
from support.process import SOURCE, run, wait_for

CROWD = 10000
HANDSHAKES = 150  # at a time: all clients are one process here, which must keep up with the controllers' time-outs
OPEN = 6000  # connections at a time, and as many descriptors
PATIENCE_S = 720


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(rate_limit=0, max_connections_per_ip=CROWD * 2)


class Timetable:
    """agent/schedule.c itself: how long an agent keeps a report that was turned away."""

    def __init__(self, folder):
        library = folder / "schedule.so"
        built = run(["cc", "-std=c11", "-shared", "-fPIC", "-I", SOURCE / "common", "-o", library, SOURCE / "agent" / "schedule.c"])
        assert built.returncode == 0, built.stderr
        self.library = ctypes.CDLL(str(library))
        self.library.schedule_delivery_failed.restype = ctypes.c_int64

    def of(self, seed):
        schedule = ctypes.create_string_buffer(1024)  # more than it takes
        self.library.schedule_init(schedule, ctypes.c_uint64(seed))
        self.library.schedule_keep(schedule, ctypes.c_int64(7200 * 1000000), ctypes.c_int64(0))
        return schedule

    def pause_s(self, schedule, retry_after_s):
        asked = ctypes.c_int64(retry_after_s * 1000000)
        return self.library.schedule_delivery_failed(schedule, asked, ctypes.c_int64(0)) / 1e6


class Crowd:
    """Clients as agents are: each goes on until its report is taken."""

    def __init__(self, controllers, authority, org, timetable):
        self.controllers, self.org, self.timetable = controllers, org, timetable
        self.tls = ssl.create_default_context(cafile=str(authority.file))
        self.statuses, self.taken, self.why = {}, {}, {}
        self.first_pauses = []

    async def ask(self, port, body):
        async with self.open:
            async with self.handshakes:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self.tls, server_hostname="localhost")
            return await self.answer(reader, writer, body)

    async def answer(self, reader, writer, body):
        try:
            writer.write(
                f"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.org.key}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            answer = await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()
        head, _, _ = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        if not lines[0].startswith("HTTP/1.1 "):
            raise ConnectionError("closed")
        return int(lines[0].split()[1]), headers

    async def one(self, n, began):
        body = report_body([], agent=f"crowd-{n}")
        text, schedule = json.dumps(body), self.timetable.of(n)
        for turn in range(1000):
            try:
                status, headers = await self.ask(self.controllers[(n + turn) % len(self.controllers)].port, text)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as e:
                status, headers = 0, {}
                self.why[repr(e)[:90]] = self.why.get(repr(e)[:90], 0) + 1
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status in (200, 201):
                self.taken[body["report_id"]] = time.monotonic() - began
                return
            assert status in (0, 429, 503), f"{status} {headers}"
            assert status == 0 or int(headers["retry-after"]) >= 1, headers
            told_s = int(headers.get("retry-after", 0))
            pause_s = self.timetable.pause_s(schedule, told_s)
            assert pause_s >= told_s, "an agent comes back before it was told to"
            if turn == 0:
                self.first_pauses.append(pause_s)
            await asyncio.sleep(pause_s)

    async def all(self, began):
        self.open, self.handshakes = asyncio.Semaphore(OPEN), asyncio.Semaphore(HANDSHAKES)
        await asyncio.wait_for(asyncio.gather(*(self.one(n, began) for n in range(CROWD))), PATIENCE_S)


def spread(pauses):
    """The largest share of them within a tenth of a second."""
    tenths = collections.Counter(int(p * 10) for p in pauses)
    return max(tenths.values()) / len(pauses)


def test_everybody_comes_back(own_postgres, database, controller, controllers, org, authority, tmp_path):
    second = controllers(rate_limit=0, max_connections_per_ip=CROWD * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    own_postgres.stop()
    wait_for(lambda: controller.probe("/readyz") == 503, what="readiness to go")
    crowd = Crowd([controller, second], authority, org, Timetable(tmp_path))

    async def outage_and_return():
        began = time.monotonic()
        running = asyncio.ensure_future(crowd.all(began))
        while sum(crowd.statuses.values()) < CROWD:  # all have been turned away once
            await asyncio.sleep(0.1)
        own_postgres.start()  # in this thread: a program ends with the thread that began it
        await running

    try:
        asyncio.run(outage_and_return())
    finally:
        times = sorted(crowd.taken.values()) or [0]
        print(f"{len(crowd.taken)} of {CROWD} agents served, half {times[len(times) // 2]:.1f} s after the outage began, all after "
              f"{times[-1]:.1f} s; answers by status (0: none) {crowd.statuses} {crowd.why}")  # fmt: skip
    assert len(crowd.taken) == CROWD
    assert crowd.statuses.get(0, 0) == 0, f"{crowd.statuses[0]} calls had no answer: {crowd.why}"
    assert len(crowd.first_pauses) > CROWD / 2 and spread(crowd.first_pauses) < 0.25, "they come back together"
    stored = set(database.sql("select report_id from report").split())
    assert not set(crowd.taken) - stored
    for c in (controller, second):
        assert c.process.running() and c.probe("/readyz") == 200
