# timeout: 180, alone
"""Whose master keys are in a database: a controller with others doesn't serve it, and rotation goes on as it did."""

import secrets
import signal

import pytest
from support.process import wait_for


def key_file(tmp_path, name, *keys):
    path = tmp_path / name
    path.write_text("".join(f"{k}\n" for k in keys))
    return path


@pytest.fixture
def org(make_org):
    return make_org()


def test_another_installations_controller_is_refused(controllers, controller, org, tmp_path, database):
    stranger = controllers(ready=False, master_key=key_file(tmp_path, "other.key", secrets.token_hex(32)))
    assert stranger.process.wait(30) == 1
    assert "event=foreign_master_key" in stranger.process.log and "hint=" in stranger.process.log
    org.api.get("/v1/meetings").expect(200)
    assert database.sql("select count(*) from master_key") == "1", "nothing of the stranger's is kept"


def test_the_database_holds_no_master_key(controller, world, database):
    rows = database.sql("select string_agg(m::text, ' ') from master_key m")
    master = world.master_key_file.read_text().strip()
    assert rows and master not in rows and bytes.fromhex(master).hex()[:16] not in rows


def test_rotation_is_no_other_installation(controllers, controller, world, org, tmp_path, database):
    old, new = world.master_key_file.read_text().strip(), secrets.token_hex(32)
    path = key_file(tmp_path, "rotated.key", new, old)
    one = controllers(master_key=path)
    fresh = one.client(world.admin_key).post("/v1/keys", {"org": org.id, "kind": "org"}).expect(201).json["key"]
    path.write_text(f"{new}\n")
    one.restart()  # the old line is out
    one.client(fresh).get("/v1/meetings").expect(200)
    one.client(org.key).get("/v1/meetings").problem(401, "token_invalid")
    assert database.sql("select count(*) from master_key") == "2"
    org.api.get("/v1/meetings").expect(200)  # the other controller, still with the old line alone, isn't thrown out


def test_a_reload_with_a_list_that_has_nothing_of_the_old_is_refused(controllers, world, org, tmp_path):
    old, new = world.master_key_file.read_text().strip(), secrets.token_hex(32)
    path = key_file(tmp_path, "reloaded.key", old)
    one = controllers(master_key=path)
    path.write_text(f"{new}\n")
    one.process.signal(signal.SIGHUP)
    wait_for(lambda: "event=keys_failed" in one.process.log, 10, "the refusal")
    assert "none of those in force" in one.process.log
    one.client(org.key).get("/v1/meetings").expect(200)
    path.write_text(f"{new}\n{old}\n")
    one.process.signal(signal.SIGHUP)
    wait_for(lambda: "event=reloaded what=keys" in one.process.log, 10, "the new list")
    path.write_text(f"{new}\n")
    one.process.signal(signal.SIGHUP)
    wait_for(lambda: one.process.log.count("event=reloaded what=keys") == 2, 10, "the old line to go")
    one.client(org.key).get("/v1/meetings").problem(401, "token_invalid")
    one.stop()  # before another test gives the database another master key, which this one's unconfirmed list would meet


def test_after_the_master_key_is_lost_for_good(controllers, controller, database, tmp_path, world):
    """What the refusal says to do."""
    kept = database.sql("select string_agg(quote_literal(fingerprint), '),(') from master_key")
    database.sql("delete from master_key")
    try:
        heir = controllers(master_key=key_file(tmp_path, "heir.key", secrets.token_hex(32)))
        admin = heir.client(world.admin_key)
        org = admin.post("/v1/orgs", {"name": "Heir's"}).expect(201).json["id"]
        key = admin.post("/v1/keys", {"org": org, "kind": "org"}).expect(201).json["key"]
        heir.client(key).get("/v1/meetings").expect(200)
        heir.stop()
    finally:
        database.sql(f"delete from master_key; insert into master_key (fingerprint) values ({kept})")
