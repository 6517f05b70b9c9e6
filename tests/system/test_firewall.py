# timeout: 400, alone
"""`berth firewall` against real nodes on loopback, and coturn where a second opinion counts."""

import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from support.api import listed
from support.certs import Authority, openssl
from support.process import AGENT, NODE, Process, clean_env, free_port, run, wait_for
from support.proxies import squid

UDP = socket.SOCK_DGRAM
MEMBERS = {"mapped", "local", "nat", "mtu", "ports", "rung", "advice", "quality", "allow_list", "clock", "proxy", "throughput"}


def firewall(*args, env=None):
    """(exit status, JSON, stderr)."""
    done = run([AGENT, "firewall", "--json", *args], env=clean_env(env))
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def ports(found):
    return {(p["transport"], p["port"]): p["status"] for p in found["ports"]}


def answers(host, port):
    """A STUN answer comes from there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, UDP) as s:
        s.settimeout(0.2)
        s.sendto(bytes.fromhex("000100002112a442") + b"firewalltest", (host, port))
        try:
            return len(s.recv(2000)) > 20
        except OSError:
            return False


def closed_tcp():
    """A port that resets: bound, not listening, so that nobody else gets it."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


@pytest.fixture(scope="module")
def listener(session_folder, certificate):
    """listener(host, udp=[...], tcp=[...], tls=[...]) starts a node there; all end with the module."""
    started = []

    def start(host, *more, **listeners):
        words = [w for t, numbers in listeners.items() for n in numbers for w in (f"--{t}", f"{host}:{n}")]
        if "tls" in listeners and "--cert" not in more:
            words += ["--cert", certificate[0], "--key", certificate[1]]
        node = Process([NODE, "--standalone", "--threads", "1", *words, *more], session_folder / "firewall-node.log")
        started.append(node)
        wait_for(lambda: answers(host.strip("[]"), listeners["udp"][0]), what="the node to answer")
        return node

    yield start
    for node in started:
        assert node.stop() == 0, node.log


@pytest.fixture(scope="module")
def node(listener):
    """One node with two UDP ports, a TCP and a TLS port: {transport: [port]}."""
    at = {"udp": [free_port(UDP), free_port(UDP)], "tcp": [free_port()], "tls": [free_port()]}
    listener("127.0.0.1", **at)
    return at


def spec(host, at):
    return host + "".join(f",{t}={n}" for t, numbers in at.items() for n in numbers)


# ---- what it finds ----


def test_an_open_network(node, authority):
    status, found, _ = firewall("--ca", authority.file, "--node", spec("127.0.0.1", node))
    assert status == 0
    assert MEMBERS <= set(found)
    for transport, numbers in node.items():
        for number in numbers:
            assert ports(found)["udp" if transport == "udp" else "tcp", number] == "open"
        assert re.fullmatch(r"127\.0\.0\.1:\d+", found["mapped"][transport])
    assert found["local"] == ["127.0.0.1"]
    assert (found["rung"], found["quality"], found["advice"]) == ("udp", "good", [])
    assert found["nat"]["translated"] is False
    assert found["mtu"] == 1500
    assert 0 < found["rtt_us"] < 150000


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_throughput(node, authority, transport):
    _, found, _ = firewall("--ca", authority.file, "--node", spec("127.0.0.1", {t: node[t] for t in ("udp", transport)}))
    measured = found["throughput"]
    assert measured["transport"] == transport and measured["enough_for"] == "video"
    assert measured["up_bps"] > 1500000 and measured["down_bps"] > 1500000
    assert 1024 * 1024 < measured["bytes"] < 2 * 1024 * 1024 and 0 < measured["seconds"] <= 6


def test_throughput_is_unknown_without_a_stream(node):
    _, found, _ = firewall("--node", f"127.0.0.1,udp={node['udp'][0]}")
    assert found["throughput"] == "unknown"


def test_what_no_node_serves_is_untested_and_what_no_node_offers_unknown(node):
    _, found, _ = firewall("--node", f"127.0.0.1,udp={node['udp'][0]}")
    known = ports(found)
    for standard in (("udp", 5004), ("udp", 3478), ("udp", 9000), ("udp", 33434), ("tcp", 80), ("tcp", 443), ("tcp", 5004)):
        assert known[standard] == "untested"
    assert (found["nat"]["mapping"], found["nat"]["filtering"]) == ("unknown", "unknown")
    assert found["mapped"]["tcp"] == found["mapped"]["tls"] == "unknown"
    assert found["clock"] == {"state": "unknown", "ahead_s": "unknown"}


