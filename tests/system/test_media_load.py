# timeout: 300 heavy
"""berth-load media against real nodes and a controller: ten participants on every rung, and packets in are packets out. Two and fifty
are for `loadtest/compare media-rungs`."""

import json

import pytest
from support.process import BUILD, run, wait_for
from support.proxies import tinyproxy

LOAD = BUILD / "loadtest" / "berth-load"
RUNGS = ("udp", "tcp", "tls", "websocket", "proxy")
SECONDS, RATE, PEOPLE = 1, 25, 10


@pytest.fixture(scope="module")
def media_node(node):
    made = node("load-1", threads=2, session_drain_timeout=0, drain_timeout=0)
    wait_for(lambda: "sessions_admitted" in made.process.log, 20, "the node to be told the keys of tickets")
    return made


@pytest.fixture
def load(world, controller, org, media_node):
    """load("--participants", 2) runs it, and returns its figures."""
    token = world.folder / "load.token"
    token.write_text(org.key + "\n")

    def start(*args, status=0):
        done = run([LOAD, "media", "--controller", controller.url, "--token-file", token, "--ca", world.authority.file,
                    "--seconds", SECONDS, "--json", *args])  # fmt: skip
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    return start


@pytest.fixture(scope="module")
def proxy():
    made = tinyproxy()
    yield made
    made.close()


def kernel_drops():
    """Datagrams that found a socket full: on a machine that has no time for their readers."""
    names, values = [line.split() for line in open("/proc/net/snmp") if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])


def node_drops(node):
    return {k: v for k, v in node.metrics().items() if k.startswith("berth_node_media_dropped_total") and v > 0}


def all_was_heard(got, lost=0):
    """But for what the kernel lost."""
    assert got["sent"] == PEOPLE * RATE * SECONDS and got["not_sent"] == 0, got
    assert got["expected"] == got["sent"] * (PEOPLE - 1) == got["heard"] + got["missing"], got
    assert got["missing"] <= lost * (PEOPLE - 1), got
    for wrong in ("repeated", "disordered", "foreign", "refused", "legs_lost"):
        assert got[wrong] == 0, (wrong, got)


@pytest.mark.parametrize("rung", RUNGS)
def test_packets_in_are_packets_out(load, media_node, proxy, rung):
    drops, dropped = kernel_drops(), node_drops(media_node)
    got = load("--participants", PEOPLE, "--audio-rate", RATE, "--transport", rung,
               *(["--proxy", proxy.url] if rung == "proxy" else []))  # fmt: skip
    all_was_heard(got, kernel_drops() - drops)
    assert got["latency"]["n"] == got["heard"] and got["latency"]["min_us"] > 0, got
    assert got["suite"] == "AEAD_AES_128_GCM", got
    assert node_drops(media_node) == dropped


def test_signed_consent_checks(world, org, media_node):
    """Sessions ask and are answered signed, and begin again from other ports; not with a ticket that can't be opened."""
    org.api.post("/v1/meetings", {"id": "signed"}).expect(201)
    joins = [org.api.post("/v1/meetings/signed/participants", {"agent": f"a{n}"}).expect(201).json["media"] for n in range(3)]
    tickets = [{m: media[m] for m in ("username", "password")} for media in joins]
    file = world.folder / "tickets.json"

    def ask(given, status=0):
        file.write_text(json.dumps(given))
        done = run([LOAD, "stun", "--udp", media_node.address("udp"), "--tickets", file, "--rate", 100, "--seconds", 1, "--json"])
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if status == 0 else done.stderr

    for _ in range(2):
        got = ask(tickets)
        assert got["answered"] > 0 and got["wrong_by"] == {} and got["answered"] == got["latency"]["n"], got
    assert "Permission denied" in ask([{**tickets[0], "username": tickets[0]["username"][:-4]}], 3)
    assert "ticket 2" in ask([tickets[0], {"username": "u"}], 2)
    org.api.delete("/v1/meetings/signed").expect(204)  # its seats are wanted where this node is drained


def test_video_the_last_n_and_what_it_costs(load, media_node):
    """Of four, two are heard, and whoever isn't leaves no gap; the node's own CPU and memory are told."""
    got = load("--participants", 4, "--last-n", 2, "--video-kbps", 200, "--suite", "cm", "--pid", media_node.process.pid)
    assert 0 < got["heard"] < got["expected"] and got["gaps"] == got["foreign"] == 0, got
    assert got["suite"] == "AES_CM_128_HMAC_SHA1_80"
    assert got["server_cpu_us_per_packet"] > 0 and got["server_cores"] > 0 and got["session_sending_kib"] > 0, got


def test_one_sends(load):
    got = load("--meetings", 2, "--participants", 3, "--senders", 1, "--audio-rate", RATE)
    assert got["sent"] == 2 * RATE * SECONDS and got["expected"] == 2 * got["sent"], got


def test_what_cant_be_had_is_said(load, world, tmp_path):
    assert "the proxy can't be reached" in load("--transport", "proxy", "--proxy", "http://127.0.0.1:1", status=3)
    assert "isn't there" in load("--pid", 2**22 + 1, status=3)
    for args in (["--participants", 1], ["--transport", "pigeon"], ["--transport", "proxy"], ["--audio-rate", 0],
                 ["--meetings", 1000, "--participants", 500], ["--legs", "x"], ["--name", "a/b"]):  # fmt: skip
        assert "berth-load media: " in load(*args, status=2), args
    assert "unrecognized option" in load("--bogus", status=2)
    unheard = load("--controller", "https://127.0.0.1:1", "--meetings", 3, status=3)
    assert unheard.count("berth-load media: ") == 1 and "onnect" in unheard, unheard
    legs = tmp_path / "legs"
    for text in ("{", "{}", *('{"suite": "gcm", "participants": 2, "legs": [%s]}' % x for x in ("", "{}", "{}, {}"))):
        legs.write_text(text)
        done = run([LOAD, "media", "--legs", legs, "--seconds", "1"])
        assert done.returncode == 2 and str(legs) in done.stderr, (text, done.stderr)


def test_others_meetings_stay(load, org):
    """One that was there before, with another policy, is neither joined nor ended."""
    org.api.post("/v1/meetings", {"id": "others-2", "policy": {"expected_size": 7}}).expect(201)
    assert "/v1/meetings: 409" in load("--name", "others", "--meetings", 3, status=3)
    org.api.get("/v1/meetings/others-1").expect(404)
    org.api.get("/v1/meetings/others-2").expect(200)
    org.api.delete("/v1/meetings/others-2").expect(204)


@pytest.fixture(scope="module")
def joined(node, admin, media_node):
    """Three nodes with room for four each, and no other: ten are on all three."""
    admin.post(f"/v1/nodes/{media_node.name}/drain").expect(200)
    made = [node(f"joined-{n}", capacity=4, peer_probe_interval=0) for n in range(3)]
    for n in made:
        wait_for(lambda n=n: "sessions_admitted" in n.process.log, 20, "the nodes to be told the keys of tickets")
    yield made
    admin.post(f"/v1/nodes/{media_node.name}/undrain").expect(200)


def test_three_joined_nodes(load, joined):
    drops = kernel_drops()
    all_was_heard(load("--participants", PEOPLE, "--audio-rate", RATE, "--transport", "udp"), kernel_drops() - drops)
    for n in joined:
        assert n.metrics()['berth_node_media_packets_total{direction="out"}'] > 0
