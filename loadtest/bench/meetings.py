"""Assignments: joins at a rate into meetings of published sizes, and what a join costs by the size of the meeting."""
import time

from . import world
from .run import berth_load, cpu_us, family_cpu_us, median, say

NODES, KINDS, SMALL, LARGE = 1000, 64, 2, 100
CROWD_FROM = 500  # of each kind: those below join later
IDLE_S = 3
TIMES, SPREAD_S = ("measured_at", "received_at", "expires_at"), 3600
LIVE_LEAST = (CROWD_FROM + LARGE) * KINDS


def live_reports(args, db, service, n):
    """n agents with one live report each: 64 reports that a swarm has sent, each of another 30 of the nodes, copied; measured
    over the last hour, as agents have schedules of their own."""
    berth_load(args, "swarm", "--url", service.url, "--token", service.org.key, "--seconds", 2, "--agents", KINDS,
               "--connections", 8)
    columns = world.columns(db, "report", "agent", "report_id", "names", *TIMES)
    shifted = ("(select array_agg('n' || lpad((o - 1 + 15 * (k % 64))::text, 4, '0') order by o) from unnest(names) "
               "with ordinality u (name, o))")
    db.sql(f"create table kind as select k, {shifted} as names, {', '.join(TIMES)}, {columns} from "
           f"(select *, row_number() over () - 1 as k from report where cardinality(names) = 30 limit {KINDS}) r")
    db.sql("delete from report")
    earlier = ", ".join(f"{t} - abs(hashint4(i)::bigint) % {SPREAD_S} * interval '1 second'" for t in TIMES)
    world.sql(db, f"insert into report (agent, report_id, names, {', '.join(TIMES)}, {columns}) select "
              f"'a' || lpad(i::text, 7, '0'), gen_random_uuid(), names, {earlier}, {columns} "
              f"from generate_series(0, {n - 1}) i join kind on k = i % {KINDS}")
    db.sql("drop table kind")
    world.sql(db, "analyze report")
    db.sql("checkpoint")  # most reports are older than the last one: who needs room for a page has none of theirs to write first
    return int(db.sql("select count(*) from report where expires_at > now()"))


def meetings(db, org, prefix, n):
    db.sql(f"insert into meeting (org, id) select '{org}', '{prefix}' || i from generate_series(0, {n - 1}) i")


def places(db, service):
    """Where one of each kind is put alone: the best node for all of its kind, as their reports say the same."""
    meetings(db, service.org.id, "kind", KINDS)
    for k in range(KINDS):
        service.org.api.post(f"/v1/meetings/kind{k}/participants", {"agent": f"a{CROWD_FROM * KINDS + k:07}"}).expect(200, 201)


def crowd(db, org, prefix, n, people):
    """n meetings with so many people already, where they belong: agents of one place, and none that joins later."""
    meetings(db, org, prefix, n)
    db.sql("insert into participant (org, meeting, agent, node_org, node, transport, ladder) select "
           f"'{org}', '{prefix}' || m, 'a' || lpad((({CROWD_FROM} + p) * {KINDS} + k)::text, 7, '0'), node_org, node, transport, "
           f"ladder from generate_series(0, {n - 1}) m cross join lateral (select m % {KINDS}) kind (k) join participant on "
           f"org = '{org}' and meeting = 'kind' || k, generate_series(0, {people - 1}) p")
    world.sql(db, "analyze meeting, participant")  # as autovacuum would soon: until then plans are those of an empty table


def join(args, service, *more):
    r = berth_load(args, "meetings", "--url", service.url, "--token", service.org.key, "--agents", CROWD_FROM * KINDS,
                   "--kinds", KINDS, *more)
    if r["joined"] == 0:
        raise SystemExit(f"nobody could join: {r}")
    return r


def idle(server, service):
    """CPU that both take with nothing to do: for each second of a clock."""
    before, began = (cpu_us(service.pid), family_cpu_us(server.process.pid)), time.monotonic()
    time.sleep(IDLE_S)
    elapsed = time.monotonic() - began
    return (cpu_us(service.pid) - before[0]) / elapsed, (family_cpu_us(server.process.pid) - before[1]) / elapsed


