"""HTTP proxies in a lab: squid in each of its roles, tinyproxy, and the KDC that Negotiate needs. They run in the
foreground as ordinary users, from files of the lab; the packages' own services are never touched."""
import os
import signal

from .kernel import LabError, wait_until
from .rules import TLS_PORT

USER, PASSWORD, REALM = "carol", "correct horse", "LAB.TEST"
HELPERS = "/usr/lib/squid"
AUTHS = ("none", "basic", "digest", "ntlm", "negotiate")

SQUID = """http_port {port}{bump}
{intercept}
visible_hostname {name}.lab
pid_filename none
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
cache deny all
cache_mem 4 MB
pinger_enable off
netdb_filename none
coredump_dir {folder}
max_filedescriptors 1024
shutdown_lifetime 0 seconds
forwarded_for delete
{extra}
acl may_connect port {ports}
acl connecting method CONNECT
http_access deny connecting !may_connect
{access}
http_access deny all
"""

BUMP = """sslcrtd_program {helpers}/security_file_certgen -s {folder}/certs -M 4MB
sslcrtd_children 1 startup=1
tls_outgoing_options cafile={trusted}
acl first_look at_step SslBump1
ssl_bump peek first_look
ssl_bump bump all"""


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


def _hash(host, *arguments):
    return host.run(["openssl", *arguments]).stdout.split()[-1]


def _basic(host, folder):
    crypted = _hash(host, "passwd", "-6", PASSWORD)
    host.lab.write(f"{host.name}-proxy/passwords", f"{USER}:{crypted}\n")
    return (f"auth_param basic program {HELPERS}/basic_ncsa_auth {folder}/passwords\n"
            "auth_param basic children 2 startup=1\nauth_param basic realm lab")


def _digest(host, folder):
    ha1 = host.run(["openssl", "md5", "-r"], stdin=f"{USER}:lab:{PASSWORD}").stdout.split()[0]
    host.lab.write(f"{host.name}-proxy/digests", f"{USER}:lab:{ha1}\n")
    return (f"auth_param digest program {HELPERS}/digest_file_auth -c {folder}/digests\n"
            "auth_param digest children 2 startup=1\nauth_param digest realm lab")


def _ntlm(host, folder):
    return f"auth_param ntlm program {HELPERS}/ntlm_fake_auth\nauth_param ntlm children 2 startup=1"


def _negotiate(host, folder):
    if not getattr(host.lab, "kdc", None):
        raise LabError("negotiate needs a Kdc first")
    keytab = host.lab.kdc.keytab(host, f"HTTP/{host.name}.lab", "proxy")
    return (f"auth_param negotiate program {HELPERS}/negotiate_kerberos_auth -k {keytab} "
            f"-s HTTP/{host.name}.lab@{REALM} -t none\nauth_param negotiate children 2 startup=1")


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


def squid(host, auth="none", port=3128, connect_ports=(443,), authority=None, trusted=None):
    """Starts squid on `host`. With `authority` (a pki.Authority) it opens every TLS connection, shows certificates of
    that CA, and itself trusts `trusted`, a CA file; on a router that intercepts TLS, also those that never asked for a
    proxy."""
    if auth not in AUTHS:
        raise LabError(f"auth = {auth!r}: one of {', '.join(AUTHS)}")
    if not os.path.exists("/usr/sbin/squid") or not os.path.exists(f"{HELPERS}/security_file_certgen"):
        raise LabError("squid-openssl is not installed")
    folder, extra, bump, intercept = _folder(host, "proxy"), "", "", ""
    if auth != "none":
        scheme = {"basic": _basic, "digest": _digest, "ntlm": _ntlm, "negotiate": _negotiate}[auth]
        extra = scheme(host, folder) + "\nacl known proxy_auth REQUIRED"
    if authority:
        for file in (authority.ca, authority.key):
            host.run(["cp", file, folder])
        bump = (f" ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB "
                f"tls-cert={folder}/ca.pem tls-key={folder}/ca.key")
        host.run(["chown", "-R", "proxy", folder])
        host.run([f"{HELPERS}/security_file_certgen", "-c", "-s", f"{folder}/certs", "-M", "4MB"], user="proxy")
        if host.router and host.router.intercepts_tls:
            intercept = f"https_port {TLS_PORT} intercept{bump}"
        extra += "\n" + BUMP.format(helpers=HELPERS, folder=folder, trusted=trusted)
    conf = host.lab.write(f"{host.name}-proxy/squid.conf", SQUID.format(
        port=port, bump=bump, intercept=intercept, name=host.name, folder=folder, extra=extra,
        ports=" ".join(map(str, connect_ports)),
        access="http_access allow known" if auth != "none" else "http_access allow all"))
    host.run(["chown", "-R", "proxy", folder])
    # no patience for its connections at the end, and its helpers end with their standard input
    proc = host.start(["/usr/sbin/squid", "-N", "-f", conf], user="proxy", cwd=folder, stop_signal=signal.SIGKILL)
    _ready(host, proc, port, lambda: host.lab.read(f"{host.name}-proxy/cache.log"))
    return Proxy(host, port, auth, authority.ca if authority else None)


def tinyproxy(host, auth="none", port=8888, connect_ports=(443,)):
    """Starts tinyproxy on `host`: open or with Basic."""
    if auth not in ("none", "basic"):
        raise LabError("tinyproxy knows Basic only")
    if not os.path.exists("/usr/bin/tinyproxy"):
        raise LabError("tinyproxy is not installed")
    folder = _folder(host, "nobody")
    lines = [f"Port {port}", "Timeout 600", f'LogFile "{folder}/access.log"', "MaxClients 100"]
    lines += [f"ConnectPort {p}" for p in connect_ports]
    if auth == "basic":
        lines.append(f"BasicAuth {USER} {PASSWORD.replace(' ', '-')}")
    conf = host.lab.write(f"{host.name}-proxy/tinyproxy.conf", "\n".join(lines) + "\n")
    proc = host.start(["/usr/bin/tinyproxy", "-d", "-c", conf], user="nobody")
    _ready(host, proc, port, lambda: host.lab.read(f"{host.name}-proxy/access.log"))
    proxy = Proxy(host, port, auth)
    proxy.password = proxy.password.replace(" ", "-")
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
