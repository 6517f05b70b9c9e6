# timeout: 300
"""The capacity of nodes under many controllers at once: never exceeded, and no seat lost."""

import http.client
import itertools
import random
import threading

import pytest
from support.api import Heartbeats, register
from support.process import wait_for

CONTROLLERS = 8
SEATS = 120
NODES = ("cap-a", "cap-b")
FULL = SEATS * len(NODES)
# What must hold at any moment: see schema/*_capacity_leases.sql. A statement each, so one snapshot each.
OVER = f"""
    select n.id, p.people, s.unused from node n,
    lateral (select count(*) as people from participant where node = n.id) p,
    lateral (select coalesce(sum(seats - (select count(*) from participant where lease = l.id and node = n.id)), 0) as unused
        from capacity_lease l where l.node = n.id) s
    where n.region = 'cap' and p.people + s.unused > {SEATS}
"""
OVERDRAWN = """
    select l.id, l.seats, count(*) from capacity_lease l join participant p on p.lease = l.id and p.node = l.node
    group by l.id having count(*) > l.seats
"""


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


class Member(threading.Thread):
    """One client of one controller: `step` again and again, until it is told to end, its controller is gone, or `step` is done."""

    def __init__(self, client, step):
        super().__init__(daemon=True)
        self.client, self.step = client, step
        self.connection = client.connection()
        self.statuses = {}
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.is_set():
            try:
                answer = self.step(self)
            except (OSError, http.client.HTTPException):
                return  # its controller was killed
            if answer is None:
                break
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.connection.close()


