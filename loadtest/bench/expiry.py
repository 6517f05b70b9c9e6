"""Expiry: dropping the oldest hour of reports beside writers, and the size of the table over ten lifetimes."""
import json
import re
import subprocess
import time

from . import world
from .run import berth_load, cpu_us, die_with_parent, say

NODES, RATE, LIFETIMES, LIFETIME_S, LOAD_S, BLOCKED_MS = 30, 50, 10, 20, 12, 50
TURN_S = 10  # the housekeeper looks for what has expired at least so often
LOCK = 7305804402567  # its advisory lock
SIZE = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits where inhparent = 'report'::regclass"
# Who waits for a lock is logged, and what a statement took; what is filled by the transaction that has emptied it needs no log of
# what is written.
SETTINGS = ["log_lock_waits=on", f"deadlock_timeout={BLOCKED_MS}ms", "log_min_duration_statement=1ms",
            "log_parameter_max_length=0", "wal_level=minimal", "max_wal_senders=0"]


def swarm(service, nodes, seconds, *more):
    return ["swarm", "--url", service.url, "--token", service.org.key, "--seconds", seconds, "--rate", RATE, "--nodes", nodes,
            "--connections", 8, *more]


def load(args, *words, stdout):
    """Beside what else is done, in a with statement."""
    return subprocess.Popen([f"{args.build}/loadtest/berth-load", *map(str, words), "--json"], stdin=subprocess.DEVNULL,
                            stdout=stdout, preexec_fn=die_with_parent)


