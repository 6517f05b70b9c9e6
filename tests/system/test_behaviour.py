# timeout: 180
"""Behaviour discovery (RFC 5780): every CHANGE-REQUEST, padding, response port, and coturn's turnutils_natdiscovery."""

import shutil
import signal
import socket
import struct
import subprocess

import pytest

import berth_stun as stun
from node_kit import TIMEOUT, connect, start, udp_ask, udp_silence  # noqa: F401 (fixtures among them)
from nodes import Node, run_once
from support.process import free_port

PRIMARY, ALTERNATE = "127.0.0.2", "127.0.0.3"
IP, PORT = 4, 2  # CHANGE-REQUEST's flags


def address_of(value):
    """("ip", port) of a plain address attribute."""
    family = socket.AF_INET if value[1] == 1 else socket.AF_INET6
    return socket.inet_ntop(family, value[4:]), struct.unpack("!H", value[2:4])[0]


class Server:
    """The four places of a node: places[ip][port]."""

    def __init__(self, node):
        self.node = node
        self.places = [node.addresses("udp")[:2], node.addresses("udp-alternate")]


def arguments(*more):
    a, b = (free_port(socket.SOCK_DGRAM, "0.0.0.0") for _ in range(2))
    return ["--udp", f"{PRIMARY}:{a}", "--udp", f"{PRIMARY}:{b}", "--behaviour-alternate", ALTERNATE, "--threads", "2", *more]


@pytest.fixture(scope="module")
def server():
    node = Node("--standalone", *arguments("--udp", "127.0.0.4:0", "--tcp", f"{PRIMARY}:0"))
    yield Server(node)
    assert node.stop() == 0, node.log()


def change(flags):
    return stun.attribute(stun.CHANGE_REQUEST, struct.pack("!I", flags))


def test_four_places(server):
    (a, b), (c, d) = server.places
    assert a[0] == b[0] == PRIMARY and c[0] == d[0] == ALTERNATE
    assert a[1] == c[1] != b[1] == d[1]


@pytest.mark.parametrize("flags", [None, 0, IP, PORT, IP | PORT])
@pytest.mark.parametrize("ip", [0, 1])
@pytest.mark.parametrize("port", [0, 1])
def test_every_change_request_at_every_place(server, ip, port, flags):
    asked = server.places[ip][port]
    request = stun.message(attributes=b"" if flags is None else change(flags), fingerprint=True)
    for _ in range(8):  # each from another port: on any of the node's threads
        data, peer, local = udp_ask(asked, request)
        answer = stun.Message(data)
        expected = server.places[ip ^ bool((flags or 0) & IP)][port ^ bool((flags or 0) & PORT)]
        assert peer == expected and answer.kind == stun.BINDING_SUCCESS
        assert address_of(answer.get(stun.RESPONSE_ORIGIN)) == expected
        assert address_of(answer.get(stun.OTHER_ADDRESS)) == server.places[ip ^ 1][port ^ 1]
        assert answer.mapped()[1] == local[1]


@pytest.mark.parametrize("flags", [0, IP, IP | PORT])
@pytest.mark.parametrize("size", [1, 4, 64, 500, 1400, 1500])
def test_padding(server, size, flags):
    """A padded request is answered padded, but never by more bytes than it had itself."""
    request = stun.message(attributes=stun.attribute(stun.PADDING, bytes(size)) + change(flags), fingerprint=True)
    data, peer, _ = udp_ask(server.places[0][0], request)
    answer = stun.Message(data)
    assert peer == server.places[bool(flags & IP)][bool(flags & PORT)]
    assert len(data) == len(request) if len(request) > 80 else len(data) <= 80
    assert (answer.get(stun.PADDING) is not None) == (len(request) > 80)


def test_no_padding_unasked(server):
    data, _, _ = udp_ask(server.places[0][0], stun.message())
    assert len(data) == 20 + 3 * 12


def test_errors_come_from_where_they_were_asked(server):
    for attributes in (change(IP | PORT) + stun.attribute(0x7001), stun.attribute(stun.CHANGE_REQUEST, b"\0\0\0")):
        data, peer, _ = udp_ask(server.places[0][1], stun.message(attributes=attributes))
        assert peer == server.places[0][1]
        assert stun.Message(data).error() == (420 if len(attributes) == 12 else 400)


def test_silence_is_as_ever(server):
    assert udp_silence(server.places[1][0], stun.message(stun.BINDING_INDICATION, change(0)))
    assert udp_silence(server.places[1][1], b"\x80" * 40)


def test_response_port_is_off_by_default(server):
    request = stun.message(attributes=stun.attribute(stun.RESPONSE_PORT, b"\x10\0\0\0"))
    answer = stun.Message(udp_ask(server.places[0][0], request)[0])
    assert answer.error() == 420 and answer.get(stun.UNKNOWN_ATTRIBUTES)[:2] == b"\x00\x27"


