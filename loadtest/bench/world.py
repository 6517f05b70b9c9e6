"""A private PostgreSQL, and controllers over it: for topics and scripts that measure more than a node."""
import contextlib
import os
from pathlib import Path

from .run import output, scratch

# Durable as in production; of memory a quarter, as PostgreSQL's manual advises for a server of its own.
MEMORY_MB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
SETTINGS = ["fsync=on", "synchronous_commit=on", "full_page_writes=on", f"shared_buffers={MEMORY_MB // 4}MB", "max_wal_size=4GB"]


@contextlib.contextmanager
def postgres(*more):
    """A server of its own on a disk, not in memory; gone afterwards."""
    from support import postgres as support

    with scratch("/var/tmp") as folder:
        server = support.Postgres(Path(folder), *SETTINGS, *more)
        try:
            yield server
        finally:
            server.remove()


@contextlib.contextmanager
def database(server, build):
    """A migrated one."""
    from support.postgres import Database
    from support.process import clean_env

    db = Database(server)
    try:
        output([f"{build}/controller/berth-controller", "migrate", "--database", db.url], env=clean_env())
        yield db
    finally:
        db.drop()


class Service:
    """Controllers, their World, and an org with a key. Where nothing else is said it is the first controller that is spoken of."""

    def __init__(self, world, controllers):
        self.world, self.controllers, self.controller = world, controllers, controllers[0]
        self.pid = self.controller.process.pid
        self.url = self.controller.url
        self.admin = self.controller.client(world.admin_key)
        self.org = self.make_org("Load")

    def make_org(self, name):
        from conftest import Org

        return Org(self.admin, name)

    def restart(self, threads):
        """The same controller with so many threads: it knows nothing then of what it had read."""
        argv = self.controller.argv
        argv[argv.index("--threads") + 1] = str(threads)
        self.controller.restart()
        self.pid = self.controller.process.pid

    def moves(self):
        """How many participants have been given another node."""
        return int(sum(v for k, v in self.controller.metrics().items() if k.startswith("berth_moves_total")))


@contextlib.contextmanager
def controllers(build, db, count, **options):
    """So many, over TLS on loopback."""
    from support import berth
    from support.certs import Authority

    berth.CONTROLLER, berth.NODE = f"{build}/controller/berth-controller", f"{build}/node/berth-node"
    with scratch() as folder:
        folder = Path(folder)
        authority = Authority(folder / "certs")
        world = berth.World(folder, authority, authority.issue("localhost", ips=["127.0.0.1"]))
        try:
            options = {"rate_limit": 0, "max_connections_per_ip": 0, **options}
            yield Service(world, [berth.Controller(world, db.url, options).start() for _ in range(count)])
        finally:
            world.close()


def controller(build, db, **options):
    return controllers(build, db, 1, **options)


def register_nodes(db, service, n):
    """n0000 and so on, as if they had registered and were alive for the whole of it: whole rows, at once."""
    from support.api import listed, node_body, wait_for

    service.admin.post("/v1/nodes", node_body("n0000")).expect(200, 201)
    more = f"generate_series(1, {n - 1}) i"
    rest = columns(db, "node", "id", "cluster")
    db.sql(f"insert into node (id, cluster, {rest}) select 'n' || lpad(i::text, 4, '0'), 'c' || lpad(i::text, 4, '0'), {rest} "
           f"from node, {more} where id = 'n0000'")
    db.sql("insert into node_load (org, node) select org, id from node on conflict do nothing")
    db.sql("update node_load set heartbeat_at = now() + interval '1 day'")
    wait_for(lambda: len(listed(service.org.api)) == n, 30, f"{n} nodes to be listed")


def sql(db, text):
    """What takes longer than a test's statement may."""
    return output(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", db.url, "-c", text]).rstrip("\n")


def columns(db, table, *but):
    return db.sql("select string_agg(quote_ident(column_name), ', ') from information_schema.columns where "
                  f"table_name = '{table}' and table_schema = current_schema() and column_name <> all ('{{{','.join(but)}}}')")
