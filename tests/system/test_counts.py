# timeout: 180
"""How many participants a node has and how many meetings an org has: told by triggers, added up now and then, right at any moment."""

import pytest
from support.api import Heartbeats, register, report, state, wait_state
from support.process import wait_for
from support.traffic import differences

PARTICIPANTS = "select coalesce(sum(n), 0) from (select * from tally union all select * from tally_change) t where what = 'participants'"


def seated_on(database, node):
    """Asked anew each time: fresh reports move people by themselves, whenever their review's turn comes."""
    return int(database.sql(f"select count(*) from participant where node = '{node}'"))


@pytest.fixture(scope="module")
def stage(admin, node_key, org):
    cloud = admin.with_token(node_key)
    register(cloud, "c-1", 1, seen_by=[org.api])
    register(cloud, "c-2", 2, seen_by=[org.api])
    hearts = Heartbeats(cloud, "c-1", "c-2")
    yield cloud
    hearts.stop()


def test_they_follow_joins_moves_leaves_and_erasures(stage, admin, org, make_org, database):
    api = org.api
    for m in ("one", "two"):
        api.post("/v1/meetings", {"id": m}).expect(201)
        for agent in ("a", "b", "c"):
            report(api, {"c-1": {"udp": 5}, "c-2": {"udp": 50}}, agent=agent)
            api.post(f"/v1/meetings/{m}/participants", {"agent": agent}).expect(201)
    assert differences(database) == ""
    wait_state(admin, "c-1", participants=6)
    for agent in ("a", "b", "c"):  # they all move
        report(api, {"c-1": {"udp": 50}, "c-2": {"udp": 5}}, agent=agent)
    api.post("/v1/meetings/one/participants", {"agent": "a"}).expect(200)
    assert differences(database) == ""
    wait_for(lambda: state(admin, "c-2")["participants"] == seated_on(database, "c-2") > 0, 15, "c-2 to have who was moved there")
    api.delete("/v1/meetings/one/participants/b").expect(204)
    assert differences(database) == ""
    api.delete("/v1/agents/c").expect(204)
    assert differences(database) == ""
    api.delete("/v1/meetings/two").expect(204)
    assert differences(database) == ""
    api.delete("/v1/meetings/one").expect(204)
    assert differences(database) == ""
    wait_state(admin, "c-1", participants=0)
    wait_state(admin, "c-2", participants=0)
    doomed = make_org()
    for n in range(5):
        doomed.api.post("/v1/meetings", {"id": f"d{n}"}).expect(201)
    admin.delete(f"/v1/orgs/{doomed.id}").expect(204)
    assert differences(database) == ""


def test_what_has_changed_is_added_up_and_forgotten(stage, org, database):
    for n in range(20):
        org.api.post("/v1/meetings", {"id": f"f{n}"}).expect(201)
        org.api.delete(f"/v1/meetings/f{n}").expect(204)
    wait_for(lambda: database.sql("select count(*) from tally_change") == "0", 30, "the changes to be added up")
    assert database.sql("select count(*) from tally where n = 0") == "0"
    assert differences(database) == ""


def test_more_changes_than_are_added_up_at_once(stage, org, database):
    database.sql("insert into tally_change select 'participants', 'cloud', 'c-1', 1 from generate_series(1, 35000)")
    wait_for(lambda: database.sql("select count(*) from tally_change") == "0", 60, "the changes to be added up")
    assert database.sql(PARTICIPANTS) == "35000"
    database.sql("insert into tally_change values ('participants', 'cloud', 'c-1', -35000)")
    wait_for(lambda: database.sql("select count(*) from tally_change") == "0", 60, "the changes to be added up")
    assert differences(database) == ""


def test_a_count_costs_the_same_however_many_participants_there_are(stage, database):
    """The statement that every controller repeats reads no participant."""
    source = database.sql(
        "explain select l.org, coalesce(t.n, 0) from node_load l left join tally t on t.org = l.org and t.what = 'participants' "
        "and t.name = l.node"
    )
    assert "participant " not in source

    def figures():
        return [int(database.sql(f"select {sums} from pg_stat_user_tables where relname = '{table}'"))
                for table, sums in (("participant", "sum(idx_tup_fetch + seq_tup_read)"), ("node_load", "sum(n_tup_upd)"))]  # fmt: skip

    def quiet_heartbeats():
        """What others have read is counted up to ten seconds late, when their session has nothing to do."""
        read, beats = figures()
        wait_for(lambda: figures()[1] >= beats + 2, 30, "heartbeats")
        return figures()[0] == read

    wait_for(quiet_heartbeats, 60, "heartbeats for which no participant is read")
