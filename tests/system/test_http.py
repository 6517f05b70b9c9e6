# timeout: 300
"""Bad input on the controller's port: each gets its documented answer or its connection closed, and nobody else notices."""

import json
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from support.api import report_body
from support.process import CONTROLLER, wait_for


def raw(controller, world, data=b"", tls=True, alpn=None):
    s = socket.create_connection(("127.0.0.1", controller.port), timeout=30)
    if tls:
        context = ssl.create_default_context(cafile=str(world.authority.file))
        if alpn:
            context.set_alpn_protocols(alpn)
        s = context.wrap_socket(s, server_hostname="127.0.0.1")
    if data:
        s.sendall(data)
    return s


def read_all(s):
    """Until the other side closes."""
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
        pass
    return data


def post_head(org, framing):
    return f"POST /v1/meetings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {org.key}\r\n{framing}\r\n\r\n".encode()


@pytest.mark.parametrize("framing", ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
def test_a_body_that_is_refused_unread_gets_a_problem_too(controller, world, org, framing):
    with raw(controller, world, post_head(org, framing)) as s:
        try:
            for _ in range(70 if "chunked" in framing else 0):
                s.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:  # it need not read on
            pass
        head, _, body = read_all(s).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ") and b"content-type: application/problem+json" in head.lower(), head
    assert json.loads(body)["code"] == "body_too_large"


def test_ids_of_dots_are_ids_where_the_path_arrives_as_it_was(org):
    """A client that resolves "." and ".." asks for something else; this one doesn't."""
    for name in (".", "..", "..."):
        org.api.post("/v1/meetings", {"id": name}).expect(201)
        for path in (f"/v1/meetings/{name}", "/v1/meetings/" + name.replace(".", "%2E")):
            assert org.api.get(path).expect(200).json["id"] == name
        org.api.get(f"/v1/agents/{name}/report").problem(404, "no_live_report")
        org.api.delete(f"/v1/meetings/{name}").expect(204)


@pytest.fixture(autouse=True)
def others_unharmed(controller, org):
    """While and after each test somebody else's requests work."""
    failures, stop = [], threading.Event()

    def go_on():
        client = org.agent("bystander")
        while not stop.is_set():
            answer = client.post("/v1/reports", report_body([]))
            if answer.status != 201:
                failures.append(answer)
            stop.wait(0.05)

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    stop.set()
    thread.join()
    assert not failures, failures[:3]
    assert controller.process.running()


BODIES = {
    "empty": (b"", 400, "bad_json"),
    "broken": (b'{"report_id":', 400, "bad_json"),
    "trailing garbage": (b"{} {}", 400, "bad_json"),
    "no object": (b"[1]", 422, "invalid_member"),
    "a number": (b"7", 400, "bad_json"),
    "duplicate member": (b'{"agent":"a","agent":"b"}', 400, "bad_json"),
    "invalid UTF-8": (b'{"agent":"\xff\xfe"}', 400, "bad_json"),
    "lone surrogate": (rb'{"agent":"\ud800"}', 400, "bad_json"),
    "NUL in a string": (rb'{"agent":"a\u0000b"}', 400, "bad_json"),
    "NUL byte": (b'{"agent":"a"}\0', 400, "bad_json"),
    "huge number": (b'{"agent":' + b"9" * 400 + b"}", 400, "bad_json"),
    "nested deeply": (b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}", 400, "bad_json"),
    "nested 17 deep": (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", 400, "bad_json"),
    "over 1 MiB": (b'{"agent":"' + b"x" * (1 << 20) + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(case, org):
    body, status, code = BODIES[case]
    org.agent("a1").call("POST", "/v1/reports", body, headers={"Content-Type": "application/json"}).problem(status, code)


def test_a_body_far_too_large_is_refused_unread(controller, world):
    s = raw(controller, world, b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n")
    head, _, body = read_all(s).partition(b"\r\n\r\n")
    assert b" 413 " in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "body_too_large"


def test_bodies_of_strangers_take_little_memory(controllers, world):
    """Sixty who never say who they are, each with all that will be taken of a body but its last byte."""
    one = controllers(threads=1, max_connections_per_ip=60)
    status = f"/proc/{one.process.pid}/status"
    resident = lambda: int(next(line for line in open(status) if line.startswith("VmRSS")).split()[1])  # noqa: E731
    before = resident()
    size = (1 << 20) + 60000
    head = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    crowd = []
    for _ in range(60):
        crowd.append(raw(one, world))
        try:
            crowd[-1].sendall(head + b" " * (size - 1))
        except OSError:  # ended already: they hold too much
            pass
    if b"__asan" not in Path(CONTROLLER).read_bytes():  # which keeps what was freed
        assert resident() - before < 300 * 1024
    with pytest.raises(OSError):  # too many from here
        while len(crowd) < 200:
            crowd.append(raw(one, world))
    for s in crowd:
        s.close()
    wait_for(lambda: one.metrics()["berth_connections_open"] <= 1, 20, "them to have gone")
    assert one.metrics()['berth_connections_refused_total{limit="source"}'] >= 1


def test_nested_16_deep_is_read(org):
    body = report_body([])
    body["later"] = json.loads("[" * 15 + "]" * 15)
    org.agent("a1").post("/v1/reports", body).expect(201)


@pytest.mark.parametrize("kind,status", [
    ("application/json", 201), ("application/json; charset=utf-8", 201), ("application/vnd.berth+json", 201), (None, 201),
    ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415), ("", 415),
])  # fmt: skip
def test_content_types(kind, status, org):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = org.agent("a1").call("POST", "/v1/reports", json.dumps(report_body([])), headers=headers).expect(status)
    if status == 415:
        answer.problem(415, "unsupported_media_type")


def test_a_chunked_body(controller, world, org):
    body = json.dumps(report_body([])).encode()
    s = raw(controller, world, b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + org.jwt("a1").encode()
            + b"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")  # fmt: skip
    for i in range(0, len(body), 7):
        part = body[i : i + 7]
        s.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    s.sendall(b"0\r\n\r\n")
    assert b" 201 Created" in read_all(s).splitlines()[0]


def test_pipelined_requests_are_answered_in_order(controller, world, org):
    one = b"GET /v1/agents/%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + org.key.encode() + b"\r\n"
    s = raw(controller, world, b"".join(one % n + b"\r\n" for n in range(20)) + one % 20 + b"Connection: close\r\n\r\n")
    assert read_all(s).count(b"HTTP/1.1 404 ") == 21


WIRE = {
    "garbage": b"\x00\x01\x02\x03 garbage\r\n\r\n",
    "no version": b"GET /v1/agents\r\n\r\n",
    "huge header": b"GET /v1/agents HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
    "thousands of headers": b"GET /v1/agents HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "huge path": b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "length no number": b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "negative length": b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length beyond all": b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "100 GB announced": b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n",
    "bad chunk": b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("case", WIRE)
def test_bad_on_the_wire(case, controller, world):
    s = raw(controller, world)
    try:
        s.sendall(WIRE[case])
    except (ConnectionError, ssl.SSLError):
        pass  # refused while we were still talking
    answer = read_all(s)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:200]


def test_no_way_into_http2(controller, world, org):
    s = raw(controller, world, alpn=["h2", "http/1.1"])
    assert s.selected_alpn_protocol() == "http/1.1"
    s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
              b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")  # fmt: skip
    s.settimeout(5)
    assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    s.close()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        only = raw(controller, world, alpn=["h2"])
        assert only.selected_alpn_protocol() == "h2"


def test_clear_text_on_the_tls_port(controller, world):
    assert b"200" not in read_all(raw(controller, world, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", tls=False))


def test_slow_and_silent_clients_are_let_go(controller, world, org):
    """Headers that never end, a body that never comes, a handshake that never starts, an answer nobody waits for."""
    token = org.jwt("a1").encode()
    head = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n"
    slow = [
        raw(controller, world, b"GET /v1/agents HTTP/1.1\r\nX-Slow: "),
        raw(controller, world, head + b"Content-Length: 1000\r\n\r\n{"),
        raw(controller, world, tls=False),
        raw(controller, world, b"\x16\x03\x01", tls=False),
        raw(controller, world),
    ]
    body = json.dumps(report_body([])).encode()
    for _ in range(50):  # gone before the commit is back
        raw(controller, world, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body).close()
    start = time.monotonic()
    for s in slow:
        s.settimeout(40)
        read_all(s)
    assert time.monotonic() - start < 35


DRIPS = {
    "headers": (b"", b"X: y\r\n"),
    "a body": (b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a chunk's extension": (b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n", b"X: y\r\n"),
}


def test_who_drips_is_let_go_too(controller, world):
    """A little now and then, all of it allowed: a request has its time as a whole."""
    start = time.monotonic()
    dripping = {}
    for name, (head, drop) in DRIPS.items():
        dripping[name] = raw(controller, world, b"POST /v1/reports HTTP/1.1\r\nHost: x\r\n" + head), drop
        dripping[name][0].settimeout(0.1)
    while dripping and time.monotonic() - start < 35:
        for name, (s, drop) in list(dripping.items()):
            try:
                s.sendall(drop)
                ended = s.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                dripping.pop(name)[0].close()
    assert not dripping, list(dripping)


def test_the_connection_limit(controllers, world):
    mine = controllers(max_connections=5, threads=1)
    held = [raw(mine, world) for _ in range(5)]
    assert read_all(raw(mine, world, tls=False)) == b""
    for s in held:
        s.close()

    def answers():
        try:
            return mine.client().get("/livez").status == 200
        except OSError:  # the limit is still reached
            return False

    wait_for(answers, 10, "connections to be free again")
    assert mine.metrics()['berth_connections_refused_total{limit="listener"}'] >= 1
    mine.stop()


def test_held_connections_keep_nobody_from_health(controller, node):
    """On the listener for health and metrics, of the controller and of a node: the oldest idle one gives way."""
    for program in (controller, node("held")):
        held = []
        for begun in (b"", b"GET /livez HTTP/1.1\r\nX-Slow: ", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"):
            for _ in range(50):
                held.append(socket.create_connection(("127.0.0.1", program.metrics_port), timeout=10))
                held[-1].sendall(begun)
        assert program.probe("/livez") == 200 and program.metrics()
        for s in held:
            s.close()


def test_it_ends_with_clients_still_connected(controllers, world, org):
    mine = controllers()
    idle = raw(mine, world, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
    half = raw(mine, world, b"GET /v1/agents HTTP/1.1\r\nX-Half: ")
    start = time.monotonic()
    assert mine.stop() == 0
    assert time.monotonic() - start < 8
    idle.close(), half.close()


class Held:
    """An agent's reports wait in the database, as long as it takes, until they are let go."""

    def __init__(self, database, agent):
        self.sql = database.sql
        self.sql(
            "create table let_go (); grant select on let_go to public; create function hold() returns trigger language plpgsql as "
            "$$ begin while not exists (select from public.let_go) loop perform pg_sleep(0.02); end loop; return new; end $$; "
            f"create trigger hold before insert on report for each row when (new.agent = '{agent}') execute function hold()"
        )

    def waits(self):
        return self.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()") != "0"

    def let_go(self):
        self.sql("insert into let_go default values")

    def end(self):
        self.sql("drop trigger hold on report; drop function hold(); drop table let_go")


def test_requests_under_way_are_finished(controllers, database, org):
    """SIGTERM while a report waits for its commit: it is answered all the same."""
    mine, held = controllers(request_deadline=30000), Held(database, "late")
    answers = []
    client = mine.client(org.jwt("late"))
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/reports", report_body([]))))
    thread.start()
    wait_for(held.waits, 20, "the insert")
    mine.process.signal(signal.SIGTERM)
    wait_for(lambda: "event=stopping" in mine.process.log, 10, "the controller to be stopping")
    held.let_go()
    thread.join()
    held.end()
    answers[0].expect(201)
    assert mine.process.wait() == 0


def test_a_controller_that_gets_no_cpu_says_so(controllers, database, org):
    """The database has answered in time; who asked it is held up until the request's deadline is over."""
    deadline_s = 5
    mine = controllers(request_deadline=deadline_s * 1000, threads=1)
    late, body = mine.client(org.jwt("held-up")), report_body([])
    late.post("/v1/reports", body).expect(201)
    held = Held(database, "held-up")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(late.post("/v1/reports", body)))
    thread.start()
    wait_for(held.waits, deadline_s, "the report to be written")
    mine.process.signal(signal.SIGSTOP)
    held.let_go()
    wait_for(lambda: not held.waits(), deadline_s, "it to be written")
    time.sleep(deadline_s)
    mine.process.signal(signal.SIGCONT)
    thread.join()
    held.end()
    answers[0].problem(503, "overloaded")  # a repeat is looked up once more, and it is too late for that
    assert mine.stop() == 0


def test_two_on_one_port(controller, controllers, world, database):
    from support.berth import Controller

    other = Controller(world, database.url, {})
    other.argv[other.argv.index("--listen") + 1] = f"127.0.0.1:{controller.port}"
    process = world.start(other.argv, "second-on-one-port")
    assert process.wait(20) == 1
    assert "listen_failed" in process.log


def test_a_request_that_can_be_read_in_two_ways_is_refused_and_closed(controller, world):
    twice = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = read_all(raw(controller, world, twice + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1 and b'"bad_request"' in answer
