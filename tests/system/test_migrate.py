# timeout: 300, alone
"""berth-controller migrate, schemas that don't fit, and what each database role may do."""

import subprocess

import pytest
from support.api import report_body
from support.postgres import Database
from support.process import CONTROLLER, at_once, clean_env, run, wait_for
from support.rest import Client


def migrate(url):
    return run([CONTROLLER, "migrate", "--database", url])


def expected_version(database):
    return int(database.sql("select max(version) from berth_schema"))


@pytest.fixture
def fresh(postgres):
    made = Database(postgres)
    yield made
    made.drop()


@pytest.mark.parametrize("key,value", [("log-level", "bogus"), ("log-format", "bogus")])
def test_usage_errors_are_told(key, value):
    done = run([CONTROLLER, "migrate", "--database", "postgresql://127.0.0.1:1/none", f"--{key}", value])
    assert done.returncode == 2
    assert key in done.stderr and value in done.stderr


def test_four_at_once(fresh):
    done = at_once(lambda _: migrate(fresh.url), range(4))
    assert [d.returncode for d in done] == [0] * 4, [d.stderr for d in done]
    versions = fresh.sql("select string_agg(version::text, ',' order by version) from berth_schema").split(",")
    assert versions == [str(n + 1) for n in range(len(versions))]
    assert sum(d.stderr.count("event=applied") for d in done) == len(versions)


def test_again_changes_nothing(fresh):
    assert migrate(fresh.url).returncode == 0
    before = fresh.sql("select * from berth_schema order by version")
    again = migrate(fresh.url)
    assert again.returncode == 0 and "event=applied" not in again.stderr
    assert fresh.sql("select * from berth_schema order by version") == before


def test_a_failed_migration_leaves_nothing_behind(fresh):
    fresh.sql("create table report (x int)")  # in the way of the first one
    failed = migrate(fresh.url)
    assert failed.returncode == 1 and "event=failed" in failed.stderr
    assert fresh.sql("select count(*) from berth_schema") == "0"
    assert fresh.sql("select to_regclass('org') is null") == "t"
    fresh.sql("drop table report")
    assert migrate(fresh.url).returncode == 0


def test_a_newer_schema_is_refused(fresh):
    assert migrate(fresh.url).returncode == 0
    fresh.sql("insert into berth_schema (version, name) values (9999, 'from_the_future')")
    refused = migrate(fresh.url)
    assert refused.returncode == 3
    assert "schema_is_newer" in refused.stderr and "9999" in refused.stderr


def test_usage(fresh, postgres):
    assert run([CONTROLLER, "migrate"]).returncode == 2
    assert run([CONTROLLER, "frobnicate", "--database", fresh.url]).returncode == 2
    assert migrate(postgres.url("no_such_database")).returncode == 1


def ready(controller):
    return Client(controller.metrics_url).get("/readyz")


def test_a_controller_waits_for_the_schema_that_it_needs(world, fresh, controllers, monkeypatch):
    from support.berth import Controller

    controller = Controller(world, fresh.url, {}).start(ready=False)
    wait_for(lambda: controller.probe("/livez") == 200, what="liveness")
    answer = ready(controller).expect(503)
    assert "migrate" in answer.json["detail"]
    controller.client(world.admin_key).get("/v1/orgs").expect(503)
    assert migrate(fresh.url).returncode == 0
    controller.wait_ready()  # by itself
    controller.client(world.admin_key).get("/v1/orgs").expect(200)
    fresh.sql("insert into berth_schema (version, name) values (9999, 'from_the_future')")
    controller.restart()  # migrations only add: older controllers go on until they are replaced
    controller.wait_ready()
    controller.client(world.admin_key).get("/v1/orgs").expect(200)
    fresh.sql("delete from berth_schema where version = 9999")
    controller.wait_ready()
    controller.stop()


# ---- roles ----


@pytest.fixture(scope="module")
def two_orgs(make_org):
    orgs = [make_org("First"), make_org("Second")]
    for o in orgs:
        o.agent("same-name").post("/v1/reports", report_body([])).expect(201)
    return orgs


def as_role(database, role, sql, org=None):
    """psql's result of one statement in that role."""
    commands = [f"set role {role}", *([f"set berth.org = '{org}'"] if org else []), sql]
    return subprocess.run(
        ["psql", "-XAtq", database.url, *(w for c in commands for w in ("-c", c))],
        capture_output=True, text=True, env=clean_env(),
    )  # fmt: skip


def test_a_tenant_sees_its_own_rows_alone(database, two_orgs):
    a, b = two_orgs
    assert as_role(database, "berth_tenant", "select distinct org from report", a.id).stdout.strip() == a.id
    assert as_role(database, "berth_tenant", f"select count(*) from report where org = '{b.id}'", a.id).stdout.strip() == "0"
    assert as_role(database, "berth_tenant", "select count(*) from report").stdout.strip() == "0", "no org, no rows"
    erased = as_role(database, "berth_tenant", f"delete from report where org = '{b.id}' returning 1", a.id)
    assert erased.returncode == 0 and erased.stdout.strip() == ""
    assert database.sql(f"select count(*) from report where org = '{b.id}'") == "1"


DENIED = [
    ("berth_tenant", "insert into report select * from report"),
    ("berth_tenant", "update report set network = 'x'"),
    ("berth_tenant", "select * from org"),
    ("berth_tenant", "select * from api_key"),
    ("berth_tenant", "select * from node"),
    ("berth_ingest", "select 1 from report"),
    ("berth_ingest", "delete from report"),
    ("berth_ingest", "select * from org"),
    ("berth_operator", "select 1 from report"),
    ("berth_operator", "delete from api_key"),
    ("berth_operator", "create table mine (x int)"),
]


@pytest.mark.parametrize("role,sql", DENIED)
def test_what_a_role_may_not(database, two_orgs, role, sql):
    denied = as_role(database, role, sql, two_orgs[0].id)
    assert denied.returncode != 0 and "permission denied" in denied.stderr, (denied.stdout, denied.stderr)


@pytest.mark.parametrize("role", ["berth_tenant", "berth_ingest", "berth_operator"])
def test_partitions_are_nobodys(database, two_orgs, role):
    name = database.sql("select tableoid::regclass from report limit 1")
    denied = as_role(database, role, f"select * from {name}", two_orgs[0].id)
    assert "permission denied" in denied.stderr


def test_no_default_partition_and_unique_keys_have_the_org(database, two_orgs):
    assert database.sql("select count(*) from pg_partitioned_table where partdefid <> 0") == "0"
    without = database.sql(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid "
        "join pg_attribute o on o.attrelid = i.indrelid and o.attname = 'org' "
        "where i.indisunique and not o.attnum = any (i.indkey) and t.relnamespace = 'public'::regnamespace"
    )
    assert without == "", without
