# timeout: 400, alone
"""Nodes and the controller through real proxies: every authentication that squid has, tinyproxy, PAC, no_proxy, interception."""

import http.server
import json
import threading

import pytest

from support.api import listed
from support.certs import Authority
from support.process import free_port, wait_for
from support.proxies import IN_URL, PASSWORD, USER, squid, tinyproxy

LOGIN = {"BERTH_PROXY_USER": USER, "BERTH_PROXY_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def make(request):
    """make(squid, auth="basic") starts a proxy that ends with the module."""

    def start(kind, **options):
        made = kind(**options)
        request.addfinalizer(made.close)
        return made

    return start


@pytest.fixture(scope="module")
def open_proxy(make):
    return make(squid)


@pytest.fixture(scope="module")
def lone(node):
    return node("lone", standalone=True)


@pytest.fixture
def probe(world, lone):
    """probe("--proxy", url): the rows by transport, and the finished command."""

    def run(*args, ca=None, env=None, target=None):
        target = target or f"127.0.0.1,udp={lone.port('udp')},tcp={lone.port('tcp')},tls={lone.port('tls')}"
        settings = {"BERTH_CA": world.authority.file, **(env or {})}
        if ca is not None:
            settings["BERTH_CA"] = ca
        done = world.agent("probe", "--json", "--node", target, *args, env=settings)
        assert PASSWORD not in done.stdout + done.stderr and IN_URL not in done.stdout + done.stderr
        rows = {r["transport"]: r for r in done.json()["nodes"][0]["results"]}
        return rows, done

    return run


def assert_direct_ways(rows):
    for transport in ("udp", "tcp", "tls"):
        assert rows[transport]["status"] == "reachable", rows[transport]
        assert "via_proxy" not in rows[transport]


def test_without_a_proxy_there_is_no_proxy_row(probe):
    rows, done = probe()
    assert done.returncode == 0
    assert set(rows) == {"udp", "tcp", "tls"}
    assert_direct_ways(rows)


def test_open(probe, open_proxy, lone):
    rows, done = probe("--proxy", open_proxy.url, "--require", "proxy")
    assert done.returncode == 0, done.stderr
    assert_direct_ways(rows)
    row = rows["proxy"]
    assert row["status"] == "reachable"
    assert row["framing"] == "stun"
    assert row["address"] == f"127.0.0.1:{lone.port('tls')}"
    assert row["via_proxy"] == {"url": open_proxy.url, "scheme": "http", "auth": "none", "tls_intercepted": False}
    assert row["sent"] == row["received"] == 5
    assert row["connect_us"] > 0 and row["tls_us"] > 0 and row["rtt_us"]["min"] > 0
    assert f"CONNECT 127.0.0.1:{lone.port('tls')}" in open_proxy.log()


@pytest.mark.parametrize("scheme", ["basic", "digest", "ntlm"])
def test_authentication(make, probe, scheme):
    proxy = make(squid, auth=scheme)
    rows, done = probe("--proxy", proxy.url, env=LOGIN)
    assert done.returncode == 0, done.stderr
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["auth"] == scheme
    in_url = proxy.url.replace("//", f"//{USER}:{IN_URL}@")
    rows, done = probe("--proxy", in_url)
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["url"] == proxy.url
    rows, done = probe("--proxy", proxy.url)
    assert done.returncode == 0  # the direct ways work
    assert rows["proxy"]["status"] == "proxy_error"
    assert "sent" not in rows["proxy"] or rows["proxy"]["sent"] == 0
    if scheme == "ntlm":
        return  # the fake helper believes everybody
    rows, done = probe("--proxy", proxy.url, "--require", "proxy", env={**LOGIN, "BERTH_PROXY_PASSWORD": "wrong"})
    assert done.returncode == 1
    assert rows["proxy"]["status"] == "proxy_error"


def test_what_a_407_tells_people(make, world, lone):
    proxy = make(squid, auth="basic")
    args = ("probe", "--node", f"127.0.0.1,tls={lone.port('tls')}", "--proxy", proxy.url)
    done = world.agent(*args, env={"BERTH_CA": world.authority.file, "COLUMNS": "400"})
    assert "the proxy wants authentication (407; it offers Basic)" in done.stdout
    wrong = {"BERTH_CA": world.authority.file, "COLUMNS": "400", "BERTH_PROXY_USER": "carol", "BERTH_PROXY_PASSWORD": "x"}
    assert "refuses the user or password (407; it offers Basic)" in world.agent(*args, env=wrong).stdout


def test_tinyproxy(make, probe):
    proxy = make(tinyproxy)
    rows, _ = probe("--proxy", proxy.url)
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    guarded = make(tinyproxy, basic=True)
    rows, _ = probe("--proxy", guarded.url, env={**LOGIN, "BERTH_PROXY_PASSWORD": PASSWORD.replace(":", "-")})
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["auth"] == "basic"
    rows, _ = probe("--proxy", guarded.url)
    assert rows["proxy"]["status"] == "proxy_error"


@pytest.mark.parametrize("kind,options", [(squid, {"connect_ports": "443"}), (tinyproxy, {"connect_port": 443})])
def test_connect_to_443_only(make, probe, kind, options):
    proxy = make(kind, **options)
    rows, done = probe("--proxy", proxy.url)
    assert rows["proxy"]["status"] == "proxy_error"
    assert_direct_ways(rows)


def test_no_such_proxy(probe):
    rows, _ = probe("--proxy", f"http://127.0.0.1:{free_port()}")
    assert rows["proxy"]["status"] == "proxy_error"
    assert_direct_ways(rows)


def test_the_node_behind_the_proxy_is_gone(probe, open_proxy):
    rows, done = probe("--proxy", open_proxy.url, target=f"127.0.0.1,tls={free_port()}")
    assert done.returncode == 1
    assert rows["proxy"]["status"] == "proxy_error"
    assert rows["tls"]["status"] == "refused"


def test_an_https_proxy(make, probe, certificate):
    proxy = make(squid, certificate=certificate)
    rows, _ = probe("--proxy", proxy.https_url)
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["scheme"] == "https"


def test_a_wrong_ca_is_a_tls_error_through_a_proxy_too(probe, open_proxy, session_folder):
    other = Authority(session_folder / "other-ca", "Somebody else")
    rows, _ = probe("--proxy", open_proxy.url, ca=other.file)
    assert rows["tls"]["status"] == rows["proxy"]["status"] == "tls_error"
    assert "via_proxy" in rows["proxy"]


@pytest.fixture(scope="module")
def boss(session_folder):
    return Authority(session_folder / "boss", "Inspecting Boss CA")


@pytest.fixture
def by_name(lone):
    return f"localhost,tls={lone.port('tls')}"


def test_an_interceptor_whom_nobody_trusts_is_named(make, probe, world, boss, by_name):
    proxy = make(squid, interceptor=boss, trusted=world.authority.file)
    rows, done = probe("--proxy", proxy.url, target=by_name)
    assert done.returncode == 0
    assert rows["tls"]["status"] == "reachable"
    assert rows["proxy"]["status"] == "tls_error"
    assert rows["proxy"]["via_proxy"]["tls_intercepted"] is False
    env = {"BERTH_CA": world.authority.file, "COLUMNS": "400"}
    done = world.agent("probe", "--node", by_name, "--proxy", proxy.url, env=env)
    assert "issued by Inspecting Boss CA" in done.stdout


def test_an_interceptor_whom_the_system_trusts_is_told(make, probe, world, boss, by_name):
    """It looks inside and wants HTTP: what gets through is WebSocket."""
    proxy = make(squid, interceptor=boss, trusted=world.authority.file, websocket=True)
    rows, _ = probe("--proxy", proxy.url, target=by_name, env={"SSL_CERT_FILE": boss.file})
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["framing"] == "websocket"
    assert rows["proxy"]["via_proxy"] == {"url": proxy.url, "scheme": "http", "auth": "none", "tls_intercepted": True}
    assert rows["proxy"]["received"] == 5
    assert rows["tls"]["status"] == "reachable" and rows["tls"]["framing"] == "stun"
    assert "via_proxy" not in rows["tls"]


def test_an_interceptor_that_lets_no_websocket_through(make, probe, world, boss, by_name):
    proxy = make(squid, interceptor=boss, trusted=world.authority.file)
    rows, _ = probe("--proxy", proxy.url, target=by_name, env={"SSL_CERT_FILE": boss.file})
    # What plain STUN met, silence or the interceptor hanging up; the upgrade that was refused takes nothing from it.
    assert rows["proxy"]["status"] in ("timeout", "refused")
    assert rows["proxy"]["via_proxy"]["tls_intercepted"] is True


def test_the_environment_and_no_proxy(probe, open_proxy):
    rows, _ = probe(env={"https_proxy": open_proxy.url})
    assert rows["proxy"]["status"] == "reachable"
    for exception in ("127.0.0.0/8", "localhost,127.0.0.1", "*"):
        rows, _ = probe(env={"HTTPS_PROXY": open_proxy.url, "no_proxy": exception})
        assert set(rows) == {"udp", "tcp", "tls"}
        assert_direct_ways(rows)
    rows, _ = probe("--proxy", "none", env={"https_proxy": open_proxy.url})
    assert "proxy" not in rows
    rows, _ = probe("--no-proxy", "example.org", env={"https_proxy": open_proxy.url, "no_proxy": "*"})
    assert rows["proxy"]["status"] == "reachable"
    rows, _ = probe(env={"https_proxy": "socks5://127.0.0.1:1"})
    assert "proxy" not in rows


def test_bad_proxies_are_usage_errors(world):
    for proxy in ("socks5://127.0.0.1:1080", "http://", "ftp://x:1", "http://a:b@:1"):
        done = world.agent("probe", "--node", "127.0.0.1", "--proxy", proxy)
        assert done.returncode == 2, proxy
        assert "a:b" not in done.stderr


PAC = """function FindProxyForURL(url, host) {
  if (shExpMatch(host, "127.0.0.*")) return "PROXY 127.0.0.1:%d; PROXY 127.0.0.1:%d; DIRECT";
  return "DIRECT";
}
"""


@pytest.fixture
def script(tmp_path, open_proxy):
    file = tmp_path / "proxy.pac"
    file.write_text(PAC % (free_port(), open_proxy.port))
    return file


def test_pac_file_with_several_candidates(probe, script, open_proxy):
    rows, _ = probe("--proxy-pac", script)
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["url"] == open_proxy.url  # the first one was not there
    rows, _ = probe("--proxy-pac", script, "--no-proxy", "127.0.0.1")
    assert "proxy" not in rows


def test_pac_url(probe, script, open_proxy):
    text = script.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rows, _ = probe("--proxy-pac", f"http://127.0.0.1:{server.server_port}/proxy.pac")
        server.shutdown()
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]


