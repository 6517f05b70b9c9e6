"""STUN: the yardsticks, berth-node and coturn in turn, over UDP, TCP and TLS; and connections that are held."""
import collections
import itertools
import json
import shutil
import socket
import struct
import subprocess

from .media import Place
from .run import (Program, berth_load, cpu_us, die_with_parent, free_port, median, pss_kb, say, scratch, self_signed,
                  tcp_answers)

REQUEST = struct.pack(">HHI", 1, 0, 0x2112A442) + b"berth-ready?"
BARE, NODE, COTURN, SIGNED = "bare loop", "berth-node", "coturn", "berth-node, signed"
SESSIONS = 64  # a node takes 4,000 requests a second of each
HELD_S = 3600  # longer than it takes to open all, however busy the machine; by default a node ends who is silent for 30 s
LIMIT, FLOOD, OTHERS = 2000, 100000, 500  # requests a second: a node's default, what is meant to be sent
# What isn't answered holds its place for half a second (STUN_LOAD_LOST_US): with few a flood would wait for the node.
FLOOD_CONNECTIONS = 256


def make_certificate(folder):
    self_signed(f"{folder}/cert.pem", f"{folder}/key.pem")


def bare(args, transport, port, folder):
    words = ["--cert", f"{folder}/cert.pem", "--key", f"{folder}/key.pem"] if transport == "tls" else []
    return [f"{args.build}/loadtest/berth-load", "yardstick", f"--{transport}", f"127.0.0.1:{port}", "--seconds", "3600", *words]


def node(args, transport, port, folder, *more):
    words = ["--cert", f"{folder}/cert.pem", "--key", f"{folder}/key.pem"] if transport == "tls" else []
    return [f"{args.build}/node/berth-node", "--standalone", f"--{transport}", f"127.0.0.1:{port}", "--threads", "1",
            *(more or ["--stun-rate", "0"]), *words]


def coturn(transport, port, folder):
    """As small as its options make it: one relay thread, no listener but the one asked for."""
    words = {"udp": ["-p", port, "--no-tcp", "--no-tls", "--no-dtls"], "tcp": ["-p", port, "--no-udp", "--no-tls", "--no-dtls"],
             "tls": ["--tls-listening-port", port, "--no-udp", "--no-tcp", "--no-dtls", "--cert", f"{folder}/cert.pem",
                     "--pkey", f"{folder}/key.pem"]}[transport]
    return ["turnserver", "-n", "--stun-only", "-L", "127.0.0.1", "--no-cli", "-m", "1", "--log-file", "stdout", "--pidfile",
            f"{folder}/pid", "--userdb", f"{folder}/turndb", *map(str, words)]


def servers(args, transport, port, folder):
    found = {BARE: bare(args, transport, port, folder), NODE: node(args, transport, port, folder)}
    if shutil.which("turnserver"):
        found[COTURN] = coturn(transport, port, folder)
    return found


def udp_answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.1)
        try:
            s.connect(("127.0.0.1", port))
            s.send(REQUEST)
            return s.recv(2048)[8:20] == REQUEST[8:20]
        except OSError:
            return False


def answers(transport, port):
    return udp_answers(port) if transport == "udp" else tcp_answers(port)


def measure_one(args, command, transport, port, *more):
    at = [f"--{transport}", f"127.0.0.1:{port}"]
    with Program(command, args.cores[0]) as server:
        server.wait_until(lambda: answers(transport, port), f"no answer on {transport} port {port}")
        return measure_server(args, command[0], server.pid, *at, *more)


def measure_server(args, name, pid, *at):
    berth_load(args, "stun", *at, "--seconds", 1, core=args.cores[1])  # warm
    before = cpu_us(pid)
    r = berth_load(args, "stun", *at, "--seconds", args.seconds, core=args.cores[1])
    used = cpu_us(pid) - before
    if r["answered"] == 0:
        raise SystemExit(f"{name} answered nothing: {' '.join(map(str, at))}")
    return {"cpu_us": used / r["answered"], "answers_per_s": r["answers_per_s"], "answered": r["answered"],
            "lost": r.get("failed", 0) + r["lost"], "wrong": r["wrong"], "wrong_by": r["wrong_by"],
            "resumed": r.get("resumed", 0)}


def rounds_of(args, transport, *more, also=None):
    """Rounds are interleaved, so that a change of the machine's mood touches every server. `also`: {name: what measures it}."""
    found = {}
    with scratch() as folder:
        make_certificate(folder)
        for number in range(args.rounds):
            port = free_port()
            for name, command in servers(args, transport, port, folder).items():
                say(f"{transport}{' '.join(('', *more))}, round {number + 1} of {args.rounds}: {name}")
                found.setdefault(name, []).append(measure_one(args, command, transport, port, *more))
            for name, measure in (also or {}).items():
                say(f"{transport}, round {number + 1} of {args.rounds}: {name}")
                found.setdefault(name, []).append(measure())
    return found


