# timeout: 300
"""The main job over real sockets: nodes register, agents probe and report, a meeting's participants are assigned."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.process import wait_for

TRANSPORTS = ("udp", "tcp", "tls")


@pytest.fixture(scope="module")
def nodes(node, org):
    started = [node(f"n{i}", cluster=f"c{i}", region="eu" if i < 3 else "us") for i in (1, 2, 3)]
    listed = wait_for(lambda: len(list_nodes(org)) == 3 and list_nodes(org), 20, "three nodes to be listed")
    return {n.name: n for n in started}, listed


def list_nodes(org):
    return org.api.get("/v1/nodes").expect(200).json["nodes"]


def probe(world, controller, org, agent, *more):
    token = org.jwt(agent)
    done = world.agent("probe", "--report", "--json", "--agent", agent, *more, controller=controller, token=token)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.json()


@pytest.fixture(scope="module")
def probed(world, controller, org, nodes):
    agents = ("alice", "bob", "carol")
    with ThreadPoolExecutor(len(agents)) as pool:
        return dict(zip(agents, pool.map(lambda a: probe(world, controller, org, a), agents)))


def test_nodes_are_listed_as_they_listen(nodes):
    started, listed = nodes
    for entry in listed:
        node = started[entry["node"]]
        assert entry["class"] == "cloud"
        assert entry["cluster"] == node.options["cluster"]
        for transport in TRANSPORTS:
            assert entry["addresses"][transport] == [node.address(transport)]


def test_the_list_has_an_etag(org, nodes):
    first = org.api.get("/v1/nodes").expect(200)
    again = org.api.get("/v1/nodes", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b""
    assert "private" in first.headers["Cache-Control"] and first.headers["Vary"] == "Authorization"


def test_every_transport_of_every_node_was_probed(probed, nodes):
    started, _ = nodes
    for answer in probed.values():
        assert sorted(n["node"] for n in answer["nodes"]) == sorted(started)
        for entry in answer["nodes"]:
            node = started[entry["node"]]
            rows = {r["transport"]: r for r in entry["results"]}
            assert set(TRANSPORTS) <= set(rows)
            for transport in TRANSPORTS:
                row = rows[transport]
                assert row["status"] == "reachable", row
                assert row["address"] == node.address(transport)
                assert 0 < row["rtt_us"]["min"] <= row["rtt_us"]["median"] <= row["rtt_us"]["p95"]
                assert row["mapped_address"].startswith("127.0.0.1:")
            assert rows["tls"]["tls_us"] > 0 and rows["tcp"]["connect_us"] > 0


def test_the_report_is_what_was_measured(probed, org):
    for agent, answer in probed.items():
        report = org.api.get(f"/v1/agents/{agent}/report").expect(200).json
        measured = {(r["node"], r["transport"]): r["status"] for n in answer["nodes"] for r in n["results"]}
        assert {(r["node"], r["transport"]): r["status"] for r in report["results"]} == measured
    listed = org.api.get("/v1/agents").expect(200).json["items"]
    assert sorted(a["agent"] for a in listed) == sorted(probed)


@pytest.fixture(scope="module")
def meeting(org, probed):
    return org.api.post("/v1/meetings", {}).expect(201).json["id"]


def join(org, meeting, agent, **body):
    """As the agent itself, with its JWT."""
    return org.agent(agent).post(f"/v1/meetings/{meeting}/participants", body).expect(201, 200).json


def test_participants_get_one_node_that_all_reach(org, meeting, nodes, probed):
    started, _ = nodes
    for agent in ("alice", "bob"):
        join(org, meeting, agent)
    # Whoever comes later may move the others: asked again, each is told where it belongs now.
    answers = [join(org, meeting, agent) for agent in ("alice", "bob")]
    assert len({a["node"] for a in answers}) == 1
    for answer in answers:
        node = started[answer["node"]]
        assert answer["cluster"] == node.options["cluster"]
        assert answer["transport"] == "udp"
        assert [rung["transport"] for rung in answer["ladder"]] == list(TRANSPORTS)
        for rung in answer["ladder"]:
            assert rung["address"] == node.address(rung["transport"])
        assert answer["why"]
        assert sorted(started) == sorted({n for n in started if n in json.dumps(answer["why"])})


def test_joining_again_changes_nothing(org, meeting, nodes, probed):
    first = join(org, meeting, "alice")
    again = org.agent("alice").post(f"/v1/meetings/{meeting}/participants", {}).expect(200).json
    assert (again["node"], again["transport"]) == (first["node"], first["transport"])


def test_capabilities_are_respected(org, meeting, nodes, probed):
    answer = join(org, meeting, "carol", capabilities=["tls"])
    assert answer["transport"] == "tls"
    assert [rung["transport"] for rung in answer["ladder"]] == ["tls"]


def test_an_agent_without_a_report_is_told_so(org, meeting, nodes, probed):
    answer = join(org, meeting, "newcomer")
    others = join(org, meeting, "alice")
    assert answer["node"] == others["node"]
    assert "no_live_report" in json.dumps(answer["why"])


def test_a_drained_node_gets_nobody_new(org, admin, nodes, probed):
    started, _ = nodes
    meeting = org.api.post("/v1/meetings", {}).expect(201).json["id"]
    first = join(org, meeting, "alice")["node"]
    admin.post(f"/v1/nodes/{first}/drain").expect(200)
    fresh = org.api.post("/v1/meetings", {}).expect(201).json["id"]
    elsewhere = wait_for(lambda: (a := join(org, fresh, "bob"))["node"] != first and a, 10, "bob to go elsewhere")
    assert elsewhere["node"] in started
    admin.post(f"/v1/nodes/{first}/undrain").expect(200)


def test_a_killed_node_is_no_candidate_after_three_heartbeats(org, nodes, probed):
    started, _ = nodes
    meeting = org.api.post("/v1/meetings", {}).expect(201).json["id"]
    victim = join(org, meeting, "alice")["node"]
    started[victim].kill()
    began = time.monotonic()

    def goes_elsewhere():
        fresh = org.api.post("/v1/meetings", {}).expect(201).json["id"]
        return join(org, fresh, "bob")["node"] != victim

    wait_for(goes_elsewhere, 25, f"{victim} to count as down")
    assert time.monotonic() - began < 25
    started[victim].start()
    wait_for(lambda: victim in {n["node"] for n in list_nodes(org)}, 20, f"{victim} to be back")


def test_the_job_goes_on_with_a_second_controller_while_the_first_is_down(world, controllers, controller, org, nodes, probed):
    second = controllers()
    controller.kill()
    token = org.jwt("dave")
    done = world.agent("probe", "--report", "--json", "--agent", "dave", controller=second, token=token)
    assert done.returncode == 0, done.stderr
    api = second.client(org.key)
    api.get("/v1/agents/dave/report").expect(200)
    meeting = api.post("/v1/meetings", {}).expect(201).json["id"]
    api.post(f"/v1/meetings/{meeting}/participants", {"agent": "dave"}).expect(201)
    controller.start()
    org.api.get("/v1/agents/dave/report").expect(200)


def test_exit_status_3_without_a_controller(world, controller, org):
    done = world.agent("probe", env={"BERTH_CONTROLLER": "https://127.0.0.1:1", "BERTH_TOKEN": org.key,
                                     "BERTH_CA": world.authority.file})
    assert done.returncode == 3, (done.returncode, done.stderr)
    assert done.stderr.strip()
    refused = world.agent("probe", controller=controller, token="o1_o000000000000.nonsense")
    assert refused.returncode == 3, (refused.returncode, refused.stderr)


def test_watch_reports_by_itself(world, controller, org, nodes):
    from support.process import AGENT

    process = world.start([AGENT, "watch", "--controller", controller.url, "--ca", world.authority.file,
                           "--agent", "erin", "--token", org.jwt("erin")], "watch")
    wait_for(lambda: org.api.get("/v1/agents/erin/report").status == 200, 30, "erin's report")
    assert process.running()