@pytest.mark.parametrize("text", ["", "function FindProxyForURL(", "function FindProxyForURL(u, h) { return h.x.y; }",
                                  "FindProxyForURL = 3", "function f(){return f()} function FindProxyForURL(u, h) { return f(); }",
                                  "function FindProxyForURL(u, h) { return " + "(" * 20000 + "1" + ")" * 20000 + "; }"])
def test_scripts_that_do_not_work(probe, tmp_path, text):
    file = tmp_path / "bad.pac"
    file.write_text(text)
    rows, done = probe("--proxy-pac", file)
    assert done.returncode == 0, done.stderr
    assert "proxy" not in rows
    assert_direct_ways(rows)
    assert done.stderr.count("berth probe: no proxy is known: PAC: ") == 1, done.stderr


def test_a_proxy_of_the_environment_that_is_none_is_told(probe):
    rows, done = probe(env={"https_proxy": f"socks5://{USER}:{IN_URL}@127.0.0.1:1"})
    assert done.returncode == 0 and "proxy" not in rows
    assert "the proxy of the environment (https_proxy or all_proxy) can't be used" in done.stderr


def test_a_script_that_never_ends_does_not_keep_the_probe(probe, tmp_path):
    file = tmp_path / "endless.pac"
    file.write_text("function FindProxyForURL(u, h) { while (true) {} }")
    rows, done = probe("--proxy-pac", file)
    assert done.returncode == 0, done.stderr
    assert "berth probe: no proxy is known: PAC: the PAC script " in done.stderr
    assert "proxy" not in rows
    assert_direct_ways(rows)


