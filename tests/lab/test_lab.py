"""The lab itself: that its delays, routers, firewalls and proxies are what they say, and that it leaves nothing."""
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from labnet import proxies, servers, wpad
from labnet.kernel import LabError, wait_until, why_not
from labnet.pki import Authority
from labnet.rules import Router, render
from labnet.topology import Lab

HERE = os.path.dirname(os.path.abspath(__file__))
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
ROUTERS = {
    "home": {"forwards": [{"protocol": "udp", "port": 9000, "to": "192.168.1.10:9001"}]},
    "strict": {"nat": "symmetric"},
    "cone": {"nat": "full-cone", "hairpin": True},
    "no-udp": {"firewall": {"udp": "drop"}},
    "rejects": {"firewall": {"udp": "reject"}},
    "web-only": {"firewall": {"udp": "drop", "tcp": "reject", "tcp_ports": [443]}},
    "listed": {"firewall": {"allow": ["203.0.113.0/24"], "others": "reject"}},
    "short": {"udp_timeout_s": 1},
    "calls": {"sip_alg_ports": [5060]},
    "cone-only": {"nat": "full-cone"},
}


@pytest.fixture(scope="module")
def world():
    """Two STUN servers, and somebody behind each kind of router: `in-home` behind `home`."""
    if not shutil.which("turnserver"):
        pytest.skip("coturn is not installed")
    with Lab() as lab:
        lab.add_host("one", ["203.0.113.10", "203.0.113.11", "2001:db8:1::10"])
        lab.add_host("two", ["198.51.100.20", "2001:db8:2::20"])
        for n, (name, description) in enumerate(ROUTERS.items()):
            lab.add_router(name, [f"192.0.2.{n + 1}"], lan=f"192.168.{n + 1}.0/24", **description)
            lab.add_host("in-" + name, behind=name)
        lab.add_host("also-in-cone", behind="cone")
        lab.add_host("also-in-cone-only", behind="cone-only")
        lab.add_router("six", ["192.0.2.100", "2001:db8:6::1"], lan6="2001:db8:66::/64")
        lab.add_host("in-six", behind="six")
        lab.add_router("carrier", ["192.0.2.101"], lan="100.64.0.0/24")
        lab.add_router("flat", behind="carrier", lan="192.168.50.0/24", nat="symmetric")
        lab.add_host("in-flat", behind="flat")
        lab.default("1000")
        lab.path("one", "two", "10000")
        lab.path("six", "one", "25000")
        lab.up()
        servers.coturn(lab.hosts["one"])
        servers.coturn(lab.hosts["two"])
        yield lab.hosts


def ask(host, protocol, *who, port=0, timeout=2):
    return host.look("stun", protocol, port, timeout, *who)


def statuses(answers):
    return [a["status"] for a in answers]


def test_round_trips_are_the_paths(world):
    took = world["two"].look("rtt", 40, 5, "203.0.113.10", "2001:db8:1::10", "192.0.2.1")
    print(took)
    for address, expected in (("203.0.113.10", 20000), ("2001:db8:1::10", 20000), ("192.0.2.1", 2000)):
        assert took[address]["received"] == 40
        assert expected - 200 < took[address]["median_us"] < expected + 1000
    took = world["in-six"].look("rtt", 20, 5, "203.0.113.10", "2001:db8:1::10")
    for answer in took.values():
        assert 49800 < answer["median_us"] < 51000


def test_masquerade_keeps_the_port_and_lets_no_stranger_in(world):
    first, second = ask(world["in-home"], "udp", "one", "two", port=40001)
    assert first["mapped"] == second["mapped"] == "192.0.2.1:40001"
    look = world["in-home"].looking("await", 40002, 0.5, "one")
    assert look.next()["mapped"] == "192.0.2.1:40002"
    world["two"].look("send", 7000, "192.0.2.1:40002", "hello")
    assert look.next() is None


def test_symmetric_maps_differently_to_everybody(world):
    answers = ask(world["in-strict"], "udp", "one", "two", "203.0.113.11", port=40001)
    assert all(a["mapped"].startswith("192.0.2.2:") for a in answers)
    assert len({a["mapped"] for a in answers}) == 3


