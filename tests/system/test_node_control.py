# timeout: 300
"""berth-node and a real controller: registration, heartbeats, drain, and life without one."""

import base64
import hashlib
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

import berth_stun as stun
from support.berth import Node
from support.certs import Authority
from support.process import free_port, wait_for
from support.proxies import IN_URL, PASSWORD, USER, squid

HEARTBEATS = 15  # seconds in which a heartbeat or two surely happened


def listed(client, name):
    """The node's entry in GET /v1/nodes, or None."""
    nodes = client.get("/v1/nodes").expect(200).json["nodes"]
    return next((n for n in nodes if n["node"] == name), None)


def metric(node, name):
    """0 while the control thread hasn't begun."""
    return node.metrics().get(f"berth_node_{name}", 0)


def registered(node):
    return metric(node, "registered") == 1


def answers_udp(node):
    host, port = node.address("udp").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.sendto(stun.message(), (host, int(port)))
        return stun.Message(s.recv(2048)).kind == stun.BINDING_SUCCESS


def test_registers_what_it_listens_on(node, org, admin):
    n = node("reg-1", cluster="c1", region="eu-west", labels=["rack=7", "tier=a"], location="52.37,4.9", capacity=50,
             turn=["turn:t.example:3478"], services=["livekit=wss://l.example"])  # fmt: skip
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    entry = wait_for(lambda: listed(org.agent("a1"), "reg-1"), HEARTBEATS, "the node in the agents' list")
    assert entry["cluster"] == "c1" and entry["region"] == "eu-west" and entry["class"] == "cloud"
    assert entry["addresses"] == {t: [n.address(t)] for t in ("udp", "tcp", "tls")}
    assert entry["tls_name"] == "localhost"
    mine = wait_for(lambda: listed(admin, "reg-1"), HEARTBEATS, "the node in the operator's list")
    assert mine["state"] == "up"
    assert mine["services"] == {"turn": {"urls": ["turn:t.example:3478"]}, "livekit": "wss://l.example"}


# ---- behind a proxy ----


def login(url):
    return url.replace("//", f"//{USER}:{IN_URL}@")


def test_registers_and_beats_through_a_proxy(controller, org, node):
    """A mesh node whose network lets out the proxy alone: the proxy sees the controller's place, and nobody the password."""
    proxy = squid(auth="basic")
    try:
        n = node("behind-1", proxy=login(proxy.url))
        wait_for(lambda: registered(n), HEARTBEATS, "registration through the proxy")
        wait_for(lambda: metric(n, "heartbeats_total") > 0, HEARTBEATS, "a heartbeat through the proxy")
        wait_for(lambda: listed(org.agent("a1"), "behind-1"), HEARTBEATS, "the node in the agents' list")
        assert f"CONNECT {controller.url.partition('//')[2]}" in proxy.log()
        assert PASSWORD not in n.process.log and IN_URL not in n.process.log
        assert n.stop() == 0
    finally:
        proxy.close()


def test_a_proxy_that_refuses_is_told_without_its_password(node):
    proxy = squid(auth="basic")
    try:
        n = node("behind-2", proxy=login(proxy.url).replace("correct", "wrong"))
        wait_for(lambda: "call_failed" in n.process.log, HEARTBEATS, "the refusal in the log")
        assert "407" in n.process.log and "wrong" not in n.process.log
        assert not registered(n) and answers_udp(n)
    finally:
        proxy.close()


def test_the_environments_proxy_and_its_exceptions(world, controller, node_key):
    proxy = squid()
    try:
        one = Node(world, "env-1", {}, controller, node_key, env={"https_proxy": proxy.url}).start()
        wait_for(lambda: registered(one), HEARTBEATS, "registration through the environment's proxy")
        assert "CONNECT" in proxy.log()
        assert one.stop() == 0
        before = proxy.log().count("CONNECT")
        for number, env in enumerate(({"no_proxy": "127.0.0.0/8"}, {"no_proxy": "*"}, {"BERTH_PROXY": "none"})):
            n = Node(world, f"env-{2 + number}", {}, controller, node_key, env={"https_proxy": proxy.url, **env}).start()
            wait_for(lambda n=n: registered(n), HEARTBEATS, "direct registration")
            assert n.stop() == 0
        assert proxy.log().count("CONNECT") == before
    finally:
        proxy.close()


