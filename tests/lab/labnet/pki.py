"""Certificates of a lab: a CA of its own, made by the openssl command inside the lab's own files."""


class Authority:
    """A CA; `ca` is its certificate's path, `issue` makes certificates below it."""

    def __init__(self, lab, name="ca"):
        self.lab, self.name = lab, name
        folder = f"{lab.files}/pki-{name}"
        self.ca, self.key = f"{folder}/ca.pem", f"{folder}/ca.key"
        lab.write(f"pki-{name}/empty", "")
        lab.base.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", self.key, "-out", self.ca, "-days", "30", "-subj", f"/CN=Lab {name}",
                      "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def issue(self, name, dns=(), ips=()):
        """(certificate, key) for the names and addresses, paths inside the lab."""
        stem = f"pki-{self.name}/{name}"
        cert, key, csr = (f"{self.lab.files}/{stem}.{e}" for e in ("pem", "key", "csr"))
        alt = ",".join([f"DNS:{d}" for d in dns] + [f"IP:{i}" for i in ips])
        ext = self.lab.write(f"{stem}.ext", f"subjectAltName={alt}\nextendedKeyUsage=serverAuth\n")
        self.lab.base.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-keyout", key, "-out", csr, "-subj", f"/CN={name}"])
        self.lab.base.run(["openssl", "x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.key, "-days", "30",
                           "-CAcreateserial", "-extfile", ext, "-out", cert])
        return cert, key


def trust(lab, authorities):
    """Makes these CAs the system's trusted ones, for every program in the lab."""
    folder = f"{lab.files}/trusted"
    bundle = ""
    for n, authority in enumerate(authorities):
        text = lab.read(authority.ca[len(lab.files) + 1:])
        lab.write(f"trusted/{n}.pem", text)
        bundle += text
    lab.write("trusted/ca-certificates.crt", bundle)
    lab.base.run(["openssl", "rehash", folder])
    lab.base.run(["mount", "--bind", folder, "/etc/ssl/certs"])