@pytest.mark.parametrize("router, outside, hairpins", [("cone", "192.0.2.3", True), ("cone-only", "192.0.2.10", False)])
def test_a_full_cone_lets_strangers_in(world, router, outside, hairpins):
    look = world["in-" + router].looking("await", 40003, 5, "one")
    assert look.next()["mapped"] == f"{outside}:40003"
    world["two"].look("send", 7000, f"{outside}:40003", "hello")
    assert look.next() == {"from": "198.51.100.20:7000", "text": "hello"}
    look = world["in-" + router].looking("await", 40004, 5 if hairpins else 0.4, "one")
    look.next()
    world[f"also-in-{router}"].look("send", 7000, f"{outside}:40004", "neighbour")
    told = look.next()
    assert told["text"] == "neighbour" if hairpins else told is None


def test_a_forwarded_port_leads_inside(world):
    look = world["in-home"].looking("receive", 9001, 5)
    look.next()
    world["two"].look("send", 7000, "192.0.2.1:9000", "come in")
    assert look.next() == {"from": "198.51.100.20:7000", "text": "come in"}


def test_natdiscovery_of_coturn_agrees(world):
    def mapping(name):
        out = world[name].run(["turnutils_natdiscovery", "-m", "203.0.113.10"], timeout=30, check=False).stdout
        return re.findall(r"NAT with (.*?) Mapping", out)
    assert mapping("in-home") == ["Endpoint Independent"]
    assert mapping("in-strict") == ["Address and Port Dependent"]


def test_two_nats_in_a_row(world):
    first, second = ask(world["in-flat"], "udp", "one", "two", port=40001)
    assert first["mapped"].startswith("192.0.2.101:") and second["mapped"].startswith("192.0.2.101:")
    assert first["mapped"] != second["mapped"]


def test_ipv6_is_routed_not_translated(world):
    answer = ask(world["in-six"], "udp", "[2001:db8:1::10]:3478", port=40001)[0]
    assert answer["mapped"] == "[2001:db8:66::a]:40001"
    assert statuses(ask(world["two"], "udp", "[2001:db8:66::a]:3478", timeout=0.4)) == ["timeout"]


def test_firewalls_hold(world):
    assert statuses(ask(world["in-no-udp"], "udp", "one", timeout=0.5)) == ["timeout"]
    assert statuses(ask(world["in-no-udp"], "tcp", "one")) == ["reachable"]
    assert statuses(ask(world["in-rejects"], "udp", "one", timeout=0.5)) == ["refused"]
    assert statuses(ask(world["in-rejects"], "tcp", "one")) == ["reachable"]
    assert statuses(ask(world["in-web-only"], "udp", "one", timeout=0.5)) == ["timeout"]
    blocked, nobody = ask(world["in-web-only"], "tcp", "one", "one:443")
    assert blocked["status"] == "refused"
    assert nobody["status"] == "refused"  # let through, but nobody listens there yet
    for protocol in ("udp", "tcp"):
        assert statuses(ask(world["in-listed"], protocol, "one", "two", timeout=0.5)) == ["reachable", "refused"]


def test_short_pinholes_close(world):
    server = world["one"].looking("later", 7001, 8)
    server.next()
    short = world["in-short"].looking("ask", "one:7001", 4, "0.2", "3.2")
    home = world["in-home"].looking("ask", "one:7001", 4, "0.2", "3.2")
    assert short.next() == {"0.2": True, "3.2": False}
    assert home.next() == {"0.2": True, "3.2": True}


def test_sip_alg_rewrites_what_it_takes_for_sip(world):
    def register(name, ip):
        server = world["one"].looking("receive", 5060, 5)
        server.next()
        world[name].look("send", 5060, "one:5060", (
            f"REGISTER sip:lab SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060\r\nTo: <sip:a@lab>\r\nFrom: <sip:a@lab>\r\n"
            f"CSeq: 1 REGISTER\r\nCall-ID: 1\r\nContact: <sip:a@{ip}:5060>\r\nExpires: 60\r\n"
            "Content-Length: 0\r\n\r\n"))
        return server.next()["text"]
    assert "Contact: <sip:a@192.168.1.10:5060>" in register("in-home", "192.168.1.10")
    assert "Contact: <sip:a@192.0.2.9:5060>" in register("in-calls", "192.168.9.10")
    assert statuses(ask(world["in-calls"], "udp", "one")) == ["reachable"]


def burst(path, seed=1, count=1000):
    with Lab(seed=seed) as lab:
        a, b = lab.add_host("a", ["203.0.113.1"]), lab.add_host("b", ["203.0.113.2"])
        lab.path("a", "b", path)
        lab.up()
        look = b.looking("collect", 7000, 5, count)
        look.next()
        a.look("burst", "b:7000", count)
        numbers = look.next()
        return numbers, lab.stop_internet()


