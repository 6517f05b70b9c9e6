"""The whole service in a lab: a controller on port 443 with a PostgreSQL of its own, nodes that register at it, and agents
that report to it. Everything lies in the lab's own files, so nothing of it outlives the lab."""
import json
import os
import secrets
import signal

from .kernel import LabError, clean_env, wait_until
from .topology import ROOT, find_program

PRIVATE_POSTGRES = os.path.join(ROOT, "common", "sh", "private-postgres")
POSTGRES_PORT = 5432
PORTS = {"udp": (5004, 3478), "tcp": (5004,), "tls": (443,)}


def address(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


class Service:
    """A controller on `host`, up and with an org when made. Its PostgreSQL is on `database`, another host, or beside it; `options`
    are further ones of the controller."""

    def __init__(self, host, authority, build=None, threads=2, database=None, options=()):
        self.host, self.lab, self.authority = host, host.lab, authority
        self.database, self.options = database or host, options
        self.programs = {name: find_program(name, build) for name in ("berth-controller", "berth-node", "berth")}
        self.name = f"{host.name}.lab"
        self.url = f"https://{self.name}"
        self.admin_key = f"admin-{secrets.token_hex(24)}"
        self.running = {}  # name: process
        self._start_database()
        self._start_controller(threads)
        self.org = self.ask("POST", "/v1/orgs", {"name": "Lab"})["id"]
        self.org_key = self.new_key(self.org, "org")
        self.node_key = self.new_key("cloud", "node")

    def assert_running(self):
        for name, proc in self.running.items():
            if proc.poll() is not None:
                raise LabError(f"{name} ended by itself: {proc.returncode}\n{self.tail(name)}")

    def log(self, name):
        return self.lab.read(name)

    def tail(self, name):
        return self.log(name)[-3000:]

    def _start(self, host, log, argv, **kw):
        name = f"{host.name}.{log}"
        self.running[name] = host.start(argv, log=log, **kw)
        return name

    # ---- the controller ----

    def _start_database(self):
        folder = f"{self.lab.files}/postgres"
        rules = self.lab.write("service/pg_hba.conf", "host all all 0.0.0.0/0 scram-sha-256\n")
        name = self._start(self.database, "postgres", [PRIVATE_POSTGRES, folder, POSTGRES_PORT, "max_wal_size=64MB",
                                                       "min_wal_size=32MB", "fsync=off", "listen_addresses=*",
                                                       f"hba_file={rules}"], stop_signal=signal.SIGINT)
        ask = ["psql", "-XqAt", "-h", "127.0.0.1", "-p", POSTGRES_PORT, "-U", "postgres", "-c"]

        def password():
            try:
                return self.lab.read("postgres/password")
            except OSError:
                return ""

        def answers():
            self.assert_running()
            env = clean_env(PGPASSWORD=password())
            return self.database.run([*ask, "SELECT 1"], env=env, check=False).returncode == 0
        wait_until(answers, 60, lambda: f"PostgreSQL answers\n{self.tail(name)}")
        self.database.run([*ask, "CREATE DATABASE berth"], env=clean_env(PGPASSWORD=password()))
        self._ask, self._password = ask, password()
        at = "127.0.0.1" if self.database is self.host else self.database.ip4
        self._url = f"postgresql://postgres:{password()}@{at}:{POSTGRES_PORT}/berth"
        here = self._url.replace(f"@{at}:", "@127.0.0.1:")  # whatever becomes of packets on the way
        self.database.run([self.programs["berth-controller"], "migrate"], env=clean_env(BERTH_DATABASE=here))

    def sql(self, text):
        """psql's unaligned output, asked on the database's own host."""
        return self.database.run([*self._ask, text, "berth"], env=clean_env(PGPASSWORD=self._password)).stdout.rstrip("\n")

    def _start_controller(self, threads):
        cert, key = self.authority.issue(self.host.name, [self.name], self.host.ips)
        secret = [self.lab.write(f"service/{name}", text, 0o600) for name, text in
                  (("master.key", secrets.token_hex(32) + "\n"), ("admin.key", self.admin_key + "\n"))]
        words = [f"--listen={address(ip, 443)}" for ip in self.host.ips]
        words += [f"--public-address={ip}" for ip in self.host.ips]
        name = self._start(self.host, "controller", [
            self.programs["berth-controller"], *words, "--public-name", self.name, "--cert", cert, "--key", key,
            "--master-key", secret[0], "--admin-key", secret[1], "--threads", threads, *self.options,
        ], env=clean_env(BERTH_DATABASE=self._url))
        wait_until(self.ready, 30, lambda: f"the controller is ready\n{self.tail(name)}")

    def probe(self, path):
        """What /livez or /readyz answers on the controller's own host."""
        self.assert_running()
        return int(self.host.run(["curl", "-s", "-o", "/dev/null", "--max-time", "5", "-w", "%{http_code}",
                                  f"http://127.0.0.1:9640{path}"], check=False).stdout)

    def ready(self):
        return self.probe("/readyz") == 200

    def call(self, method, path, body=None, token=None):
        """(status, answer) of a REST call by curl, from the controller's own host."""
        text, _, status = self._curl(method, path, body, token, "-w", "\n%{http_code}").rpartition("\n")
        return int(status), json.loads(text) if text else None

    def head(self, method, path, body=None, token=None):
        """(status, {name: value}) of a call's answer, names in lower case."""
        first, *lines = self._curl(method, path, body, token, "-D", "-", "-o", "/dev/null", "-H", "Expect:").splitlines()
        return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}

    def _curl(self, method, path, body, token, *words):
        return self.host.run(
            ["curl", "-sS", "--config", "-", "--max-time", "20", "--cacert", self.authority.ca, "-X", method,
             "-H", "Content-Type: application/json", *(["--data-binary", json.dumps(body)] if body is not None else []),
             *words, self.url + path],
            stdin=f'header = "Authorization: Bearer {token or self.admin_key}"\n').stdout

    def ask(self, method, path, body=None, token=None):
        """The answer of a call that must work."""
        status, answer = self.call(method, path, body, token)
        if not 200 <= status < 300:
            raise LabError(f"{method} {path}: {status} {answer}")
        return answer

    def new_key(self, org, kind):
        return self.ask("POST", "/v1/keys", {"org": org, "kind": kind})["key"]

    # ---- nodes ----

    def start_node(self, host, key=None, ports=None, advertise=(), cluster=None, region="eu", env=None):
        """A node on `host` that registers: a cloud node, or with `key` a mesh node of that key's org. `advertise` is
        what agents are told in place of its own IPv4 addresses."""
        told = {a.rpartition("=")[2].partition(":")[0] for a in advertise}
        cert, cert_key = self.authority.issue(host.name, [f"{host.name}.lab"], sorted(told | set(host.ips)))
        words = [f"--{t}={address(ip, p)}" for t, numbers in (ports or PORTS).items() for ip in host.ips
                 for p in numbers]
        words += [f"--advertise={a}" for a in advertise]
        token = self.lab.write(f"service/{host.name}.key", (key or self.node_key) + "\n", 0o600)
        return self._start(host, "node", [
            self.programs["berth-node"], "--controller", self.url, "--token-file", token, "--ca", self.authority.ca,
            "--node", host.name, "--cluster", cluster or host.name, "--region", region, *words, "--cert", cert,
            "--key", cert_key, "--tls-name", f"{host.name}.lab", "--threads", 1, "--drain-timeout", 1],
            env=clean_env(**(env or {})))

    def nodes(self, token=None):
        """{node: entry} of the list to probe. Asked again where a busy machine's database keeps the controller waiting."""
        def listed():
            status, answer = self.call("GET", "/v1/nodes", token=token or self.org_key)
            if status not in (200, 503):
                raise LabError(f"GET /v1/nodes: {status} {answer}")
            return answer if status == 200 else None
        return {n["node"]: n for n in wait_until(listed, 20, "the list of nodes")["nodes"]}

    def wait_nodes(self, names, seconds=30, token=None):
        def registered():
            self.assert_running()
            return set(names) <= set(self.nodes(token))
        wait_until(registered, seconds, f"{', '.join(names)} registered")

    def wait_heartbeats(self, names, seconds=20):
        """Until each has been heard of anew."""
        def ages():
            nodes = self.nodes(self.admin_key)
            return {n: nodes[n]["heartbeat_age_s"] for n in names}
        before, waiting = ages(), set(names)

        def heard():
            now = ages()
            waiting.difference_update([n for n in waiting if now[n] < before[n]])
            before.update(now)
            return not waiting
        wait_until(heard, seconds, f"heartbeats of {', '.join(names)}")

    # ---- agents ----

    def agent_env(self, agent, **more):
        """None in `more`: not set."""
        env = clean_env(BERTH_CONTROLLER=self.url, BERTH_TOKEN=self.org_key, BERTH_AGENT=agent,
                        **{"BERTH_CA": self.authority.ca, **more})
        return {name: value for name, value in env.items() if value is not None}

    def start_agent(self, host, arguments, **more):
        """Starts the command on `host`, whose name is the agent's: for `finish`."""
        return host.ns.start([self.programs["berth"], *arguments], stdout=-1, stderr=-1, text=True,
                             env=self.agent_env(host.name, **more))


def finish(proc, timeout=60, statuses=(0,)):
    """What an agent printed, as JSON. LabError unless its exit status is one of these."""
    out, err = proc.communicate(timeout=timeout)
    if proc.returncode not in statuses:
        raise LabError(f"{' '.join(map(str, proc.args))}: exit {proc.returncode}\n{out[-3000:]}\n{err[-2000:]}")
    return json.loads(out)
