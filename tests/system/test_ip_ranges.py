# timeout: 300, alone
"""What a firewall or a proxy must let out, from the live catalogue, in every format; nft and squid themselves read theirs."""

import csv
import io
import os
import shutil
import subprocess

import pytest
from support.api import node_body
from support.process import CONTROLLER, run, wait_for

PATH = "/v1/ip-ranges"
FORMATS = ("json", "text", "nftables", "squid", "csv")
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(public_name="Berth.example:8443", public_address="192.0.2.200")


@pytest.fixture(scope="module")
def anyone(admin):
    return admin.with_token(None)


def get(client, format=None, **headers):
    return client.get(PATH + (f"?format={format}" if format else ""), headers=headers).expect(200)


def ranges(client):
    return get(client).json["ranges"]


@pytest.fixture(scope="module")
def nodes(admin, node_key, org, anyone):
    """Three cloud nodes, two of them neighbours, and a mesh node of the org."""
    cloud = admin.with_token(node_key)
    for name, n in (("fra", 4), ("nyc", 5)):
        cloud.post("/v1/nodes", node_body(name, n, tls_name=f"{name}.nodes.example")).expect(201)
    both = {"udp": ["[2001:db8::9]:5004", "203.0.113.9:9000"], "tls": ["203.0.113.9:443"]}
    bound = {"udp": ["10.0.0.9:5004"], "tls": ["10.0.0.9:443"]}
    cloud.post("/v1/nodes", node_body("sin", addresses=bound, advertise=both, tls_name="sin.other.example")).expect(201)
    mesh = {"udp": ["192.168.7.7:5004", "198.51.100.7:5004"], "tls": ["192.168.7.7:443"]}
    admin.with_token(org.new_key("node")).post("/v1/nodes", node_body("office", addresses=mesh)).expect(201)
    wait_for(lambda: "192.168.7.7/32" in ranges(org.api) and "192.0.2.4/31" in ranges(anyone), 10, "the nodes")
    return cloud


def test_json(nodes, anyone):
    answer = get(anyone)
    assert answer.headers["Content-Type"] == "application/json"
    assert "public" in answer.headers["Cache-Control"] and "Authorization" in answer.headers["Vary"]
    doc = answer.json
    assert doc["ranges"] == ["192.0.2.4/31", "192.0.2.200/32", "203.0.113.9/32", "2001:db8::9/128"]
    assert doc["hosts"] == ["*.nodes.example", "berth.example", "sin.other.example"]
    assert doc["names"] == ["berth.example", "fra.nodes.example", "nyc.nodes.example", "sin.other.example"]
    assert [(p["transport"], p["protocol"], p["port"], p["ranges"], p.get("hosts")) for p in doc["ports"]] == [
        ("udp", "udp", 5004, ["192.0.2.4/31", "2001:db8::9/128"], None),
        ("udp", "udp", 9000, ["203.0.113.9/32"], None),
        ("tcp", "tcp", 5004, ["192.0.2.4/31"], None),
        ("tls", "tcp", 443, ["192.0.2.4/31", "203.0.113.9/32"], ["*.nodes.example", "sin.other.example"]),
        ("https", "tcp", 8443, ["192.0.2.200/32"], ["berth.example"]),
    ]


def test_an_orgs_own_mesh_and_nobody_elses(nodes, anyone, admin, org, make_org):
    mine = get(org.api)
    assert mine.headers["Cache-Control"].startswith("private")
    assert {"192.168.7.7/32", "198.51.100.7/32"} <= set(mine.json["ranges"]) and "office.example" in mine.json["names"]
    assert get(org.agent("a1")).json == mine.json
    cloud = get(anyone).json
    node_token = admin.with_token(org.new_key("node"))
    for other in (make_org().api, admin, node_token, org.agent("a1", grants=["join"])):
        assert get(other).json == cloud
    assert not any(r.startswith(("192.168.", "198.51.")) for r in cloud["ranges"])
    anyone.with_token("nonsense").get(PATH).problem(401, "unauthorized")


@pytest.mark.parametrize("format", FORMATS)
def test_stable_and_with_a_tag(nodes, anyone, format):
    first, again = get(anyone, format), get(anyone, format)
    assert first.body == again.body and first.headers["ETag"] == again.headers["ETag"]
    same = anyone.get(f"{PATH}?format={format}", headers={"If-None-Match": first.headers["ETag"]}).expect(304)
    assert same.body == b""
    assert len({get(anyone, f).headers["ETag"] for f in FORMATS}) == len(FORMATS)


