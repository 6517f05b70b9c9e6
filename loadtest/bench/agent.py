"""The agent: what probing 200 nodes by three transports takes, and how large the library is."""
import glob
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time

from .run import Program, cpu_us, die_with_parent, free_port, median, say, scratch, self_signed, tcp_answers
from .stun import node

NODES = 200


def address(n):
    return f"127.0.{1 + n // 200}.{1 + n % 200}"


def own_kb(pid):
    """What is its alone: without what it shares with whoever uses the same libraries."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return int(re.search(r"^Pss_Anon:\s+(\d+)", f.read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def probe(args, ports, folder):
    """One probe of all of them; the most memory that was seen."""
    words = [w for n in range(NODES) for w in ("--node", f"{address(n)}," + ",".join(f"{t}={p}" for t, p in ports.items()))]
    began, most = time.monotonic(), 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(["taskset", "-c", str(args.cores[1]), f"{args.build}/agent/berth", "probe", "--json", "--ca",
                               f"{folder}/cert.pem", *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"]}, preexec_fn=die_with_parent) as berth:
            while berth.poll() is None:
                most = max(most, own_kb(berth.pid))
                time.sleep(0.01)
        out.seek(0)
        rows = [r for n in json.load(out)["nodes"] for r in n["results"]]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - began, "cpu_s": used, "own_kb": most, "rows": len(rows),
            "reachable": sum(r["status"] == "reachable" for r in rows)}


def library(args, folder):
    """Stripped, as a distribution would ship it."""
    found = [f for f in glob.glob(f"{args.build}/agent/libberth.so*") if not os.path.islink(f)]
    if not found:
        raise SystemExit(f"{args.build}/agent has no libberth.so: build all of it")
    copy = shutil.copy(found[0], folder)
    subprocess.run(["strip", "--strip-unneeded", copy], check=True)
    names = subprocess.run(["nm", "-D", "--defined-only", copy], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"bytes": os.path.getsize(copy), "symbols": len(names.split("\n")) - 1}


def measure(args):
    rounds = []
    with scratch() as folder:
        self_signed(f"{folder}/cert.pem", f"{folder}/key.pem", "nodes", [f"IP:{address(n)}" for n in range(NODES)])
        ports = {t: free_port() for t in ("udp", "tcp", "tls")}
        command = node(args, "udp", ports["udp"], folder, "--stun-rate", "0", "--max-connections-per-ip", "0", "--cert",
                       f"{folder}/cert.pem", "--key", f"{folder}/key.pem")
        command[command.index("--udp") + 1] = f"0.0.0.0:{ports['udp']}"
        command += ["--tcp", f"0.0.0.0:{ports['tcp']}", "--tls", f"0.0.0.0:{ports['tls']}"]
        with Program(command, args.cores[0]) as server:
            server.wait_until(lambda: tcp_answers(ports["tls"]), "it doesn't listen")
            for number in range(args.rounds):
                say(f"agent, round {number + 1} of {args.rounds}")
                rounds.append(probe(args, ports, folder))
            nodes_cpu = cpu_us(server.pid)
        return {"rounds": rounds, "nodes_cpu_us": nodes_cpu, "library": library(args, folder)}


def tables(f):
    r, size = f["rounds"], f["library"]
    return [{"title": "Agent: 200 nodes by three transports",
             "note": "One `berth-node` on loopback under 200 addresses, so that nothing waits for the way; `berth probe`, five "
             "samples each, paced as its policy says. Memory: the most of what is the process's alone, looked at every 10 ms. An "
             "agent that probes so every 110 minutes, as `berth watch` does, spends the share of a core that stands last.",
             "header": ["rows reachable", "whole probe", "CPU", "memory of its own", "of a core"],
             "rows": [[f"{min(x['reachable'] for x in r)} of {r[0]['rows']}", f"{median(r, 'seconds'):.1f} s",
                       f"{median(r, 'cpu_s'):.2f} s", f"{median(r, 'own_kb') / 1024:.1f} MB",
                       f"{median(r, 'cpu_s') / 6600:.3%}"]]},
            {"title": "libberth", "note": "`strip --strip-unneeded`; symbols: what its dynamic table defines.",
             "header": ["stripped", "symbols"], "rows": [[f"{size['bytes'] / 1024:.0f} KB", str(size["symbols"])]]}]


TOPICS = {"agent": (measure, tables)}
