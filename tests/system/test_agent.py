# timeout: 300
"""libberth as it is shipped, and an agent that stays: exported symbols, what it must not touch, installing, embedding, watching."""

import json
import re
import shutil
import signal
import subprocess

import pytest

from support.process import AGENT, BUILD, SOURCE, free_port, run, wait_for

LIBRARY = BUILD / "agent" / "libberth.so"
HEADER = SOURCE / "agent" / "berth.h"

EXPORTED = """
    berth_agent_call berth_agent_call_count berth_agent_cancel berth_agent_connect berth_agent_connection berth_agent_create
    berth_agent_destroy berth_agent_disconnect berth_agent_dispatch berth_agent_fd berth_agent_follow berth_agent_join
    berth_agent_leave berth_agent_network_id berth_agent_node berth_agent_node_count berth_agent_probe berth_agent_result
    berth_agent_result_count berth_agent_results_json
    berth_agent_rung berth_agent_send berth_agent_set_token berth_agent_start_thread berth_agent_state berth_agent_stop_thread
    berth_agent_timeout berth_agent_watch berth_call_state_name berth_connection_state_name berth_event_name berth_free
    berth_state_name
    berth_status_name berth_strerror berth_transport_name berth_version
""".split()

# A library that is a guest installs no handlers, writes to nobody's output, ends nobody's process, and starts none but berth-pac.
FORBIDDEN = re.compile(
    r"(signal|sigaction|bsd_signal|sysv_signal|sigset|exit|_exit|_Exit|quick_exit|atexit|printf|vprintf|puts|putchar|perror"
    r"|__printf_chk|__vprintf_chk|stdout|stderr|stdin|system|popen|fork|vfork|exec[lv]p?e?|posix_spawnp|setenv|putenv"
    r"|sleep|usleep|nanosleep|setlocale|chdir|umask)(@.*)?"
)


def symbols(*args):
    lines = subprocess.run(["nm", *map(str, args)], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split() for line in lines if line.strip()]


def sanitized():
    cache = (BUILD / "CMakeCache.txt").read_text()
    value = re.search(r"^BERTH_SANITIZE:\w+=(.*)$", cache, re.M)
    return value.group(1) if value else ""


def test_exactly_the_listed_symbols_are_exported():
    names = sorted(s[-1].split("@")[0] for s in symbols("-D", "--defined-only", LIBRARY) if s[1] != "A")
    assert [n for n in names if not n.startswith(("__asan", "__ubsan", "__odr"))] == sorted(EXPORTED)
    declared = re.findall(r"BERTH_API [^;(]*?\*?(berth_\w+)\(", HEADER.read_text())
    assert sorted(declared) == sorted(EXPORTED)


def test_the_static_library_brings_no_other_names():
    names = {s[-1] for s in symbols("-g", "--defined-only", BUILD / "agent" / "libberth.a") if len(s) == 3}
    assert {n for n in names if not n.startswith("__")} == set(EXPORTED)


def test_it_imports_nothing_that_a_guest_must_not_touch():
    needed = {s[-1] for s in symbols("-D", "--undefined-only", LIBRARY)}
    assert not [n for n in needed if FORBIDDEN.fullmatch(n)]


def test_only_the_system_layer_includes_the_system():
    headers = re.compile(r'#include <(sys/(?!types\.h)|linux/|net/|netinet/|netpacket/|ifaddrs|netdb|poll|fcntl|unistd|signal)')
    for file in sorted(f for folder in ("agent", "common/path", "common/probe") for f in (SOURCE / folder).glob("*.[ch]")):
        if not file.name.startswith("sys_linux"):
            assert not headers.search(file.read_text()), file


