# timeout: 120, alone
"""TLS of node and controller as a scanner sees it: sslscan, which is nobody's of ours."""

import shutil
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


@pytest.mark.parametrize("which", ["node", "controller"])
def test_nothing_weak_is_offered(which, request):
    if which == "node":
        address = request.getfixturevalue("node")("scanned", standalone=True).address("tls")
    else:
        address = request.getfixturevalue("controller").url.removeprefix("https://")
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