def test_accept_and_unknown_formats(nodes, anyone):
    for accept, format in (("text/csv", "csv"), ("text/plain", "text"), ("text/plain;q=0.1, application/json", "json"), ("image/png", "json")):
        assert get(anyone, Accept=accept).body == get(anyone, format).body
    assert get(anyone, "csv", Accept="application/json").headers["Content-Type"].startswith("text/csv")
    for wrong in ("xml", "", "JSON", "json%00"):
        anyone.get(f"{PATH}?format={wrong}").problem(400, "bad_request")


def test_csv_and_text(nodes, anyone):
    rows = list(csv.DictReader(io.StringIO(get(anyone, "csv").body.decode())))
    assert {"transport": "udp", "protocol": "udp", "port": "5004", "destination": "192.0.2.4/31"} in rows
    assert {"transport": "tls", "protocol": "tcp", "port": "443", "destination": "*.nodes.example"} in rows
    assert len(rows) == 10
    text = get(anyone, "text").body.decode()
    for word in ("UDP 5004", "TCP 443", "192.0.2.4/31", "*.nodes.example", "berth.example"):
        assert f"  {word}" in text


def nft(*loads, check=False):
    """Loads rules, one after the other, in a network namespace of its own; what it then has is the output."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = "set -e; for rules; do printf %s \"$rules\" | nft $OPTIONS -f -; done; nft list ruleset"
    return subprocess.run(["unshare", "--net", *own, "sh", "-c", script, "sh", *loads], capture_output=True, text=True,
                          env={**ENV, "OPTIONS": "-c" if check else ""})


NFT = pytest.mark.skipif(
    not shutil.which("nft", path=ENV["PATH"]) or nft("add table inet t\n").returncode != 0, reason="no nft, or no network namespaces")


@NFT
def test_nft_loads_it(nodes, anyone, org):
    for client in (anyone, org.api):
        rules = get(client, "nftables").body.decode()
        checked = nft(rules, check=True)
        assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")
        mine = "table inet filter { chain output { type filter hook output priority 0; policy drop; jump berth; }; }"
        loaded = nft(rules, mine, rules)  # loaded again, it replaces what there was
        assert loaded.returncode == 0, loaded.stderr
        lines = [line.strip() for line in loaded.stdout.splitlines()]
        assert lines.count('ip daddr 192.0.2.4/31 udp dport 5004 accept comment "berth udp"') == (client is anyone)
        assert lines.count('ip6 daddr 2001:db8::9 udp dport 5004 accept comment "berth udp"') == 1
        assert lines.count('ip daddr 192.0.2.200 tcp dport 8443 accept comment "berth https"') == 1
        assert ("192.168.7.7" in loaded.stdout) == (client is org.api)


@pytest.mark.skipif(not os.access("/usr/sbin/squid", os.X_OK), reason="squid is not installed")
def test_squid_parses_it(nodes, anyone, org, tmp_path):
    for client in (anyone, org.api):
        (tmp_path / "berth.conf").write_text(get(client, "squid").body.decode())
        conf = tmp_path / "squid.conf"
        conf.write_text(f"http_port 31999\ninclude {tmp_path}/berth.conf\nhttp_access deny all\n"
                        f"pid_filename none\ncache_log {tmp_path}/cache.log\naccess_log none\nvisible_hostname test\n")
        done = subprocess.run(["/usr/sbin/squid", "-k", "parse", "-f", conf], capture_output=True, text=True, env=ENV)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "berth_ranges" in said and not any(w in said for w in ("ERROR", "FATAL", "WARNING")), said


def test_it_follows_the_catalogue(nodes, anyone, admin, database):
    before = get(anyone)
    nodes.post("/v1/nodes", node_body("new", 6, tls_name="new.nodes.example")).expect(201)
    wait_for(lambda: "192.0.2.6/32" in ranges(anyone), 10, "the new node")
    assert get(anyone).headers["ETag"] != before.headers["ETag"]
    # A node that is drained or has fallen silent needs its way all the same.
    admin.post("/v1/nodes/new/drain").expect(200)
    database.sql("update node_load set heartbeat_at = now() - interval '1 hour' where node = 'new'")
    wait_for(lambda: "new" not in [n["node"] for n in admin.get("/v1/nodes").json["nodes"] if n["state"] != "down"], 10, "silence")
    assert "192.0.2.6/32" in ranges(anyone)
    admin.delete("/v1/nodes/new").expect(204)
    wait_for(lambda: get(anyone).json == before.json, 10, "the node to go")


def test_the_controllers_name_is_checked():
    needed = [f"--{name}=x" for name in ("database", "master-key", "admin-key", "cert", "key")]
    for flag, value in (("--public-name", "a:b:c"), ("--public-name", "x:0"), ("--public-address", "berth.example")):
        done = run([CONTROLLER, "--check-config", *needed, flag, value])
        assert done.returncode == 2 and flag[2:] in done.stderr
