# timeout: 120, alone
"""TLS of node and controller as a scanner sees it: sslscan, which is nobody's of ours."""

import contextlib
import shutil
import subprocess
import threading
import xml.etree.ElementTree as xml

import pytest
from support.process import run

WANTED = {"TLSv1.2", "TLSv1.3"}


def scan(address):
    if not shutil.which("sslscan"):
        pytest.skip("sslscan is not installed")
    done = run(["sslscan", "--no-colour", "--xml=-", address], timeout=100)
    found = xml.fromstring(done.stdout[done.stdout.index("<?xml") :]).find("ssltest")
    assert found is not None, done.stdout + done.stderr
    return found


@pytest.fixture(params=["node", "controller"])
def address(request):
    if request.param == "node":
        return request.getfixturevalue("node")("scanned", standalone=True).address("tls")
    return request.getfixturevalue("controller").url.removeprefix("https://")


@contextlib.contextmanager
def client(address, *words):
    """openssl's, with its input open; it is ended if it doesn't end itself."""
    command = ["openssl", "s_client", "-connect", address, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        end = threading.Timer(30, process.kill)
        end.start()
        try:
            yield process
        finally:
            end.cancel()
            process.kill()


def test_a_handshake_is_not_repeated(address):
    """Whoever may have it repeated on one connection has the server sign as often as it likes."""
    with client(address, "-tls1_2") as process:
        process.stdin.write("R\n")
        process.stdin.flush()
        told = process.stdout.read()
        assert process.wait() > 0 and "RENEGOTIATING" in told, told  # with a second handshake it would go on


def test_nothing_is_taken_before_the_handshake(address):
    """Early data can be sent again by whoever has seen it."""
    with client(address, "-tls1_3") as process:
        told = next((line for line in process.stdout if "Max Early Data" in line), None)
        assert told is not None and told.split() == ["Max", "Early", "Data:", "0"]


def test_nothing_weak_is_offered(address):
    found = scan(address)
    enabled = {f"{p.get('type').upper().replace('TLS', 'TLSv')}{p.get('version')}" for p in found.iter("protocol")
               if p.get("enabled") == "1"}  # fmt: skip
    assert enabled == WANTED
    ciphers = [(c.get("sslversion"), c.get("cipher"), int(c.get("bits")), c.get("strength")) for c in found.iter("cipher")]
    assert {c[0] for c in ciphers} == WANTED, "a scan that finds no suite proves nothing"
    for version, name, bits, strength in ciphers:
        assert bits >= 128 and strength in ("strong", "acceptable"), (version, name, bits, strength)
        assert ("GCM" in name or "CHACHA20" in name) and (version == "TLSv1.3" or name.startswith("ECDHE-")), name
    assert [h.get("vulnerable") for h in found.iter("heartbleed")].count("1") == 0
    for what in ("compression", "renegotiation"):
        for e in found.iter(what):
            assert e.get("supported") == "0" or e.get("secure") == "1", (what, e.attrib)
    assert [g.get("name") for g in found.iter("group")], "no groups"
    assert all(int(g.get("bits")) >= 128 for g in found.iter("group"))
