"""Media: a node beside rtpengine and beside the sum of its parts; every rung of the ladder; how many participants a core
carries."""
import contextlib
import itertools
import json
import os
import shutil

from . import world
from .rtpengine import Rtpengine
from .run import berth_load, median, say

NODE, RTPENGINE, PARTS = "berth-node", "rtpengine", "sum of the parts"
CALLS = 10
RATES = (50, 400)  # packets a second of each call
SIZES = (172, 1212)
EACH_PART = ("receive_us", "parse_us", "unprotect_us", "copy_us", "protect_us", "send_us", "sum_us")
SUITES = {"gcm": "AES-128-GCM", "cm": "AES-CM, HMAC-SHA1"}
RUNGS = ("udp", "tcp", "tls", "proxy", "websocket")
MEETINGS = (2, 10, 50)
RUNG_RATE = 10  # packets a second of each: fifty make 24,500 a second
AUDIO, VIDEO_KBPS, VIDEO_BYTES = 50, 931, 1212  # the audio's are of 172 bytes: 1 Mbit/s together
PACKETS = AUDIO + VIDEO_KBPS * 1000 / 8 / VIDEO_BYTES  # a second of each
SHAPES = (("pairs", 2, 2), ("10, last 3", 10, 3))
FIRST = 40  # participants, where the search begins
LOST_MOST, SENT_LEAST, FULL_CORE = 0.001, 0.99, 0.9  # so many are carried; a node that has so much of its core has no more
NEAR = 8  # the search ends within an eighth
SEARCH_SECONDS = 2  # of each step
MOST = 1000


def full_sockets():
    """Of the whole machine, or network namespace."""
    with open("/proc/net/snmp", encoding="ascii") as f:
        names, values = [line.split() for line in f if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])


class Place:
    """A controller over a private PostgreSQL and nodes of one thread; they have their core alone, all else is on the load's."""

    def __init__(self, args):
        self.args, self.stack, self.nodes, self.started = args, contextlib.ExitStack(), [], 0

    def __enter__(self):
        with self.stack as stack:
            os.sched_setaffinity(0, {self.args.cores[1]})
            db = stack.enter_context(world.database(stack.enter_context(world.postgres()), self.args.build))
            service = stack.enter_context(world.controller(self.args.build, db, threads=1))
            self.world, self.folder = service.world, service.world.folder
            self.controller, self.api = service.controller, service.org.api
            self.key = service.admin.post("/v1/keys", {"org": "cloud", "kind": "node"}).expect(201).json["key"]
            self.token = self.folder / "org.token"
            self.token.write_text(service.org.key)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *why):
        return self.stack.__exit__(*why)

    def start_nodes(self, count=1, capacity=0):
        """These and no others."""
        from support.berth import Node
        from support.process import wait_for

        for node in self.nodes:
            node.stop()
        options = {"threads": 1, "session_drain_timeout": 0, "drain_timeout": 0, "capacity": capacity, "peer_probe_interval": 0}
        self.started += 1
        self.nodes = [Node(self.world, f"n{self.started}-{n}", options, self.controller, self.key).start() for n in range(count)]
        for node in self.nodes:
            wait_for(lambda log=node.process: "sessions_admitted" in log.log, 20, "the node to be told the keys of tickets")
            for task in os.listdir(f"/proc/{node.process.pid}/task"):
                os.sched_setaffinity(int(task), {self.args.cores[0]})
        return self

    def load(self, *words):
        """Its figures; `full`: datagrams that found a socket full, `slow`: packets that a node left out for a slow receiver."""
        pids = [word for node in self.nodes for word in ("--pid", node.process.pid)]
        full, slow = full_sockets(), self.slow()
        r = berth_load(self.args, "media", "--controller", self.controller.url, "--token-file", self.token, "--ca",
                       self.world.authority.file, *pids, *words, core=self.args.cores[1])
        return {**r, "full": full_sockets() - full, "slow": self.slow() - slow}

    def slow(self):
        return sum(int(n.metrics()['berth_node_media_dropped_total{reason="slow_receiver"}']) for n in self.nodes)


