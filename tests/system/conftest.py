"""Fixtures on real parts: PostgreSQL, controllers over TLS, nodes, agents. Nothing here is a stand-in.

    postgres    session   a private cluster                    database   module    a fresh migrated database in it
    world       module    certificates, keys, started programs controller module    one controller over `database`
    controllers module    make more: controllers(report_lifetime=5)
    admin       module    Client with the admin key            org        module    a fresh org: .id, .key, .api, .agent("a1")
    make_org    module    make more: make_org("Other")         node       module    make nodes: node("n1", cluster="c1")
"""

import tempfile
from pathlib import Path

import pytest

from support.berth import Controller, Node, World, mint_jwt as mint
from support.certs import Authority
from support.postgres import Database, Postgres
from support.process import CONTROLLER, run
from support.scratch import clear_scratch, scratch


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test prints the last lines of every program that its module started."""
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.when == "call" and report.failed and world is not None:
        report.sections.append(("programs", world.logs()))


@pytest.fixture(scope="session")
def session_folder():
    clear_scratch()
    with scratch() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(session_folder):
    folder = session_folder / "postgres"
    folder.mkdir()
    server = Postgres(folder)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def own_postgres(session_folder):
    """A cluster for a module that stops or kills it."""
    server = Postgres(Path(tempfile.mkdtemp(prefix="postgres-", dir=session_folder)))
    yield server
    server.remove()


def migrate(url):
    done = run([CONTROLLER, "migrate", "--database", url])
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def empty_database(postgres):
    """A database that no migration has seen."""
    database = Database(postgres)
    yield database
    database.drop()


@pytest.fixture(scope="module")
def database(request):
    """Migrated. In the module's own cluster where the module uses own_postgres, else in the session's."""
    own = any("own_postgres" in i.fixturenames for i in request.session.items if i.module is request.module)
    made = Database(request.getfixturevalue("own_postgres" if own else "postgres"))
    migrate(made.url)
    yield made
    if not own:  # the module's own cluster goes as a whole, and may have gone already
        made.drop()


@pytest.fixture(scope="session")
def authority(session_folder):
    return Authority(session_folder / "certs")


@pytest.fixture(scope="session")
def certificate(authority):
    """(certificate, key) files for localhost, 127.0.0.0/29 and ::1."""
    return authority.issue("localhost", ips=["::1", *(f"127.0.0.{n}" for n in range(1, 8))])


@pytest.fixture(scope="module")
def world(session_folder, authority, certificate):
    made = World(Path(tempfile.mkdtemp(prefix="world-", dir=session_folder)), authority, certificate)
    yield made
    made.close()


@pytest.fixture(scope="module")
def controllers(world, database):
    """controllers(**options) starts one more controller over `database`; ready=False doesn't wait."""

    def start(ready=True, **options):
        return Controller(world, database.url, options).start(ready)

    return start


@pytest.fixture(scope="module")
def controller(controllers):
    return controllers()


@pytest.fixture(scope="module")
def admin(controller, world):
    return controller.client(world.admin_key)


class Org:
    """A customer: its id, an org key, and clients with it."""

    def __init__(self, admin, name):
        self.admin = admin
        self.id = admin.post("/v1/orgs", {"name": name}).expect(201).json["id"]
        self.key = self.new_key()
        self.api = admin.with_token(self.key)

    def new_key(self, kind="org"):
        return self.admin.post("/v1/keys", {"org": self.id, "kind": kind}).expect(201).json["key"]

    def jwt(self, agent, **claims):
        return mint(self.key, agent, **claims)

    def agent(self, agent, **claims):
        """A client that speaks as this agent, with a JWT."""
        return self.api.with_token(self.jwt(agent, **claims))


@pytest.fixture(scope="module")
def make_org(admin):
    return lambda name="Test org": Org(admin, name)


@pytest.fixture(scope="module")
def org(make_org):
    return make_org()


@pytest.fixture(scope="session")
def mint_jwt():
    return mint


@pytest.fixture(scope="module")
def node_key(admin):
    """A key that enrols cloud nodes."""
    return admin.post("/v1/keys", {"org": "cloud", "kind": "node"}).expect(201).json["key"]


@pytest.fixture(scope="module")
def node(world, request):
    """node("n1", cluster="c1", region="eu") registers a cloud node; token=KEY enrols it as that key's org's;
    standalone=True needs no controller. Options are berth-node's flags."""

    def start(name="node-1", standalone=False, controller=None, token=None, ready=True, **options):
        if not standalone:
            controller = controller or request.getfixturevalue("controller")
            token = token or request.getfixturevalue("node_key")
        return Node(world, name, options, None if standalone else controller, token).start(ready)

    return start