def test_losses_copies_and_reordering_are_as_asked_and_repeat():
    numbers, counted = burst("2000 500 0.1 duplicate=0.05 reorder=0.05")
    print(len(numbers), counted)
    assert 840 < len(set(numbers)) < 950
    assert 20 < len(numbers) - len(set(numbers)) < 80
    assert counted["full"] == 0 and counted["lost"] >= 1000 - len(set(numbers))
    assert any(later < earlier for earlier, later in zip(numbers, numbers[1:]))
    numbers, counted = burst("2000 500")  # jitter alone
    assert numbers == sorted(numbers) and len(numbers) == 1000


def test_labs_are_apart_from_each_other_and_from_the_machine():
    before = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    with Lab() as first, Lab() as second:
        for lab in (first, second):  # the same addresses in both
            a = lab.add_host("a", ["203.0.113.1"])
            lab.add_host("b", ["203.0.113.2"])
            lab.default("1000")
            lab.up()
        servers.coturn(first.hosts["b"])
        assert statuses(ask(first.hosts["a"], "udp", "b")) == ["reachable"]
        assert statuses(ask(second.hosts["a"], "udp", "b", timeout=0.4)) == ["refused"]
        assert os.path.realpath(a.ns.net_path) != os.path.realpath("/proc/self/ns/net")
    after = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    assert len(before.splitlines()) == len(after.splitlines())


def test_mistakes_are_told():
    for description in ({"nat": "magic"}, {"firewall": {"upd": "drop"}}, {"firewall": {"tcp": "perhaps"}},
                        {"inbound": "maybe"}):
        with pytest.raises(ValueError):
            render(Router(**description))
    with Lab() as lab:
        lab.add_host("a", ["203.0.113.1"])
        with pytest.raises(LabError):
            lab.add_host("a", ["203.0.113.2"])
        with pytest.raises(LabError):
            lab.add_host("b", behind="a")
        lab.path("a", "nobody", "10")
        with pytest.raises(LabError, match="unknown hosts"):
            lab.up()


# proxies

@pytest.fixture(scope="module")
def office():
    """An office that lets nothing out but its proxies, one of each role."""
    for program in ("/usr/sbin/squid", "/usr/bin/tinyproxy", "/usr/sbin/krb5kdc", "/usr/sbin/kadmin.local"):
        if not os.path.exists(program):
            pytest.skip(f"{program} is not installed")
    with Lab() as lab:
        web = lab.add_host("web", ["203.0.113.10"])
        names = ["open", "basic", "digest", "ntlm", "negotiate", "opens-tls", "tiny"]
        inside = [f"192.168.1.{11 + n}" for n in range(len(names))]
        lab.add_router("gate", ["198.51.100.1"], firewall={"from": inside})
        lab.add_host("alice", behind="gate")
        hosts = {name: lab.add_host(name, behind="gate") for name in names}
        kdc = lab.add_host("kdc", behind="gate")
        lab.default("1000")
        lab.up()
        authority = Authority(lab)
        servers.https(web, authority)
        servers.https(web, authority, 8443)
        lab.env = proxies.Kdc(kdc).login(lab.hosts["alice"])
        lab.ca = authority.ca
        lab.proxies = {n: proxies.squid(hosts[n], n) for n in ("basic", "digest", "ntlm", "negotiate")}
        lab.proxies["open"] = proxies.squid(hosts["open"])
        lab.proxies["tiny"] = proxies.tinyproxy(hosts["tiny"], "basic")
        lab.proxies["opens-tls"] = proxies.squid(hosts["opens-tls"], authority=Authority(lab, "interceptor"),
                                                 trusted=lab.ca)
        yield lab


def fetch(lab, options, url="https://web.lab/", ca=None):
    """(exit status of curl, answer to CONNECT, answer to GET)"""
    got = lab.hosts["alice"].run(["curl", "-sS", "-o", "/dev/null", "--max-time", "3", "-w",
                                  "%{http_connect} %{http_code}", "--cacert", ca or lab.ca, *options, url],
                                 check=False, env=lab.env)
    connect, code = got.stdout.split()
    return got.returncode, int(connect), int(code)