def test_the_pure_files_import_no_system():
    """The prober, the ladder and the timetable: no socket, no clock, no thread, no output; memory only where one is made."""
    pure = ("prober", "prober_events", "prober_message", "prober_target", "prober_txid", "prober_stats", "ladder",
            "sending", "ladder_events", "ladder_place", "call", "media_leg", "reception", "schedule", "network_id")
    impure = re.compile(r"(socket|sys_|clock_|time|gettimeofday|send(?!ing_)|recv|read|write|open|close|poll|epoll|pthread"
                        r"|randombytes|log_|f?printf|curl_|SSL_).*")
    allocate = ("prober.c.o", "ladder.c.o", "media_leg.c.o", "sending.c.o")
    libraries = [BUILD / "agent" / "libberth_agent_core.a", *(BUILD / "common" / f"libberth_{n}.a" for n in ("path", "probe"))]
    told = "\n".join(subprocess.run(["nm", "-u", str(library)], capture_output=True, text=True, check=True).stdout
                     for library in libraries)
    for member in told.split("\n\n"):
        name, _, body = member.strip().partition(":")
        if name.removesuffix(".c.o") in pure:
            used = {line.split()[-1] for line in body.splitlines() if line.strip()}
            assert not [u for u in used if impure.fullmatch(u)], name
            assert name in allocate or not used & {"malloc", "calloc", "realloc", "free"}, name
            pure = [p for p in pure if p != name.removesuffix(".c.o")]
    assert not pure, "not looked at"


def test_soname_and_version():
    told = subprocess.run(["readelf", "-d", str(LIBRARY)], capture_output=True, text=True, check=True).stdout
    assert "Library soname: [libberth.so.0]" in told
    assert (BUILD / "agent" / "libberth.so.0").exists()


@pytest.fixture(scope="module")
def lone_node(node):
    return node("lone", standalone=True)


def embed_args(lone_node):
    return ["127.0.0.1", str(lone_node.port("udp")), "localhost", str(lone_node.port("udp"))]


def check_embedded(done):
    assert done.returncode == 0, done.stderr
    assert "2 of 2 nodes reachable" in done.stdout
    assert re.search(r"^127\.0\.0\.1 udp reachable median \d+ us$", done.stdout, re.M)


def test_the_example_of_the_documentation(lone_node):
    source = SOURCE / "docs" / "examples" / "embed.c"
    assert source.read_text() in (SOURCE / "docs" / "embedding.md").read_text()
    assert len(source.read_text().splitlines()) <= 42
    check_embedded(run([BUILD / "agent" / "embed-example", *embed_args(lone_node)]))
    unreachable = run([BUILD / "agent" / "embed-example", "127.0.0.1", str(free_port())])
    assert unreachable.returncode == 0 and "0 of 1 nodes reachable" in unreachable.stdout
    assert run([BUILD / "agent" / "embed-example"]).returncode == 1


@pytest.fixture(scope="module")
def installed(session_folder):
    prefix = session_folder / "prefix"
    done = run(["cmake", "--install", BUILD / "agent", "--prefix", prefix])
    assert done.returncode == 0, done.stderr
    return prefix


@pytest.mark.parametrize("static", [False, True])
def test_installed_it_builds_with_pkg_config(installed, lone_node, session_folder, static):
    """As a distribution's user would: header, library and berth.pc from the prefix alone."""
    pc = next(installed.rglob("berth.pc"))
    text = pc.read_text()
    pc.write_text(re.sub(r"^prefix=.*$", f"prefix={installed}", text, flags=re.M))
    asked = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "berth"]
    flags = run(asked, env={"PKG_CONFIG_PATH": pc.parent}).stdout.split()
    if static:
        flags = [next(pc.parent.parent.glob("libberth.a")) if f == "-lberth" else f for f in flags]
    program = session_folder / f"embed-{static}"
    sanitize = [f"-fsanitize={sanitized()}"] if sanitized() else []
    built = run(["cc", "-Wall", "-Wextra", "-Werror", *sanitize, "-o", program,
                 SOURCE / "docs" / "examples" / "embed.c", *flags])
    assert built.returncode == 0, built.stderr
    check_embedded(run([program, *embed_args(lone_node)], env={"LD_LIBRARY_PATH": pc.parent.parent}))


def test_the_header_is_cpp(session_folder):
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler")
    done = run(["g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", HEADER])
    assert done.returncode == 0, done.stderr


# ---- an agent that stays ----