def figures(r):
    """`wrong`: what is to be none, whatever the machine does."""
    return {"sent": r["sent"], "heard": r["heard"], "missing": r["gaps"] if r["last_n"] < r["participants"] else r["missing"],
            "wrong": r["foreign"] + r["repeated"] + r["refused"] + r["legs_lost"], "cpu_us": r["server_cpu_us_per_packet"],
            "cores": r["server_cores"], "sent_per_s": r["sent_per_s"], "heard_per_s": r["heard_per_s"],
            "p50_us": r["latency"].get("p50_us", 0), "p99_us": r["latency"].get("p99_us", 0),
            "late_p99_us": r["lateness"].get("p99_us", 0), "session_kib": r["session_kib"],
            "sending_kib": r["session_sending_kib"], "full": r.get("full", 0), "slow": r.get("slow", 0)}


def medians(rounds):
    keys = ("cpu_us", "cores", "sent_per_s", "heard_per_s", "p50_us", "p99_us", "late_p99_us", "session_kib", "sending_kib")
    return {k: median(rounds, k) for k in keys}


def sums(rounds):
    return {k: sum(r[k] for r in rounds) for k in ("sent", "heard", "missing", "wrong", "full", "slow")}


# ---- the same forwarding by others ----


def forwarded(args, place, suite, size, rate):
    """{server: figures}: CALLS calls, in each of which one sends to the other."""
    words = ["--senders", 1, "--audio-rate", rate, "--audio-bytes", size, "--seconds", args.seconds]
    found = {NODE: figures(place.load("--meetings", CALLS, "--participants", 2, "--suite", suite, *words))}
    if shutil.which("rtpengine"):
        with Rtpengine(args.cores[0]) as server:
            legs = [leg for n in range(CALLS) for leg in server.call(f"call-{n}", suite)]
            file = place.folder / "legs.json"
            file.write_text(json.dumps({"participants": 2, "suite": suite, "legs": legs}))
            r = berth_load(args, "media", "--legs", file, "--pid", server.pid, *words, core=args.cores[1])
            found[RTPENGINE] = figures(r)
            if found[RTPENGINE]["heard"] == 0:
                raise SystemExit("rtpengine sent nothing that the receiver's key opens")
    return found


def measure_peers(args):
    found, parts = {}, {}
    with Place(args) as place:
        place.start_nodes()
        for number in range(args.rounds):
            say(f"media, round {number + 1} of {args.rounds}: the parts")
            measured = berth_load(args, "media-parts", "--seconds", args.seconds, "--receivers", 1, core=args.cores[0])
            for p in measured["parts"]:
                parts.setdefault((p["suite"], p["bytes"]), []).append(p)
            for suite, size, rate in itertools.product(SUITES, SIZES, RATES):
                say(f"media, round {number + 1} of {args.rounds}: {suite}, {size} bytes, {rate}/s")
                for name, r in forwarded(args, place, suite, size, rate).items():
                    found.setdefault((suite, size, rate, name), []).append(r)
    rows = []
    for (suite, size, rate, name), rounds in found.items():
        other = found.get((suite, size, rate, RTPENGINE))
        cpu = median(rounds, "cpu_us")
        rows.append({"suite": suite, "bytes": size, "rate": rate * CALLS, "server": name, "cpu_us": cpu,
                     "of_parts": cpu / median(parts[suite, size], "sum_us"),
                     "of_rtpengine": cpu / median(other, "cpu_us") if other else None, **sums(rounds),
                     "rounds": [r["cpu_us"] for r in rounds]})
    return {"servers": rows, "parts": [{"suite": suite, "bytes": size, **{n: median(p, n) for n in EACH_PART}}
                                       for (suite, size), p in parts.items()]}


