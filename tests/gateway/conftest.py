from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard.gateway.gateway import Gateway
from meshguard.gateway.store import migrate, open_database
from tests.servers import PostgreSQL, postgresql
from tests.support import ALLOW_READS, Clock, RunningGateway, admin_client, running_gateway


class Lab:
    """A running gateway, an administrator, and agents."""

    def __init__(self, gateway: RunningGateway, stack: ExitStack) -> None:
        self.url = gateway.url
        self.settings = gateway.settings
        self.admin = stack.enter_context(admin_client(gateway.url))
        self._stack = stack

    def create(self, **fields: Any) -> dict[str, Any]:
        response = self.admin.post("/admin/agents", json={"name": "bot", **fields})
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def client(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        return self._stack.enter_context(httpx.Client(base_url=self.url, headers=headers, trust_env=False))

    def agent(self, **fields: Any) -> httpx.Client:
        return self.client(self.create(**fields)["token"])

    def apply(self, policy: str, name: str) -> httpx.Response:
        headers = {"Content-Type": "application/yaml"}
        return self.admin.put(f"/admin/policies/{name}", content=policy, headers=headers)

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.admin.get("/admin/audit", params=query).json()["entries"]
        return entries


@pytest.fixture
def clock() -> Clock:
    return Clock()


# What stands in these modules holds on SQLite and on PostgreSQL.
_ON_BOTH = (
    *("test_agents", "test_audit", "test_client", "test_cluster", "test_decisions", "test_hints"),
    *("test_idempotency", "test_identity", "test_policies"),
)
_ON_SQLITE = {"tmp_path", "database"}  # fixtures of tests that lay hands on the file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.function.__code__.co_varnames[: metafunc.function.__code__.co_argcount]
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    marked = [name for mark in metafunc.definition.iter_markers("usefixtures") for name in mark.args]
    if (
        "store" in metafunc.fixturenames
        and "store" not in given
        and metafunc.module.__name__.endswith(_ON_BOTH)
    ):
        both = "store" in asked or _ON_SQLITE.isdisjoint([*asked, *marked])
        stores = ["sqlite", "postgresql"] if both else ["sqlite"]
        metafunc.parametrize("store", stores, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A server that all tests of this process share; each makes a database of its own."""
    with postgresql() as server:
        engine = open_database(server.url(server.template()))
        migrate(engine)
        engine.dispose()
        yield server


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Give the URL of the database that belongs to a directory."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return lambda directory: f"sqlite:///{directory}/gateway.db"
    return functools.cache(lambda _: request.getfixturevalue("postgres").new_database())


@pytest.fixture
def open_lab(tmp_path: Path, store: Callable[[Path], str]) -> Iterator[Callable[..., Lab]]:
    """Start gateways with settings of the test's choice; `readers` is their policy."""
    with ExitStack() as stack:

        def start(directory: Path = tmp_path, **settings: Any) -> Lab:
            settings.setdefault("database_url", store(directory))
            lab = Lab(stack.enter_context(running_gateway(directory, **settings)), stack)
            if "policies_dir" not in settings:
                lab.apply(ALLOW_READS, "readers")
            return lab

        yield start


@pytest.fixture
def lab(open_lab: Callable[..., Lab]) -> Lab:
    return open_lab()


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> list[Gateway]:
    """The gateways that have started since."""
    started: list[Gateway] = []
    start = Gateway.start

    async def note(self: Gateway) -> None:
        await start(self)
        started.append(self)

    monkeypatch.setattr(Gateway, "start", note)
    return started


def check(client: httpx.Client, action: str, **headers: str) -> httpx.Response:
    return client.get("/proxy/check", headers={"X-MeshGuard-Action": action, **headers})
