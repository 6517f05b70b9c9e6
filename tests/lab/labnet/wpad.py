"""A LAN that tells where its proxies are, as browsers ask it to: a PAC script, named by DNS (wpad.DOMAIN) or by DHCP option
252. The servers are dnsmasq and a web server; on the hosts that ask runs a DHCP client, dhclient."""
import os

from .kernel import LabError, wait_until
from .topology import PYTHON

DOMAIN = "office.test"
LEASES = "/var/lib/dhcp"  # dhclient's, on Debian
SERVER, CLIENT = "/usr/sbin/dnsmasq", "/usr/sbin/dhclient"

PAC = """function FindProxyForURL(url, host) {
  if (isPlainHostName(host) || dnsDomainIs(host, ".%s"))
    return "DIRECT";
  return "%s";
}
"""


def start(host, by, proxies):
    """Serves the script on `host`, in a LAN, and says so `by` "dns" or "dhcp". `proxies`: in their order."""
    for program in (SERVER, CLIENT):
        if not os.path.exists(program):
            raise LabError(f"{program} is not installed")
    lab = host.lab
    answer = "; ".join(f"PROXY {p.host.name}.lab:{p.port}" for p in proxies)
    script = lab.write(f"{host.name}-pac/wpad.dat", PAC % (DOMAIN, answer))
    host.start([PYTHON, "-B", "-m", "http.server", "-d", os.path.dirname(script), "80"])
    lab.wait_port(host, 80)
    words = [SERVER, "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=", "--no-hosts",
             "--no-resolv", f"--listen-address={host.ip4}", "--bind-interfaces"]
    if by == "dns":
        words.append(f"--address=/wpad.{DOMAIN}/{host.ip4}")
        lab.write("resolv.conf", f"search {DOMAIN}\nnameserver {host.ip4}\n")
    else:
        words += _dhcp(host)
    host.start(words, log="dnsmasq")
    lab.wait_port(host, 53 if by == "dns" else 67, "udp")


def _dhcp(host):
    """Hosts are lent the addresses that they have anyway. The option is sent unasked: who wants to know it is not asked."""
    lab, lan = host.lab, host.lan
    words = ["--port=0", f"--dhcp-range={lan.gateway(4)},static", "--no-ping", "--leasefile-ro",
             f"--dhcp-option-force=252,http://{host.ip4}/wpad.dat"]
    lab.write("dhcp/empty", "")
    lab.base.run(["mount", "--bind", f"{lab.files}/dhcp", LEASES])
    return words + [f"--dhcp-host={_hardware(h)},{h.ip4}" for h in lan.inside if h is not host and not h.router]


def _hardware(host):
    return host.run(["ip", "-br", "link", "show", "dev", "eth0"]).stdout.split()[2]


def lease(host):
    """The host asks for an address; its client's lease says what it was told. None of it is applied: it is so already."""
    name = f"{LEASES}/dhclient.leases"
    host.start([CLIENT, "-4", "-d", "-sf", "/bin/true", "-lf", name, "-pf", "/dev/null", "eth0"], log="dhclient")

    def has_one():
        try:
            return "lease {" in host.lab.read("dhcp/dhclient.leases")
        except OSError:
            return False
    wait_until(has_one, 15, lambda: f"{host.name} has a lease\n{host.lab.read(f'{host.name}.dhclient')[-2000:]}")
