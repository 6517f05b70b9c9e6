"""How long ./quickstart --once takes once everything is built."""
import subprocess
import time

from .run import ROOT, die_with_parent, median, say


def measure(args):
    rounds = []
    for number in range(args.rounds + 1):
        say(f"start, round {number} of {args.rounds}" if number > 0 else "start, the first: builds what is missing")
        began = time.monotonic()
        done = subprocess.run([f"{ROOT}/quickstart", "--once", "--json"], check=False, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        if done.returncode != 0:
            raise SystemExit(f"./quickstart --once --json ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        if number > 0:  # the first builds what is missing
            rounds.append({"seconds": time.monotonic() - began})
    return {"rounds": rounds}


def tables(f):
    return [{"title": "./quickstart --once, warm",
             "note": "Start to end: PostgreSQL, a controller, three nodes, a probe, a meeting, media; the build is there.",
             "header": ["median", "each round"],
             "rows": [[f"{median(f['rounds'], 'seconds'):.1f} s", ", ".join(f"{r['seconds']:.1f}" for r in f["rounds"])]]}]


TOPICS = {"start": (measure, tables)}
