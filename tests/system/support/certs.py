"""Certificates made with the openssl command: an authority of the test run's own, and such as have nobody above them."""

import subprocess
from pathlib import Path


def openssl(*args, env=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, f"openssl {' '.join(map(str, args))}\n{done.stderr}"


def self_signed(cert, key, subject="localhost", names=("DNS:localhost",)):
    """Into these files. `names`: DNS:... and IP:..."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={subject}",
            "-addext", f"subjectAltName={','.join(names)}", "-keyout", key, "-out", cert)


class Authority:
    def __init__(self, folder: Path, name="Berth test CA", env=None):
        """`env`: the openssl command's, as where it is to be of another day."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.env = env
        self.file = folder / "ca.pem"
        self.key = folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.file,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", env=env)

    def issue(self, name, names=("localhost",), ips=("127.0.0.1", "::1"), days=30):
        """(certificate, key) files for a server of these names and addresses. days may be negative: expired."""
        cert, key, request = (self.folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        alternatives = [f"DNS:{n}" for n in names] + [f"IP:{i}" for i in ips]
        extensions.write_text(
            f"subjectAltName={','.join(alternatives)}\nextendedKeyUsage=serverAuth\n"
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
        )
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                "-subj", f"/CN={name}", "-keyout", key, "-out", request, env=self.env)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-sha256", "-extfile", extensions, "-out", cert, env=self.env)
        return cert, key
