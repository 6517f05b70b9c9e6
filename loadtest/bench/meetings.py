"""Assignments: joins at a rate into meetings of published sizes, and what a join costs by the size of the meeting."""
from . import world
from .run import berth_load, cpu_us, family_cpu_us, median, say

NODES, KINDS, SMALL, LARGE = 1000, 64, 2, 100
CROWD_FROM = 500  # of each kind: those below join later
LIVE_LEAST = (CROWD_FROM + LARGE) * KINDS


def live_reports(args, db, service, n):
    """n agents with one live report each: 64 reports that a swarm has sent, each of another 30 of the nodes, copied."""
    berth_load(args, "swarm", "--url", service.url, "--token", service.org.key, "--seconds", 2, "--agents", KINDS,
               "--connections", 8)
    columns = world.columns(db, "report", "agent", "report_id", "names")
    shifted = ("(select array_agg('n' || lpad((o - 1 + 15 * (k % 64))::text, 4, '0') order by o) from unnest(names) "
               "with ordinality u (name, o))")
    db.sql(f"create table kind as select k, {shifted} as names, {columns} from (select *, row_number() over () - 1 as k "
           f"from report where cardinality(names) = 30 limit {KINDS}) r")
    db.sql("delete from report")
    world.sql(db, f"insert into report (agent, report_id, names, {columns}) select 'a' || lpad(i::text, 7, '0'), "
              f"gen_random_uuid(), names, {columns} from generate_series(0, {n - 1}) i join kind on k = i % {KINDS}")
    db.sql("drop table kind")
    world.sql(db, "analyze report")
    return int(db.sql("select count(*) from report where expires_at > now()"))


def meetings(db, org, prefix, n):
    db.sql(f"insert into meeting (org, id) select '{org}', '{prefix}' || i from generate_series(0, {n - 1}) i")


def crowd(db, org, prefix, n, people):
    """n meetings with so many people already, all of them on one node: agents of one place, and none that joins later."""
    meetings(db, org, prefix, n)
    db.sql("insert into participant (org, meeting, agent, node_org, node, transport, ladder) select "
           f"'{org}', '{prefix}' || m, 'a' || lpad((({CROWD_FROM} + p) * {KINDS} + m % {KINDS})::text, 7, '0'), 'cloud', "
           f"'n' || lpad((15 * (m % {KINDS}))::text, 4, '0'), 0, '{{0,1,2}}' from generate_series(0, {n - 1}) m, "
           f"generate_series(0, {people - 1}) p")


def join(args, service, *more):
    r = berth_load(args, "meetings", "--url", service.url, "--token", service.org.key, "--agents", CROWD_FROM * KINDS,
                   "--kinds", KINDS, *more)
    if r["joined"] == 0:
        raise SystemExit(f"nobody could join: {r}")
    return r


def cost(args, db, server, service, number, people):
    """CPU of one more join, each into another meeting of so many."""
    prefix, n = f"c{people}x{number}x", args.joins
    crowd(db, service.org.id, prefix, n, people - 1)
    before, database = cpu_us(service.pid), family_cpu_us(server.process.pid)
    r = join(args, service, "--size", 1, "--prefix", prefix, "--rate", max(1, n // 10), "--arrivals", "fixed", "--seconds", 10,
             "--connections", 4)
    return {"people": people, "joined": r["joined"], "refused": r["refused"],
            "cpu_us": (cpu_us(service.pid) - before) / r["joined"],
            "database_us": (family_cpu_us(server.process.pid) - database) / r["joined"],
            "p50_us": r["latency"]["p50_us"], "p99_us": r["latency"]["p99_us"]}


def measure(args):
    rates, costs = [], []
    with world.postgres() as server, world.database(server, args.build) as db:
        with world.controller(args.build, db, threads=2, max_org_meetings=0) as service:
            say(f"meetings: {args.live} live reports of {NODES} nodes")
            world.register_nodes(db, service, NODES)
            live = live_reports(args, db, service, args.live)
            for number in range(args.rounds):
                say(f"meetings, round {number + 1} of {args.rounds}: {args.join_rate} joins/s")
                prefix = f"r{number}x"
                meetings(db, service.org.id, prefix, args.join_rate * (args.seconds + 2))
                cpu, database = cpu_us(service.pid), family_cpu_us(server.process.pid)
                r = join(args, service, "--prefix", prefix, "--rate", args.join_rate, "--seconds", args.seconds, "--warm", 1,
                         "--seed", number)
                r["cpu_us"] = (cpu_us(service.pid) - cpu) / r["sent"]
                r["database_us"] = (family_cpu_us(server.process.pid) - database) / r["sent"]
                rates.append(r)
                say(f"meetings, round {number + 1} of {args.rounds}: one more join by size")
                costs += [cost(args, db, server, service, number, people) for people in (SMALL, LARGE)]
    return {"live": live, "rate": args.join_rate, "rates": rates, "costs": costs, "servers": rates}


def tables(f):
    r, rows = f["rates"], []
    for people in (SMALL, LARGE):
        part = [c for c in f["costs"] if c["people"] == people]
        total = [c["cpu_us"] + c["database_us"] for c in part]
        rows.append([str(people), f"{median(part, 'cpu_us'):.0f} us", f"{median(part, 'database_us'):.0f} us",
                     f"{median(part, 'p50_us') / 1000:.1f} ms", ", ".join(f"{t:.0f}" for t in total),
                     f"{sum(c['joined'] for c in part):,}"])
    ratio = sum(c["cpu_us"] + c["database_us"] for c in f["costs"] if c["people"] == LARGE) / max(
        1e-9, sum(c["cpu_us"] + c["database_us"] for c in f["costs"] if c["people"] == SMALL))
    waits = [[f"{sum(x['joined'] for x in r) / sum(x['seconds'] for x in r):,.0f}",
              *(f"{sorted(x['latency'][k] for x in r)[len(r) // 2] / 1000:.1f} ms" for k in ("p50_us", "p99_us", "p999_us")),
              ", ".join(f"{x['latency']['p99_us'] / 1000:.1f}" for x in r), f"{median(r, 'cpu_us'):.0f} us",
              f"{median(r, 'database_us'):.0f} us", str(sum(x["missed"] + x["failed"] + x["refused"] for x in r))]]
    return [{"title": f"Assignments at {f['rate']:,} joins/s",
             "note": f"{f['live']:,} live reports of 30 nodes by three transports each, {NODES:,} nodes; meetings of published "
             "sizes (half are of two, one in a hundred is of 26 to 100) fill beside one another, 78 % of a meeting's people from "
             "one place. Poisson arrivals; latency from the time that was meant. Clients, a controller of two threads and a "
             "durable PostgreSQL share the machine's cores.",
             "header": ["joins/s", "p50", "p99", "p99.9", "p99, each round", "controller's CPU", "PostgreSQL's CPU",
                        "refused or not answered"], "rows": waits},
            {"title": "Assignments: one more join, by the size of the meeting",
             "note": f"Each join into another meeting of people from one place; with {LARGE} it costs {ratio:.1f} times the CPU "
             f"of one with {SMALL}, controller and PostgreSQL together.",
             "header": ["people with the newcomer", "controller's CPU", "PostgreSQL's CPU", "p50", "both, us, each round",
                        "joins"],
             "rows": rows}]


TOPICS = {"meetings": (measure, tables)}
