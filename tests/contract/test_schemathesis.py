"""The gateway under schemathesis: every operation, all checks, from the ASGI app with its real stores.

What schemathesis has to know of the contract is said in `meshguard.contract.made_up`. Each operation has a
function of its own: the items of one function share an id, and of these pytest-xdist runs one alone. Boundary
values are left to the nightly run and `scripts/contract`: to make them up takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from meshguard.contract.document import load_document
from meshguard.contract.made_up import contract_schema
from meshguard.gateway import app
from meshguard.gateway.store import migrate, open_database
from tests.contract.own_gateway import upstream
from tests.servers import PostgreSQL, postgresql
from tests.support import ADMIN_TOKEN, gateway_settings, lifespan

EXAMPLES = settings().max_examples  # 100, and 1,000 in the nightly profile
IS_NIGHTLY = settings.get_current_profile_name() == "nightly"
SEQUENCES = EXAMPLES // 2
POLICY = "{name: everything, rules: [{name: everything, effect: allow, actions: ['*']}]}"


class Gateway:
    """The gateway under test, which exists only once a test runs; the schema is read before.

    Started by the first request that it gets, in the event loop of that request.
    """

    def __init__(self) -> None:
        self.token = ""
        self._application: Any = None
        self._is_started = False
        self._running = AsyncExitStack()

    def start(self, application: Any) -> None:
        self._application = application
        self._is_started = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if not self._is_started:
            await self._running.aclose()
            await self._running.enter_async_context(lifespan(self._application))
            self._is_started = True
        await self._application(scope, receive, send)

    def credential(self, scheme: str) -> dict[str, str]:
        if scheme == "adminToken":
            return {"X-Admin-Token": ADMIN_TOKEN}
        return {"Authorization": f"Bearer {self.token}"}


gateway = Gateway()
contract = contract_schema(gateway.credential, phases={"coverage": {"enabled": IS_NIGHTLY}})
contract.app = gateway


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        engine = open_database(running.url(running.template()))
        migrate(engine)
        engine.dispose()
        yield running


@contextmanager
def started_gateway(folder: Path, **changes: Any) -> Iterator[None]:
    """A new gateway with an upstream, a policy and an agent, until the next one."""
    (folder / "policies").mkdir()
    (folder / "policies" / "everything.yaml").write_text(POLICY)
    changes |= {"policies_dir": folder / "policies", "rate_limit_rpm": 0, "metrics_enabled": True}
    with upstream() as target:
        gateway.start(app(gateway_settings(folder, proxy_target=target, **changes)))
        create = contract["/admin/agents"]["POST"].Case(
            body={"name": "schemathesis"},
            headers={"X-Admin-Token": ADMIN_TOKEN},
            media_type="application/json",
        )
        gateway.token = create.call().json()["token"]
        yield


@pytest.fixture
def started(tmp_path: Path) -> Iterator[None]:
    with started_gateway(tmp_path):
        yield


def contract_test(operation: str) -> Any:
    def is_another(context: Any) -> bool:
        return bool(context.operation.definition.raw["operationId"] != operation)

    @pytest.mark.usefixtures("started")
    # `include` includes all, where the configuration has something to say of single operations.
    @contract.exclude(is_another).parametrize()  # type: ignore[untyped-decorator]
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def test(case: Any) -> None:
        case.call_and_validate()

    return test


for _operation in load_document().operations:
    globals()[f"test_{_operation.id}_holds_the_contract"] = contract_test(_operation.id)


def assert_sequences_hold(
    folders: pytest.TempPathFactory, number: int, changes: Callable[[], dict[str, Any]]
) -> None:
    """Try sequences along the links; each has a gateway of its own, so that none depends on another."""

    class Sequences(contract.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.servers = ExitStack()
            self.servers.enter_context(started_gateway(folders.mktemp("sequence"), **changes()))

        def teardown(self) -> None:
            self.servers.close()

    Sequences.run(
        settings=settings(
            max_examples=number,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
    )


def test_sequences_of_operations_along_the_links_hold_the_contract(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assert_sequences_hold(tmp_path_factory, SEQUENCES, dict)


def test_sequences_hold_the_contract_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, server: PostgreSQL
) -> None:
    assert_sequences_hold(tmp_path_factory, SEQUENCES // 5, lambda: {"database_url": server.new_database()})
