# alone
"""berth-load's swarm and its rows without a controller, against the real ones: what it says was stored is stored, once each."""

import json
import subprocess

import pytest
from support.api import node_body
from support.process import BUILD, clean_env, wait_for

LOAD = BUILD / "loadtest" / "berth-load"
NODES = 3


def load(*words, status=0):
    done = subprocess.run([LOAD, *map(str, words)], capture_output=True, text=True, timeout=60, env=clean_env(),
                          stdin=subprocess.DEVNULL)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def nodes(admin, org):
    for n in range(NODES):
        admin.post("/v1/nodes", node_body(f"n{n:04}", n + 1)).expect(201)
    wait_for(lambda: len(org.api.get("/v1/nodes").expect(200).json["nodes"]) == NODES, 20, "the nodes to be listed")


def count(database, org):
    return int(database.sql(f"select count(*) from report where org = '{org.id}'"))


def test_a_swarm_by_its_own_clocks(controller, database, org, nodes):
    had = count(database, org)
    words = ["swarm", "--url", controller.url, "--token", org.key, "--seconds", 2, "--nodes", NODES, "--agents", 50]
    r = json.loads(load(*words, "--rate", 40, "--connections", 4, "--json").stdout)
    assert r["stored"] > 0 and r["stored"] == r["answered"] == r["latency"]["n"], r
    assert (r["refused"], r["failed"], r["wrong"], r["repeats"]) == (0, 0, 0, 0), r
    assert count(database, org) == had + r["stored"]
    agent = database.sql(f"select min(agent) from report where org = '{org.id}'")
    live = org.api.get(f"/v1/agents/{agent}/report").expect(200).json
    assert len(live["results"]) == 3 * NODES
    assert "stored" in load(*words, "--seed", 2).stdout  # as fast as they are answered, for people
    r = json.loads(load(*words[:3], "--token", "nobody", *words[5:], "--rate", 5, "--json", status=1).stdout)
    assert r["stored"] == 0 and r["refused"] > 0, r


def test_meetings_fill(controller, database, org, nodes):
    words = ["--url", controller.url, "--token", org.key, "--seconds", 1, "--connections", 4]
    load("swarm", *words, "--nodes", NODES, "--agents", 20, "--rate", 60)
    database.sql(f"insert into meeting (org, id) select '{org.id}', 'm' || i from generate_series(0, 400) i")
    words += ["--agents", 20, "--kinds", 4]
    r = json.loads(load("meetings", *words, "--rate", 60, "--json").stdout)
    assert r["joined"] > 0 and r["joined"] == r["latency"]["n"], r
    assert (r["refused"], r["failed"], r["wrong"]) == (0, 0, 0), r
    there = f"select count(*) from participant where org = '{org.id}'"
    assert int(database.sql(there)) == r["joined"] - r["again"]
    r = json.loads(load("meetings", *words, "--size", 1, "--prefix", "none-such-", "--rate", 10, "--json", status=1).stdout)
    assert r["joined"] == 0 and r["refused"] > 0, r


@pytest.mark.parametrize("rows", [1, 8])
def test_rows_without_a_controller(database, make_org, nodes, rows):
    org = make_org()
    r = json.loads(load("reports-sql", "--database", database.url, "--org", org.id, "--seconds", 1, "--batch", 16, "--rows", rows,
                        "--threads", 2, "--nodes", NODES, "--json").stdout)
    assert r["stored"] == 16 * r["commits"] == count(database, org) > 0
    live = org.api.get("/v1/agents/a0000003/report").expect(200).json  # the controller reads them as its own
    assert [x["node"] for x in live["results"]] == [f"n{n:04}" for n in range(NODES) for _ in range(3)]


@pytest.mark.parametrize("words", [
    ["swarm"], ["swarm", "--url", "http://localhost:1", "--token", "t", "--seconds", "1"],
    ["swarm", "--url", "ftp://127.0.0.1:1", "--token", "t", "--seconds", "1"],
    ["swarm", "--url", "http://127.0.0.1:1/x", "--token", "t", "--seconds", "1"],
    ["swarm", "--url", "http://127.0.0.1:1", "--token", "t", "--seconds", "1", "--connections", "4097"],
    ["meetings"], ["meetings", "--url", "http://127.0.0.1:1", "--token", "t", "--seconds", "1", "--agents", "10", "--kinds", "3"],
    ["meetings", "--url", "http://127.0.0.1:1", "--token", "t", "--seconds", "1", "--prefix", "a/b"],
    ["reports-sql"], ["reports-sql", "--database", "x", "--org", "o", "--seconds", "1", "--batch", "0"],
    ["reports-sql", "--database", "x", "--org", "o", "--seconds", "1", "--batch", "100", "--rows", "64"],
])
def test_usage(words):
    assert load(*words, status=2).stderr


def test_no_database():
    words = ["reports-sql", "--database", "host=127.0.0.1 port=1", "--org", "o", "--seconds", "1"]
    assert "refused" in load(*words, status=3).stderr
