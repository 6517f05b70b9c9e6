"""Controllers, nodes and agents as a test wants them."""

import json
import secrets
import time
from urllib.parse import urlsplit

import jwt

from . import secret
from .process import AGENT, CONTROLLER, NODE, Process, free_port, run, wait_for
from .rest import Client


def random_hex(n=32):
    return secrets.token_hex(n)


def mint_jwt(api_key, sub, lifetime_s=3600, algorithm="HS256", **claims):
    """As a customer's backend does it: with any JWT library, from an org key. A claim given as None is left out."""
    payload = {"iss": api_key.split(".")[0], "sub": sub, "exp": int(time.time()) + lifetime_s}
    payload.update(claims)
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, api_key, algorithm=algorithm)


class Program:
    """What a controller and a node have in common: a process of `argv` in a world, and a listener for metrics. `what` it is called."""

    def __init__(self, world, what):
        self.world = world
        self.what = what
        self.metrics_port = free_port()
        self.metrics_url = f"http://127.0.0.1:{self.metrics_port}"
        self.env = None
        self.process = None

    def start(self, ready=True):
        self.process = self.world.start(self.argv, f"{self.what}-{self.metrics_port}".replace(" ", "-"), env=self.env)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30.0):
        wait_for(lambda: self.probe("/readyz") == 200, seconds, f"{self.what} to be ready")

    def probe(self, path):
        """The status of /livez or /readyz on the metrics listener; 0 while nobody answers."""
        if not self.process.running():
            raise AssertionError(f"{self.what} ended\n{self.process.tail()}")
        try:
            return Client(self.metrics_url, timeout=5).get(path).status
        except OSError:
            return 0

    def metrics(self):
        """{"name{labels}": value} of /metrics."""
        return parse_metrics(Client(self.metrics_url).get("/metrics").expect(200).body.decode())

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()


class Controller(Program):
    """One berth-controller over TLS, ready when made. `options` are flags: report_lifetime=5 -> --report-lifetime 5."""

    def __init__(self, world, database_url, options, env=None):
        super().__init__(world, "controller")
        self.env = env
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        cert, key = world.certificate
        self.argv = [
            CONTROLLER,
            *("--database", database_url, "--listen", f"127.0.0.1:{self.port}"),
            *("--metrics", f"127.0.0.1:{self.metrics_port}", "--cert", cert, "--key", key),
            *("--master-key", world.master_key_file, "--admin-key", world.admin_key_file),
            *flags(options),
        ]
        secret.note(urlsplit(database_url).password)

    def client(self, token=None):
        return Client(self.url, token, self.world.authority.file)

    def restart(self, how="stop"):
        """how: "stop" (SIGTERM) or "kill" (kill -9)."""
        getattr(self.process, how)()
        return self.start()


def parse_metrics(text):
    values = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values


def flags(options):
    """report_lifetime=5, quiet=True, udp=["a", "b"] -> --report-lifetime 5 --quiet --udp a --udp b"""
    argv = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            argv += [flag] if one is True else [flag, str(one)]
    return argv


class Node(Program):
    """A berth-node on loopback with one UDP, TCP and TLS port each, unless `options` say otherwise."""

    def __init__(self, world, name, options, controller=None, token=None, env=None):
        super().__init__(world, f"node {name}")
        self.name = name
        self.controller = controller
        self.env = env
        self.options = {"metrics": f"127.0.0.1:{self.metrics_port}", **options}
        for transport in ("udp", "tcp", "tls"):
            self.options.setdefault(transport, f"127.0.0.1:{free_port()}")
        if self.options.get("tls"):
            cert, key = world.certificate
            self.options.setdefault("cert", cert)
            self.options.setdefault("key", key)
        if controller:
            self.options.update(
                {"controller": controller.url, "token": token, "ca": world.authority.file, "node": name}
            )
            self.options.setdefault("cluster", f"{name}-cluster")
            self.options.setdefault("region", "test")
            self.options.setdefault("tls_name", "localhost")
        else:
            self.options["standalone"] = True

    @property
    def argv(self):
        """Of the options as they are now: tests change them between two starts."""
        return [NODE, *flags(self.options)]

    def address(self, transport):
        """"ip:port" of the (first) listener of this transport."""
        value = self.options[transport]
        return value[0] if isinstance(value, (list, tuple)) else value

    def port(self, transport):
        return int(self.address(transport).rpartition(":")[2])


class World:
    """What one test module's programs share: certificates, keys, logs; and the list of what must end with it."""

    def __init__(self, folder, authority, certificate):
        self.folder = folder
        self.authority = authority
        self.certificate = certificate
        self.master_key = random_hex()
        self.admin_key = f"admin-{random_hex(24)}"
        self.master_key_file = self._secret("master.key", self.master_key)
        self.admin_key_file = self._secret("admin.key", self.admin_key)
        self.processes = []

    def _secret(self, name, text):
        file = self.folder / name
        secret.note(text)
        file.write_text(text + "\n")
        file.chmod(0o600)
        return file

    def start(self, argv, name, env=None):
        process = Process(argv, self.folder / f"{name}.log", env=env)
        self.processes.append(process)
        return process

    def agent(self, *args, controller=None, token=None, env=None, timeout=60.0):
        """Runs `berth ...` to its end; the CompletedProcess, with .json() for --json's output."""
        settings = {}
        if controller:
            settings = {"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": token, "BERTH_CA": self.authority.file}
        secret.note(token)
        done = run([AGENT, *args], timeout=timeout, env={**settings, **(env or {})})
        assert not secret.leaked(done.stderr), f"berth {args[0]} says a secret on standard error"
        done.json = lambda: json.loads(done.stdout)
        return done

    def close(self):
        """Ends everything. Every program that a test didn't kill must end by itself on SIGTERM, with status 0; none has logged a secret."""
        problems = []
        for process in reversed(self.processes):
            ended_before = not process.running()
            try:
                status = process.stop()
                if not ended_before and status != 0:
                    problems.append(f"status {status} at SIGTERM: {process.tail()}")
                process.assert_no_sanitizer_report()
                leaked = secret.leaked(process.log)
                assert not leaked, f"{process.argv[0]} logs secrets, {len(leaked)} of them, the first begins with {leaked[0][:6]}"
            except AssertionError as e:
                problems.append(str(e))
        self.processes = []
        assert not problems, "\n".join(problems)

    def logs(self):
        return "\n".join(p.tail() for p in self.processes)
