# timeout: 120, alone
"""Limits per source, from many sources: an office behind one address is served, and no number of forged ones costs the others anything."""

import contextlib
import socket
from pathlib import Path

import berth_stun as stun
from node_kit import metrics, start, udp_ask  # noqa: F401 (a fixture among them)
from support.process import wait_for

OFFICE, SAMPLES = 1000, 5
FORGED = 70000  # more than the tables have cells (LIMITS_CELLS)
GROWTH_MOST_KB = 8192


@contextlib.contextmanager
def udp(source):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.setblocking(False)
        yield s


def answers(s):
    n = 0
    with contextlib.suppress(BlockingIOError):
        while s.recv(2048):
            n += 1
    return n


def test_an_office_of_a_thousand_behind_one_address(start):  # noqa: F811
    """All probe in the same moment, with the limits that a node has by itself."""
    node = start("--udp", "127.0.0.1:0", "--threads", "2", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(udp("127.0.9.9")) for _ in range(OFFICE)]
        heard = [0] * OFFICE
        for _ in range(SAMPLES):
            for i, s in enumerate(agents):
                s.sendto(stun.message(), address)
                if i % 50 == 49:  # the sockets' buffers are a machine's, not a network's
                    udp_ask(address, stun.message(), source="127.0.8.8")

        def everybody():
            for i, s in enumerate(agents):
                heard[i] += answers(s)
            return all(heard)

        wait_for(everybody, 20, f"every one of {OFFICE} agents has an answer")


def memory_kb(node):
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_forged_sources_take_nothing_from_anybody(start):  # noqa: F811
    node = start("--udp", "127.0.0.1:0", "--threads", "2", "--stun-rate", "50", "--stun-rate-prefix", "500", "--metrics", "127.0.0.1:0")
    address = node.addresses("udp")[0]
    udp_ask(address, stun.message(), source="127.0.8.8")
    before = memory_kb(node)
    request = stun.message()
    for n in range(FORGED):
        with udp(f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}") as s:
            s.sendto(request, address)
    # Some among them send without end: they are limited, each for itself and with its neighbours.
    for n in range(40):
        with udp(f"127.64.{n % 4}.{1 + n}") as s:
            for _ in range(300):
                s.sendto(request, address)
    wait_for(lambda: metrics(node)["berth_node_limited_total"] > 5000, 20, "the floods were limited")
    for n in range(200):  # nobody else is, wherever it comes from
        udp_ask(address, stun.message(), source=f"127.128.{n}.1", timeout=5)
    assert memory_kb(node) - before < GROWTH_MOST_KB
