"""Reports: durable ones a second through a controller, beside PostgreSQL alone with the same rows, and beside Fastify and pg."""
import os
import shutil
import subprocess

from . import world
from .run import ROOT, Program, berth_load, family_cpu_us, free_port, median, say, tcp_answers

NODES, CONNECTIONS, AGENTS, ROWS = 30, 128, 100000, 64
SQL, BERTH, PEER = "PostgreSQL alone", "berth-controller", "Fastify and pg"
PEER_FOLDER = f"{ROOT}/loadtest/peers/fastify"
SHARE = 0.7  # of the most, for latencies


def stored(db, table="report"):
    return int(db.sql(f"select count(*) from {table}"))


def check(name, r, there):
    """Every report that was answered is there; of those that were sent and not counted (warming up) or answered, any may be."""
    if not r["stored"] <= there <= r.get("sent", r["stored"]):
        raise SystemExit(f"{name}: {r['stored']} reports were answered, {there} are in the database")


def alone(args, server, threads, rows):
    with world.database(server, args.build) as db, world.controller(args.build, db, threads=1) as service:
        org = service.org.id  # its partitions are made by the controller, which ends before the load
        service.controller.stop()
        before = family_cpu_us(server.process.pid)
        r = berth_load(args, "reports-sql", "--database", db.url, "--org", org, "--seconds", args.seconds, "--nodes", NODES,
                       "--threads", threads, "--rows", rows)
        used = family_cpu_us(server.process.pid) - before
        check(SQL, r, stored(db))
        return {"reports_per_s": r["reports_per_s"], "cpu_us": 0.0, "database_us": used / r["stored"]}


def swarm(args, url, token, *more):
    return berth_load(args, "swarm", "--url", url, "--token", token, "--seconds", args.seconds, "--nodes", NODES,
                      "--agents", AGENTS, "--connections", CONNECTIONS, *more)


def latency(args, url, token, rate):
    """Over the last seconds of a run that begins with a second's warming up."""
    r = swarm(args, url, token, "--rate", max(1, round(rate)), "--warm", 1)
    return {"rate": rate, "p50_ms": r["latency"]["p50_us"] / 1000, "p99_ms": r["latency"]["p99_us"] / 1000,
            "missed": r["missed"], "failed": r["failed"], "refused": r["refused"], "wrong": r["wrong"]}


def most(args, name, server, db, pid, url, token, table):
    swarm(args, url, token, "--seconds", 1)  # warm
    had, cpu, database = stored(db, table), family_cpu_us(pid), family_cpu_us(server.process.pid)
    r = swarm(args, url, token, "--seed", 2, "--warm", 1)
    used, database = family_cpu_us(pid) - cpu, family_cpu_us(server.process.pid) - database
    there = stored(db, table) - had
    check(name, r, there)
    if r["stored"] == 0:
        raise SystemExit(f"{name} stored nothing: {r}")
    return {"reports_per_s": r["reports_per_s"], "cpu_us": used / there, "database_us": database / there,
            "refused": r["refused"], "wrong": r["wrong"],
            "at_share": latency(args, url, token, r["reports_per_s"] * SHARE)}


def berth(args, server):
    with world.database(server, args.build) as db, world.controller(args.build, db, threads=2) as service:
        world.register_nodes(db, service, NODES)
        return most(args, BERTH, server, db, service.pid, service.url, service.org.key, "report")


def peer(args, server):
    with world.database(server, args.build) as db, world.controller(args.build, db, threads=1) as service:
        world.register_nodes(db, service, NODES)
        service.controller.stop()
        port = free_port()
        cert, key = service.world.certificate
        environment = {**os.environ, "PEER_PORT": str(port), "PEER_DATABASE": db.url, "PEER_MASTER_KEY": service.world.master_key,
                       "PEER_CERT": str(cert), "PEER_KEY": str(key), "PEER_PROCESSES": "2", "NODE_ENV": "production"}
        with Program(["node", f"{PEER_FOLDER}/server.js"], env=environment) as program:
            program.wait_until(lambda: tcp_answers(port), "it doesn't listen")
            return most(args, PEER, server, db, program.pid, f"https://127.0.0.1:{port}", service.org.key, "peer_report")


