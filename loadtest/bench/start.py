"""How long ./quickstart --once takes once everything is built."""
import subprocess
import time

from .run import ROOT, die_with_parent, median, say


def measure(args):
    rounds = []
    for number in range(args.rounds + 1):
        say(f"start, round {number} of {args.rounds}")
        began = time.monotonic()
        subprocess.run([f"{ROOT}/quickstart", "--once", "--json"], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        if number > 0:  # the first builds what is missing
            rounds.append({"seconds": time.monotonic() - began})
    return {"rounds": rounds}


def tables(f):
    return [{"title": "./quickstart --once, warm",
             "note": "Start to end: PostgreSQL, a controller, three nodes, a probe, a meeting, media; the build is there.",
             "header": ["median", "each round"],
             "rows": [[f"{median(f['rounds'], 'seconds'):.1f} s", ", ".join(f"{r['seconds']:.1f}" for r in f["rounds"])]]}]


TOPICS = {"start": (measure, tables)}
