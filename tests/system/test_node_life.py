# timeout: 300
"""berth-node from its command line to its end: usage, readiness, reload, drain."""

import http.client
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from support.process import BUILD, wait_for

import berth_stun as stun
from node_kit import (  # noqa: F401 (fixtures among them)
    TIMEOUT,
    certificate,
    shared,
    start,
    tls_args,
    connect,
    tls_connect,
    udp_ask,
)
from nodes import make_certificate, run_once


# ---- reload ----


def certificate_of(node):
    return ssl.get_server_certificate(node.addresses("tls")[0], timeout=TIMEOUT)


def test_reload_of_certificate_under_an_open_connection(start, tmp_path):
    cert, key = make_certificate(tmp_path, "one")
    node = start("--tls", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--cert", cert, "--key", key, "--threads", "2")
    before = certificate_of(node)
    with tls_connect(node, (cert, key)) as tls, connect(node.addresses("tcp")[0]) as tcp:
        stun.ask(tls)
        stun.ask(tcp)
        fresh = make_certificate(tmp_path, "two")
        shutil.copy(fresh[0], cert)
        shutil.copy(fresh[1], key)
        node.signal(signal.SIGHUP)
        node.wait_for("reloaded")
        assert certificate_of(node) != before
        stun.ask(tls)
        stun.ask(tcp)
    # A broken file changes nothing.
    now = certificate_of(node)
    cert.write_text("not a certificate")
    node.signal(signal.SIGHUP)
    assert "certificate" in node.wait_for("reload_failed")["error"]
    assert certificate_of(node) == now


def test_reload_of_configuration(start, tmp_path):
    config = tmp_path / "node.conf"
    config.write_text("[listen]\ntcp = 127.0.0.1:0\nudp = 127.0.0.1:0\n[limits]\nidle-timeout = 60\nstun-rate = 5\n")
    node = start("--config", config, "--threads", "1")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        config.write_text("[listen]\ntcp = 127.0.0.1:0\nudp = 127.0.0.2:0\n[limits]\nidle-timeout = 1\nstun-rate = 0\n")
        node.signal(signal.SIGHUP)
        node.wait_for("reloaded")
        assert node.find("changed", key="idle-timeout") and node.find("changed", key="stun-rate")
        assert node.find("change_needs_restart", key="udp")
        stun.ask(s)  # the connection lives on; the new time is in force from here
        assert stun.is_closed(s)
    for _ in range(20):
        udp_ask(node.addresses("udp")[0], stun.message(), timeout=3)
    config.write_text("[listen]\nnonsense = 1\n")
    node.signal(signal.SIGHUP)
    assert "nonsense" in node.wait_for("reload_failed")["error"]


# ---- the end ----


def test_sigterm_with_nothing_open_ends_at_once(start):
    node = start("--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--drain-timeout", "60")
    started = time.monotonic()
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert time.monotonic() - started < 10


def test_sigterm_lets_open_streams_finish(start, tls_args, certificate):
    node = start("--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--udp", "127.0.0.1:0", *tls_args,
                 "--drain-timeout", "60", "--metrics", "127.0.0.1:0")  # fmt: skip
    with connect(node.addresses("tcp")[0]) as s, tls_connect(node, certificate) as tls:
        stun.ask(s)
        stun.ask(tls)
        node.signal(signal.SIGTERM)
        node.wait_for("draining", open=2)

        def refused():
            try:
                connect(node.addresses("tcp")[0]).close()
                return False
            except (ConnectionRefusedError, ConnectionResetError):
                return True

        wait_for(refused, 20, "new connections are refused")
        conn = http.client.HTTPConnection("127.0.0.1", node.port("metrics"), timeout=TIMEOUT)
        conn.request("GET", "/readyz")
        assert conn.getresponse().status == 503
        conn.close()
        stun.ask(s)
        stun.ask(tls)
    assert node.wait() == 0


def test_drain_timeout_and_second_sigterm(start):
    node = start("--tcp", "127.0.0.1:0", "--drain-timeout", "1")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        node.signal(signal.SIGTERM)
        assert stun.is_closed(s)
        assert node.wait() == 0
    node = start("--tcp", "127.0.0.1:0", "--drain-timeout", "3600")
    with connect(node.addresses("tcp")[0]) as s:
        stun.ask(s)
        node.signal(signal.SIGTERM)
        node.wait_for("draining")
        node.signal(signal.SIGTERM)  # at once: no more than an echo of the first
        wait_for(lambda: node.process.poll() is not None or node.signal(signal.SIGTERM), 10, "the end")
        assert node.wait() == 0


def test_dies_with_its_parent(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)\n"
        "while 'event=ready' not in p.stderr.readline(): pass\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    args = [str(BUILD / "node" / "berth-node"), "--standalone", "--udp", "127.0.0.1:0", "--die-with-parent"]
    parent = subprocess.Popen(["/usr/bin/python3", "-c", script, *args], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    def gone():
        try:
            return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_for(gone, 5, "the node ended with its parent")


# ---- usage ----


@pytest.mark.parametrize(
    "args, says",
    [
        ([], "--controller"),
        (["--standalone"], "--udp"),
        (["--standalone", "--tls", "127.0.0.1:0"], "--cert"),
        (["--standalone", "--udp", "localhost:3478"], "ADDR:PORT"),
        (["--standalone", "--udp", "127.0.0.1:0", "--threads", "many"], "threads"),
        (["--standalone", "--udp", "127.0.0.1:0", "--nonsense"], "nonsense"),
        (["--controller", "https://127.0.0.1:1"], "--token-file"),
        (["--standalone", "--udp", "127.0.0.1:0", "--location", "north"], "--location"),
    ],
)
def test_usage_errors(args, says):
    status, out, err = run_once(*args)
    assert status == 2 and says in err and out == ""


def test_port_that_is_taken_is_an_error(shared):
    for transport in ("udp", "tcp"):
        host, port = shared.addresses(transport)[0]
        status, _, err = run_once("--standalone", f"--{transport}", f"{host}:{port}")
        assert status == 1 and "another program listens there" in err


def test_missing_certificate_is_an_error(tmp_path):
    status, _, err = run_once("--standalone", "--tls", "127.0.0.1:0", "--cert", tmp_path / "no.pem", "--key", tmp_path / "no.key")
    assert status == 1 and "no.pem" in err


def test_check_config_help_version_sample(tmp_path):
    status, out, _ = run_once("--standalone", "--udp", "127.0.0.1:0", "--check-config")
    assert status == 0 and out
    status, out, _ = run_once("--help")
    assert status == 0 and "--standalone" in out and max(map(len, out.splitlines())) <= 80
    status, out, _ = run_once("--version")
    assert status == 0 and out.startswith("berth-node ")
    status, out, _ = run_once("--print-config")
    sample = tmp_path / "sample.conf"
    sample.write_text(out)
    assert run_once("--config", sample, "--standalone", "--udp", "127.0.0.1:0", "--check-config")[0] == 0


def test_standalone_ignores_a_controller_in_the_environment(start):
    node = start("--udp", "127.0.0.1:0", env={"BERTH_CONTROLLER": "https://127.0.0.1:1", "BERTH_TOKEN": "x"})
    udp_ask(node.addresses("udp")[0], stun.message())
    assert not node.find("call_failed")


# ---- the service manager ----


def test_tells_its_service_manager(start, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(TIMEOUT)
        env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        node = start("--udp", "127.0.0.1:0", env=env)

        def told(word):
            while word not in (text := manager.recv(4096).decode()):
                assert "STOPPING=1" not in text
            return text

        assert told("READY=1")
        for _ in range(3):
            assert told("WATCHDOG=1")
        node.signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in told("RELOADING=1")
        assert told("READY=1")
        node.signal(signal.SIGTERM)
        assert told("STOPPING=1")
        assert node.wait() == 0
