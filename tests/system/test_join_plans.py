"""What a join asks of PostgreSQL is planned once for a connection, mostly when there is hardly anything yet: it goes by
indexes all the same."""

import pytest
from support.api import report_body
from support.process import wait_for

TABLES = ("meeting", "participant")
MANY = 5000


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(threads=1, rate_limit=0)


def looked(database, column):
    return int(database.sql(f"select sum({column}) from pg_stat_user_tables where relname in {TABLES}"))


def join(org, meeting, agents):
    org.api.post("/v1/meetings", {"id": meeting}).expect(201)
    for agent in agents:
        org.api.post(f"/v1/meetings/{meeting}/participants", {"agent": agent}).expect(201)


def test_a_join_goes_through_no_table(controller, org, node, database):
    node("near")
    wait_for(lambda: "near" in str(org.api.get("/v1/nodes").json), 20, "the node to be listed")
    for table in TABLES:
        database.sql(f"alter table {table} set (autovacuum_enabled = off)")
    for agent in ("ann", "bob"):
        org.api.post("/v1/reports", report_body([], agent=agent)).expect(201)
    for n in range(4):
        join(org, f"early{n}", ["ann", "bob"])
    database.sql("analyze meeting, participant")
    join(org, "next", ["ann", "bob"])  # plans are made, of eight rows
    database.sql(f"insert into meeting (org, id) select '{org.id}', 'm' || n from generate_series(1, {MANY}) n")
    database.sql("insert into participant (org, meeting, agent, node_org, node, transport, ladder) select "
                 f"'{org.id}', 'm' || n, 'a' || n, 'cloud', 'near', 0, '{{0}}' from generate_series(1, {MANY}) n")  # fmt: skip
    wait_for(lambda: looked(database, "n_tup_ins") >= 2 * MANY, 20, "what was put in to be counted")
    before = {c: looked(database, c) for c in ("seq_tup_read", "idx_tup_fetch", "seq_scan + idx_scan")}
    join(org, "second", ["ann", "bob", *(f"c{n}" for n in range(20))])
    enough = before["seq_scan + idx_scan"] + 2 * 22
    wait_for(lambda: looked(database, "seq_scan + idx_scan") >= enough, 20, "the joins to be counted")
    assert looked(database, "seq_tup_read") - before["seq_tup_read"] < MANY
    assert looked(database, "idx_tup_fetch") - before["idx_tup_fetch"] < MANY
