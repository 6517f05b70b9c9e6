# timeout: 120, alone
"""The housekeeper among many partitions of another time."""

import pytest
from support.process import wait_for

LIFETIME_S = 8


@pytest.fixture(scope="module")
def crowded(database):
    """Five thousand partitions of long ago, which are kept."""
    database.sql(
        "insert into report_partition (name, lo, hi, keep_until) select 'long_ago_' || n, '2001-01-01'::timestamptz + n * interval '1 s', "
        "'2001-01-01'::timestamptz + (n + 1) * interval '1 s', 'infinity' from generate_series(1, 5000) n"
    )
    return database


def test_partitions_are_made_turn_after_turn(crowded, controllers):
    started = int(crowded.sql("select extract(epoch from now())::bigint"))
    controllers(report_lifetime=LIFETIME_S)
    last = "select extract(epoch from max(hi))::bigint from report_partition"
    wait_for(lambda: int(crowded.sql(last)) > started + 85, 40, "more than the first turn makes")
    assert crowded.sql("select count(*) from report_partition where name like 'long_ago_%'") == "5000"


def test_what_is_being_dropped_is_not_claimed_back(crowded, controllers):
    """What was claimed for dropping before a crash is dropped, though the next controller's reports live longer."""
    name = crowded.sql("select name from report_partition where hi <= now() and name like 'report_p%' order by hi desc limit 1")
    table = f"select to_regclass('{name}')::oid"
    before = crowded.sql(table)
    assert before
    crowded.sql(f"update report_partition set keep_until = '-infinity' where name = '{name}'")
    controllers(report_lifetime=600)
    wait_for(lambda: crowded.sql(table) != before, 30, "the rest of a drop")


def test_what_nothing_is_known_of_is_analyzed(crowded, controllers):
    """Until then a meeting's people are looked for among all of their org."""
    sizes = "select bool_and(reltuples > 0) from pg_class where oid in ('meeting'::regclass, 'participant'::regclass)"
    plan = "explain (costs off) select agent from participant where org = 'big' and meeting = 'm1' order by agent"
    for table in ("meeting", "participant"):
        crowded.sql(f"alter table {table} set (autovacuum_enabled = off)")
    controllers(report_lifetime=LIFETIME_S)
    crowded.sql("insert into meeting (org, id) select 'big', 'm' || m from generate_series(1, 1000) m")
    crowded.sql("insert into participant (org, meeting, agent, node_org, node, transport, ladder) select 'big', 'm' || m, "
                "'a' || p, 'cloud', 'n', 0, '{0}' from generate_series(1, 1000) m, generate_series(1, 3) p")  # fmt: skip
    wait_for(lambda: crowded.sql(sizes) == "t", 40, "both to be analyzed")
    assert "(meeting = 'm1'" in crowded.sql(plan).split("Index Cond")[1], crowded.sql(plan)