class Checker(threading.Thread):
    """Looks at the database all the time; what it finds is kept."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.found, self.looks = database, [], 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.is_set():
            self.found += self.database.sql(OVER).split() + self.database.sql(OVERDRAWN).split()
            self.looks += 1


def end(threads):
    for t in threads:
        t.ended.set()
    for t in threads:
        t.join(60)
        assert not t.is_alive(), f"{t} didn't end"


def people(database):
    return int(database.sql("select count(*) from participant"))


class Meetings:
    """Meetings of one each, made as rows: it is joining that is looked at."""

    def __init__(self, org, database):
        self.org, self.database, self.count = org, database, 0

    def make(self, n):
        first, self.count = self.count, self.count + n
        self.database.sql(
            f"insert into meeting (org, id, policy) select '{self.org.id}', 'm' || g, '{{\"regions\":{{\"allow\":[\"cap\"]}}}}'"
            f" from generate_series({first}, {self.count - 1}) g"
        )
        return [f"/v1/meetings/m{i}/participants" for i in range(first, self.count)]


def fill(clients, paths):
    """Everybody joins one after another, each until there is no room. How many were let in."""
    turn = iter(paths)
    lock = threading.Lock()

    def step(member):
        with lock:
            path = next(turn)
        while True:
            answer = member.client.post(path, {"agent": "ann"}, connection=member.connection)
            if answer.status != 503 or answer.json["code"] != "no_node":
                if answer.status == 201:
                    return answer
                continue  # the database was too busy
            return None

    members = [Member(c, step) for c in clients]
    for m in members:
        m.join(60)
        assert not m.is_alive(), "who found no room ends"
    return sum(m.statuses.get(201, 0) for m in members)


def test_eight_controllers_keep_every_limit_and_lose_no_seat(org, cloud, controllers, database):
    for i, name in enumerate(NODES):
        register(cloud, name, i + 1, region="cap", capacity=SEATS, seen_by=[org.api])
    beats = Heartbeats(cloud, *NODES)
    meetings = Meetings(org, database)
    several = [controllers(threads=1, rate_limit=0) for _ in range(CONTROLLERS)]
    clients = [c.client(org.key) for c in several]
    checker = Checker(database)

    # All at once, until nobody finds room: every seat is taken, and not one more.
    assert fill(clients * 2, meetings.make(FULL + 100)) == FULL
    assert people(database) == FULL
    assert int(database.sql("select count(*) from participant where lease is not null")) > 20, "seats were leased while there were many"

    # Coming and going in any order.
    random_of = {}
    joining = {"chance": 0.2}
    names = itertools.cycle(range(meetings.count))

    def come_or_go(member):
        r = random_of.setdefault(member, random.Random(len(random_of)))
        path = f"/v1/meetings/m{next(names)}/participants"
        if r.random() < joining["chance"]:
            return member.client.post(path, {"agent": "ann"}, connection=member.connection)
        return member.client.delete(f"{path}/ann", connection=member.connection)

    crowd = [Member(c, come_or_go) for c in clients]
    wait_for(lambda: people(database) < 100, 60, "most to have left")
    joining["chance"] = 0.9
    wait_for(lambda: people(database) > 200, 60, "most to be back")
    joining["chance"] = 0.4
    wait_for(lambda: people(database) < 140, 60, "many to have left")
    joining["chance"] = 0.5  # about half of the meetings, so that room is left
    for c in several[: CONTROLLERS // 2]:  # with leases in hand
        c.kill()
    end(crowd)
    total = {s: sum(m.statuses.get(s, 0) for m in crowd) for s in {s for m in crowd for s in m.statuses}}
    assert set(total) <= {200, 201, 204, 404, 503}, total

    # What the killed ones held is nobody's loss.
    missing = FULL - people(database)
    assert missing > 0
    assert fill(clients[CONTROLLERS // 2 :], meetings.make(missing + 100)) == missing
    assert people(database) == FULL
    end([checker])
    beats.stop()
    for c in several[CONTROLLERS // 2 :]:
        c.kill()
    assert checker.looks > 2 and not checker.found, checker.found


def take(database, node, at_most=128, life_ms=60000):
    """The lease and its seats; None where there was none to be had."""
    row = database.sql(f"select lease, lease_seats from capacity_lease_take('cloud', '{node}', 4, {at_most}, {life_ms})")
    return tuple(map(int, row.split("|"))) if row else None


def takes(database, node, more=1, lease="null"):
    return database.sql(f"select node_takes('cloud', '{node}', {more}, {lease})")


def test_nobody_is_refused_for_seats_that_nobody_uses(org, cloud, database):
    register(cloud, "idle-1", 8, region="idle", capacity=40, seen_by=[org.api])
    lease, seats = take(database, "idle-1")
    assert seats == 5 and takes(database, "idle-1", 35) == "ok"
    assert takes(database, "idle-1", 1, lease) == "ok"
    assert takes(database, "idle-1", 41) == "full"
    assert takes(database, "idle-1", 1, lease) == "lease", "whoever found too little room ended it"
    lease, _ = take(database, "idle-1")
    assert takes(database, "idle-1", 36) == "ok"
    assert takes(database, "idle-1", 1, lease) == "lease"


def test_a_lowered_limit_holds_for_leases_too(org, cloud, database):
    """A lease of before serves nobody any longer."""
    register(cloud, "low-1", 9, region="low", capacity=1000, seen_by=[org.api])
    lease, seats = take(database, "low-1")
    assert seats == 125 and takes(database, "low-1", 1, lease) == "ok"
    database.sql("update node set capacity = 100 where id = 'low-1'")
    assert takes(database, "low-1", 1, lease) == "lease"
    assert takes(database, "low-1", 100) == "ok" and takes(database, "low-1", 101) == "full"


def test_the_bounds_of_a_lease(org, cloud, database):
    """An eighth of what is left, at most so many; nothing where that is too little, nothing without a limit or on a drained node."""
    register(cloud, "bound-1", 10, region="bound", capacity=40, seen_by=[org.api])
    register(cloud, "bound-2", 11, region="bound", capacity=0, seen_by=[org.api])
    assert [(take(database, "bound-1") or (0, 0))[1] for _ in range(4)] == [5, 4, 0, 0]
    assert take(database, "bound-2") is None and take(database, "nowhere") is None
    database.sql("update node set capacity = 100000 where id = 'bound-1'")
    assert take(database, "bound-1")[1] == 128 and take(database, "bound-1", 7)[1] == 7
    database.sql("update node set drain = true where id = 'bound-1'")
    assert take(database, "bound-1") is None


def test_an_expired_lease_is_tidied_up(org, cloud, database):
    register(cloud, "late-1", 12, region="late", capacity=40, seen_by=[org.api])
    lease, _ = take(database, "late-1", life_ms=0)
    wait_for(lambda: database.sql(f"select count(*) from capacity_lease where id = {lease}") == "0", 10, "the lease to end")
