# timeout: 240
"""The outbox in the database: numbers without gaps in the order of commits, bounds, retention, and who may see what."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.process import at_once

DAY_MS = 86400000


def as_tenant(org, sql):
    return f"begin; set local role berth_tenant; select set_config('berth.org', '{org}', true); {sql}; commit"


@pytest.fixture
def put(database):
    def put(agent, n=1, org="o", kind="assignment", body="{}"):
        sql = f"select outbox_put('{org}', '{agent}', '{kind}', '{body}') from generate_series(1, {n})"
        return int(database.sql(as_tenant(org, sql)).splitlines()[-1])

    return put


@pytest.fixture
def read(database):
    def read(agent, position, org="o", at_most=1000):
        """(last, floor, [seq, ...])"""
        at = "null" if position is None else position
        sql = f"select last, floor, seq from outbox_read('{org}', array['{agent}'], array[{at}::bigint], {at_most})"
        rows = [r.split("|") for r in database.sql(as_tenant(org, sql)).splitlines()[1:]]
        return int(rows[0][0]), int(rows[0][1]), [int(r[2]) for r in rows if r[2]]

    return read


def test_numbers_have_no_gaps_and_follow_commits(database, put, read):
    """Who reads up to n will never see a smaller number appear later, whatever commits meanwhile or is rolled back."""
    first = put("busy")
    seen, wrong, written = [first], [], threading.Event()

    def write(k):
        sql = "".join(f"select outbox_put('o', 'busy', 'assignment', '{{\"by\": {k}}}'); " for _ in range(3))
        for turn in range(8):
            end = "rollback" if turn % 3 == 2 else "commit"
            database.sql(f"begin; set local role berth_tenant; select set_config('berth.org', 'o', true); {sql} {end}")

    def look():
        while not written.is_set():
            _, _, fresh = read("busy", seen[-1])
            if fresh != list(range(seen[-1] + 1, seen[-1] + 1 + len(fresh))):
                wrong.append((seen[-1], fresh))
            seen.extend(fresh)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            at_once(write, range(4))
        finally:
            written.set()
        looking.result()
    assert not wrong, wrong
    last, _, rest = read("busy", seen[-1])
    assert seen + rest == list(range(first, first + 1 + 4 * 6 * 3)) and last == first + 72


def test_an_agent_has_at_most_256(database, put, read):
    first = put("full", 256)  # the last of them
    assert read("full", first - 256)[2] == list(range(first - 255, first + 1))
    assert read("full", first - 256)[1] < first - 256, "nothing has been dropped yet"
    last = put("full")
    assert read("full", 0)[2] == list(range(last - 255, last + 1))
    assert read("full", None)[1] == last - 256, "the floor rises with what is dropped"


def test_a_read_is_bounded_and_goes_on(put, read):
    last = put("paged", 10)
    assert read("paged", last - 10, at_most=4)[2] == list(range(last - 9, last - 5))
    assert read("paged", last - 6, at_most=4)[2] == list(range(last - 5, last - 1))
    assert read("paged", last)[2] == [] and read("paged", None)[2] == []


def test_a_body_is_bounded(put):
    put("large", body='{"x": "%s"}' % ("y" * 32700))
    with pytest.raises(AssertionError, match="violates check constraint"):
        put("large", body='{"x": "%s"}' % ("y" * 32800))


def test_positions_of_agents_without_events(database, put, read):
    """A position that was handed out before the first event is good for it, whenever the transaction that puts it began."""
    last, floor, seqs = read("fresh", None)
    assert seqs == [] and floor < last
    number = put("fresh")
    after = read("fresh", last)
    assert after[2] == [number] and after[1] <= last < number
    assert read("fresh", number + 5)[0] == number, "who is further than the last one gets to know"


def test_retention(database, put, read):
    before = read("aged", None)[0]
    old = put("aged", 3)
    database.sql("update outbox set at = now() - interval '61 minutes' where agent = 'aged'")
    young = put("aged", 2)
    assert int(database.sql("select outbox_drop(3600, 2)")) == 2, "in pieces"
    assert read("aged", before)[1] == old - 1
    assert int(database.sql("select outbox_drop(3600, 100)")) == 1
    assert read("aged", 0) == (young, young - 2, [young - 1, young])
    database.sql("update outbox set at = now() - interval '2 hours' where agent = 'aged'")
    database.sql("select outbox_drop(3600, 100)")
    assert read("aged", 0) == (young, young, []), "with all of them gone the floor is the last number"
    assert put("aged") == young + 1, "and numbers go on"


def test_heads_that_are_idle_go_and_their_numbers_never_come_again(database, put, read):
    put("idle", 5)
    number = put("idle", 5)
    for days, left in ((1, "1"), (2, "0")):
        database.sql(f"update outbox set at = now() - interval '{days} days' where agent = 'idle'")
        database.sql(f"update outbox_head set touched = current_date - {days} where agent = 'idle'")
        database.sql("select outbox_drop(3600, 100)")
        database.sql("select outbox_drop(3600, 100)")
        assert database.sql("select count(*) from outbox_head where agent = 'idle'") == left
    assert number >= read("idle", None)[1], "who was here within the day has missed nothing"
    assert read("idle", None)[1] > number - DAY_MS
    assert put("idle") > number


def test_orgs_are_kept_apart(database, put, read):
    put("twin", org="one")
    put("twin", org="two")
    for table in ("outbox", "outbox_head"):
        assert database.sql(as_tenant("one", f"select string_agg(distinct org, ',') from {table}")).splitlines()[-1] == "one"
    with pytest.raises(AssertionError, match="row-level security"):
        database.sql(as_tenant("one", "select outbox_put('two', 'twin', 'probe', '{}')"))
    hidden = "select count(seq) from outbox_read('two', array['twin'], array[0::bigint], 10)"
    assert database.sql(as_tenant("one", hidden)).splitlines()[-1] == "0"
    for role, sql in (
        ("berth_operator", "select body from outbox"),
        ("berth_operator", "select since from outbox_head"),
        ("berth_operator", "delete from outbox_head"),
        ("berth_ingest", "select last from outbox_head"),
        ("berth_tenant", "select outbox_drop(0, 1)"),
    ):
        with pytest.raises(AssertionError, match="permission denied"):
            database.sql(f"begin; set local role {role}; {sql}; commit")
    assert int(database.sql("begin; set local role berth_operator; select count(last) from outbox_head; commit")) >= 2


def test_erasing_an_agent_erases_its_outbox(database, org):
    for agent in ("leaver", "stayer"):
        database.sql(as_tenant(org.id, f"select outbox_put('{org.id}', '{agent}', 'probe', '{{}}')"))
    org.api.delete("/v1/agents/leaver").expect(204)
    for table in ("outbox", "outbox_head"):
        assert database.sql(f"select string_agg(agent, ',') from {table} where org = '{org.id}'") == "stayer"
    org.api.delete("/v1/agents/leaver").problem(404, "unknown_agent")
