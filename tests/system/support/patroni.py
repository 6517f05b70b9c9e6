"""A Patroni cluster of two PostgreSQL servers with etcd, all on loopback, each server a "machine": a PID namespace of its own, so
that killing it takes Patroni and PostgreSQL away in one moment, and nothing of it outlives the test whatever happens to that."""

import json
import os
import pwd
import subprocess
from pathlib import Path

from .process import Process, clean_env, free_port, wait_for
from .rest import Client

SUPERUSER = ("postgres", "super-of-the-test")
REPLICATION = ("replicator", "replicator-of-the-test")
TTL_S, LOOP_S, RETRY_S = 20, 2, 3
# Patroni's own word: when the leader's key has run out, one look later another is promoted.
FAILOVER_MOST_S = TTL_S + 2 * LOOP_S + 2 * RETRY_S + 15  # and 15 s for a machine on which everything runs at once


def bin_dir():
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))[-1].parent


class Machine:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.port, self.rest_port = free_port(), free_port()
        self.folder = cluster.folder / name
        self.folder.mkdir()
        os.chown(self.folder, cluster.uid, -1)
        self.folder.chmod(0o700)
        self.config = cluster.folder / f"{name}.yml"
        self.config.write_text(json.dumps(self._settings()))
        self.process = None

    def _settings(self):
        """JSON is YAML."""
        users = [("superuser", SUPERUSER), ("replication", REPLICATION), ("rewind", SUPERUSER)]
        return {
            "scope": "berth", "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}", "connect_address": f"127.0.0.1:{self.rest_port}"},
            "etcd3": {"host": f"127.0.0.1:{self.cluster.etcd_port}"},
            "bootstrap": {
                "dcs": {"ttl": TTL_S, "loop_wait": LOOP_S, "retry_timeout": RETRY_S, "synchronous_mode": True,
                        "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 100, "wal_log_hints": "on"}}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}", "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.folder / "data"), "bin_dir": str(bin_dir()),
                "authentication": {kind: {"username": u, "password": p} for kind, (u, p) in users},
                "parameters": {"unix_socket_directories": str(self.folder), "shared_buffers": "64MB"},
                "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256",
                           "host replication all 127.0.0.1/32 scram-sha-256"],
                "pgpass": str(self.folder / "pgpass"),
            },
        }  # fmt: skip

    def start(self):
        self.process = Process(
            ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--",
             "setpriv", f"--reuid={self.cluster.uid}", f"--regid={self.cluster.gid}", "--clear-groups", "--",
             "setpriv", "--pdeathsig", "KILL", "--", "patroni", self.config],  # a change of user would have cleared it
            self.cluster.folder / f"{self.name}.log", cwd="/",
        )  # fmt: skip

    def kill(self):
        """As if its plug were pulled."""
        self.process.kill()

    def state(self):
        """What Patroni says of itself; {} where nobody says anything."""
        try:
            return Client(f"http://127.0.0.1:{self.rest_port}", timeout=3).get("/patroni").json
        except OSError:
            return {}

    def leads(self):
        return self.state().get("role") in ("master", "primary") and self.state().get("state") == "running"


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            user = pwd.getpwnam("nobody")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.etcd_port, peer = free_port(), free_port()
        url, peer_url = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{peer}"
        self.etcd = Process(
            ["etcd", "--name=one", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
             f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}", f"--initial-cluster=one={peer_url}"],
            folder / "etcd.log", env={"ETCD_UNSUPPORTED_ARCH": ""},
        )  # fmt: skip
        wait_for(self._etcd_answers, 60, "etcd to answer")
        self.machines = [Machine(self, name) for name in ("one", "two")]
        for m in self.machines:
            m.start()
            wait_for(lambda: m.state().get("state") == "running", 180, lambda: f"the PostgreSQL of {m.name}\n{m.process.tail()}")
        self.wait_synchronous()

    def _etcd_answers(self):
        assert self.etcd.running(), self.etcd.tail()
        try:
            return Client(f"http://127.0.0.1:{self.etcd_port}", timeout=3).get("/health").status == 200
        except OSError:
            return False

    def leader(self):
        return next((m for m in self.machines if m.leads()), None)

    def other(self, machine):
        return next(m for m in self.machines if m is not machine)

    def wait_synchronous(self, seconds=180):
        """A leader, and a standby that has whatever is committed, and knows that it may lead: Patroni writes that down two seconds after
        PostgreSQL has begun to wait for it."""

        def both():
            leader = self.leader()
            return leader and self.other(leader).state().get("sync_standby")

        wait_for(both, seconds, lambda: "a synchronous standby\n" + "\n".join(m.process.tail(20) for m in self.machines))

    def url(self, database):
        user, password = SUPERUSER
        hosts = ",".join(f"127.0.0.1:{m.port}" for m in self.machines)
        return f"postgresql://{user}:{password}@{hosts}/{database}?target_session_attrs=read-write&connect_timeout=5"

    def sql(self, sql, database="postgres"):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", sql], capture_output=True,
                              text=True, timeout=120, env=clean_env())  # fmt: skip
        assert done.returncode == 0, f"{sql}\n{done.stderr}"
        return done.stdout.rstrip("\n")

    def stop(self):
        for m in self.machines:
            m.kill()
        self.etcd.kill()

    def logs(self):
        return "\n".join(p.tail(40) for p in (self.etcd, *(m.process for m in self.machines)))
