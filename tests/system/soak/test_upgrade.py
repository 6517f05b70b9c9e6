"""A rolling upgrade under load, from the last commit whose schema was an older one (its build is in BERTH_PREVIOUS): old and new controllers
over one schema, nothing answered is lost, and nobody is told anything but that a controller is away. And back again."""

import os
from pathlib import Path

import pytest
from support.berth import Controller, Node, flags
from support.postgres import Database
from support.process import CONTROLLER, NODE, run, wait_for
from support.traffic import Traffic

PREVIOUS = Path(os.environ.get("BERTH_PREVIOUS", "/nonexistent"))
OLD_CONTROLLER, OLD_NODE = PREVIOUS / "controller" / "berth-controller", PREVIOUS / "node" / "berth-node"


def schema(database):
    return int(database.sql("select max(version) from berth_schema"))


@pytest.fixture(scope="module")
def database(postgres):
    assert OLD_CONTROLLER.exists() and OLD_NODE.exists(), "BERTH_PREVIOUS names no build: ./check --soak makes one"
    made = Database(postgres)
    assert run([OLD_CONTROLLER, "migrate", "--database", made.url]).returncode == 0
    yield made
    made.drop()


@pytest.fixture(scope="module")
def controller(world, database):
    return start_old(world, database)


def start_old(world, database):
    made = Controller(world, database.url, {"rate_limit": 0})
    made.argv[0] = OLD_CONTROLLER
    return made.start()


def goes_on(traffic, more=150):
    before = traffic.answered
    wait_for(lambda: traffic.answered >= before + more, 60, "calls to be answered")


def replace(part, program):
    part.argv[0] = program
    part.restart()


def test_old_and_new_over_one_schema(world, database, controller, org, node_key):
    second = start_old(world, database)
    served = Node(world, "upgraded", {}, controller, node_key)
    served.process = world.start([OLD_NODE, *flags(served.options)], "node-old")
    served.wait_ready()
    wait_for(lambda: "upgraded" in org.api.get("/v1/nodes").body.decode(), 20, "the node to be listed")
    before = schema(database)
    traffic = Traffic([c.client(org.key) for c in (controller, second)], "upgraded")
    goes_on(traffic)
    done = run([CONTROLLER, "migrate", "--database", database.url], timeout=120)  # under the old ones' load
    assert done.returncode == 0, done.stderr
    assert schema(database) > before
    goes_on(traffic)
    replace(controller, CONTROLLER)
    goes_on(traffic)  # an old and a new one
    served.stop()
    served.process = world.start([NODE, *flags(served.options)], "node-new")
    served.wait_ready()
    goes_on(traffic)
    replace(second, CONTROLLER)
    goes_on(traffic)
    replace(controller, OLD_CONTROLLER)  # back: it serves from a schema that is newer than it knows
    goes_on(traffic)
    replace(controller, CONTROLLER)
    goes_on(traffic)
    traffic.stop()
    traffic.check(database)
    print(f"schema {before} to {schema(database)}: {traffic.answered} answered, {traffic.refused} refused, "
          f"{traffic.unanswered} without an answer")  # fmt: skip
