# alone
"""What calls measured reaches the controller, beside what it had counted on: the page of metrics, GET /v1/analytics/calls, and who learns what."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.api import report, report_body
from support.media import Participant
from support.process import wait_for

NODE = "told-1"


@pytest.fixture(scope="module")
def controller(controllers):
    """It wants to know every second."""
    return controllers(call_report=1)


@pytest.fixture(scope="module")
def seldom(controllers, place):
    other = controllers(call_report=900)
    yield other
    other.stop()


@pytest.fixture(scope="module")
def place(controller, org, node):
    node(NODE)
    wait_for(lambda: len(org.api.get("/v1/nodes").json["nodes"]) == 1, 20, "the node to be listed")
    org.api.post("/v1/meetings", {"id": "talk"}).expect(201)
    return controller


def stretch(node=NODE, rtt_us=21000, expected_us=None, **more):
    call = {"node": node, "transport": "udp", "seconds": 60, "rtt_us": {"min": rtt_us, "median": rtt_us, "p95": rtt_us}, **more}
    if expected_us is not None:
        call["expected"] = {"transport": "udp", "rtt_us": expected_us}
    return call


def calls(client, query=""):
    return {(i["node"], i["transport"]): i for i in client.get(f"/v1/analytics/calls{query}").expect(200).json["items"]}


def line(name, node=NODE, transport="udp", more=""):
    return f'{name}{{node="{node}",transport="{transport}"{more}}}'


@pytest.fixture(scope="module")
def joined(world, seldom, org, make_org):
    """Two calls by `berth join` at once: ann has reported, and eve's organisation knows of nothing."""
    unknown = make_org("Unknown")
    unknown.api.post("/v1/meetings", {"id": "talk"}).expect(201)
    posted = report(org.api, {NODE: {"udp": 10}}, agent="ann").json

    def join(agent, token):
        return world.agent("join", "talk", "--agent", agent, "--seconds", "4", "--json", controller=seldom, token=token)

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(join, ("ann", "eve"), (org.key, unknown.jwt("eve"))):
            assert done.returncode == 0 and done.json()["transport"] == "udp", done.stderr
    return posted, unknown


def test_a_call_is_told_at_its_end(joined, seldom, org, database):
    """`berth join` tells nothing of where it reaches what: the live report is the one that it was."""
    item = calls(org.api)[NODE, "udp"]
    assert (item["calls"], item["compared"], item["elsewhere"]) == (1, 1, 0), item
    assert item["error_us"]["mean"] == item["rtt_us"]["min"] - 10000, item
    metrics = seldom.metrics()
    assert metrics[line("berth_calls_told_total")] == 2 and metrics[line("berth_calls_compared_total")] == 1
    assert metrics['berth_calls_rtt_error_ms_count{counted_on="report"}'] == 1
    live = org.api.get("/v1/agents/ann/report").expect(200).json
    assert live["report_id"] == joined[0]["report_id"] and "calls" not in live
    told = database.sql(f"select calls->0->>'ended', calls->0->>'meeting' from report where org = '{org.id}' and calls is not null")
    assert told.split("|") == ["left", "talk"]


def test_without_a_report_nothing_was_counted_on(joined):
    unknown = joined[1]
    item = calls(unknown.api)[NODE, "udp"]
    assert (item["calls"], item["compared"], item["elsewhere"]) == (1, 0, 0) and "error_us" not in item
    unknown.api.get("/v1/agents/eve/report").expect(404)


def test_a_long_call_is_told_while_it_lasts(world, place, org):
    ann = Participant(world, place, org, "talk", "long", 77)
    before = place.metrics().get(line("berth_calls_told_total"), 0)
    wait_for(lambda: place.metrics().get(line("berth_calls_told_total"), 0) >= before + 1, 40, "a stretch to be told")
    assert ann.stats()["state"] == "up"
    assert ann.leave() == 0, ann.tail()


def test_who_may_not_report_stays_in_the_call(world, place, org):
    ann = Participant(world, place, org, "talk", "joiner", 78, grants=["join"])
    ann.wait_state("up", NODE)
    wait_for(lambda: "call_figures_untold" in ann.log_path.read_text() or ann.stats()["state"] != "up", 20, "the refusal")
    assert ann.stats()["state"] == "up" and ann.leave() == 0, ann.tail()