def test_nothing_gets_out_without_a_proxy(office):
    assert fetch(office, [])[0] == 28


@pytest.mark.parametrize("name", ["open", "basic", "digest", "ntlm", "negotiate", "tiny"])
def test_proxies_connect_to_443_for_whom_they_know(office, name):
    proxy = office.proxies[name]
    assert fetch(office, proxy.curl_options()) == (0, 200, 200)
    assert fetch(office, proxy.curl_options(), "https://web.lab:8443/")[:2] == (56, 403)
    if proxy.auth != "none":
        assert fetch(office, ["--proxy", proxy.url])[:2] == (56, 407)
    if name in ("basic", "digest"):
        wrong = ["--proxy", proxy.url, f"--proxy-{name}", "--proxy-user", "carol:wrong"]
        assert fetch(office, wrong)[:2] == (56, 407)
    if proxy.host.name != "tiny":
        assert "CONNECT web.lab:443" in proxy.log()


def test_an_intercepting_proxy_shows_its_own_ca(office):
    proxy = office.proxies["opens-tls"]
    assert fetch(office, proxy.curl_options(), ca=proxy.ca) == (0, 200, 200)
    assert fetch(office, proxy.curl_options())[0] == 60  # whoever trusts the true CA only, sees it


def test_a_router_that_intercepts_tls_shows_its_own_ca():
    if not os.path.exists("/usr/sbin/squid"):
        pytest.skip("squid is not installed")
    with Lab() as lab:
        web = lab.add_host("web", ["203.0.113.10"])
        router = lab.add_router("hotel", ["198.51.100.1"], intercepts_tls=True)
        guest = lab.add_host("guest", behind="hotel")
        lab.up()
        true, own = Authority(lab), Authority(lab, "hotel")
        servers.https(web, true)
        proxies.squid(router, authority=own, trusted=true.ca)

        def fetched(ca):
            return guest.run(["curl", "-sS", "-o", "/dev/null", "--max-time", "3", "--cacert", ca,
                              "https://web.lab/"], check=False).returncode
        assert fetched(own.ca) == 0
        assert fetched(true.ca) == 60


# the end

def test_what_a_sanitizer_has_found_is_an_error():
    with pytest.raises(AssertionError, match="data race"), Lab() as lab:
        lab.add_host("web").start(["echo", "WARNING: ThreadSanitizer: data race (pid=2)"], log="node").wait(5)


BUSY_RUNNER = """
import sys
sys.path.insert(0, sys.argv[1])
from labnet import proxies, servers, wpad
from labnet.topology import Lab
lab = Lab()
lab.add_host("n", ["203.0.113.1"])
lab.add_router("r", ["203.0.113.2"], nat="symmetric")
p = lab.add_host("p", behind="r")
q = lab.add_host("q", behind="r")
lab.up()
servers.coturn(lab.hosts["n"])
if sys.argv[2] == "all":
    wpad.start(p, "dhcp", [proxies.squid(p, "ntlm")])
    wpad.lease(q)
lab.hosts["n"].looking("receive", 9999, 600)
print(*[ns.pid for ns in lab._namespaces], flush=True)
sys.stdin.read()
"""


def namespaces_of(pids):
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids for kind in ("net", "mnt")}


def processes_in(namespaces):
    """Every process that lives in one of the namespaces: without any, a namespace is gone with all that is in it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if namespaces_of([pid]) & namespaces:
                found.append(int(pid))
        except OSError:
            pass
    return found


def mounts_of_labs():
    """Those that a namespace or a lab may have left behind; others on this machine have some of their own."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return {line for line in f if re.search(r"nsfs| lab lab ", line)}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_runner_leaves_nothing(how):
    mounted = mounts_of_labs()
    servers_too = "all" if all(map(os.path.exists, ("/usr/sbin/squid", wpad.SERVER, wpad.CLIENT))) else "none"
    with subprocess.Popen([sys.executable, "-B", "-c", BUSY_RUNNER, HERE, servers_too], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as runner:
        pids = runner.stdout.readline().split()
        assert len(pids) == 5
        namespaces = namespaces_of(pids)
        assert not namespaces & namespaces_of([os.getpid()])
        assert len(processes_in(namespaces)) >= (13 if servers_too == "all" else 8)
        runner.send_signal(how)
        runner.wait(5)
        wait_until(lambda: not processes_in(namespaces), 5, "every process of the lab has ended")
    assert mounts_of_labs() <= mounted