def test_an_environments_proxy_that_cant_be_used_is_told(world, controller, node_key):
    n = Node(world, "env-9", {}, controller, node_key, env={"https_proxy": "socks5://carol:secret@127.0.0.1:1"}).start()
    wait_for(lambda: registered(n), HEARTBEATS, "direct registration")
    assert "proxy_not_used" in n.process.log and "SOCKS" in n.process.log and "secret" not in n.process.log
    assert n.stop() == 0


def test_advertised_addresses_are_handed_out(node, org):
    port = free_port()
    n = node("adv-1", udp=f"127.0.0.1:{port}", advertise=["203.0.113.9", "tls=203.0.113.10:443"])
    entry = wait_for(lambda: listed(org.agent("a1"), "adv-1"), HEARTBEATS, "the node in the agents' list")
    assert entry["addresses"]["udp"] == [f"203.0.113.9:{port}"]
    assert entry["addresses"]["tcp"] == [f"203.0.113.9:{n.port('tcp')}"]
    assert sorted(entry["addresses"]["tls"]) == sorted([f"203.0.113.9:{n.port('tls')}", "203.0.113.10:443"])


def test_heartbeats_tell_the_load(node, admin):
    n = node("load-1")
    wait_for(lambda: metric(n, "heartbeats_total") >= 1, HEARTBEATS, "a heartbeat")
    with socket.create_connection(("127.0.0.1", n.port("tcp")), 5) as s:

        def told():
            assert stun.ask(s).kind == stun.BINDING_SUCCESS
            load = (listed(admin, "load-1") or {}).get("load") or {}
            return load.get("packets_per_s", 0) > 0 and load

        load = wait_for(told, HEARTBEATS, "a heartbeat with the packets")
    assert load["sessions"] == 0  # a connection is none: sessions are of media
    assert 0 <= load["cpu"] <= 1 and load["bandwidth_bps"] > 0


def test_hears_drain_and_undrain(node, admin):
    n = node("drain-1")
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    admin.post("/v1/nodes/drain-1/drain").expect(200)
    wait_for(lambda: metric(n, "drained_by_controller") == 1, HEARTBEATS, "the node to hear of the drain")
    assert answers_udp(n)
    admin.post("/v1/nodes/drain-1/undrain").expect(200)
    wait_for(lambda: metric(n, "drained_by_controller") == 0, HEARTBEATS, "the end of the drain")


def test_registers_again_when_forgotten(node, admin):
    n = node("forgotten-1")
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    admin.delete("/v1/nodes/forgotten-1").expect(204)
    wait_for(lambda: metric(n, "registrations_total") == 2, HEARTBEATS, "the second registration")
    wait_for(lambda: listed(admin, "forgotten-1"), HEARTBEATS, "the node in the list again")