class Watch:
    def __init__(self, world, controller, org, agent):
        token = ("--token", org.jwt(agent))
        self.process = world.start([AGENT, "watch", "--json", "--controller", controller.url, "--ca",
                                    world.authority.file, "--agent", agent, *token], f"watch-{agent}")

    def events(self, name):
        lines = [json.loads(line) for line in self.process.log.splitlines() if line.startswith("{")]
        return [e for e in lines if e["event"] == name]

    def wait(self, name, n, seconds=30.0, **want):
        def found():
            events = [e for e in self.events(name) if all(e.get(k) == v for k, v in want.items())]
            return events if len(events) >= n else None

        return wait_for(found, seconds, lambda: f"{n} {name} of the agent\n{self.process.log}")


@pytest.fixture(scope="module")
def busy(controllers):
    """A controller whose agents are to probe again within 4 s."""
    return controllers(reprobe_after=4)


@pytest.fixture(scope="module")
def nodes(node, busy, org):
    started = node("near", controller=busy)
    wait_for(lambda: org.api.get("/v1/nodes").json["nodes"], 20, "the node to be listed")
    return started


@pytest.fixture(scope="module")
def admin(busy, world):
    return busy.client(world.admin_key)


def test_watch_probes_again_before_the_report_expires(world, busy, org, nodes):
    watch = Watch(world, busy, org, "early")
    reports = watch.wait("report", 3, error=None)
    assert len({r["report_id"] for r in reports}) == len(reports)
    times = [e["time"] for e in watch.wait("probe", 3)]
    assert times == sorted(times)
    seconds = [float(t[17:26]) for t in times]
    for before, after in zip(seconds, seconds[1:]):
        assert 2.5 < (after - before) % 60 < 12  # 3 to 4 s, and the probe itself on a busy machine
    assert watch.process.stop() == 0


def test_sighup_probes_at_once(world, busy, org, nodes):
    watch = Watch(world, busy, org, "hup")
    watch.wait("report", 1, error=None)
    watch.process.signal(signal.SIGHUP)
    watch.wait("report", 2, error=None)
    assert watch.process.stop() == 0


def test_a_report_is_delivered_when_the_controller_is_back(world, controllers, org, nodes):
    """The list known before is probed while the controller is away, and what was measured comes later."""
    mine = controllers()  # its agents don't measure anew meanwhile, which would take the kept report's place
    watch = Watch(world, mine, org, "later")
    watch.wait("report", 1, error=None)
    mine.kill()
    watch.process.signal(signal.SIGHUP)
    failed = watch.wait("report", 1, error="the controller could not be reached")[-1]
    assert failed["retry_in_us"] > 0
    probes = watch.events("probe")
    assert probes[-1]["reachable"] == 1, "the nodes were probed all the same"
    mine.start()
    kept = watch.events("report")[-1]["report_id"]
    stored = watch.wait("report", 1, 60, report_id=kept, error=None)
    assert "retry_in_us" not in stored[-1]
    assert org.api.get("/v1/agents/later/report").expect(200).json["report_id"] is not None
    assert watch.process.stop() == 0


def test_a_refused_token_is_told_and_not_hammered(world, busy, org, nodes):
    process = world.start([AGENT, "watch", "--json", "--controller", busy.url, "--ca", world.authority.file,
                           "--agent", "mallory", "--token", "o1_o000000000000.nonsense"], "watch-mallory")

    def probes():
        return [json.loads(line) for line in process.log.splitlines() if '"event":"probe"' in line]

    refused = wait_for(lambda: len(probes()) >= 3 and probes(), 40, "three refusals")
    assert all(p["http_status"] == 401 and p["error"] == "the controller refused" for p in refused)
    assert process.stop() == 0


@pytest.mark.parametrize("kind", ["key", "jwt"])
def test_reports_with_either_token(world, busy, org, nodes, kind):
    """An organisation's key needs the agent named in the report; a JWT names it itself, and only itself."""
    agent = f"with-{kind}"
    token = org.key if kind == "key" else org.jwt(agent)
    done = world.agent("probe", "--report", "--json", "--agent", agent, controller=busy, token=token)
    assert done.returncode == 0, done.stderr
    report = org.api.get(f"/v1/agents/{agent}/report").expect(200).json
    assert {r["transport"]: r["status"] for r in report["results"]} == dict.fromkeys(("udp", "tcp", "tls"), "reachable")
    assert re.fullmatch(r"[0-9a-f]{32}", report["network"]["id"])
    assert sorted(report["capabilities"]) == ["tcp", "tls", "udp"]