# ---- the controller by the same way ----


def test_list_and_report_go_through_the_proxy(controller, org, node, world, make):
    proxy = make(squid, auth="digest")
    node("proxied", cluster="c1")
    wait_for(lambda: "proxied" in listed(org.api), 20, "the node to be listed")
    before = proxy.log().count("CONNECT")
    done = world.agent("probe", "--json", "--report", "--proxy", proxy.url, "--agent", "behind", controller=controller,
                       token=org.key, env=LOGIN)
    assert done.returncode == 0, done.stderr
    controller_place = controller.url.partition("//")[2]
    assert f"CONNECT {controller_place}" in proxy.log()
    assert proxy.log().count("CONNECT") > before + 1
    rows = {r["transport"]: r for r in done.json()["nodes"][0]["results"]}
    assert rows["proxy"]["via_proxy"]["auth"] == "digest"
    report = org.api.get("/v1/agents/behind/report").expect(200).json
    assert "proxy" in report["capabilities"]
    stored = {r["transport"]: r for r in report["results"]}
    assert stored["proxy"] == rows["proxy"]
    assert PASSWORD not in json.dumps(report) + world.logs()


def test_signalling_through_the_proxy_and_media_directly(controller, org, node, world, make):
    """The split case: the controller by its name through the proxy, the node's network directly."""
    proxy = make(squid)
    node("inside", cluster="c2")
    by_name = controller.url.replace("127.0.0.1", "localhost")
    done = world.agent("probe", "--json", "--report", "--proxy", proxy.url, "--no-proxy", "127.0.0.0/8", "--agent", "split",
                       "--controller", by_name, controller=controller, token=org.key)
    assert done.returncode == 0, done.stderr
    assert "CONNECT localhost:" in proxy.log() and "CONNECT 127.0.0.1:" not in proxy.log()
    for entry in done.json()["nodes"]:
        assert {r["transport"] for r in entry["results"]} == {"udp", "tcp", "tls"}