def test_how_often_is_the_controllers_to_say(place, seldom, org):
    report(org.api, {NODE: {"udp": 10}}, agent="asked")
    for at, every in ((seldom, 900), (place, 1)):
        got = at.client(org.key).post("/v1/meetings/talk/participants", {"agent": "asked"}).json["report"]
        assert got == {"expected": {"transport": "udp", "rtt_us": 10000, "predicted": False}, "every_s": every}


def test_a_prediction_is_said_to_be_one(place, make_org):
    org = make_org("Predicted")
    org.api.post("/v1/meetings", {"id": "m"}).expect(201)
    report(org.api, {NODE: {"udp": 12}}, agent="a", network="office")
    got = org.api.post("/v1/meetings/m/participants", {"agent": "b", "network": {"id": "office"}}).expect(201).json
    assert got["report"]["expected"] == {"transport": "udp", "rtt_us": 12000, "predicted": True}


def test_with_results_it_is_a_report_as_any(place, make_org):
    org = make_org("Both")
    body = report_body([{"node": NODE, "transport": "udp", "status": "timeout"}], agent="ann", calls=[stretch(expected_us=20000)])
    before = place.metrics().get(line("berth_calls_rtt_off_ms_total", more=',by="longer"'), 0)
    org.api.post("/v1/reports", body).expect(201)
    org.api.post("/v1/reports", body).expect(200)  # a repeat counts for nothing
    assert place.metrics()[line("berth_calls_rtt_off_ms_total", more=',by="longer"')] == pytest.approx(before + 1)
    live = org.api.get("/v1/agents/ann/report").expect(200).json
    assert live["report_id"] == body["report_id"] and live["calls"][0]["expected"]["rtt_us"] == 20000
    assert calls(org.api)[NODE, "udp"]["error_us"] == {"mean": 1000, "mean_abs": 1000, "median_abs": 1000, "p95_abs": 1000}
    assert calls(make_org("Stranger").api) == {}


def test_of_calls_alone_it_never_lives_and_goes_with_its_agent(place, make_org, admin, database):
    org = make_org("Alone")
    answer = org.api.post("/v1/reports", report_body([], agent="ann", calls=[stretch()])).expect(201).json
    assert answer["expires_at"] <= answer["received_at"]
    org.api.get("/v1/agents/ann/report").expect(404)
    assert org.api.get("/v1/agents").expect(200).json["items"] == []
    assert calls(org.api)[NODE, "udp"]["calls"] == 1
    assert calls(admin, f"?org={org.id}")[NODE, "udp"]["calls"] == 1
    org.api.delete("/v1/agents/ann").expect(204)
    assert calls(org.api) == {}
    assert database.sql(f"select count(*) from report where org = '{org.id}'") == "0"


def test_lies_are_bounded_and_move_nobody(place, make_org):
    org, other = make_org("Liars"), make_org("Honest")
    wrong = report_body([], agent="ann", calls=[stretch()] * 17)
    assert org.api.post("/v1/reports", wrong).expect(422).json["pointer"] == "/calls"
    report(other.api, {NODE: {"udp": 10}}, agent="bob")
    other.api.post("/v1/meetings", {"id": "m"}).expect(201)
    other.api.post("/v1/meetings/m/participants", {"agent": "bob"}).expect(201)
    before, families = other.api.get("/v1/meetings/m/explain").json, len(place.metrics())
    for i in range(20):
        lie = [stretch(rtt_us=60000000, expected_us=0), stretch(node=f"made-up-{i}", rtt_us=60000000)]
        org.api.post("/v1/reports", report_body([], agent=f"liar-{i}", calls=lie)).expect(201)
    after = other.api.get("/v1/meetings/m/explain").json
    assert [p["candidates"] for p in after["items"]] == [p["candidates"] for p in before["items"]]
    assert len(place.metrics()) == families  # names that nobody knows make no lines
    assert ("made-up-3", "udp") in calls(org.api) and calls(other.api) == {}