def test_dropped_and_rejected_are_told_apart(node):
    with socket.socket(socket.AF_INET, UDP) as deaf, closed_tcp() as closed:
        deaf.bind(("127.0.0.1", 0))  # takes datagrams and says nothing
        silent, reset = deaf.getsockname()[1], closed.getsockname()[1]
        status, found, _ = firewall("--node", f"127.0.0.1,udp={silent},tcp={reset},tcp={node['tcp'][0]}")
    assert status == 0
    assert ports(found)["udp", silent] == "dropped"
    assert ports(found)["tcp", reset] == "rejected"
    assert (found["rung"], found["quality"]) == ("tcp", "fair")
    assert found["advice"][0]["open"] == f"UDP {silent}"
    assert "instead of TCP" in found["advice"][0]["brings"] and " ms" in found["advice"][0]["brings"]
    assert found["mtu"] == "unknown"


def test_nothing_open_is_exit_1_and_names_what_was_tried():
    with closed_tcp() as closed, socket.socket(socket.AF_INET, UDP) as deaf:
        deaf.bind(("127.0.0.1", 0))
        at = f"127.0.0.1,udp={deaf.getsockname()[1]},tcp={closed.getsockname()[1]}"
        status, found, err = firewall("--node", at)
        assert status == 1
        assert (found["rung"], found["quality"], found["rtt_us"]) == ("none", "none", "unknown")
        assert [a["open"] for a in found["advice"]] == [f"UDP {deaf.getsockname()[1]}", f"TCP {closed.getsockname()[1]}"]
        assert "no node was reached" in err
        page = run([AGENT, "firewall", "--node", at])
        assert page.returncode == 1
        assert "NO way" in page.stdout and f"UDP {deaf.getsockname()[1]}" in page.stdout


def test_ports_asked_for(node):
    with socket.socket(socket.AF_INET, UDP) as deaf:
        deaf.bind(("127.0.0.1", 0))
        silent = deaf.getsockname()[1]
        _, found, _ = firewall("--node", f"127.0.0.1,udp={node['udp'][0]}", "--udp", f"{node['udp'][1]},{silent}")
    assert ports(found)["udp", node["udp"][1]] == "open"
    assert ports(found)["udp", silent] == "dropped"
    assert [p["served"] for p in found["ports"] if p["port"] == silent] == [False]
    assert found["advice"] == []  # nobody is known to be there: opening it brings nothing


@pytest.mark.parametrize("text", ["0", "65536", "70000", "x", "5-", "9-5", "1,,2", "", "1-", "-5", "1 2", "1-129"])
def test_bad_ports_are_2(text):
    done = run([AGENT, "firewall", "--node", "127.0.0.1", f"--udp={text}"])
    assert done.returncode == 2
    assert "--udp" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("url,why", [("http://", "http://[user:password@]host:port"), ("socks5://carol:secret@x:1", "only http://")])
def test_a_bad_proxy_is_2(url, why):
    status, found, err = firewall("--node", "127.0.0.1", "--proxy", url)
    assert (status, found) == (2, None)
    assert why in err and "secret" not in err


def test_a_script_that_throws_is_told(node, tmp_path):
    file = tmp_path / "throws.pac"
    file.write_text("function FindProxyForURL(u, h) { throw 'away'; }")
    _, found, _ = firewall("--node", f"127.0.0.1,tls={node['tls'][0]}",
                           "--proxy-pac", file)
    assert found["proxy"] == {"found": False, "problem": "PAC: the PAC script fails: it throws, or returns nothing"}


def test_an_allow_list_is_suspected_by_ranges(listener):
    port = free_port(UDP)
    listener("127.0.1.1", udp=[port])
    with socket.socket(socket.AF_INET, UDP) as deaf:
        deaf.bind(("127.0.2.1", port))
        _, found, _ = firewall("--node", f"127.0.1.1,udp={port}", "--node", f"127.0.2.1,udp={port}")
    assert found["allow_list"] == {"suspected": True, "answered": ["127.0.1.0/24"], "silent": ["127.0.2.0/24"]}
    assert ports(found)["udp", port] == "open"
    assert found["advice"][-1]["open"] == "127.0.2.0/24"


def test_mapping_is_told_by_several_nodes(listener):
    port = free_port(UDP)
    listener("127.0.3.1", udp=[port])
    listener("127.0.4.1", udp=[port])
    # From 127.0.0.1 to both: one socket, one mapping. Filtering stays unknown: no node offers the tests.
    _, found, _ = firewall("--node", f"127.0.3.1,udp={port}", "--node", f"127.0.4.1,udp={port}")
    assert found["nat"]["mapping"] == "endpoint-independent"
    assert found["nat"]["evidence"] == "nodes"
    assert found["nat"]["filtering"] == "unknown"