def test_a_subcommand_goes_the_same_way(controller, org, world, make):
    proxy = make(squid, auth="basic")
    done = world.agent("meeting", "list", "--json", "--proxy", proxy.url, controller=controller, token=org.key, env=LOGIN)
    assert done.returncode == 0, done.stderr
    assert "CONNECT" in proxy.log()
    done = world.agent("meeting", "list", "--proxy", proxy.url, controller=controller, token=org.key)
    assert done.returncode == 3 and "407" in done.stderr


def test_a_verified_key_that_is_not_the_nodes_is_an_interceptors(controller, org, node, world, make, boss, tmp_path):
    """The CA file itself vouches for the interceptor: the key that the node registered tells."""
    proxy = make(squid, interceptor=boss, trusted=world.authority.file, websocket=True)
    node("keyed", cluster="c3")
    both = tmp_path / "both.pem"
    both.write_text(world.authority.file.read_text() + boss.file.read_text())
    done = world.agent("probe", "--json", "--proxy", proxy.url, "--no-proxy", controller.url.partition("//")[2],
                       controller=controller, token=org.key, env={"BERTH_CA": both})
    assert done.returncode == 0, done.stderr
    rows = {r["transport"]: r for e in done.json()["nodes"] if e["node"] == "keyed" for r in e["results"]}
    assert rows["proxy"]["status"] == "reachable", rows["proxy"]
    assert rows["proxy"]["via_proxy"]["tls_intercepted"] is True
    assert rows["tls"]["status"] == "reachable" and "via_proxy" not in rows["tls"]