def wrong_of(rows):
    """How many answers, and what was wrong with them."""
    by = collections.Counter()
    for r in rows:
        by.update(r["wrong_by"])
    return {"wrong": sum(r["wrong"] for r in rows), "wrong_by": dict(by)}


def summary(found, base):
    """`base`: the yardstick's CPU."""
    return [{"server": name, "cpu_us": median(rows, "cpu_us"), "ratio": median(rows, "cpu_us") / base,
             "answers_per_s": median(rows, "answers_per_s"), "lost": sum(r["lost"] for r in rows),
             **wrong_of(rows), "rounds": [r["cpu_us"] for r in rows]} for name, rows in found.items()]


def table(title, note, rows, per):
    return {"title": title, "note": note, "header": ["server", f"CPU per {per}", "of the bare loop's", f"{per}s/s", "each round"],
            "rows": [[r["server"], f"{r['cpu_us']:.2f} us", f"{r['ratio']:.2f}", f"{r['answers_per_s']:,.0f}",
                      ", ".join(f"{c:.2f}" for c in r["rounds"])] for r in rows]}


def wrong(figures):
    """[(whose answers, how many, what was wrong with them as far as it is told)]."""
    rows = [r for part in figures.values() if isinstance(part, list) for r in part if isinstance(r, dict) and r.get("wrong")]
    return [(r.get("server", "an answer"), r["wrong"], r.get("wrong_by", {})) for r in rows]


# ---- UDP ----


