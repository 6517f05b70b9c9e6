# timeout: 300
"""A report dies to the second, whatever the cleaner does; and the cleaner drops whole partitions, behind and only behind."""

import datetime
import subprocess
import time

import pytest
from support.api import now, report_body
from support.process import clean_env, wait_for

LIFETIME_S = 4


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(report_lifetime=LIFETIME_S)


def stamp(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_it_dies_to_the_second_with_the_cleaner_stopped(org, database):
    answer = org.agent("mortal").post("/v1/reports", report_body([], measured_at=now(-1))).expect(201).json
    # What the cleaner goes by: with this it never drops a partition that is there now.
    database.sql("update report_partition set keep_until = 'infinity'")
    expires = stamp(answer["expires_at"])
    calls = ("/v1/agents/mortal/report", "/v1/agents/mortal")
    last_seen, first_gone = {}, {}
    while len(first_gone) < len(calls) and time.time() < expires + 5:
        for path in calls:
            asked = time.time()
            status = org.api.get(path).expect(200, 404).status
            if status == 200:
                last_seen[path] = time.time()
            else:
                first_gone.setdefault(path, asked)
    for path in calls:
        assert first_gone[path] >= expires - 0.05, "gone too early"
        assert last_seen[path] <= expires + 0.5, "still there"
        assert first_gone[path] <= expires + 0.5, "gone too late"
    assert org.api.get("/v1/agents").expect(200).json["items"] == []
    org.api.get("/v1/agents/mortal/report").problem(404, "no_live_report")
    assert database.sql("select count(*) from report where agent = 'mortal'") == "1", "the row was to stay"
    org.agent("mortal").post("/v1/reports", report_body([], measured_at=now(-LIFETIME_S - 1))).problem(422, "report_expired")


def test_a_report_ahead_lives_from_its_receipt(org):
    answer = org.agent("early").post("/v1/reports", report_body([], measured_at=now(50))).expect(201).json
    assert stamp(answer["expires_at"]) == pytest.approx(stamp(answer["received_at"]) + LIFETIME_S, abs=1e-5)
    wait_for(lambda: org.api.get("/v1/agents/early/report").status == 404, LIFETIME_S + 3, "it to expire")
    assert time.time() >= stamp(answer["expires_at"]) - 0.05


def test_partitions_are_made_ahead_and_dropped_behind(org, database):
    database.sql(f"update report_partition set keep_until = hi + interval '{LIFETIME_S} s'")
    org.agent("brief").post("/v1/reports", report_body([])).expect(201)
    table = database.sql("select tableoid::regclass from report where agent = 'brief'")
    ahead = "select count(*) from report_partition where lo > now() + interval '60 s'"  # at once after a turn of the housekeeper
    wait_for(lambda: database.sql(ahead) != "0", 10, "a partition to be made ahead")
    wait_for(lambda: database.sql(f"select to_regclass('{table}') is null") == "t", 40, f"{table} to be dropped")
    assert database.sql(f"select count(*) from report_partition where name = '{table}'") == "0"
    assert database.sql("select count(*) from report_partition where lo <= now() and now() < hi") == "1"
    # No gap, nothing that isn't attached, nothing left lying about.
    assert database.sql("select count(*) from (select lo, lag(hi) over (order by lo) as before from report_partition) p "
                        "where before <> lo") == "0"  # fmt: skip
    wait_for(
        lambda: database.sql("select count(*) from report_partition p where not exists (select from pg_inherits i "
                             "where i.inhrelid = to_regclass(p.name) and not inhdetachpending)") == "0",
        20, "all to be attached",
    )  # fmt: skip


def test_an_interrupted_detach_is_finished(database):
    """As when a controller dies in the middle of it, or an old transaction keeps it waiting; and while it is pending no other one
    can be begun, though an older partition's time comes first."""
    name = database.sql("select name from report_partition where keep_until > now() order by lo offset 1 limit 1")
    holder = subprocess.Popen(
        ["psql", "-XAtq", database.url, "-c", f"begin; lock table {name} in access share mode; select 1; select pg_sleep(3)"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    wait_for(
        lambda: database.sql(f"select count(*) from pg_locks where relation = '{name}'::regclass") != "0", 10, "the lock"
    )
    detach = subprocess.run(
        ["psql", "-XAtq", database.url, "-c", "set statement_timeout = '500ms'",
         "-c", f"alter table report detach partition {name} concurrently"],
        capture_output=True, text=True, env=clean_env(),
    )  # fmt: skip
    assert "canceling statement" in detach.stderr
    assert database.sql(f"select inhdetachpending from pg_inherits where inhrelid = '{name}'::regclass") == "t"
    wait_for(lambda: database.sql(f"select to_regclass('{name}') is null") == "t", 40, f"{name} to be dropped")
    holder.wait()


def test_the_longest_lifetime_counts(org, controllers, database):
    """The holder of the lock has the short lifetime; a second controller's reports live on all the same."""
    longer = controllers(report_lifetime=600)
    answer = longer.client(org.jwt("elder")).post("/v1/reports", report_body([])).expect(201).json
    assert stamp(answer["expires_at"]) - stamp(answer["received_at"]) > 590
    wait_for(
        lambda: database.sql("select min(keep_until - hi) >= interval '600 s' from report_partition where hi > now()") == "t",
        10, "the partitions to be kept for the longer lifetime",
    )  # fmt: skip
    born = time.time()
    # Long enough for the partition to have gone, had the short lifetime counted.
    wait_for(lambda: time.time() > born + LIFETIME_S + 8, 30, "the time to pass")
    longer.client(org.key).get("/v1/agents/elder/report").expect(200)
    longer.stop()


def test_another_controller_takes_the_house_over(controllers, controller, database):
    second = controllers(report_lifetime=LIFETIME_S)
    controller.kill()
    newest = database.sql("select max(hi) from report_partition")
    wait_for(lambda: database.sql("select max(hi) from report_partition") > newest, 30, "a new partition")
    second.stop()
    controller.start()
