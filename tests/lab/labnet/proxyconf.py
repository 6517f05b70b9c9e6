"""What HTTP proxies are told: squid in each of its roles, tinyproxy. Text alone, for the lab's proxies and for those on
loopback."""
import hashlib
import subprocess

SQUID, HELPERS, TINYPROXY = "/usr/sbin/squid", "/usr/lib/squid", "/usr/bin/tinyproxy"
CERTGEN = f"{HELPERS}/security_file_certgen"
AUTHS = ("none", "basic", "digest", "ntlm", "negotiate")

CONF = """{listen}
visible_hostname {name}
pid_filename none
access_log stdio:{folder}/access.log
logfile_rotate 0
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

BUMP = """sslcrtd_program {certgen} -s {folder}/certs -M 4MB
sslcrtd_children 1 startup=1
tls_outgoing_options cafile={trusted}
acl first_look at_step SslBump1
ssl_bump peek first_look
ssl_bump bump all"""


def auth(scheme, folder, user, password):
    """(lines for squid, what the file `folder`/secrets must hold; "" where it needs none)."""
    helper = {"basic": f"basic_ncsa_auth {folder}/secrets", "digest": f"digest_file_auth -c {folder}/secrets",
              "ntlm": "ntlm_fake_auth"}[scheme]
    lines = [f"auth_param {scheme} program {HELPERS}/{helper}", f"auth_param {scheme} children 2 startup=1"]
    if scheme == "ntlm":
        return "\n".join(lines), ""
    lines.append(f"auth_param {scheme} realm test")
    if scheme == "digest":
        return "\n".join(lines), f"{user}:test:{hashlib.md5(f'{user}:test:{password}'.encode()).hexdigest()}\n"
    crypted = subprocess.run(["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True).stdout
    return "\n".join(lines), f"{user}:{crypted}"


def negotiate(keytab, principal):
    return (f"auth_param negotiate program {HELPERS}/negotiate_kerberos_auth -k {keytab} -s {principal} -t none\n"
            "auth_param negotiate children 2 startup=1")


def bump_options(folder):
    """Of a port whose TLS it opens, with ca.pem and ca.key of its folder."""
    return (f" ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={folder}/ca.pem "
            f"tls-key={folder}/ca.key")


def bump(folder, trusted, websocket=False):
    """`trusted`: whom it trusts itself; `websocket`: what it opens may upgrade."""
    lines = BUMP.format(certgen=CERTGEN, folder=folder, trusted=trusted)
    return lines + ("\nhttp_upgrade_request_protocols websocket allow all" if websocket else "")


def make_certs(folder):
    """The command that makes the folder in which it keeps the certificates that it shows."""
    return [CERTGEN, "-c", "-s", f"{folder}/certs", "-M", "4MB"]


def squid(name, folder, listen, ports, auth_lines="", extra=""):
    """`listen`: lines of http_port and https_port; `ports`: those that CONNECT may lead to."""
    if auth_lines:
        extra = f"{auth_lines}\nacl known proxy_auth REQUIRED\n{extra}"
    return CONF.format(listen="\n".join(listen), name=name, folder=folder, extra=extra, ports=ports,
                       access="http_access allow known" if auth_lines else "http_access allow all")


def tinyproxy(folder, port, connect_ports=(), login="", listen=""):
    """`login`: "user password", neither with a space."""
    lines = [f"Port {port}", "Timeout 600", f'LogFile "{folder}/access.log"', "MaxClients 100"]
    lines += [f"Listen {listen}"] if listen else []
    lines += [f"ConnectPort {p}" for p in connect_ports]
    lines += [f"BasicAuth {login}"] if login else []
    return "\n".join(lines) + "\n"