def test_ipv6(listener):
    port = free_port(UDP, "::1")
    listener("[::1]", udp=[port])
    status, found, _ = firewall("--node", f"[::1],udp={port}")
    assert status == 0
    assert found["mapped"]["udp"].startswith("[::1]:")
    assert found["local"] == ["::1"] and found["mtu"] == 1500


def test_a_certificate_that_is_not_trusted_is_no_firewalls_fault(node):
    status, found, _ = firewall("--node", spec("127.0.0.1", {"tls": node["tls"]}))  # without --ca
    assert status == 1 and found["rung"] == "none"
    (row,) = [p for p in found["ports"] if p["port"] == node["tls"][0]]
    assert row["status"] == "open" and "certificate" in row["note"]
    assert row["tls_issuer"] == found["tls_issuer"] == "Berth test CA" and not found["tls_intercepted"]
    assert "--ca" in found["advice"][0]["brings"]


def test_who_shows_a_strange_certificate_is_named(listener, node, authority, session_folder):
    """A captive portal: what answers on the port has a certificate of its own."""
    files = session_folder / "portal.pem", session_folder / "portal.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/O=Hotel Portal\u2028Ltd", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", files[1], "-out", files[0])
    at = {"udp": [free_port(UDP)], "tls": [free_port()]}
    listener("127.0.0.1", "--cert", files[0], "--key", files[1], **at)
    for words in ((), ("--ca", authority.file)):
        status, found, _ = firewall(*words, "--node", spec("127.0.0.1", at))
        assert status == 0 and found["rung"] == "udp"
        assert found["tls_issuer"].startswith("Hotel Portal?") and found["tls_intercepted"] is False
    page = run([AGENT, "firewall", "--ca", authority.file, "--node", spec("127.0.0.1", at)])
    assert "Hotel Portal" in page.stdout and "captive" in page.stdout
    _, found, _ = firewall("--ca", authority.file, "--node", spec("127.0.0.1", node))
    assert "tls_issuer" not in found


def test_who_opens_tls_is_named(node, authority, session_folder):
    boss = Authority(session_folder / "firewall-boss", "Inspecting Boss CA")
    made = squid(interceptor=boss, trusted=authority.file, websocket=True)
    words = ["--ca", authority.file, "--node", f"localhost,tls={node['tls'][0]}", "--proxy", made.url]
    try:
        _, found, _ = firewall(*words, env={"SSL_CERT_FILE": boss.file})
        assert found["proxy"]["tls_intercepted"] is True and found["proxy"]["tls_issuer"] == "Inspecting Boss CA"
        assert "tls_issuer" not in found  # directly the node itself answers
        page = run([AGENT, "firewall", *words], env=clean_env({"SSL_CERT_FILE": str(boss.file)})).stdout
        assert "opens TLS as Inspecting Boss CA" in " ".join(page.split())
        _, found, _ = firewall(*words)  # whom nobody trusts
        assert found["proxy"]["status"] == "tls_error" and found["proxy"]["tls_issuer"] == "Inspecting Boss CA"
    finally:
        made.close()


# ---- behaviour discovery ----


def agrees_with_coturns_client(host, port):
    """What turnutils_natdiscovery says must be what we say."""
    done = subprocess.run(["turnutils_natdiscovery", "-m", "-f", "-p", str(port), host],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    _, found, _ = firewall("--node", f"{host},udp={port}")
    nat = found["nat"]
    assert nat["evidence"] == "rfc5780"
    assert nat["mapping"] == nat["filtering"] == "endpoint-independent"
    assert re.search(r"Endpoint Independent Mapping", done.stdout), done.stdout
    assert re.search(r"Endpoint Independent Filtering", done.stdout), done.stdout


# A node with two IPv6 addresses in a namespace, the agent in another, with or without a NAT of its own. Both end with the shell.
TWO_NAMESPACES = r"""
set -eu
setpriv --pdeathsig KILL -- unshare --net sleep 120 & other=$!
trap 'kill $other $node 2>/dev/null' EXIT
node=
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
inside() { nsenter --net=/proc/$other/ns/net "$@"; }
ip link set lo up
ip link add near type veth peer name far netns $other
for a in 1 2; do ip -6 addr add 2001:db8::$a/64 dev near nodad; done
ip link set near up
inside ip link set lo up
inside ip -6 addr add 2001:db8::b/64 dev far nodad
inside ip -6 addr add 2001:db8::c/64 dev far nodad preferred_lft 0 # the NAT's: not chosen as a source
inside ip link set far up
if [ -n "$NAT" ]; then
    inside nft "table ip6 nat { chain out { type nat hook postrouting priority srcnat; oifname far meta l4proto udp $NAT; }; }"
    inside nft "table ip6 filter { chain in { type filter hook input priority filter; ct state new meta l4proto udp drop; }; }"
fi
"""
DISCOVERED = TWO_NAMESPACES + r"""
"$NODE" --standalone --die-with-parent --threads 1 --udp '[2001:db8::1]:3478' --udp '[2001:db8::1]:3479' \
    --behaviour-alternate 2001:db8::2 &
node=$!
inside "$AGENT" firewall --json --node '[2001:db8::1],udp=3478'
inside turnutils_natdiscovery -m -f -p 3478 2001:db8::1 >&2
"""


def in_two_namespaces(script, **env):
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", "--net", *own, "sh", "-c", script], capture_output=True, text=True, timeout=120,
                          env=clean_env({"NODE": NODE, "AGENT": AGENT, **env}))
    assert done.stdout, done.stderr
    return done


