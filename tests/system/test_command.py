# alone
"""The command `berth` against a real controller and real nodes: its calls, its tables, its exit statuses."""

import json
import re
import signal
import subprocess

import pytest

from support.api import report
from support.process import AGENT, BUILD, CONTROLLER, NODE, SOURCE, clean_env, free_port, run, wait_for


@pytest.fixture(scope="module")
def berth(world, controller, org):
    """berth("probe", ...) as this org; token= and env= say otherwise."""

    def call(*args, token=None, env=None):
        return world.agent(*args, controller=controller, token=token or org.key, env=env)

    return call


@pytest.fixture(scope="module")
def operator(berth, world):
    return lambda *args: berth(*args, env={"BERTH_ADMIN_TOKEN": world.admin_key})


@pytest.fixture(scope="module")
def nodes(node, berth):
    """Two nodes of the cloud, known to the controller."""
    made = [node("cmd-1", cluster="east"), node("cmd-2", cluster="west")]
    wait_for(lambda: len(berth("node", "list", "--json").json()["nodes"]) >= 2, what="both nodes to be listed")
    return made


def widest(text):
    return max(len(line) for line in text.splitlines())


# ---- usage ----


@pytest.mark.parametrize(
    "args,says",
    [
        ([], "Usage: berth COMMAND"),
        (["prob"], "did you mean 'probe'?"),
        (["meeting", "why", "m"], "there are create, list, show, delete, join, explain, leave"),
        (["node"], "node drain"),
        (["probe", "--reprot"], "did you mean '--report'?"),
        (["org", "list", "--controller", "https://127.0.0.1:1"], "no token"),
        (["probe"], "--controller URL"),
        (["join", "m", "--controller", "127.0.0.1:8443", "--token", "a.b"], "needs https:// in front"),
        (["probe", "--controller", "127.0.0.1:8443", "--token", "a.b"], "needs https:// in front"),
    ],
)
def test_usage_errors_are_2_and_on_stderr(world, args, says):
    done = world.agent(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def names_of_commands():
    overview = run([AGENT, "--help"]).stdout
    return re.findall(r"^  ([a-z]+(?: [a-z-]+)?)  ", overview, re.M)


def test_every_help_is_0_and_fits(world):
    names = names_of_commands()
    assert {"probe", "agent report", "node delete", "meeting leave"} <= set(names)
    groups = {n.split()[0] for n in names if " " in n}
    for args in [["--help"], ["help"], ["probe", "--help"], ["node", "-h"], *(["help", *n.split()] for n in [*names, *groups])]:
        done = world.agent(*args)
        assert done.returncode == 0, args
        assert "Usage: berth" in done.stdout
        assert widest(done.stdout) <= 80, args


@pytest.mark.parametrize(
    "argv",
    [[NODE, "--help"], [CONTROLLER, "--help"], [CONTROLLER, "migrate", "--help"],
     [SOURCE / "quickstart", "--help"]],
    ids=lambda argv: f"{argv[0].name} {argv[1]}",
)
def test_other_helps_fit_too(argv):
    done = run(argv)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 200
    assert widest(done.stdout) <= 80, [line for line in done.stdout.splitlines() if len(line) > 80]


def test_version(world):
    done = world.agent("--version")
    assert (done.returncode, done.stdout) == (0, "berth 0.1.0\n")


# ---- the controller's refusals and absence ----


def test_a_controller_that_is_away_is_3(world, org):
    port = free_port()
    for args in (["node", "list"], ["probe"]):
        done = world.agent(*args, env={"BERTH_CONTROLLER": f"https://127.0.0.1:{port}", "BERTH_TOKEN": org.key})
        assert done.returncode == 3
        assert "check --controller" in done.stderr


@pytest.mark.parametrize("words", [("node", "list"), ("probe",), ("firewall",), ("key", "list")])
def test_a_password_in_the_controllers_url_is_not_shown(world, words):
    done = world.agent(*words, "--token", "a.b", env={"BERTH_CONTROLLER": "https://carol:secret@controller.test"})
    assert done.returncode == 2
    assert "secret" not in done.stdout + done.stderr


def test_an_unknown_certificate_is_3_and_says_what_to_do(world, controller, org):
    env = {"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.key}
    done = world.agent("meeting", "list", env=env)
    assert done.returncode == 3
    assert "--ca FILE" in done.stderr


def test_a_wrong_ca_is_2_and_names_the_file(world, controller, org, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    for ca, says in [("/no/such.pem", "No such file"), (empty, "no certificate")]:
        for args in (["meeting", "list"], ["probe"], ["firewall"], ["probe", "--node", "127.0.0.1"]):
            done = world.agent(*args, "--ca", ca, env={"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.key})
            assert done.returncode == 2
            assert str(ca) in done.stderr and says in done.stderr
    # What asks nobody needs none.
    done = world.agent("key", "token", "--agent", "x", env={"BERTH_TOKEN": org.key, "BERTH_CA": "/no/such.pem"})
    assert done.returncode == 0


def test_http_to_an_https_port_is_told(berth, controller):
    url = controller.url.replace("https://", "http://")
    for args in (["meeting", "list"], ["probe"]):
        done = berth(*args, "--controller", url)
        assert done.returncode == 3
        assert "HTTPS port" in done.stderr and "https://" in done.stderr


def test_https_to_a_port_without_it_is_told(berth, controller):
    done = berth("meeting", "list", "--controller", controller.metrics_url.replace("http://", "https://"))
    assert done.returncode == 3
    assert "no HTTPS" in done.stderr


def test_a_refusal_is_said_once(berth):
    for args in (["meeting", "list"], ["probe"]):
        done = berth(*args, token="wrong.token")
        assert done.returncode == 3
        assert done.stderr.count("401") == 1, done.stderr


def test_problems_are_told_with_code_and_advice(berth, org):
    done = berth("meeting", "list", token="wrong.token")
    assert done.returncode == 3
    assert "401" in done.stderr and "check --token" in done.stderr
    done = berth("meeting", "show", "nowhere")
    assert done.returncode == 3
    assert "404 unknown_meeting" in done.stderr
    done = berth("org", "create", "x")  # with an org's key
    assert done.returncode == 3
    assert "403" in done.stderr and "admin key" in done.stderr
    assert org.key not in done.stderr


# ---- the operator's and the org's calls ----


def test_an_org_lives_and_dies(operator):
    made = operator("org", "create", "Gr\u00fc\u00dfe & Co", "--json").json()
    listed = operator("org", "list", "--json").json()["items"]
    assert made["id"] in [o["id"] for o in listed]
    shown = operator("org", "show", made["id"])
    assert "Gr\u00fc\u00dfe & Co" in shown.stdout and made["id"] in shown.stdout
    done = operator("org", "delete", made["id"])
    assert (done.returncode, done.stdout) == (0, f"The org {made['id']} is deleted.\n")
    assert operator("org", "show", made["id"]).returncode == 3


def test_a_key_is_made_used_listed_and_revoked(operator, berth, org):
    key = berth("key", "create").stdout.strip()
    key_id = key.split(".")[0]
    assert key_id.startswith(f"{org.id}_o")
    assert berth("meeting", "list", token=key).returncode == 0
    listed = berth("key", "list")
    assert key_id in listed.stdout and key not in listed.stdout
    assert berth("key", "revoke", key_id).returncode == 0
    wait_for(lambda: berth("meeting", "list", token=key).returncode == 3, 10, "the key to end")
    cloud = operator("key", "create", "--org", "cloud", "--kind", "node", "--json").json()
    assert cloud["key_id"].startswith("cloud_n")


def test_whose_key_it_is_to_be_must_be_said_with_the_admin_key(world, controller):
    env = {"BERTH_CONTROLLER": controller.url, "BERTH_CA": world.authority.file}
    done = world.agent("key", "create", env={**env, "BERTH_ADMIN_TOKEN": world.admin_key})
    assert done.returncode == 2
    assert "--org ORG is missing" in done.stderr
    done = world.agent("key", "create", env={**env, "BERTH_TOKEN": world.admin_key})  # only the controller knows that it is one
    assert done.returncode == 3
    assert "422" in done.stderr and "--org ORG" in done.stderr


def test_a_token_is_minted_offline_and_accepted(world, berth, org, nodes):
    done = world.agent("key", "token", "--agent", "laptop", env={"BERTH_TOKEN": org.key})
    assert done.returncode == 0
    token = done.stdout.strip()
    assert token.count(".") == 2
    assert berth("probe", "--json", token=token).returncode == 0
    narrow = world.agent("key", "token", "--agent", "laptop", "--grants", "join", env={"BERTH_TOKEN": org.key})
    refused = berth("probe", token=narrow.stdout.strip())
    assert refused.returncode == 3
    assert "403" in refused.stderr


def test_a_node_is_drained_and_undrained(operator, berth, nodes):
    def state(name):
        rows = operator("node", "list", "--json").json()["nodes"]
        return next(n["state"] for n in rows if n["node"] == name)

    drained = operator("node", "drain", "cmd-2")
    assert drained.returncode == 0 and "berth node list" in drained.stdout and "--open" in drained.stdout
    wait_for(lambda: state("cmd-2") == "draining", what="the drain to be seen")
    table = operator("node", "list").stdout
    assert "draining" in table and "east" in table
    assert operator("node", "undrain", "cmd-2").returncode == 0
    wait_for(lambda: state("cmd-2") == "up", what="the undrain to be seen")
    done = operator("node", "drain", "nobody")
    assert done.returncode == 3 and "--org ORG" in done.stderr, done.stderr
    done = berth("node", "drain", "cmd-2", env={"BERTH_ADMIN_TOKEN": ""})
    assert done.returncode == 3 and "set BERTH_ADMIN_TOKEN" in done.stderr, done.stderr
    done = berth("node", "drain", "cmd-2", env={"BERTH_ADMIN_TOKEN": "admin-of-another"})
    assert done.returncode == 3 and "check --admin-token (BERTH_ADMIN_TOKEN)" in done.stderr, done.stderr


def test_a_node_is_shown(operator, berth, nodes):
    shown = berth("node", "show", "cmd-1")
    assert shown.returncode == 0 and "east" in shown.stdout and nodes[0].address("udp") in shown.stdout
    assert "state" not in shown.stdout
    shown = operator("node", "show", "cmd-1")
    assert re.search(r"^state +up$", shown.stdout, re.M) and re.search(r"^participants +\d+$", shown.stdout, re.M)
    assert re.search(r"^capacity +no limit$", shown.stdout, re.M) and re.search(r"^heard, s ago +\d+\.\d$", shown.stdout, re.M)
    assert operator("node", "show", "cmd-1", "--org", "cloud", "--json").json()["org"] == "cloud"
    for args in (["cmd-3"], ["cmd-1", "--org", "o1234567890"]):
        done = operator("node", "show", *args)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"no node '{args[0]}'" in done.stderr
    assert "PEOPLE" in operator("node", "list").stdout
    assert operator("node", "drain", "cmd-1", "--org", "o" * 41).returncode == 2


def test_a_node_is_deleted(operator, org, controller):
    operator_key = {"node": "gone", "cluster": "c", "region": "r", "addresses": {"udp": ["192.0.2.1:5004"]}}
    org.admin.post("/v1/nodes", operator_key).expect(201)
    wait_for(lambda: operator("node", "show", "gone").returncode == 0, what="the node to be listed")
    done = operator("node", "delete", "gone")
    assert (done.returncode, done.stdout) == (0, "The node gone is deleted.\n")
    wait_for(lambda: operator("node", "show", "gone").returncode == 3, what="the node to leave the list")
    assert operator("node", "delete", "gone").returncode == 3


def test_agents_are_listed_shown_and_erased(berth, org, nodes):
    assert berth("probe", "--report", "--agent", "kept").returncode == 0
    assert berth("meeting", "create", "with-kept").returncode == 0
    assert berth("meeting", "join", "with-kept", "--agent", "kept").returncode == 0
    listed = berth("agent", "list", env={"COLUMNS": "80"}).stdout
    assert "kept" in listed and widest(listed) <= 80
    shown = berth("agent", "show", "kept").stdout
    assert "kept" in shown and "with-kept" in shown
    assert berth("agent", "show", "kept", "--json").json()["meetings"] == ["with-kept"]
    stored = berth("agent", "report", "kept", "--json").json()
    assert stored == org.api.get("/v1/agents/kept/report").json
    table = berth("agent", "report", "kept", env={"COLUMNS": "80"}).stdout
    assert stored["report_id"] in table and table.count("reachable") == 6 and widest(table) <= 80
    assert berth("agent", "report", "kept", "--network", stored["network"]["id"]).returncode == 0
    elsewhere = berth("agent", "report", "kept", "--network", "elsewhere")
    assert elsewhere.returncode == 3
    assert "no_live_report" in elsewhere.stderr and "berth probe --report" in elsewhere.stderr
    done = berth("agent", "delete", "kept")
    assert (done.returncode, done.stdout) == (0, "The agent kept is erased.\n")
    assert berth("agent", "show", "kept").returncode == 3
    assert berth("meeting", "delete", "with-kept").returncode == 0


def test_a_participant_leaves(berth, org, nodes):
    assert berth("meeting", "create", "brief").returncode == 0
    for agent in ("ann", "bob"):
        assert berth("meeting", "join", "brief", "--agent", agent).returncode == 0
    done = berth("meeting", "leave", "brief", "--agent", "ann")
    assert (done.returncode, done.stdout) == (0, "ann has left brief.\n")
    done = berth("meeting", "leave", "brief", "--json", token=org.jwt("bob"))  # the token says who
    assert done.json() == {"meeting": "brief", "participant": "bob", "deleted": True}
    assert berth("meeting", "show", "brief", "--json").json()["participants"] == []
    assert berth("meeting", "leave", "brief", "--agent", "ann").returncode == 3
    assert berth("meeting", "leave", "brief", "--agent", "a" * 200).returncode == 3  # no such id
    assert berth("meeting", "leave", "brief", "--agent", "a" * 500).returncode == 2  # nor a path
    assert berth("meeting", "delete", "brief").returncode == 0


def test_a_meeting_from_making_to_joining_to_its_end(berth, nodes):
    made = berth("meeting", "create", "standup", "--transport", "udp", "--transport", "tls", "--json").json()
    assert made["id"] == "standup"
    again = berth("meeting", "create", "standup", "--transport", "udp", "--transport", "tls")
    assert again.returncode == 0 and "It was there already" in again.stdout
    assert sorted(made["policy"]["transports"]) == ["tls", "udp"]
    other = berth("meeting", "create", "standup", "--transport", "udp")
    assert other.returncode == 3 and "berth meeting delete standup" in other.stderr
    assert berth("probe", "--report", "--agent", "ann").returncode == 0
    joined = berth("meeting", "join", "standup", "--agent", "ann", "--json")
    assert joined.returncode == 0, joined.stderr
    assignment = joined.json()
    assert assignment["node"] in ("cmd-1", "cmd-2")
    assert assignment["transport"] == "udp"
    table = berth("meeting", "join", "standup", "--agent", "ann", env={"COLUMNS": "80"})
    assert table.returncode == 0
    assert assignment["node"] in table.stdout
    assert assignment["ladder"][0]["address"] in table.stdout
    assert widest(table.stdout) <= 80
    shown = berth("meeting", "show", "standup")
    assert "ann" in shown.stdout
    assert [p["participant"] for p in berth("meeting", "show", "standup", "--json").json()["participants"]] == ["ann"]
    for told in (shown.stdout, berth("meeting", "list").stdout):
        assert "standup" in told and assignment["node"] in told
        assert "over udp, over tls" in told or "over tls, over udp" in told
    assert berth("meeting", "delete", "standup").returncode == 0
    assert berth("meeting", "show", "standup").returncode == 3


def test_what_is_refused_says_what_to_do(berth, operator, nodes):
    assert berth("meeting", "create", "inside", "--private").returncode == 0
    refused = berth("meeting", "join", "inside", "--agent", "ann")
    assert refused.returncode == 3 and "not_private" in refused.stderr
    assert "organisation's own" in refused.stderr and "try again" not in refused.stderr
    assert berth("meeting", "delete", "inside").returncode == 0
    drained = berth("node", "drain", "cmd-1")
    assert drained.returncode == 3 and "the operator's" in drained.stderr
    listed = berth("event", "list")
    assert listed.returncode == 3 and "--admin-token" in listed.stderr
    told = operator("event", "list").stdout
    titles = ["RAISED", "CLEARED", "SEVERITY", "KIND", "ORG", "SUBJECT", "WHAT"]
    assert told == "There were no such events.\n" or told.split()[:7] == titles


def test_a_join_connects_by_the_ladder(berth, nodes):
    assert berth("meeting", "create", "linked", "--json").returncode == 0
    done = berth("meeting", "join", "linked", "--agent", "ann", "--probe", "--connect", "--seconds", "6", "--json")
    assert done.returncode == 0, done.stderr
    assignment = done.json()
    assert len(assignment["ladder"]) == len(assignment["connection"]["rungs"])
    found = assignment["connection"]
    assert (found["ok"], found["transport"], found["came_up"]) == (True, "udp", 1)
    assert found["address"] == assignment["ladder"][0]["address"]
    assert [r["won"] for r in found["rungs"]].count(True) == 1
    assert all(r["won"] or r["why"] for r in found["rungs"])
    assert found["keepalive"]["received"] >= 1 and found["keepalive"]["lost"] == 0
    assert found["keepalive"]["rtt_us"]["min"] > 0
    table = berth("meeting", "join", "linked", "--agent", "ann", "--connect", "--seconds", "1", env={"COLUMNS": "80"})
    assert table.returncode == 0, table.stderr
    assert "Connected over udp to " + assignment["ladder"][0]["address"] in table.stdout
    assert widest(table.stdout) <= 80
    assert berth("meeting", "delete", "linked").returncode == 0


def test_a_join_after_a_probe_names_the_network(berth, nodes):
    """A report of another network, even a newer one, doesn't count then: the reason would be no_live_report."""
    assert berth("meeting", "create", "named", "--json").returncode == 0
    elsewhere = berth("meeting", "join", "named", "--agent", "bob", "--network", "elsewhere", "--json").json()
    assert elsewhere["why"]["reason"] == "no_live_report"
    here = berth("meeting", "join", "named", "--agent", "bob", "--probe", "--json").json()
    assert here["why"]["reason"] != "no_live_report"
    assert berth("meeting", "delete", "named").returncode == 0


@pytest.mark.parametrize("named_by", ["--state", "BERTH_STATE", "XDG_STATE_HOME", "HOME"])
def test_a_plain_join_names_a_network_that_was_reported_of(berth, org, nodes, tmp_path, named_by):
    """By an earlier command: though the newest report is of another network, the one of this network counts at once."""
    place = {"XDG_STATE_HOME": "berth/networks", "HOME": ".local/state/berth/networks"}.get(named_by, "networks")
    file, agent, meeting = tmp_path / place, f"mover-{named_by.strip('-').lower()}", f"moved-{named_by.strip('-').lower()}"
    words = ("--agent", agent, *(("--state", file) if named_by == "--state" else ()))
    env = {"BERTH_STATE": {"BERTH_STATE": file}, "HOME": {"HOME": tmp_path, "BERTH_STATE": "", "XDG_STATE_HOME": ""},
           "XDG_STATE_HOME": {"XDG_STATE_HOME": tmp_path}}.get(named_by, {})  # fmt: skip
    assert berth("meeting", "create", meeting, "--json").returncode == 0
    assert berth("probe", "--report", *words, env=env).returncode == 0
    (line,) = file.read_text().splitlines()
    assert re.fullmatch(r"[0-9a-f]{32} [0-9a-f]{32} [0-9]+", line) and file.stat().st_mode & 0o077 == 0
    here = org.api.get(f"/v1/agents/{agent}/report").expect(200).json["network"]["id"]
    assert line.split()[1] == here
    report(org.api, {n.name: {"udp": None, "tcp": 40.0} for n in nodes}, network="elsewhere", agent=agent)
    joined = berth("meeting", "join", meeting, *words, "--json", env=env).json()
    assert joined["transport"] == "udp"
    forgetful = berth("meeting", "join", meeting, "--agent", agent, "--state", "none", "--json", env=env).json()
    assert forgetful["transport"] == "tcp"
    assert berth("meeting", "delete", meeting).returncode == 0


# ---- probe ----


def test_probe_prints_a_row_for_every_transport(berth, nodes):
    done = berth("probe", env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert widest(done.stdout) <= 80
    assert done.stdout.count("reachable") == 6
    assert "cmd-1 (cloud east, region test)" in done.stdout
    assert "Reached 2 of 2 nodes" in done.stdout
    rows = {n["node"]: n["results"] for n in berth("probe", "--json").json()["nodes"]}
    assert sorted(rows) == ["cmd-1", "cmd-2"]
    for results in rows.values():
        assert [r["transport"] for r in results] == ["udp", "tcp", "tls"]
        assert all(r["status"] == "reachable" for r in results)


def test_probe_reports_what_the_controller_then_has(berth, org, nodes):
    done = berth("probe", "--report", "--agent", "reporter")
    assert done.returncode == 0, done.stderr
    report_id = re.search(r"^Reported as agent reporter, report ([0-9a-f-]{36})\.$", done.stdout, re.M)[1]
    assert org.api.get("/v1/agents/reporter/report").expect(200).json["report_id"] == report_id
    answer = berth("probe", "--report", "--agent", "reporter", "--json").json()
    stored = org.api.get("/v1/agents/reporter/report").expect(200).json
    assert answer["report"] == {"report_id": stored["report_id"], "agent": "reporter", "stored": True}
    assert "report" not in berth("probe", "--json").json()


def test_a_jwt_says_who_reports(berth, org, nodes):
    token = org.jwt("somebody")
    assert berth("probe", "--report", "--json", token=token).json()["report"]["agent"] == "somebody"
    assert berth("probe", "--report", "--agent", "somebody", token=token).returncode == 0
    for command in (["probe", "--report"], ["watch"]):
        done = berth(*command, "--agent", "else", token=token)
        assert (done.returncode, done.stdout) == (2, "")
        assert "somebody" in done.stderr and "else" in done.stderr
    # Where nothing is reported the name doesn't matter; nor does it in what only looks like a JWT.
    assert berth("probe", "--agent", "else", token=token).returncode == 0
    assert berth("probe", "--report", "--agent", "else", token="a.b.c").returncode == 3


def test_given_nodes_need_no_controller(world, node):
    alone = node("alone", standalone=True)
    udp, tcp, tls = (alone.port(t) for t in ("udp", "tcp", "tls"))
    spec = f"127.0.0.1,udp={udp},tcp={tcp},tls={tls}"
    done = world.agent("probe", "--node", spec, "--require", "tls", "--json", "--ca", world.authority.file)
    assert done.returncode == 0, done.stderr
    assert {r["transport"]: r["status"] for r in done.json()["nodes"][0]["results"]} == dict.fromkeys(
        ["udp", "tcp", "tls"], "reachable"
    )
    # Without the CA, TLS fails alone; then it is required.
    assert world.agent("probe", "--node", spec).returncode == 0
    done = world.agent("probe", "--node", spec, "--require", "tls")
    assert done.returncode == 1
    assert "tls is required" in done.stderr
    done = world.agent("probe", "--node", f"127.0.0.1,tcp={free_port()}")
    assert done.returncode == 1
    assert "refused" in done.stdout and "no node was reached" in done.stderr


def test_watch_reports_again_when_told_and_ends_by_a_signal(world, controller, org, nodes):
    env = clean_env({"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.key, "BERTH_CA": world.authority.file})
    watch = subprocess.Popen(
        [AGENT, "watch", "--json", "--agent", "watcher"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        first = next_event(watch, "report")
        assert "error" not in first
        assert org.api.get("/v1/agents/watcher/report").json["report_id"] == first["report_id"]
        watch.send_signal(signal.SIGHUP)
        again = next_event(watch, "report")
        assert again["report_id"] != first["report_id"]
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == 0
    finally:
        watch.kill()
        watch.communicate()


# ---- docs/embedding.md: programs against the library, as its reader would build them ----


def compiled(source, program, *extra):
    cache = (BUILD / "CMakeCache.txt").read_text()
    sanitize = re.search(r"^BERTH_SANITIZE:\w+=(\S+)$", cache, re.M)
    library = BUILD / "agent"
    done = run(["cc", "-Wall", "-Wextra", *extra, "-Werror", *([f"-fsanitize={sanitize[1]}"] if sanitize else []),
                f"-I{SOURCE / 'agent'}", source, "-o", program, f"-L{library}", "-lberth", f"-Wl,-rpath,{library}"])
    assert done.returncode == 0, done.stderr
    return program


def test_the_example_with_a_controller(world, controller, org, nodes, tmp_path):
    source = SOURCE / "docs" / "examples" / "controller.c"
    assert f"```c\n{source.read_text()}```" in (SOURCE / "docs" / "embedding.md").read_text()
    program = compiled(source, tmp_path / "controller")
    env = {"BERTH_CONTROLLER": controller.url, "BERTH_TOKEN": org.jwt("embedder"), "BERTH_CA": world.authority.file}
    example = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=clean_env(env))
    try:
        assert re.fullmatch(r"2 of \d nodes reachable\n", example.stdout.readline())
        report_id = re.fullmatch(r"report (\S+): stored\n", example.stdout.readline())[1]
        assert org.api.get("/v1/agents/embedder/report").expect(200).json["report_id"] == report_id
        example.stdin.close()
        assert example.wait(20) == 0, example.stderr.read()
    finally:
        example.kill()
        example.wait()
    refused = run([program], env={**env, "BERTH_CA": "/no/such.pem"})
    assert refused.returncode == 1 and refused.stderr != ""


def test_the_snippet_that_connects_compiles(tmp_path):
    page = (SOURCE / "docs" / "embedding.md").read_text()
    snippet = next(b for b in re.findall(r"```c\n(.*?)```", page, re.S) if "struct berth_connect_options" in b)
    above, _, inside = snippet.partition("struct berth_connect_options")
    source = tmp_path / "connect.c"
    source.write_text(
        f"#include <berth.h>\n#include <stdio.h>\n{above}\n"
        "static int join(struct berth_agent *agent, const char *answer)\n"
        f"{{\nstruct berth_connect_options{inside}\nreturn err;\n}}\nint main(void) {{ return join(NULL, NULL) == 0; }}\n"
    )
    compiled(source, tmp_path / "connect", "-Wno-unused-parameter")


def test_the_snippet_that_follows_compiles(tmp_path):
    page = (SOURCE / "docs" / "embedding.md").read_text()
    snippet = next(b for b in re.findall(r"```c\n(.*?)```", page, re.S) if "struct berth_follow_options" in b)
    above, _, inside = snippet.partition("struct berth_follow_options")
    source = tmp_path / "follow.c"
    source.write_text(
        "#include <berth.h>\n#include <stddef.h>\nstatic void move_to(const char *json) { (void)json; }\n"
        f"static void join_again(void) {{ }}\n{above}\nstatic int follow_it(struct berth_agent *agent)\n"
        f"{{\nint err;\nstruct berth_follow_options{inside}\nreturn err;\n}}\nint main(void) {{ return follow_it(NULL) == 0; }}\n"
    )
    compiled(source, tmp_path / "follow", "-Wno-unused-parameter")


def next_event(process, name):
    """The next line of `berth watch --json` of this event; the test's own time limit ends a wait in vain."""
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"berth watch ended: {process.stderr.read()}")