def spki_of(certificate):
    """By the openssl command: not our code."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_tells_the_digest_of_its_key_also_after_a_reload(node, org, authority, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    cert, key = tmp_path / "node.pem", tmp_path / "node.key"

    def use(name):
        made = Authority(tmp_path / name).issue("localhost")
        for source, target in zip(made, (cert, key)):
            shutil.copy(source, target)
        return [spki_of(cert)]

    first = use("one")
    n = node("spki-1", cert=cert, key=key)
    wait_for(lambda: (listed(org.agent("a1"), "spki-1") or {}).get("tls_spki") == first, HEARTBEATS, "the digest")
    second = use("two")
    n.process.signal(signal.SIGHUP)
    wait_for(lambda: listed(org.agent("a1"), "spki-1").get("tls_spki") == second != first, HEARTBEATS, "the new digest")


def test_reload_tells_the_controller(node, org, world, tmp_path):
    config = tmp_path / "node.conf"
    config.write_text("[node]\nregion = before\n")
    n = node("reload-1", region=None, config=config)
    wait_for(lambda: (listed(org.agent("a1"), "reload-1") or {}).get("region") == "before", HEARTBEATS, "the first region")
    config.write_text("[node]\nregion = after\n")
    n.process.signal(signal.SIGHUP)
    wait_for(lambda: (listed(org.agent("a1"), "reload-1") or {}).get("region") == "after", HEARTBEATS, "the second region")


def test_an_id_is_for_life(world, controller, node_key, admin, tmp_path):
    config = tmp_path / "node.conf"
    config.write_text("[node]\nnode = life-1\nregion = r0\n")
    n = Node(world, "life-1", {"config": config, "region": None}, controller, node_key)
    n.options["node"] = None
    n.start()
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    for region in ("r1", "r2"):
        config.write_text(f"[node]\nnode = ghost-1\nregion = {region}\n")
        n.process.signal(signal.SIGHUP)
        wait_for(lambda: (listed(admin, "life-1") or {}).get("region") == region, HEARTBEATS, f"region {region}")
    assert "change_needs_restart key=node" in n.process.log and listed(admin, "ghost-1") is None
    assert n.stop() == 0


def test_a_refused_reload_leaves_the_certificate(node, world, node_key, tmp_path):
    cert, key, token = tmp_path / "node.pem", tmp_path / "node.key", tmp_path / "token"
    token.write_text(node_key + "\n")
    (tmp_path / "ca").mkdir()
    for source, target in zip(world.certificate, (cert, key)):
        shutil.copy(source, target)
    n = node("refused-1", cert=cert, key=key, token_file=token)
    served = ssl.get_server_certificate(("127.0.0.1", n.port("tls")), timeout=10)
    for source, target in zip(Authority(tmp_path / "ca").issue("localhost"), (cert, key)):
        shutil.copy(source, target)
    token.write_text("")
    n.process.signal(signal.SIGHUP)
    wait_for(lambda: "reload_failed" in n.process.log, HEARTBEATS, "the refusal")
    assert ssl.get_server_certificate(("127.0.0.1", n.port("tls")), timeout=10) == served
    token.write_text(node_key + "\n")
    n.process.signal(signal.SIGHUP)
    wait_for(lambda: "event=reloaded" in n.process.log, HEARTBEATS, "the reload")
    assert ssl.get_server_certificate(("127.0.0.1", n.port("tls")), timeout=10) != served


def test_stop_with_an_open_connection_is_told_at_once(node, admin):
    n = node("stop-1", drain_timeout=60)
    wait_for(lambda: (listed(admin, "stop-1") or {}).get("state") == "up", HEARTBEATS, "the node to be up")
    with socket.create_connection(("127.0.0.1", n.port("tcp")), 5) as s:
        stun.ask(s)
        n.process.signal(signal.SIGTERM)
        wait_for(lambda: listed(admin, "stop-1")["state"] == "draining", 4, "the drain to be known")
        stun.ask(s)
    assert n.process.wait() == 0
    wait_for(lambda: (listed(admin, "stop-1") or {"state": "down"})["state"] == "down", 4, "the stop to be known")


def test_serves_while_the_controller_is_away_and_comes_back(node, controllers, world, admin, node_key):
    late = controllers(ready=False)
    late.process.kill()
    n = node("away-1", controller=late, token=node_key)
    assert answers_udp(n) and not registered(n)
    wait_for(lambda: metric(n, "control_failures_total") >= 2, HEARTBEATS, "two attempts")
    assert n.process.log.count("call_failed") == 1  # a change is logged, not every attempt
    late.start()
    wait_for(lambda: registered(n), 45, "registration after the controller came")
    late.process.kill()
    failures = metric(n, "control_failures_total")
    wait_for(lambda: metric(n, "control_failures_total") > failures, HEARTBEATS, "a failed heartbeat")
    assert answers_udp(n)
    beats = metric(n, "heartbeats_total")
    late.start()
    wait_for(lambda: metric(n, "heartbeats_total") > beats, 45, "heartbeats again")
    assert n.stop() == 0


def test_wrong_key_is_said_and_the_node_serves(node, controller):
    n = node("wrong-1", token="o0000000000.nonsense")
    wait_for(lambda: "check --token-file" in n.process.log, HEARTBEATS, "advice in the log")
    assert answers_udp(n) and not registered(n)
    assert "nonsense" not in n.process.log


def test_a_node_id_belongs_to_whom_it_registered_first(node, org):
    n = node("mine-1")
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    other = node("mine-1", token=org.new_key("node"))
    wait_for(lambda: "choose another --node" in other.process.log, HEARTBEATS, "advice in the log")
    assert not registered(other)


@pytest.mark.parametrize("url", ["http://192.0.2.1:80", "ftp://127.0.0.1", "nonsense"])
def test_a_url_that_would_leak_the_key_is_refused(node, world, controller, url):
    class Elsewhere:
        def __init__(self):
            self.url = url

    n = node("url-1", controller=Elsewhere(), token="o0000000000.secret")
    wait_for(lambda: "https" in n.process.log, HEARTBEATS, "the reason in the log")
    assert answers_udp(n)


def test_a_controller_of_another_ca_is_not_trusted(world, controller, node_key):
    n = Node(world, "ca-1", {}, controller, node_key)
    n.options["ca"] = "/etc/ssl/certs/ca-certificates.crt"
    n.start()
    wait_for(lambda: metric(n, "control_failures_total") >= 1, HEARTBEATS, "a failed call")
    assert not registered(n) and "certificate" in n.process.log
    assert "give --ca the CA that signed" in n.process.log


def test_a_ca_file_that_cannot_be_read_is_told_at_start(world, controller, node_key, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    for ca, says in [("/no/such.pem", "No such file"), (empty, "no certificate")]:
        n = Node(world, "ca-2", {}, controller, node_key)
        n.options["ca"] = ca
        n.start(ready=False)
        assert n.process.wait() == 1
        assert f"--ca: CA file {ca}" in n.process.log and says in n.process.log


def test_http_to_an_https_port_is_told(node, controller):
    class InClear:
        url = controller.url.replace("https://", "http://")

    n = node("clear-1", controller=InClear())
    wait_for(lambda: "seems to be an HTTPS port" in n.process.log, HEARTBEATS, "the hint in the log")
    assert not registered(n)


def test_a_certificate_for_another_name_is_told(node, world):
    n = node("name-1", tls_name="node.example")
    wait_for(lambda: registered(n), HEARTBEATS, "registration")
    line = next(text for text in n.process.log.splitlines() if "certificate_lacks_name" in text)
    assert "level=warn" in line and "tls_name=node.example" in line and "certificate=localhost" in line
    assert "certificate_lacks_name" not in node("name-2", tls_name="localhost").process.log
    # As clients judge: a wildcard stands for one label, and alternative names go before the common name.
    cert, key = world.authority.issue("cn.example", names=["*.wild.example"], ips=["127.0.0.1"])
    assert "certificate_lacks_name" not in node("name-3", tls_name="a.wild.example", cert=cert, key=key).process.log
    for name in ("a.b.wild.example", "cn.example"):
        other = node("name-4", tls_name=name, cert=cert, key=key)
        wait_for(lambda: "certificate=*.wild.example" in other.process.log, HEARTBEATS, "the warning")
        other.stop()


def test_chosen_addresses_are_told(node):
    n = node("any-1", udp="0.0.0.0:0", tcp=[], tls=[])
    line = wait_for(lambda: next((t for t in n.process.log.splitlines() if "addresses_chosen" in t), None), HEARTBEATS, "the line")
    assert re.search(r'addresses="udp [0-9.]+:\d+', line) and "--advertise" in line
    told = node("any-2", udp="0.0.0.0:0", tcp=[], tls=[], advertise="203.0.113.9")
    wait_for(lambda: registered(told), HEARTBEATS, "registration")
    assert "addresses_chosen" not in told.process.log
