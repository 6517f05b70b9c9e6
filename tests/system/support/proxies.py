"""Real HTTP proxies on loopback: squid in each of its roles, tinyproxy. They run in the foreground, as ordinary users."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from .process import Process, free_port, wait_for

USER, PASSWORD = "carol", "correct:horse"
SQUID, HELPERS, TINYPROXY = "/usr/sbin/squid", "/usr/lib/squid", "/usr/bin/tinyproxy"

CONF = """http_port 127.0.0.1:{port}{bump}
{https}
visible_hostname proxy.test
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
ssl_bump bump all
{websocket}"""


def auth_lines(scheme, folder):
    if scheme == "basic":
        crypted = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout
        (folder / "passwords").write_text(f"{USER}:{crypted}")
        return f"auth_param basic program {HELPERS}/basic_ncsa_auth {folder}/passwords\nauth_param basic realm test"
    if scheme == "digest":
        secret = f"{USER}:test:{PASSWORD}".encode()
        ha1 = subprocess.run(["openssl", "md5", "-r"], input=secret, capture_output=True, check=True).stdout.split()[0]
        (folder / "digests").write_text(f"{USER}:test:{ha1.decode()}\n")
        return (f"auth_param digest program {HELPERS}/digest_file_auth -c {folder}/digests\n"
                "auth_param digest realm test")
    assert scheme == "ntlm"
    return f"auth_param ntlm program {HELPERS}/ntlm_fake_auth"


class Proxy:
    """A running proxy; .url has no credentials."""

    def __init__(self, argv, user, folder, port):
        self.folder, self.port, self.url = folder, port, f"http://127.0.0.1:{port}"
        folder.chmod(0o755)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", user, folder], check=True)
            argv = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--pdeathsig", "KILL", "--", *argv]
        self.process = Process(argv, folder / "output.log", cwd=folder)
        wait_for(self.listening, 20, f"{argv[-1]} to listen on {port}: {self.process.tail()}")

    def listening(self):
        assert self.process.running(), self.process.tail() + "\n" + self.log("cache.log")
        with open("/proc/net/tcp") as f:
            return any(f":{self.port:04X} 00000000:0000 0A" in line for line in f)

    def log(self, name="access.log"):
        file = self.folder / name
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self):
        self.process.kill()  # no patience for its connections; its helpers end with their standard input
        shutil.rmtree(self.folder, ignore_errors=True)


def squid(auth=None, connect_ports="1-65535", interceptor=None, trusted=None, websocket=False, certificate=None):
    """interceptor: an Authority whose certificates it shows in place of everybody's, itself trusting the file `trusted`; websocket: what
    it intercepts may upgrade; certificate: (cert, key) with which it is an HTTPS proxy as well, at .https_url."""
    if not os.path.exists(SQUID) or not os.path.exists(f"{HELPERS}/security_file_certgen"):
        pytest.skip("squid-openssl is not installed")
    folder, port, extra, bump, https = Path(tempfile.mkdtemp(prefix="berth-squid-")), free_port(), "", "", ""
    if auth:
        extra = auth_lines(auth, folder) + "\nacl known proxy_auth REQUIRED"
    if interceptor:
        for file in (interceptor.file, interceptor.key, trusted):
            shutil.copy(file, folder / (file.name if file != trusted else "trusted.pem"))
        subprocess.run([f"{HELPERS}/security_file_certgen", "-c", "-s", folder / "certs", "-M", "4MB"],
                       check=True, capture_output=True)
        bump = (f" ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB "
                f"tls-cert={folder}/ca.pem tls-key={folder}/ca.key")
        extra += "\n" + BUMP.format(helpers=HELPERS, folder=folder, trusted=folder / "trusted.pem",
                                    websocket="http_upgrade_request_protocols websocket allow all" if websocket else "")
    if certificate:
        for file, name in zip(certificate, ("own.pem", "own.key")):
            shutil.copy(file, folder / name)
        https_port = free_port()
        https = f"https_port 127.0.0.1:{https_port} tls-cert={folder}/own.pem tls-key={folder}/own.key"
    conf = folder / "squid.conf"
    conf.write_text(CONF.format(port=port, bump=bump, folder=folder, extra=extra, ports=connect_ports, https=https,
                                access="http_access allow known" if auth else "http_access allow all"))
    made = Proxy([SQUID, "-N", "-f", conf], "proxy", folder, port)
    if certificate:
        made.https_url = f"https://localhost:{https_port}"
    return made


def tinyproxy(basic=False, connect_port=None):
    if not os.path.exists(TINYPROXY):
        pytest.skip("tinyproxy is not installed")
    folder, port = Path(tempfile.mkdtemp(prefix="berth-tinyproxy-")), free_port()
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{folder}/access.log"', "MaxClients 50"]
    lines += [f"ConnectPort {connect_port}"] if connect_port else []
    lines += [f"BasicAuth {USER} {PASSWORD.replace(':', '-')}"] if basic else []
    conf = folder / "tinyproxy.conf"
    conf.write_text("\n".join(lines) + "\n")
    return Proxy([TINYPROXY, "-d", "-c", conf], "nobody", folder, port)
