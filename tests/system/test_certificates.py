# timeout: 240
"""A certificate runs out under load: who is connected stays so, who comes is refused by its own check and told why; with the new one all is well,
and nobody's connection was dropped for it."""

import datetime
import http.client
import ipaddress
import shutil
import signal
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.berth import Controller, Node
from support.process import wait_for
from support.traffic import Traffic

LIFE_S = 8


def short_lived(authority, folder):
    """(certificate, key) files, of the test's authority, that end in a few seconds."""
    ca = x509.load_pem_x509_certificate(authority.file.read_bytes())
    ca_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "short")]))
        .issuer_name(ca.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(seconds=LIFE_S))
        .add_extension(x509.SubjectAlternativeName(names), False).sign(ca_key, hashes.SHA256())
    )  # fmt: skip
    cert_file, key_file = folder / "short.pem", folder / "short.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return cert_file, key_file


def use(argv, certificate, short):
    return [str(short[[str(c) for c in certificate].index(str(a))]) if str(a) in map(str, certificate) else a for a in argv]


def tls_statuses(world, address):
    port = address.rpartition(":")[2]
    probed = world.agent("probe", "--json", "--node", f"localhost,tls={port}", "--ca", world.authority.file, timeout=60)
    return {r["status"] for n in probed.json()["nodes"] for r in n["results"] if r["transport"] == "tls"}


def test_it_runs_out_and_is_replaced_under_load(world, controller, database, certificate, org):
    short = short_lived(world.authority, world.folder)
    mine = Controller(world, database.url, {"rate_limit": 0})
    mine.argv = use(mine.argv, certificate, short)
    mine.start()
    node = Node(world, "short", {"cert": short[0], "key": short[1]}).start()
    client = mine.client(org.key)
    open_one = client.connection()
    assert client.get("/v1/agents", connection=open_one).status == 200
    traffic = Traffic([client], threads=3)
    wait_for(lambda: traffic.answered > 10, 20, "load")

    def expired():
        try:
            client.get("/v1/agents")
        except ssl.SSLCertVerificationError as e:
            return "expired" in str(e)
        return False

    wait_for(expired, LIFE_S + 10, "the certificate to have run out")
    assert client.get("/v1/agents", connection=open_one).status == 200  # who was there stays
    refused = world.agent("agent", "list", controller=mine, token=org.key)
    assert refused.returncode == 3 and "expired" in refused.stderr, refused.stderr
    assert tls_statuses(world, node.address("tls")) == {"tls_error"}
    for new, old in zip(certificate, short):
        shutil.copy(new, f"{old}.new")
        shutil.move(f"{old}.new", old)
    before = traffic.answered
    for process in (mine.process, node.process):
        process.signal(signal.SIGHUP)
    wait_for(lambda: client_works(client), 20, "the new certificate to be shown")
    wait_for(lambda: traffic.answered >= before + 20, 30, "calls to be answered again")
    assert client.get("/v1/agents", connection=open_one).status == 200
    wait_for(lambda: tls_statuses(world, node.address("tls")) == {"reachable"}, 20, "the node to be reachable again")
    open_one.close()
    traffic.stop()
    traffic.check(database)


def client_works(client):
    try:
        return client.get("/v1/agents").status == 200
    except (OSError, http.client.HTTPException):
        return False
