"""A router's nftables rules from its description. Pure: a description in, text out.

nat       "masquerade": Linux's own: a mapping keeps its port, filtering by address and port
          "symmetric":  a new random port towards every destination
          "full-cone":  masquerade, and everything from outside goes to the first host inside
          "none":       routes only
firewall  udp, tcp:     "allow" (default), "drop" or "reject" what isn't in the lists that follow
          udp_ports, tcp_ports: allowed all the same
          allow:        destinations; anything else is treated as `others` says ("drop" or "reject")
          from:         only these inside may send out at all (a proxy, say); the rest as `others`
intercepts_tls  TCP to port 443 ends at the router itself, on TLS_PORT, where a proxy opens it; `websocket`: which knows that
portal          until somebody inside is accepted (`accept`), TCP to 80 and 443 ends at the router itself, on PORTAL_PORTS, and
                all else is dropped
"""
import ipaddress
from dataclasses import dataclass, field

TLS_PORT = 3129
PORTAL_PORTS = {80: 8080, 443: 8443}
NATS = ("masquerade", "symmetric", "full-cone", "none")
VERDICTS = ("allow", "drop", "reject")
FIREWALL_KEYS = {"udp", "tcp", "udp_ports", "tcp_ports", "allow", "from", "others"}


@dataclass
class Router:
    """What a router does; `first_inside` is where a full cone leads."""
    nat: str = "masquerade"
    lan: str = "192.168.1.0/24"
    lan6: str = ""
    hairpin: bool = False
    firewall: dict = field(default_factory=dict)
    forwards: list = field(default_factory=list)  # {"protocol", "port", "to": "ip" or "ip:port"}
    inbound: str = "drop"
    sip_alg_ports: list = field(default_factory=list)
    intercepts_tls: bool = False
    websocket: bool = False
    portal: bool = False
    udp_timeout_s: int = 0
    udp_stream_timeout_s: int = 0

    def check(self):
        if self.nat not in NATS:
            raise ValueError(f"nat = {self.nat!r}: one of {', '.join(NATS)}")
        unknown = set(self.firewall) - FIREWALL_KEYS
        if unknown:
            raise ValueError(f"firewall: unknown {', '.join(sorted(unknown))}")
        for key in ("udp", "tcp", "others"):
            if self.firewall.get(key, "drop") not in VERDICTS:
                raise ValueError(f"firewall.{key}: one of {', '.join(VERDICTS)}")
        if self.inbound not in ("drop", "allow"):
            raise ValueError("inbound: drop or allow")


def _set(values):
    return "{ " + ", ".join(str(v) for v in values) + " }"


def _deny(match, verdict):
    """Lines that refuse what `match` selects, the way a firewall of that kind does."""
    if verdict == "reject":
        return [f"{match} meta l4proto tcp reject with tcp reset", f"{match} reject"]
    return [f"{match} drop"]


def _not_in(direction, addresses, verdict):
    lines = []
    for version, keyword, nfproto in ((4, "ip", "ipv4"), (6, "ip6", "ipv6")):
        mine = [a for a in addresses if ipaddress.ip_network(a, strict=False).version == version]
        match = f"{keyword} {direction} != {_set(mine)}" if mine else f"meta nfproto {nfproto}"
        lines += _deny(match, verdict)
    return lines


def _outbound(firewall):
    lines = []
    others = firewall.get("others", "drop")
    if "from" in firewall:
        lines += _not_in("saddr", firewall["from"], others)
    if "allow" in firewall:
        lines += _not_in("daddr", firewall["allow"], others)
    for protocol in ("udp", "tcp"):
        ports, verdict = firewall.get(protocol + "_ports", []), firewall.get(protocol, "allow")
        if ports:
            lines.append(f"{protocol} dport {_set(ports)} accept")
        if verdict != "allow":
            lines += _deny(f"meta l4proto {protocol}", verdict)
    return lines + ["accept"]


def _forward(r):
    lines = ["ct state established,related accept", "ct status dnat accept", 'iifname "lan0" oifname "lan0" accept',
             f'iifname "wan0" {"accept" if r.inbound == "allow" else "drop"}']
    if r.portal:
        lines += ["ip saddr != @accepted drop", "meta nfproto ipv6 drop"]
    return lines + _outbound(r.firewall)


def _dnat(r, outside, first_inside):
    where = f"ip daddr {outside}" if r.hairpin else f'iifname "wan0" ip daddr {outside}'
    lines = [f'{where} {f["protocol"]} dport {f["port"]} dnat ip to {f["to"]}' for f in r.forwards if outside]
    if r.nat == "full-cone" and outside and first_inside:
        lines.append(f"{where} udp dport 1024-65535 dnat ip to {first_inside}")
    if r.intercepts_tls:
        lines.append(f'iifname "lan0" tcp dport 443 redirect to :{TLS_PORT}')
    if r.portal:
        lines += [f'iifname "lan0" ip saddr != @accepted tcp dport {port} redirect to :{to}'
                  for port, to in PORTAL_PORTS.items()]
    return lines


def _snat(r):
    if r.nat == "none":
        return []
    random = " random,fully-random" if r.nat == "symmetric" else ""
    lines = [f'oifname "wan0" meta nfproto ipv4 masquerade{random}']
    if r.hairpin:
        lines.append('iifname "lan0" oifname "lan0" ct status dnat masquerade')
    return lines


def _chain(name, hook, lines, policy="accept"):
    body = "\n".join("    " + line for line in lines)
    return f"  chain {name} {{\n    type {hook}; policy {policy};\n{body}\n  }}\n"


def render(router, outside="", first_inside=""):
    """The rule set: `outside` is the router's IPv4 address on its outer side."""
    router.check()
    text = "table inet lab {\n"
    if router.sip_alg_ports:
        text += '  ct helper alg {\n    type "sip" protocol udp; l3proto ip;\n  }\n'
        text += _chain("assist", "filter hook prerouting priority filter",
                       [f'udp dport {_set(router.sip_alg_ports)} ct helper set "alg"'])
    if router.portal:
        text += "  set accepted {\n    type ipv4_addr;\n  }\n"
    text += _chain("passing", "filter hook forward priority filter", _forward(router), "drop")
    if router.nat != "none" or router.forwards or router.intercepts_tls or router.portal:
        text += _chain("inward", "nat hook prerouting priority dstnat", _dnat(router, outside, first_inside))
        text += _chain("outward", "nat hook postrouting priority srcnat", _snat(router))
    return text + "}\n"


def accept(ip):
    """What a portal's router is told of somebody who has logged in."""
    return f"add element inet lab accepted {{ {ip} }}\n"


def sysctls(router):
    """Kernel settings of the router's namespace, as path below /proc/sys and value."""
    settings = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}
    if router.udp_timeout_s:
        settings["net/netfilter/nf_conntrack_udp_timeout"] = router.udp_timeout_s
        settings["net/netfilter/nf_conntrack_udp_timeout_stream"] = \
            router.udp_stream_timeout_s or router.udp_timeout_s
    elif router.udp_stream_timeout_s:
        settings["net/netfilter/nf_conntrack_udp_timeout_stream"] = router.udp_stream_timeout_s
    return settings
