"""Expiry: dropping the oldest hour of reports beside writers, and the size of the table over ten lifetimes."""
import json
import subprocess
import time

from . import world
from .run import berth_load, die_with_parent, say

NODES, RATE, LIFETIMES, LIFETIME_S, LOAD_S = 30, 50, 10, 20, 12
SIZE = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits where inhparent = 'report'::regclass"


def swarm(args, service, seconds, *more):
    return ["swarm", "--url", service.url, "--token", service.org.key, "--seconds", seconds, "--rate", RATE, "--nodes", NODES,
            "--connections", 8, *more]


def fill_hour(args, db, service):
    """The oldest hour's partitions, with so many reports: copies of what a swarm has sent."""
    berth_load(args, *swarm(args, service, 2))
    hour = [line.split("|") for line in db.sql("select name, lo, hi from report_partition order by lo limit 4").split("\n")]
    columns = world.columns(db, "report", "report_id", "measured_at", "received_at", "expires_at")
    for name, lo, hi in hour:
        n = args.expired // len(hour)
        at = f"timestamptz '{lo}' + (timestamptz '{hi}' - timestamptz '{lo}') * (i / {n}::float)"
        world.sql(db, f"with kind as materialized (select {columns}, row_number() over () - 1 as k from report where "
                  "received_at > now() - interval '5 minutes' limit 16) "
                  f"insert into report ({columns}, report_id, measured_at, received_at, expires_at) select {columns}, "
                  f"gen_random_uuid(), {at}, {at}, {at} + interval '2 hours' from generate_series(0, {n - 1}) i "
                  "join kind on k = i % 16")
        say(f"expiry: {name} is full")
    return [name for name, _, _ in hour]


def drop(db, name):
    """The housekeeper's own statements; seconds."""
    began = time.monotonic()
    world.sql(db, f"alter table report detach partition {name} concurrently")
    world.sql(db, f"begin; set local lock_timeout = '2s'; drop table {name}; delete from report_partition where name = '{name}'; "
              "commit")
    return time.monotonic() - began


def oldest_hour(args, server):
    with world.database(server, args.build) as db, world.controller(args.build, db, threads=2) as service:
        world.register_nodes(db, service, NODES)
        hour = fill_hour(args, db, service)
        rows, size = args.expired, int(db.sql(SIZE))
        alone = berth_load(args, *swarm(args, service, LOAD_S))
        command = [f"{args.build}/loadtest/berth-load", *map(str, swarm(args, service, LOAD_S, "--seed", 2)), "--json"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=die_with_parent) as load:
            time.sleep(LOAD_S / 4)
            took = [drop(db, name) for name in hour]
            beside = json.loads(load.stdout.read())
        return {"rows": rows, "bytes": size, "freed": size - int(db.sql(SIZE)), "seconds": sum(took), "each": took,
                "alone": alone["latency"], "beside": beside["latency"], "wrong": alone["wrong"] + beside["wrong"],
                "refused": beside["refused"] + beside["failed"]}


def steady(args, server):
    """The most that the table takes in each of ten lifetimes of a controller whose reports live shortly."""
    with (world.database(server, args.build) as db,
          world.controller(args.build, db, threads=1, report_lifetime=LIFETIME_S) as service):
        world.register_nodes(db, service, NODES)
        command = [f"{args.build}/loadtest/berth-load", *map(str, swarm(args, service, LIFETIME_S * LIFETIMES)), "--json"]
        most = [0] * LIFETIMES
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent) as load:
            began = time.monotonic()
            while load.poll() is None:
                at = int((time.monotonic() - began) / LIFETIME_S)
                if at < LIFETIMES:
                    most[at] = max(most[at], int(db.sql(SIZE)))
                time.sleep(0.5)
        return most


def measure(args):
    with world.postgres() as server:
        say(f"expiry: {args.expired} reports in the oldest hour")
        hour = oldest_hour(args, server)
        say(f"expiry: {LIFETIMES} lifetimes of {LIFETIME_S} s")
        return {"servers": [hour], "sizes": steady(args, server)}


def tables(f):
    h = f["servers"][0]
    ms = [", ".join(f"{h[k][at] / 1000:.1f}" for at in ("p50_us", "p99_us", "max_us")) + " ms" for k in ("alone", "beside")]
    return [{"title": "Expiry: the oldest hour is dropped",
             "note": f"Detached concurrently and dropped, partition by partition, by the housekeeper's statements, while {RATE} "
             "reports a second are posted by their schedule.",
             "header": ["reports in the hour", "size of all", "dropped in", "each partition", "a report's p50, p99, most: alone",
                        "beside the drop", "refused"],
             "rows": [[f"{h['rows']:,}", f"{h['bytes'] / 1e6:,.0f} MB", f"{h['seconds']:.2f} s",
                       ", ".join(f"{s:.2f}" for s in h["each"]), *ms, str(h["refused"])]]},
            {"title": "Expiry: size over ten lifetimes",
             "note": f"Reports live {LIFETIME_S} s, {RATE} come a second; the most that all partitions take, with their indexes, "
             "in each lifetime.",
             "header": [str(n + 1) for n in range(len(f["sizes"]))], "rows": [[f"{s / 1e6:.1f} MB" for s in f["sizes"]]]}]


TOPICS = {"expiry": (measure, tables)}
