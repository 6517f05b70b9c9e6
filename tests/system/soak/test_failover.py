"""Two controllers over a Patroni cluster of two PostgreSQL servers, synchronously replicated: the primary's machine dies under load, again and
again. Nothing that was answered is lost, and service is back within the fail-over time."""

import os
import shutil
import time

import pytest
from support.patroni import FAILOVER_MOST_S, Cluster
from support.process import CONTROLLER, run, wait_for
from support.traffic import Traffic

ROUNDS = int(os.environ.get("BERTH_FAILOVERS", 3))


class OnCluster:
    """The database of the tests' fixtures, on whichever machine leads."""

    name = "berth"

    def __init__(self, cluster):
        self.cluster, self.url = cluster, cluster.url("berth").replace("&connect_timeout=5", "")

    def sql(self, sql):
        return self.cluster.sql(sql, "berth")


@pytest.fixture(scope="module")
def cluster(session_folder):
    if os.geteuid() != 0:
        pytest.skip("wants root: each machine is a namespace")
    for program in ("patroni", "etcd"):
        assert shutil.which(program), f"{program} is not installed: ./check --soak installs it"
    folder = session_folder / "cluster"
    folder.mkdir()
    for f in (session_folder, folder):
        f.chmod(0o755)
    made = Cluster(folder)
    yield made
    made.stop()
    print(made.logs())


@pytest.fixture(scope="module")
def database(cluster):
    cluster.sql("create database berth")
    made = OnCluster(cluster)
    done = run([CONTROLLER, "migrate", "--database", made.url])
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers(rate_limit=0)


def test_the_primary_dies(cluster, controller, controllers, database, org, node):
    second = controllers(rate_limit=0)
    node("failing-over")
    wait_for(lambda: "failing-over" in org.api.get("/v1/nodes").body.decode(), 20, "the node to be listed")
    traffic = Traffic([c.client(org.key) for c in (controller, second)], "failing-over")
    for turn in range(ROUNDS):
        cluster.wait_synchronous()
        before = traffic.answered
        wait_for(lambda: traffic.answered >= before + 100, 60, "load")
        primary = cluster.leader()
        primary.kill()
        died, answered = time.monotonic(), traffic.answered
        wait_for(lambda: cluster.other(primary).leads(), FAILOVER_MOST_S, "the standby to lead")
        led = time.monotonic() - died
        # What was under way when it died may still have been answered; a hundred more can't.
        wait_for(lambda: traffic.answered >= answered + 100, FAILOVER_MOST_S, "calls to be answered again")
        served = time.monotonic() - died
        print(f"turn {turn}: another led after {led:.1f} s, calls were answered again after {served:.1f} s")
        for c in (controller, second):
            c.wait_ready()
        primary.start()
    traffic.stop()
    traffic.check(database)
    print(f"{traffic.answered} answered, {traffic.refused} refused, {traffic.unanswered} without an answer")
