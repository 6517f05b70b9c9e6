"""A private PostgreSQL cluster: real, durable (fsync on), on a loopback port, gone with the test run."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .process import SOURCE, Process, alive, clean_env, free_port, wait_for

# Small buffers make a start quick; durability is untouched.
SETTINGS = ["fsync=on", "max_connections=200", "shared_buffers=64MB"]


class Postgres:
    def __init__(self, folder: Path, *settings, namespace=None, env=None):
        """`namespace`: of the process with this id are the mounts that the server sees; `folder` is a path there."""
        self.folder = Path(f"/proc/{namespace}/root{folder}") if namespace else folder
        self.into = ["nsenter", f"--mount=/proc/{namespace}/ns/mnt", "--"] if namespace else []
        self.inside = folder
        self.env = env
        self.settings = [*SETTINGS, *settings]
        self.port = free_port()
        self.process = None
        self.start()

    def start(self):
        """Starts the server, again on the same port and data after stop() or kill()."""
        script = SOURCE / "common" / "sh" / "private-postgres"
        self.process = Process([*self.into, script, self.inside, self.port, *self.settings], self.folder / "log", env=self.env)
        wait_for(self._answers, 60, "PostgreSQL to answer")

    def _answers(self):
        assert self.process.running(), self.process.tail()
        return (self.folder / "password").exists() and self._psql("SELECT 1", "postgres").returncode == 0

    def stop(self):
        """A fast shutdown, as an operator's restart does."""
        if self.process.running():
            self.process.signal(signal.SIGINT)
            self.process.wait(60)

    def kill(self):
        """As kill -9 of the whole server: nothing in memory survives; the postmaster's children see it and end."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        for pid in children:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not any(alive(p) for p in children), 20, "PostgreSQL's children to end")

    def remove(self):
        self.stop()
        if self.into:
            return  # its disk goes with the namespace
        data = Path((self.folder / "data-path").read_text().strip())
        shutil.rmtree(data if data.parent == self.folder else data.parent, ignore_errors=True)

    def url(self, database="postgres", user="postgres", password=None):
        password = password or (self.folder / "password").read_text().strip()
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def _psql(self, sql, database):
        return subprocess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", sql],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_env({"PGCONNECT_TIMEOUT": "5"}),
        )

    def sql(self, sql, database="postgres"):
        """psql's unaligned output without the last newline; columns are separated by '|'."""
        done = self._psql(sql, database)
        assert done.returncode == 0, f"{sql}\n{done.stderr}"
        return done.stdout.rstrip("\n")


class Database:
    """One database of a Postgres, migrated where asked."""

    count = 0

    def __init__(self, postgres: Postgres):
        Database.count += 1
        self.postgres = postgres
        self.name = f"berth_{os.getpid()}_{Database.count}"
        postgres.sql(f"CREATE DATABASE {self.name}")

    @property
    def url(self):
        return self.postgres.url(self.name)

    def sql(self, sql):
        return self.postgres.sql(sql, self.name)

    def drop(self):
        self.postgres.sql(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
