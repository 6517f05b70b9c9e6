"""What the tests of a standalone node share: fixtures and ways to ask."""

import http.client
import os
import socket
import ssl
import time

import pytest

import berth_stun as stun
from nodes import Node, make_certificate

TIMEOUT = 10
HAS_V6 = os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in open("/proc/net/if_inet6").read()
needs_v6 = pytest.mark.skipif(not HAS_V6, reason="this machine has no IPv6 loopback")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("cert"))


@pytest.fixture(scope="module")
def tls_args(certificate):
    return ["--cert", certificate[0], "--key", certificate[1]]


@pytest.fixture
def start():
    """Starts nodes; each must end in order, whatever was done to it."""
    nodes = []

    def make(*args, **kwargs):
        nodes.append(Node("--standalone", *args, **kwargs))
        return nodes[-1]

    yield make
    for node in nodes:
        assert node.stop() == 0, node.log()


@pytest.fixture(scope="module")
def shared(tls_args):
    """One node for the tests that leave it as it was."""
    v6 = ["--udp", "[::1]:0", "--tcp", "[::1]:0", "--tls", "[::1]:0"] if HAS_V6 else []
    node = Node(
        "--standalone", "--threads", "2", "--udp", "127.0.0.1:0", "--udp", "0.0.0.0:0", "--tcp", "127.0.0.1:0",
        "--tls", "127.0.0.1:0", *v6, *tls_args, "--metrics", "127.0.0.1:0",
    )  # fmt: skip
    yield node
    assert node.stop() == 0, node.log()


def connect(address, timeout=TIMEOUT):
    return socket.create_connection(address, timeout)


def udp_ask(address, request, source=None, timeout=TIMEOUT):
    """(answer's bytes, where it came from, our own address); sends again after a second, as UDP may lose."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as s:
        if source:
            s.bind((source, 0))
        s.settimeout(min(timeout, 1))
        end = time.monotonic() + timeout
        while True:
            s.sendto(request, address)
            try:
                data, peer = s.recvfrom(2048)
                local = (source or ("::1" if s.family == socket.AF_INET6 else "127.0.0.1"), s.getsockname()[1])
                return data, peer, local
            except TimeoutError:
                if time.monotonic() > end:
                    raise


def udp_silence(address, request):
    """No answer to it, although one to a right request that was sent after it, from the same socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(address)
        s.settimeout(TIMEOUT)
        right = stun.message()
        s.send(request)
        s.send(right)
        return stun.Message(s.recv(2048)).txid == right[8:20]


def tls_context(certificate, alpn=None, version=None):
    context = ssl.create_default_context(cafile=certificate[0])
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def tls_connect(node, certificate, index=0, **kwargs):
    raw = connect(node.addresses("tls")[index])
    return tls_context(certificate, **kwargs).wrap_socket(raw, server_hostname="localhost")


def metrics(node):
    conn = http.client.HTTPConnection("127.0.0.1", node.port("metrics"), timeout=TIMEOUT)
    conn.request("GET", "/metrics")
    answer = conn.getresponse()
    text = answer.read().decode()
    conn.close()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