# What leaves the node's machine and answers nothing is counted; it is closed to nobody.
COUNTED = TWO_NAMESPACES + r"""
nft "table inet watch {
    chain out { type filter hook output priority 0; meta l4proto { tcp, udp } ct state new counter name unasked; }
    chain in { type filter hook input priority 0; meta l4proto { tcp, udp } ct state new counter name asked; }
    counter unasked {} ; counter asked {}
}"
"$NODE" --standalone --die-with-parent --threads 1 --udp '[2001:db8::1]:5004' --tcp '[2001:db8::1]:5004' &
node=$!
for i in 1 2 3; do inside "$AGENT" probe --node '[2001:db8::1],udp=5004,tcp=5004' >&2 && break; done
inside "$AGENT" firewall --node '[2001:db8::1],udp=5004,tcp=5004' --pinhole --pinhole-limit 6 >&2
nft --json list counters table inet watch
"""


@pytest.mark.skipif(not all(map(shutil.which, ("nft", "nsenter"))), reason="nft or nsenter is missing")
def test_a_node_initiates_nothing_toward_an_agent():
    done = in_two_namespaces(COUNTED, NAT="")
    counters = {c["counter"]["name"]: c["counter"]["packets"] for c in json.loads(done.stdout)["nftables"] if "counter" in c}
    assert counters["unasked"] == 0 and counters["asked"] > 2, done.stderr


@pytest.mark.skipif(not all(map(shutil.which, ("nft", "nsenter", "turnutils_natdiscovery"))),
                    reason="nft, nsenter or coturn is missing")
@pytest.mark.parametrize("nat, mapping, filtering, translated", [
    ("", "endpoint-independent", "endpoint-independent", False),
    ("snat to [2001:db8::c]:20000-60000 fully-random", "address-and-port-dependent", "address-and-port-dependent", True),
])  # fmt: skip
def test_behaviour_over_ipv6(nat, mapping, filtering, translated):
    done = in_two_namespaces(DISCOVERED, NAT=nat)
    found = json.loads(done.stdout)
    assert found["nat"] == {"mapping": mapping, "filtering": filtering, "evidence": "rfc5780", "translated": translated}, done
    assert found["local"] == ["2001:db8::b"] and found["mtu"] == 1500
    assert found["mapped"]["udp"].startswith("[2001:db8::c]:" if nat else "[2001:db8::b]:")
    said = {what: re.findall(rf"(Endpoint Independent|Address Dependent|Address and Port Dependent) {what}", done.stderr)
            for what in ("Mapping", "Filtering")}
    assert [said[w][-1].lower().replace(" ", "-") for w in said] == [mapping, filtering], done.stderr


@pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed")
def test_behaviour_with_coturns_server(session_folder):
    port, alternate = free_port(UDP, "127.0.0.2"), free_port(UDP, "127.0.0.3")
    server = Process(
        ["turnserver", "-n", "--no-auth", "--stun-only", "-L", "127.0.0.2", "-L", "127.0.0.3", "-p", port,
         "--alt-listening-port", alternate, "--no-tls", "--no-dtls", "--no-tcp", "--no-cli", "--log-file", "stdout",
         "--pidfile", session_folder / "turnserver.pid"],
        session_folder / "turnserver.log")  # fmt: skip
    try:
        wait_for(lambda: answers("127.0.0.2", port), what="coturn to answer")
        agrees_with_coturns_client("127.0.0.2", port)
        status, found, _ = firewall("--node", f"127.0.0.2,udp={port}", "--pinhole", "--pinhole-limit", "2")
        assert status == 0
        assert found["pinhole_s"] == {"at_least": 2, "less_than": "unknown"}  # it offers RESPONSE-PORT
    finally:
        server.stop()