def test_response_port(start):
    node = Server(start(*arguments("--behaviour-response-port")))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears:
        for s in (asks, hears):
            s.bind(("127.0.0.1", 0))
            s.settimeout(TIMEOUT)
        port = stun.attribute(stun.RESPONSE_PORT, struct.pack("!HH", hears.getsockname()[1], 0))
        request = stun.message(attributes=port + change(IP))
        asks.sendto(request, node.places[0][0])
        data, peer = hears.recvfrom(2048)
        answer = stun.Message(data)
        assert answer.txid == request[8:20] and answer.mapped() == asks.getsockname() and peer == node.places[1][0]
        asks.sendto(stun.message(attributes=port + stun.attribute(stun.PADDING, bytes(100))), node.places[0][0])
        assert stun.Message(asks.recv(2048)).error() == 400


def test_other_sockets_take_no_part(server):
    plain = server.node.addresses("udp")[2]
    answer = stun.Message(udp_ask(plain, stun.message())[0])
    assert answer.get(stun.OTHER_ADDRESS) is None and answer.get(stun.RESPONSE_ORIGIN) is None
    assert stun.Message(udp_ask(plain, stun.message(attributes=change(0)))[0]).error() == 420
    with connect(server.node.addresses("tcp")[0]) as s:
        assert stun.ask(s).get(stun.OTHER_ADDRESS) is None
        assert stun.ask(s, stun.message(attributes=change(IP))).error() == 420


def test_counted_and_limited(start):
    node = Server(start(*arguments("--stun-rate", "20")))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        for _ in range(200):
            s.sendto(stun.message(attributes=change(IP)), node.places[0][0])
        got = 0
        with pytest.raises(TimeoutError):
            while True:
                s.recv(2048)
                got += 1
        assert 1 <= got <= 60  # the burst, and a second or two of the rate


@pytest.mark.parametrize("args, says", [
    (["--udp", "127.0.0.2:0", "--behaviour-alternate", "127.0.0.3"], "two --udp"),
    (["--udp", "0.0.0.0:0", "--udp", "0.0.0.0:0", "--behaviour-alternate", "127.0.0.3"], "two --udp"),
    (["--udp", "127.0.0.2:0", "--udp", "127.0.0.4:0", "--behaviour-alternate", "127.0.0.3"], "two --udp"),
    (["--udp", "127.0.0.2:0", "--udp", "127.0.0.2:0", "--behaviour-alternate", "127.0.0.2"], "another one"),
    (["--udp", "127.0.0.2:0", "--udp", "127.0.0.2:0", "--behaviour-alternate", "::1"], "two --udp"),
    (["--udp", "127.0.0.2:0", "--udp", "127.0.0.2:0", "--behaviour-alternate", "127.0.0.3:5"], "not an IP"),
    (["--udp", "127.0.0.2:0", "--udp", "127.0.0.2:0", "--behaviour-alternate", "0.0.0.0"], "not an IP"),
    (["--udp", "127.0.0.2:0", "--behaviour-response-port"], "--behaviour-alternate"),
])  # fmt: skip
def test_wrong_options(args, says):
    status, _, text = run_once("--standalone", *args)
    assert status == 2 and says in text and "--behaviour" in text


def test_an_alternate_that_this_machine_lacks():
    status, _, text = run_once("--standalone", "--udp", "127.0.0.2:0", "--udp", "127.0.0.2:0",
                               "--behaviour-alternate", "192.0.2.77")  # fmt: skip
    assert status == 1 and "--behaviour-alternate 192.0.2.77" in text and "no such address" in text


def test_reload_keeps_it(start):
    node = start(*arguments())
    node.signal(signal.SIGHUP)
    node.wait_for("reloaded")
    places = Server(node).places
    assert udp_ask(places[0][0], stun.message(attributes=change(IP | PORT)))[1] == places[1][1]


# ---- the other implementation ----


def natdiscovery(server, *args, padded=False):
    tool = shutil.which("turnutils_natdiscovery")
    if not tool:
        pytest.skip("coturn isn't installed")
    done = subprocess.run([tool, *args, *(["-P"] if padded else []), "-p", str(server.places[0][0][1]), PRIMARY],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("padded", [False, True], ids=["small", "padded"])
def test_coturn_discovers_mapping(server, padded):
    text = natdiscovery(server, "-m", "-L", "127.0.0.1", padded=padded)
    assert "no NAT" in text or "Endpoint Independent Mapping" in text, text


@pytest.mark.parametrize("padded", [False, True], ids=["small", "padded"])
def test_coturn_discovers_filtering(server, padded):
    text = natdiscovery(server, "-f", "-L", "127.0.0.1", padded=padded)
    assert "Endpoint Independent Filtering" in text, text