def peer_is_there():
    if not shutil.which("npm") or not shutil.which("node"):
        say("reports: no node and npm, so without Fastify and pg")
        return False
    if not os.path.isdir(f"{PEER_FOLDER}/node_modules/fastify"):
        subprocess.run(["npm", "ci", "--no-progress"], cwd=PEER_FOLDER, check=True, stdout=subprocess.DEVNULL)
    return True


def measure(args):
    found, with_peer = {}, peer_is_there()
    with world.postgres() as server:
        for number in range(args.rounds):
            turns = {SQL: lambda: alone(args, server, 1, 1), f"{SQL}, two connections": lambda: alone(args, server, 2, 1),
                     f"{SQL}, Berth's statements": lambda: alone(args, server, 1, ROWS),
                     f"{SQL}, Berth's statements, two connections": lambda: alone(args, server, 2, ROWS),
                     BERTH: lambda: berth(args, server)}
            if with_peer:
                turns[PEER] = lambda: peer(args, server)
            for name, turn in turns.items():
                say(f"reports, round {number + 1} of {args.rounds}: {name}")
                found.setdefault(name, []).append(turn())
    return {"servers": [{"server": name, "rounds": rows, "wrong": sum(r.get("wrong", 0) for r in rows),
                         **{k: median(rows, k) for k in ("reports_per_s", "cpu_us", "database_us")}}
                        for name, rows in found.items()]}


def tables(f):
    base = max(s["reports_per_s"] for s in f["servers"] if s["server"].startswith(SQL))
    berth_rate = next(s["reports_per_s"] for s in f["servers"] if s["server"] == BERTH)
    rates, waits = [], []
    for s in f["servers"]:
        rates.append([s["server"], f"{s['reports_per_s']:,.0f}", f"{s['reports_per_s'] / base:.2f}",
                      f"{berth_rate / s['reports_per_s']:.1f}", f"{s['cpu_us']:.0f} us" if s["cpu_us"] else "",
                      f"{s['database_us']:.0f} us", ", ".join(f"{r['reports_per_s']:,.0f}" for r in s["rounds"])])
        parts = [r["at_share"] for r in s["rounds"] if "at_share" in r]
        if parts:
            waits.append([s["server"], f"{median(parts, 'rate'):,.0f}", f"{median(parts, 'p50_ms'):.1f} ms",
                          f"{median(parts, 'p99_ms'):.1f} ms", ", ".join(f"{p['p99_ms']:.1f}" for p in parts),
                          str(sum(p["missed"] + p["failed"] + p["refused"] for p in parts))])
    return [{"title": "Reports: durable ones a second",
             "note": f"Reports of {NODES} nodes by three transports (90 rows), {AGENTS:,} agents over {CONNECTIONS} kept TLS "
             "connections, "
             "answered once they are committed; clients, services and a durable PostgreSQL share the machine's cores. PostgreSQL "
             "alone: the same rows, encoded beforehand, 256 a transaction, pipelined: by a prepared insert each, and by the "
             f"controller's own statements of {ROWS} rows; the fastest is what the others are held against. Fastify and pg "
             "(`loadtest/peers/fastify`): two processes, compiled schemas, many requests' reports in one insert and commit. All "
             "answered ones were counted in the database.",
             "header": ["what", "reports/s", "of PostgreSQL alone", "Berth is so many times", "CPU per report",
                        "PostgreSQL's CPU per report", "each round"], "rows": rates},
            {"title": "Reports: latency at 70 % of the most",
             "note": f"{AGENTS:,} agents, each by its own clock; from the time that was meant to the answer.",
             "header": ["what", "reports/s", "p50", "p99", "p99, each round", "not answered, or refused"], "rows": waits}]


TOPICS = {"reports": (measure, tables)}