def flood(args):
    """What others wait, and lose, while one source asks far more than it may; with and without."""
    found = []
    with scratch() as folder:
        port = free_port()
        at = ["stun", "--udp", f"127.0.0.1:{port}", "--seconds", args.seconds]
        with Program(node(args, "udp", port, folder, "--stun-rate", str(LIMIT)), args.cores[0]) as server:
            server.wait_until(lambda: udp_answers(port), "no answer")
            for flooded in (False, True) * args.rounds:
                say(f"udp: others {'beside a flood' if flooded else 'alone'}")
                flooder = None
                if flooded:
                    words = [f"{args.build}/loadtest/berth-load", *map(str, at), "--from", "127.0.0.9", "--rate", str(FLOOD),
                             "--connections", str(FLOOD_CONNECTIONS), "--json"]
                    flooder = subprocess.Popen(["nice", "-n", "19", "taskset", "-c", str(args.cores[1]), *words],
                                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
                r = berth_load(args, *at, "--rate", OTHERS, core=args.cores[1])
                sent = json.loads(flooder.communicate()[0]) if flooder else {"sent": 0, "answered": 0, "seconds": 1}
                found.append({"flood": flooded, "flood_per_s": sent["sent"] / sent["seconds"],
                              "flood_answered_per_s": sent["answered"] / sent["seconds"], "answered": r["answered"],
                              "lost": r["lost"] + r["missed"], "wrong": r["wrong"], "wrong_by": r["wrong_by"],
                              "p50_us": r["latency"]["p50_us"], "p99_us": r["latency"]["p99_us"]})
    return found


def tickets(place):
    """A file of them, for participants of one meeting."""
    place.api.post("/v1/meetings", {"id": "signed", "policy": {"expected_size": SESSIONS}}).expect(201)
    file = place.folder / "tickets.json"
    joins = [place.api.post("/v1/meetings/signed/participants", {"agent": f"a{n}"}).expect(201) for n in range(SESSIONS)]
    file.write_text(json.dumps([{m: j.json["media"][m] for m in ("username", "password")} for j in joins]))
    return file


def measure_udp(args):
    """As many sockets everywhere as there are sessions, each with as many requests in flight: batches are of one size."""
    with Place(args) as place:
        node = place.start_nodes().nodes[0]
        at = ["--udp", node.address("udp"), "--tickets", tickets(place)]
        signed = {SIGNED: lambda: measure_server(args, SIGNED, node.process.pid, *at)}
        found = rounds_of(args, "udp", "--connections", str(SESSIONS), also=signed)
    return {"servers": summary(found, median(found[BARE], "cpu_us")), "flood": flood(args)}


def tables_udp(f):
    rows = []
    for flooded in (False, True):
        part = [r for r in f["flood"] if r["flood"] == flooded]
        rows.append([f"beside {median(part, 'flood_per_s'):,.0f} requests/s from one address" if flooded else "alone",
                     f"{median(part, 'flood_answered_per_s'):,.0f}/s" if flooded else "",
                     f"{sum(r['answered'] for r in part):,}", str(sum(r["lost"] for r in part)),
                     f"{median(part, 'p50_us'):.0f} us", f"{median(part, 'p99_us'):.0f} us"])
    note = (f"The bare loop is `recvmmsg`, rewrite in place, `sendmmsg`. All are asked from {SESSIONS} sockets, with up to 64 requests of each "
            "in flight. Signed: consent checks of as many sessions of media, 120 bytes with MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, which are "
            "checked, and their answers, signed likewise; the others' requests are bare headers.")
    return [table("UDP: CPU per answer", note, f["servers"], "answer"),
            {"title": "UDP: others beside a flood",
             "note": f"`berth-node` with a limit of {LIMIT:,} requests/s for each address; others ask {OTHERS:,} a second "
             "at a schedule's times, from another address. Latency counts from those times; lost are those not sent in time too. "
             f"Flood ({FLOOD:,} a second are meant; what was sent stands below) and others share the load's core.",
             "header": ["others", "flood answered", "answered", "lost", "p50", "p99"], "rows": rows}]


# ---- TCP and TLS: a connection each ----


def measure_tcp(args):
    found = rounds_of(args, "tcp")
    return {"servers": summary(found, median(found[BARE], "cpu_us"))}


def tables_tcp(f):
    note = ("The bare loop is blocking: accept, read, answer, and close once the client has, as all of them do: who closes first "
            "leaves most of the work of ending to the other's system.")
    return [table("TCP: CPU per connection with one Binding", note, f["servers"], "connection")]


def measure_tls(args):
    full, again = rounds_of(args, "tls"), rounds_of(args, "tls", "--resume")
    base = median(full[BARE], "cpu_us")
    return {"full": summary(full, base), "resumed": summary(again, base)}


def tables_tls(f):
    note = ("The bare loop is blocking: accept, handshake, read, answer, close once the client has, on the same OpenSSL with its "
            "defaults. TLS 1.3, P-256.")
    return [table("TLS: CPU per connection with one Binding, full handshake", note, f["full"], "connection"),
            table("TLS: the same, session resumed", "Held against the bare loop's full handshake.", f["resumed"], "connection")]


# ---- held ----


def hold(args, name, command, transport, port, n):
    at = ["stun", f"--{transport}", f"127.0.0.1:{port}"]
    with Program(command, args.cores[0]) as server:
        server.wait_until(lambda: tcp_answers(port), f"no answer on {transport} port {port}")
        # Not warmed up: what a load leaves behind for others to use would be missing in what these take.
        before, cpu = pss_kb(server.pid), cpu_us(server.pid)
        command = [f"{args.build}/loadtest/berth-load", *at, "--hold", "--connections", str(n), "--seconds", str(HELD_S), "--json"]
        with subprocess.Popen(["taskset", "-c", str(args.cores[1]), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, preexec_fn=die_with_parent) as load:
            held = json.loads(load.stdout.readline())["held"]
            used = cpu_us(server.pid) - cpu
            after = pss_kb(server.pid)
            load.stdin.close()
            r = json.loads(load.stdout.readline())
    if held == 0:
        raise SystemExit(f"{name} held no connection over {transport}")
    return {"held": held, "wrong": r["wrong"], "wrong_by": r["wrong_by"], "kb_each": (after - before) / held, "cpu_us_each": used / held}


def measure_held(args):
    found = {}
    with scratch() as folder:
        make_certificate(folder)
        for number, transport in itertools.product(range(args.rounds), ("tcp", "tls")):
            commands = servers(args, transport, port := free_port(), folder)
            commands[NODE] += ["--idle-timeout", str(HELD_S)]
            for name, command in commands.items():
                if name != BARE:  # it holds few
                    say(f"held, round {number + 1} of {args.rounds}: {args.held} over {transport}, {name}")
                    found.setdefault((transport, name), []).append(hold(args, name, command, transport, port, args.held))
    return {"servers": [{"server": name, "transport": transport, "asked": args.held, "held": min(r["held"] for r in rounds),
                         **wrong_of(rounds), "kb_each": median(rounds, "kb_each"),
                         "cpu_us_each": median(rounds, "cpu_us_each")} for (transport, name), rounds in found.items()]}


def tables_held(f):
    rows = [[r["transport"].upper(), r["server"], f"{r['held']:,} of {r['asked']:,}",
             *((f"{r['kb_each']:.1f} KB", f"{r['cpu_us_each']:.0f} us") if r["held"] == r["asked"] else ("not all held", ""))]
            for r in f["servers"]]  # of those that failed it is unknown what they took
    return [{"title": "Connections held by one process",
             "note": "Each was asked for one Binding and is idle since. Memory: growth of the process's proportional "
             "set (`/proc/PID/smaps_rollup`) since it began to listen, without the kernel's.",
             "keys": 2, "header": ["transport", "server", "held", "memory each", "CPU to open one"], "rows": rows}]


TOPICS = {
    "udp": (measure_udp, tables_udp), "tcp": (measure_tcp, tables_tcp), "tls": (measure_tls, tables_tls),
    "held": (measure_held, tables_held),
}