def cost(args, db, server, service, number, people):
    """CPU of one more join, each into another meeting of so many: by a controller that knows none of them, and one that does."""
    prefix, n, found = f"c{people}x{number}x", args.joins, []
    crowd(db, service.org.id, prefix, n, people - 2)
    rest = idle(server, service)
    for known in (False, True):
        moved, began = service.moves(), time.monotonic()
        before, database = cpu_us(service.pid), family_cpu_us(server.process.pid)
        r = join(args, service, "--size", 1, "--prefix", prefix, "--rate", max(1, n // 10), "--arrivals", "fixed",
                 "--seconds", 10, "--connections", 4, "--seed", 2 * number + known)
        took, done = time.monotonic() - began, max(1, r["joined"])
        found.append({"people": people, "known": known, "joined": r["joined"], "refused": r["refused"],
                      "moved": service.moves() - moved, "cpu_us": (cpu_us(service.pid) - before - rest[0] * took) / done,
                      "database_us": (family_cpu_us(server.process.pid) - database - rest[1] * took) / done,
                      "p50_us": r["latency"]["p50_us"], "p99_us": r["latency"]["p99_us"]})
    return found


def rate(args, db, server, service, number):
    """Joins as they come, into meetings that fill beside one another."""
    prefix = f"r{number}x"
    meetings(db, service.org.id, prefix, args.join_rate * (args.seconds + 2))
    cpu, database = cpu_us(service.pid), family_cpu_us(server.process.pid)
    r = join(args, service, "--prefix", prefix, "--rate", args.join_rate, "--seconds", args.seconds, "--warm", 1,
             "--seed", number)
    r["cpu_us"] = (cpu_us(service.pid) - cpu) / r["sent"]
    r["database_us"] = (family_cpu_us(server.process.pid) - database) / r["sent"]
    return r


def measure(args):
    rates, costs = [], []
    with world.postgres() as server, world.database(server, args.build) as db:
        with world.controller(args.build, db, threads=2, max_org_meetings=0) as service:
            say(f"meetings: {args.live} live reports of {NODES} nodes")
            world.register_nodes(db, service, NODES)
            live = live_reports(args, db, service, args.live)
            places(db, service)
            world.sql(db, "analyze meeting, participant")  # as a controller does once there are some
            for number in range(args.rounds):
                say(f"meetings, round {number + 1} of {args.rounds}: {args.join_rate} joins/s")
                rates.append(rate(args, db, server, service, number))
            service.restart(threads=1)  # who has joined here before is known to the one that is measured
            for number in range(args.rounds):
                say(f"meetings, round {number + 1} of {args.rounds}: one more join by size")
                for people in (SMALL, LARGE):
                    costs += cost(args, db, server, service, number, people)
    return {"live": live, "rate": args.join_rate, "rates": rates, "costs": costs, "servers": rates}


def tables(f):
    r, rows, dearness = f["rates"], [], {}
    for people in (SMALL, LARGE):
        for known in (False, True):
            part = [c for c in f["costs"] if c["people"] == people and c["known"] == known]
            total = [c["cpu_us"] + c["database_us"] for c in part]
            dearness[people, known] = sum(total)
            rows.append([str(people), "yes" if known else "no", f"{median(part, 'cpu_us'):.0f} us",
                         f"{median(part, 'database_us'):.0f} us", f"{median(part, 'p50_us') / 1000:.1f} ms",
                         ", ".join(f"{t:.0f}" for t in total), f"{sum(c['joined'] for c in part):,}",
                         f"{sum(c['moved'] for c in part):,}"])
    ratios = [dearness[LARGE, known] / max(1e-9, dearness[SMALL, known]) for known in (True, False)]
    waits = [[f"{sum(x['joined'] for x in r) / sum(x['seconds'] for x in r):,.0f}",
              *(f"{sorted(x['latency'][k] for x in r)[len(r) // 2] / 1000:.1f} ms" for k in ("p50_us", "p99_us", "p999_us")),
              ", ".join(f"{x['latency']['p99_us'] / 1000:.1f}" for x in r), f"{median(r, 'cpu_us'):.0f} us",
              f"{median(r, 'database_us'):.0f} us", str(sum(x["missed"] + x["failed"] + x["refused"] for x in r))]]
    return [{"title": f"Assignments at {f['rate']:,} joins/s",
             "note": f"{f['live']:,} live reports of 30 nodes by three transports each, {NODES:,} nodes; meetings of published "
             "sizes (half are of two, one in a hundred is of 26 to 100) fill beside one another, 78 % of a meeting's people from "
             "one place. The tables of meetings and participants were analyzed when there were 64. Poisson arrivals; latency from "
             "the time that was meant. Clients, a controller of two threads and a durable PostgreSQL share the machine's cores.",
             "header": ["joins/s", "p50", "p99", "p99.9", "p99, each round", "controller's CPU", "PostgreSQL's CPU",
                        "refused or not answered"], "rows": waits},
            {"title": "Assignments: one more join, by the size of the meeting",
             "note": f"Each join into another meeting of people from one place; with {LARGE} it costs {ratios[0]:.1f} times the "
             f"CPU of one with {SMALL}, controller and PostgreSQL together, where the others' reports are known to the thread "
             f"from joins before, and {ratios[1]:.1f} times where they are not. What both take with nothing to do is taken off.",
             "header": ["people with the newcomer", "known", "controller's CPU", "PostgreSQL's CPU", "p50",
                        "both, us, each round", "joins", "moved"],
             "rows": rows}]


TOPICS = {"meetings": (measure, tables)}