def test_pinholes_are_unknown_where_nothing_tells(node):
    _, found, _ = firewall("--node", f"127.0.0.1,udp={node['udp'][0]}", "--pinhole", "--pinhole-limit", "2")
    assert found["pinhole_s"] == {"at_least": "unknown", "less_than": "unknown"}


# ---- proxies ----


@pytest.fixture(scope="module")
def proxy(session_folder, node):
    """tinyproxy, which lets CONNECT go to the node's TLS port."""
    port, settings = free_port(), session_folder / "firewall-tinyproxy.conf"
    settings.write_text(f"Port {port}\nListen 127.0.0.1\nMaxClients 20\nConnectPort {node['tls'][0]}\n")
    made = Process(["tinyproxy", "-d", "-c", settings], session_folder / "firewall-tinyproxy.log")
    wait_for(lambda: takes_connections(port), what="tinyproxy to listen")
    yield f"http://127.0.0.1:{port}"
    made.stop()


def takes_connections(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


needs_tinyproxy = pytest.mark.skipif(shutil.which("tinyproxy") is None, reason="tinyproxy is not installed")


@needs_tinyproxy
def test_a_proxy_is_found_tried_and_told(node, proxy, authority):
    at = spec("127.0.0.1", {"tls": node["tls"]})
    status, found, _ = firewall("--ca", authority.file, "--node", at, "--proxy", proxy)
    assert status == 0
    assert found["proxy"] == {"found": True, "source": "the options", "url": proxy, "scheme": "http", "auth": "none",
                              "status": "reachable", "tls_intercepted": False}  # fmt: skip
    assert found["mapped"]["proxy"].startswith("127.0.0.1:")
    assert found["rung"] == "tls"  # the way without it goes before
    env = {"https_proxy": proxy}
    page = run([AGENT, "firewall", "--ca", authority.file, "--node", at], env=clean_env(env))
    assert proxy in page.stdout and "leads to a node" in page.stdout


def test_a_proxy_that_is_away_is_told(node, authority):
    with closed_tcp() as closed:
        proxy = f"http://user:hidden-word@127.0.0.1:{closed.getsockname()[1]}"
        at = spec("127.0.0.1", {"tls": node["tls"]})
        status, found, err = firewall("--ca", authority.file, "--node", at, "--proxy", proxy)
    assert status == 0
    assert (found["proxy"]["found"], found["proxy"]["status"]) == (True, "proxy_error")
    assert found["proxy"]["tls_intercepted"] == "unknown"
    assert "hidden-word" not in json.dumps(found) + err


def test_no_proxy_is_told(node):
    _, found, _ = firewall("--node", f"127.0.0.1,udp={node['udp'][0]}")
    assert found["proxy"] == {"found": False}


# ---- the page, the controller, usage ----


def test_the_page_fits_and_is_plain(node):
    done = run([AGENT, "firewall", "--node", spec("127.0.0.1", node)])
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert done.stderr == ""  # no terminal: no progress
    for word in ("Seen as", "NAT", "Path MTU", "Throughput", f"UDP {node['udp'][0]}", "Media would go by UDP"):
        assert word in done.stdout


def test_nodes_of_the_controller(world, controller, org, node_key):
    from support.berth import Node

    udp = free_port(UDP)
    Node(world, "fw-1", {"udp": [f"127.0.0.1:{udp}"]}, controller, node_key).start(True)
    wait_for(lambda: "fw-1" in listed(org.api), 20, "the node to be listed")
    found = world.agent("firewall", "--json", controller=controller, token=org.key)
    assert found.returncode == 0
    j = found.json()
    assert j["rung"] == "udp" and ports(j)["udp", udp] == "open"
    assert j["clock"]["state"] == "right" and abs(j["clock"]["ahead_s"]) <= 2


def test_usage(world):
    done = world.agent("firewall")
    assert done.returncode == 2 and "--controller (BERTH_CONTROLLER)" in done.stderr
    done = world.agent("firewall", "--controller", f"https://127.0.0.1:{free_port()}", "--token", "a.b")
    assert done.returncode == 3 and "check --controller" in done.stderr
    done = world.agent("firewall", "--node", "127.0.0.1", "--pinhole", "--pinhole-limit", "1000")
    assert done.returncode == 2
