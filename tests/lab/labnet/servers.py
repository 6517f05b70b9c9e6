"""Servers that aren't Berth's, for looking at the lab itself and for comparison."""


def coturn(host, port=3478, tls_port=0, certificate=()):
    """A STUN server on all of the host's addresses; with two IPv4 addresses it answers RFC 5780's questions too. With
    `certificate` (certificate, key) over TLS as well."""
    listen = [word for ip in host.ips for word in ("-L", ip)]
    tls = ["--tls-listening-port", tls_port, "--cert", certificate[0], "--pkey", certificate[1]] if tls_port else \
        ["--no-tls"]
    host.start(["turnserver", "-n", "--stun-only", *listen, "-p", port, *tls, "--no-cli", "--no-dtls",
                "--no-auth", "-m", "1", "-l", "/dev/null", "--simple-log", "--pidfile", "/dev/null", "-b",
                f"{host.lab.files}/none.db"])
    for protocol in ("udp", "tcp"):
        host.lab.wait_port(host, port, protocol)
    if tls_port:
        host.lab.wait_port(host, tls_port)


def https(host, authority, port=443):
    """A web server that answers / with a status page."""
    cert, key = authority.issue(f"{host.name}-{port}", [host.name, f"{host.name}.lab"], host.ips)
    host.start(["openssl", "s_server", "-accept", port, "-cert", cert, "-key", key, "-www", "-quiet"])
    host.lab.wait_port(host, port)
