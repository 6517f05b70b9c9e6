# timeout: 300
"""What docs/operations.md tells an operator to do, done: a database user with no more rights than it says, backup, restore."""

import re
import shlex
import time
import uuid

import pytest

from support.berth import Controller
from support.postgres import Database
from support.process import CONTROLLER, SOURCE, run, wait_for

GUIDE = (SOURCE / "docs" / "operations.md").read_text()


def documented(prefix):
    """The words of the guide's command that begins like this."""
    line = re.search(rf"^{re.escape(prefix)}.*$", GUIDE, re.M)
    assert line, f"docs/operations.md no longer says '{prefix}'"
    return shlex.split(line.group(0), comments=True)


def report(node):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "report_id": str(uuid.uuid4()), "network": {"id": "n", "mapped_addresses": []}, "measured_at": now,
        "results": [{"node": node, "transport": "udp", "status": "timeout"}],
    }


@pytest.fixture(scope="module")
def login(postgres):
    """The user of the guide: it may log in and create roles, nothing else."""
    postgres.sql("CREATE ROLE berth LOGIN CREATEROLE PASSWORD 'pw'")
    return lambda database: postgres.url(database.name, "berth", "pw")


def owned_database(postgres):
    database = Database(postgres)
    postgres.sql(f"ALTER DATABASE {database.name} OWNER TO berth")
    return database


def migrate(url):
    done = run([CONTROLLER, "migrate", "--database", url])
    assert done.returncode == 0, done.stderr


def test_backup_and_restore(world, postgres, login, node, tmp_path):
    first = owned_database(postgres)
    migrate(login(first))
    controller = Controller(world, login(first), {}).start()
    admin = controller.client(world.admin_key)
    org = admin.post("/v1/orgs", {"name": "Kept"}).expect(201).json["id"]
    key = admin.post("/v1/keys", {"org": org, "kind": "org"}).expect(201).json["key"]
    revoked = admin.post("/v1/keys", {"org": org, "kind": "org"}).expect(201).json["key"]
    admin.delete(f"/v1/keys/{revoked.split('.')[0]}").expect(204, 200)
    node_key = admin.post("/v1/keys", {"org": "cloud", "kind": "node"}).expect(201).json["key"]
    node("kept", controller=controller, token=node_key)
    api = admin.with_token(key)
    wait_for(lambda: len(api.get("/v1/nodes").expect(200).json["nodes"]) == 1, 15, "the node to be listed")
    meeting = api.post("/v1/meetings", {}).expect(201).json["id"]
    api.post("/v1/reports", {**report("kept"), "agent": "alice"}).expect(201)
    assert first.sql("SELECT count(*) FROM report") == "1"

    dump = documented("pg_dump")
    dump = [login(first) if w == "$DATABASE" else w for w in dump]
    done = run([tmp_path / "berth.dump" if w == "berth.dump" else str(w).replace("=berth.dump", f"={tmp_path}/berth.dump") for w in dump])
    assert done.returncode == 0, done.stderr
    assert controller.stop() == 0

    second = owned_database(postgres)
    restore = documented("pg_restore")
    done = run([w.replace("$DATABASE", login(second)).replace("berth.dump", f"{tmp_path}/berth.dump") for w in restore])
    assert done.returncode == 0, done.stderr
    migrate(login(second))
    again = Controller(world, login(second), {}).start()
    api = again.client(key)
    assert api.get(f"/v1/meetings/{meeting}").expect(200).json["id"] == meeting
    assert [o["id"] for o in again.client(world.admin_key).get("/v1/orgs").expect(200).json["items"] if o["id"] == org]
    again.client(revoked).get("/v1/meetings").problem(401, "token_invalid")
    api.get("/v1/agents/alice/report").expect(404)
    wait_for(lambda: api.post("/v1/reports", {**report("kept"), "agent": "alice"}).status == 201, 15, "reports to be stored again")
    api.get("/v1/agents/alice/report").expect(200)


def test_the_guide_names_settings_that_exist():
    for program in ("controller/berth-controller", "node/berth-node"):
        done = run([CONTROLLER.parents[1] / program, "--print-config"])
        assert done.returncode == 0 and done.stdout
    programs = CONTROLLER.parents[1]
    asked = ([CONTROLLER], [programs / "node" / "berth-node"], [programs / "agent" / "berth", "key", "create"])
    known = "".join(run([*words, "--help"]).stdout for words in asked)
    commands = "\n".join(block for block in re.findall(r"^```\n(.*?)^```", GUIDE, re.S | re.M) if "berth-" in block)
    used = set(re.findall(r"--[a-z][a-z-]+", commands))
    foreign = {"--build", "--install", "--owner", "--createrole", "--pwprompt", "--json", "--format", "--exclude-table-data",
               "--file", "--dbname", "--no-owner", "--system", "--now"}
    for flag in used - foreign:
        assert flag in known, f"docs/operations.md uses {flag}"
