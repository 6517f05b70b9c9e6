# timeout: 180, alone
"""Limits set low under load: without memory a program ends with a word, and works again once started,
as the service manager does; without descriptors newcomers alone pay. Either way nothing that was answered is lost."""

import re
import resource
import signal
import socket
import ssl

import berth_stun
import pytest
from support.api import report_body
from support.berth import Controller, Node
from support.process import wait_for
from support.traffic import Traffic

ROOM = 3 << 20  # bytes of data beyond what it has
CROWD = 400
WORD = re.compile(r"no memory|out of memory|cannot allocate|failed to (allocate|mmap)", re.IGNORECASE)  # these two: sanitizers


def data_size(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))


def squeeze(process):
    """From now on it may have so much more, whatever it does."""
    most = data_size(process.pid) + ROOM
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (most, most))


def check_end(world, process):
    """By itself, with a word, in a way that has the service manager start it again (Restart=on-failure)."""
    wait_for(lambda: WORD.search(process.log) or not process.running(), 20, f"the end of {process.argv[0]}")
    if "Sanitizer" in process.log:
        process.kill()  # the sanitizer's own end may hang for want of memory
    status = process.wait(20)
    assert status not in (0, -signal.SIGSEGV, -signal.SIGBUS), f"status {status}\n{process.tail()}"
    assert WORD.search(process.log), f"status {status}, and no word\n{process.tail()}"
    # The address sanitizer has its own word for it, and it isn't one of a mistake: neither of this one nor of the next with its name.
    world.processes.remove(process)
    process.log_path.rename(process.log_path.with_suffix(".ended"))


class Crowd:
    """Connections that each bring the larger part of what one may bring, and then neither more nor go."""

    def __init__(self, server, port, tls, text):
        self.sockets = []
        while server.running() and not WORD.search(server.log) and len(self.sockets) < CROWD:
            try:
                s = socket.create_connection(("127.0.0.1", port), 2)
                self.sockets.append(s)
                s.settimeout(2)
                s = tls.wrap_socket(s, server_hostname="localhost") if tls else s
                self.sockets[-1] = s
                s.settimeout(0.5)
                s.sendall(text)
            except OSError:
                if tls is None:
                    return  # nobody is let in any more

    def close(self):
        for s in self.sockets:
            s.close()


@pytest.fixture
def tls(authority):
    return ssl.create_default_context(cafile=str(authority.file))


def test_a_controller_without_memory(world, database, controllers, org, tls):
    controller = controllers(threads=2, rate_limit=0)
    traffic = Traffic([controller.client(org.key)], threads=4)
    wait_for(lambda: traffic.answered >= 40, 30, "calls to be answered")
    squeeze(controller.process)
    body = b"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + org.key.encode() + \
        b"\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n" + b" " * 900000
    crowd = Crowd(controller.process, controller.port, tls, body)
    crowd.close()
    check_end(world, controller.process)
    before = traffic.answered
    controller.start()
    wait_for(lambda: traffic.answered >= before + 20, 60, "calls to be answered again")
    traffic.stop()
    traffic.check(database)


def test_a_controller_without_descriptors(world, database, org, tls):
    """Who is connected is served, newcomers are turned away, health answers."""
    controller = Controller(world, database.url, {"threads": 1, "rate_limit": 0})
    controller.argv = ["prlimit", "--nofile=300:300", "--", *controller.argv]
    mine = controller.start().client(org.key)
    kept = mine.connection()
    mine.call("POST", "/v1/reports", report_body([], agent="kept"), connection=kept).expect(201)
    crowd = Crowd(controller.process, controller.port, None, b"")
    refused = "berth_connections_refused_total"

    def some():
        return sum(n for name, n in controller.metrics().items() if name.startswith(refused)) > 0

    wait_for(some, 20, "others to be refused")
    assert controller.probe("/livez") == controller.probe("/readyz") == 200
    for _ in range(5):
        mine.call("POST", "/v1/reports", report_body([], agent="kept"), connection=kept).expect(201)
    crowd.close()
    kept.close()
    wait_for(lambda: works(mine), 30, "newcomers to be served again")


def works(client):
    try:
        return client.get("/v1/nodes").status == 200
    except OSError:
        return False


def test_a_node_without_memory(world, tls):
    node = Node(world, "squeezed", {"threads": 2, "stun_rate": 0}).start()
    held = socket.create_connection(("127.0.0.1", node.port("tcp")), 5)
    squeeze(node.process)
    crowd = Crowd(node.process, node.port("tls"), tls, b"GET /stun HTTP/1.1\r\nX: " + b"x" * 8000)
    crowd.close()
    held.close()
    check_end(world, node.process)
    node.start()
    wait_for(lambda: udp_works(node), 20, "the node to answer")


def udp_works(node):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(berth_stun.message(), ("127.0.0.1", node.port("udp")))
        try:
            return bool(s.recv(2048))
        except TimeoutError:
            return False