def tables_peers(f):
    each = [[SUITES[p["suite"]], p["bytes"], *(f"{p[n]:.2f}" for n in EACH_PART)] for p in f["parts"]]
    rows = [[SUITES[r["suite"]], r["bytes"], f"{r['rate']:,}/s", r["server"], f"{r['cpu_us']:.2f} us", f"{r['of_parts']:.2f}",
             f"{r['of_rtpengine']:.2f}" if r["of_rtpengine"] else "", f"{r['missing']} of {r['sent']:,}",
             ", ".join(f"{c:.2f}" for c in r["rounds"])] for r in f["servers"]]
    return [{"title": "Media: CPU per packet forwarded between two",
             "note": f"{CALLS} calls over UDP, in each of which one sends to the other; SRTP is ended and begun again with "
                     "another key. rtpengine runs in userspace, with keys by SDES. With few packets each one wakes its server, "
                     "which costs more than all else; with many, servers that read several at once save. Parts: what no server "
                     "can do without, in batches of 64.",
             "keys": 4,
             "header": ["suite", "bytes", "load", "server", "CPU per packet", "of the parts", "of rtpengine's", "missing",
                        "each round"], "rows": rows},
            {"title": "Media: the parts",
             "note": "us of CPU for each packet; sending includes what the loopback interface does for the receiver.",
             "keys": 2, "header": ["suite", "bytes", *(n.removesuffix("_us") for n in EACH_PART)], "rows": each}]


# ---- every rung ----