def fill_hour(args, db, service):
    """The oldest hour's partitions, with so many reports: copies of what a swarm has sent. The controller leaves them to us, as
    does vacuum, which with an hour's reports would long be through."""
    berth_load(args, *swarm(service, args.expired_nodes, 2))
    hour = [line.split("|") for line in db.sql("select name, lo, hi from report_partition order by lo limit 4").split("\n")]
    columns = world.columns(db, "report", "report_id", "measured_at", "received_at", "expires_at")
    db.sql(f"update report_partition set keep_until = 'infinity' where lo <= '{hour[-1][1]}'")
    db.sql(f"create table kind as select {columns}, row_number() over () - 1 as k from (select * from report where "
           "received_at > now() - interval '5 minutes' limit 16) r")
    filling = []
    for name, lo, hi in hour:
        n = args.expired // len(hour)
        at = f"timestamptz '{lo}' + (timestamptz '{hi}' - timestamptz '{lo}') * (i / {n}::float)"
        text = (f"begin; alter table {name} set (autovacuum_enabled = off, toast.autovacuum_enabled = off); truncate {name}; "
                f"insert into {name} ({columns}, report_id, measured_at, received_at, expires_at) select {columns}, "
                f"gen_random_uuid(), t, t, t + interval '2 hours' from (select i % 16 as k, {at} as t "
                f"from generate_series(0, {n - 1}) i) i join kind using (k); commit")
        filling.append(subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", db.url, "-c", text], stdin=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent))
    if any([p.wait() for p in filling]):
        raise SystemExit("the oldest hour could not be filled")
    db.sql("checkpoint")
    return [name for name, _, _ in hour]


def logged(server, since):
    with open(server.folder / "log", encoding="utf-8", errors="replace") as f:
        f.seek(since)
        return f.read()


def housekeeper(db):
    """The process that serves its connection: whoever holds its lock."""
    return int(db.sql(f"select pid from pg_locks where locktype = 'advisory' and (classid::bigint << 32) + objid::bigint = {LOCK}"))


def drop(db, hour):
    """Marks the partitions as housekeepers do what is to go, and waits until one has dropped them: it is looked at seldom, each look
    costs others."""
    from support.process import wait_for

    which = f"name = any ('{{{','.join(hour)}}}')"
    db.sql(f"update report_partition set keep_until = '-infinity' where {which}")
    wait_for(lambda: db.sql(f"select count(*) from report_partition where {which}") == "0", 120,
             "the housekeeper to drop the hour", 0.5)


def seconds(log, pid, name):
    """By PostgreSQL's log of slow statements: until it was out of the table, and until its files were gone."""
    found = []
    for statement in (f"alter table report detach partition {name} ", f"begin; .*drop table if exists {name};"):
        took = re.findall(rf"\[{pid}\] LOG:  duration: ([0-9.]+) ms  statement: {statement}", log)
        if len(took) != 1:
            raise SystemExit(f"expiry: {len(took)} statements of PostgreSQL's log begin with {statement!r}: there should be one")
        found.append(float(took[0]) / 1000)
    return found


def blocked(log, pid):
    """How often somebody else has waited for a lock for BLOCKED_MS or longer."""
    return sum(int(p) != pid for p in re.findall(r"process (\d+) still waiting for ", log))


def oldest_hour(args, server):
    with world.database(server, args.build) as db, world.controller(args.build, db, threads=2) as service:
        world.register_nodes(db, service, args.expired_nodes)
        began = time.monotonic()
        hour = fill_hour(args, db, service)
        rows, size = args.expired, int(db.sql(SIZE))
        say(f"expiry: {rows} reports, {size / 1e6:,.0f} MB, written in {time.monotonic() - began:.0f} s")
        alone = berth_load(args, *swarm(service, args.expired_nodes, LOAD_S))
        pid, since = housekeeper(db), (server.folder / "log").stat().st_size
        with load(args, *swarm(service, args.expired_nodes, TURN_S + LOAD_S, "--seed", 2), stdout=subprocess.PIPE) as loading:
            used = cpu_us(pid)
            drop(db, hour)
            used = cpu_us(pid) - used
            if loading.poll() is not None:
                raise SystemExit("expiry: the load ended before the hour was gone: nothing is known of what others wait beside it")
            beside = json.loads(loading.stdout.read())
        log = logged(server, since)
        return {"rows": rows, "nodes": args.expired_nodes, "bytes": size, "freed": size - int(db.sql(SIZE)),
                "took": [seconds(log, pid, name) for name in hour], "cpu_us": used, "alone": alone["latency"],
                "beside": beside["latency"], "wrong": alone["wrong"] + beside["wrong"],
                "refused": beside["refused"] + beside["failed"], "blocked": blocked(log, pid)}


def steady(args, server):
    """The most that the table takes in each of ten lifetimes of a controller whose reports live shortly."""
    with (world.database(server, args.build) as db,
          world.controller(args.build, db, threads=1, report_lifetime=LIFETIME_S) as service):
        world.register_nodes(db, service, NODES)
        most = [0] * LIFETIMES
        with load(args, *swarm(service, NODES, LIFETIME_S * LIFETIMES), stdout=subprocess.DEVNULL) as loading:
            began = time.monotonic()
            while loading.poll() is None:
                at = int((time.monotonic() - began) / LIFETIME_S)
                if at < LIFETIMES:
                    most[at] = max(most[at], int(db.sql(SIZE)))
                time.sleep(0.5)
        return most


def measure(args):
    with world.postgres(*SETTINGS) as server:
        say(f"expiry: {args.expired} reports of {args.expired_nodes} nodes in the oldest hour")
        hour = oldest_hour(args, server)
        say(f"expiry: {LIFETIMES} lifetimes of {LIFETIME_S} s")
        return {"servers": [hour], "sizes": steady(args, server)}


def tables(f):
    h = f["servers"][0]
    ms = [", ".join(f"{h[k][at] / 1000:.1f}" for at in ("p50_us", "p99_us", "max_us")) + " ms" for k in ("alone", "beside")]
    seconds = [f"{sum(each):.2f} s ({', '.join(f'{s:.2f}' for s in each)})" for each in zip(*h["took"])]
    return [{"title": "Expiry: the oldest hour is dropped",
             "note": f"Detached concurrently and dropped, partition by partition, by the controller's housekeeper, while {RATE} "
             f"reports a second, of {h['nodes']} nodes by three transports as those in the hour, are posted by their schedule. "
             "Seconds are its statements' alone, by PostgreSQL's log; of a drop they are mostly the removal of files, which comes "
             "after the commit and holds no lock. Blocked: how often PostgreSQL has seen anybody but the housekeeper's session "
             f"wait for a lock for {BLOCKED_MS} ms.",
             "header": ["reports in the hour", "size of all", "detached in", "dropped in", "CPU of both",
                        "a report's p50, p99, most: alone", "beside the drop", "refused", "blocked"],
             "rows": [[f"{h['rows']:,}", f"{h['bytes'] / 1e6:,.0f} MB", *seconds, f"{h['cpu_us'] / 1e6:.2f} s", *ms, h["refused"],
                       h["blocked"]]]},
            {"title": "Expiry: size over ten lifetimes",
             "note": f"Reports live {LIFETIME_S} s, {RATE} come a second; the most that all partitions take, with their indexes, "
             "in each lifetime.",
             "header": [str(n + 1) for n in range(len(f["sizes"]))], "rows": [[f"{s / 1e6:.1f} MB" for s in f["sizes"]]]}]


TOPICS = {"expiry": (measure, tables)}
