"""HTTP proxies in a lab: squid in each of its roles, tinyproxy, and the KDC that Negotiate needs. They run in the
foreground as ordinary users, from files of the lab; the packages' own services are never touched."""
import os
import signal

from . import proxyconf
from .kernel import LabError, wait_until
from .proxyconf import AUTHS, SQUID, TINYPROXY
from .rules import TLS_PORT

USER, PASSWORD, REALM = "carol", "correct horse", "LAB.TEST"


class Proxy:
    """A running proxy."""

    def __init__(self, host, port, auth, ca=None):
        self.host, self.port, self.auth = host, port, auth
        self.ca = ca  # of an intercepting one: the CA that its certificates are from
        self.url = f"http://{host.name}.lab:{port}"
        self.user, self.password = (USER, PASSWORD) if auth in ("basic", "digest", "ntlm") else ("", "")

    def log(self):
        return self.host.lab.read(f"{self.host.name}-proxy/access.log")

    def curl_options(self):
        """What curl needs to pass it."""
        options = ["--proxy", self.url]
        if self.auth == "negotiate":
            return options + ["--proxy-negotiate", "--proxy-user", ":"]
        if self.auth != "none":
            options += [f"--proxy-{self.auth}", "--proxy-user", f"{self.user}:{self.password}"]
        return options


def _folder(host, user):
    path = os.path.dirname(host.lab.write(f"{host.name}-proxy/empty", ""))
    host.run(["chown", "-R", user, path])
    return path


def _auth(host, auth, folder):
    """squid's lines about it."""
    if auth == "none":
        return ""
    if auth == "negotiate":
        if not getattr(host.lab, "kdc", None):
            raise LabError("negotiate needs a Kdc first")
        keytab = host.lab.kdc.keytab(host, f"HTTP/{host.name}.lab", "proxy")
        return proxyconf.negotiate(keytab, f"HTTP/{host.name}.lab@{REALM}")
    lines, secrets = proxyconf.auth(auth, folder, USER, PASSWORD)
    if secrets:
        host.lab.write(f"{host.name}-proxy/secrets", secrets)
    return lines


def _ready(host, proc, port, log):
    def listening():
        if proc.poll() is not None:
            raise LabError(f"{host.name}: the proxy ended with {proc.returncode}\n{log()[-3000:]}")
        try:
            host.lab.wait_port(host, port, seconds=0)
            return True
        except LabError:
            return False
    wait_until(listening, 15, f"{host.name}'s proxy listens on {port}")


def squid(host, auth="none", port=3128, connect_ports=(443,), authority=None, trusted=None, websocket=False):
    """Starts squid on `host`. With `authority` (a pki.Authority) it opens every TLS connection, shows certificates of
    that CA, and itself trusts `trusted`, a CA file; on a router that intercepts TLS, also those that never asked for a
    proxy. `websocket`: what it opens may upgrade."""
    if auth not in AUTHS:
        raise LabError(f"auth = {auth!r}: one of {', '.join(AUTHS)}")
    if not os.path.exists(SQUID) or not os.path.exists(proxyconf.CERTGEN):
        raise LabError("squid-openssl is not installed")
    folder, extra = _folder(host, "proxy"), ""
    listen = [f"http_port {port}"]
    auth_lines = _auth(host, auth, folder)
    if authority:
        for file in (authority.ca, authority.key):
            host.run(["cp", file, folder])
        host.run(["chown", "-R", "proxy", folder])
        host.run(proxyconf.make_certs(folder), user="proxy")
        listen[0] += proxyconf.bump_options(folder)
        if host.router and host.router.intercepts_tls:
            listen.append(f"https_port {TLS_PORT} intercept{proxyconf.bump_options(folder)}")
        extra = proxyconf.bump(folder, trusted, websocket)
    conf = host.lab.write(f"{host.name}-proxy/squid.conf", proxyconf.squid(
        f"{host.name}.lab", folder, listen, " ".join(map(str, connect_ports)), auth_lines, extra))
    host.run(["chown", "-R", "proxy", folder])
    # no patience for its connections at the end, and its helpers end with their standard input
    service = "".join(filter(str.isalnum, host.name))  # names its shared memory: a lab may have several
    proc = host.start([SQUID, "-N", "-n", service, "-f", conf], user="proxy", cwd=folder, stop_signal=signal.SIGKILL)
    _ready(host, proc, port, lambda: host.lab.read(f"{host.name}-proxy/cache.log"))
    return Proxy(host, port, auth, authority.ca if authority else None)


def tinyproxy(host, auth="none", port=8888, connect_ports=(443,)):
    """Starts tinyproxy on `host`: open or with Basic."""
    if auth not in ("none", "basic"):
        raise LabError("tinyproxy knows Basic only")
    if not os.path.exists(TINYPROXY):
        raise LabError("tinyproxy is not installed")
    folder, proxy = _folder(host, "nobody"), Proxy(host, port, auth)
    proxy.password = proxy.password.replace(" ", "-")
    conf = host.lab.write(f"{host.name}-proxy/tinyproxy.conf", proxyconf.tinyproxy(
        folder, port, connect_ports, f"{proxy.user} {proxy.password}" if proxy.user else ""))
    proc = host.start([TINYPROXY, "-d", "-c", conf], user="nobody")
    _ready(host, proc, port, lambda: host.lab.read(f"{host.name}-proxy/access.log"))
    return proxy


KRB5_CONF = """[libdefaults]
default_realm = {realm}
dns_lookup_realm = false
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
default_ccache_name = FILE:{folder}/ccache-%{{uid}}
[realms]
{realm} = {{
  kdc = {kdc}.lab
}}
[domain_realm]
.lab = {realm}
[dbmodules]
{realm} = {{
  db_library = db2
  database_name = {folder}/principal
}}
"""

KDC_CONF = """[kdcdefaults]
kdc_ports = 88
kdc_tcp_ports = 88
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


class Kdc:
    """A Kerberos realm with one user. Whoever uses it runs with `env`."""

    def __init__(self, host):
        if not os.path.exists("/usr/sbin/krb5kdc"):
            raise LabError("krb5-kdc is not installed")
        self.host = host
        self.folder = os.path.dirname(host.lab.write("kdc/acl", ""))
        values = {"realm": REALM, "folder": self.folder, "kdc": host.name}
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "KRB5_CONFIG": host.lab.write("kdc/krb5.conf", KRB5_CONF.format(**values)),
                    "KRB5_KDC_PROFILE": host.lab.write("kdc/kdc.conf", KDC_CONF.format(**values))}
        host.run(["kdb5_util", "create", "-s", "-r", REALM, "-P", "master"], env=self.env)
        self._admin(f'addprinc -pw "{PASSWORD}" {USER}')
        host.start(["krb5kdc", "-n"], env=self.env)
        host.lab.wait_port(host, 88)
        host.lab.kdc = self

    def _admin(self, command):
        self.host.run(["kadmin.local", "-r", REALM, "-q", command], env=self.env)

    def keytab(self, host, service, user):
        path = f"{self.folder}/{host.name}.keytab"
        self._admin(f"addprinc -randkey {service}")
        self._admin(f"ktadd -k {path} {service}")
        self.host.run(["chown", user, path])
        return path

    def login(self, host):
        """The environment of somebody on `host` who has a ticket."""
        host.run(["kinit", USER], stdin=PASSWORD + "\n", env=self.env)
        return self.env