def measure_rungs(args):
    from support.proxies import tinyproxy

    found = {}
    with Place(args) as place, contextlib.closing(tinyproxy()) as proxy:
        for nodes, n in itertools.product((1, 3), MEETINGS):
            place.start_nodes(nodes, -(-n // nodes) if nodes > 1 else 0)  # so that all are needed
            for number, rung in itertools.product(range(args.rounds), RUNGS):
                say(f"media-rungs, {nodes} node(s), round {number + 1} of {args.rounds}: {n} over {rung}")
                words = ["--proxy", proxy.url] if rung == "proxy" else []
                words += ["--participants", n, "--audio-rate", RUNG_RATE, "--seconds", args.seconds]
                r = place.load("--transport", rung, *words)
                found.setdefault((nodes, rung, n), []).append(figures(r))
    return {"servers": [{"nodes": nodes, "rung": rung, "participants": n, **medians(rounds), **sums(rounds)}
                        for (nodes, rung, n), rounds in found.items()]}


def tables_rungs(f):
    rows = [[r["nodes"], r["rung"], r["participants"], f"{r['sent']:,}", f"{r['heard']:,}", r["missing"], r["full"], r["slow"],
             r["wrong"], f"{r['cpu_us']:.2f} us", f"{r['cores']:.0%}", f"{r['p50_us'] / 1000:.2f} ms",
             f"{r['p99_us'] / 1000:.2f} ms", f"{r['late_p99_us'] / 1000:.2f} ms"]
            for r in f["servers"]]
    return [{"title": "Media: packets in and packets out on every rung",
             "note": f"One meeting, all send {RUNG_RATE} packets of 172 bytes a second and hear all others, through one node, or "
                     "three joined ones with room for a third of them each (two are on two), all on one core; CPU and share of "
                     "that core are those of all nodes. Missing ones have found a socket full, or a receiver so slow that a node "
                     "left them out for it: on a machine where the generator has to wait. Wrong: what nobody sent, came twice or "
                     "wasn't authentic; sessions that ended. One way: from when a packet was due. The proxy is tinyproxy, its "
                     "CPU isn't counted.",
             "keys": 3,
             "header": ["nodes", "rung", "participants", "packets in", "packets out", "missing", "full", "slow", "wrong",
                        "CPU per packet out", "of a core", "one way, p50", "p99", "generator late, p99"], "rows": rows}]


# ---- a core ----


def carry(args, place, size, last_n, meetings, seconds):
    """None: not all sessions were there within the generator's time for that."""
    try:
        r = place.load("--meetings", meetings, "--participants", size, "--last-n", last_n, "--audio-rate", AUDIO,
                       "--video-kbps", VIDEO_KBPS, "--seconds", seconds)
    except SystemExit as e:
        say(f"  {meetings * size}: {str(e).strip().splitlines()[-1]}")
        return None
    f = figures(r)
    f["participants"] = meetings * size
    f["lost"] = f["missing"] / max(1, f["heard"] + f["missing"])
    f["sent_of_due"] = f["sent_per_s"] / (meetings * size * PACKETS)
    f["a_core"] = f["sent_per_s"] / PACKETS / f["cores"]
    say(f"  {f['participants']}: {f['lost']:.3%} lost, {f['sent_of_due']:.1%} of what is due sent, {f['cores']:.2f} of the "
        f"node's core, generator late by {f['late_p99_us'] / 1000:.1f} ms (p99)")
    return f


def why_not(f):
    """Why so many aren't carried; None: they are."""
    if f is None:
        return "the generator: sessions"
    if f["wrong"] == 0 and f["lost"] <= LOST_MOST and f["sent_of_due"] >= SENT_LEAST:
        return None
    return "the node" if f["cores"] >= FULL_CORE else "the generator"


def search(args, place, size, last_n):
    """Twice as many until they aren't carried, then between: the most meetings that are, and what was in the way of more."""
    seconds, good, bad, why = min(args.seconds, SEARCH_SECONDS), 0, MOST // size + 1, f"nothing, up to {MOST}"
    meetings = max(1, FIRST // size)
    while good < meetings < bad:
        found = why_not(carry(args, place, size, last_n, meetings, seconds))
        if found:  # twice: the machine may have had something else to do
            found = why_not(carry(args, place, size, last_n, meetings, seconds))
        if found:
            bad, why = meetings, found
        else:
            good = meetings
        if bad > MOST // size:
            meetings = min(2 * good, MOST // size)
        elif bad - good <= max(1, good // NEAR):
            break
        else:
            meetings = (good + bad) // 2
    return good, why


def measure_core(args):
    rows = []
    with Place(args) as place:
        place.start_nodes()
        for name, size, last_n in SHAPES:
            say(f"media-core: {name}, the most that are carried")
            meetings, why = search(args, place, size, last_n)
            if meetings == 0:
                raise SystemExit(f"media-core: {name}: not even {FIRST} are carried, because of {why}: is the machine busy?")
            say(f"media-core: {name}, {args.rounds} rounds of {meetings * size}")
            # Each by a new node: of one that has carried more before, no memory would be seen to be taken.
            rounds = [carry(args, place.start_nodes(), size, last_n, meetings, args.seconds) for _ in range(args.rounds)]
            rounds = [r for r in rounds if r]
            if not rounds:
                raise SystemExit(f"media-core: {name}: {meetings * size} were carried once, and then in no round")
            rows.append({"shape": name, **medians(rounds), **sums(rounds), "participants": meetings * size, "why": why,
                         "sent_of_due": median(rounds, "sent_of_due"), "a_core": median(rounds, "a_core"),
                         "rounds": [r["a_core"] for r in rounds]})
    return {"servers": rows}


def tables_core(f):
    rows = [[r["shape"], f"{r['participants']}", r["why"], f"{r['heard_per_s']:,.0f}/s", f"{r['cores']:.0%}",
             f"{r['cpu_us']:.2f} us", f"**{r['a_core']:.0f}**", f"{r['missing']} of {r['heard'] + r['missing']:,}",
             f"{r['sent_of_due']:.1%}", f"{r['p50_us'] / 1000:.1f}, {r['p99_us'] / 1000:.1f} ms",
             f"{r['late_p99_us'] / 1000:.1f} ms", f"{r['sending_kib']:.0f} KiB", ", ".join(f"{c:.0f}" for c in r["rounds"])]
            for r in f["servers"]]
    return [{"title": "Media: participants at 1 Mbit/s that one core carries",
             "note": f"Each sends {AUDIO} packets of 172 and {VIDEO_KBPS} kbit/s in packets of 1212 bytes over UDP. Carried: the "
                     f"most (looked for by doubling from {FIRST}, then halving, up to {MOST}) of whom no more than "
                     f"{LOST_MOST:.1%} of what they should hear got lost, while the generator sent {SENT_LEAST:.0%} of what was "
                     f"due. The node is in the way of more only where it had {FULL_CORE:.0%} of its core; else it is the "
                     "generator, which has the other core and twice the work (it protects, unprotects and looks at every byte): "
                     "then the number carried is the generator's limit, and the node's is more. Participants a core: those who sent, by "
                     "the node's share of its core, which is right as far as its CPU grows with them. One way counts from when a packet "
                     "was due, and holds what the generator was late itself.",
             "header": ["meetings", "carried", "in the way of more", "packets out", "node's share of a core",
                        "CPU per packet out", "participants a core", "missing", "sent of due", "one way p50, p99",
                        "generator late, p99", "memory each", "each round"], "rows": rows}]


TOPICS = {
    "media": (measure_peers, tables_peers), "media-rungs": (measure_rungs, tables_rungs),
    "media-core": (measure_core, tables_core),
}
