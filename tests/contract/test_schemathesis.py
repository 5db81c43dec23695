"""The gateway under schemathesis: every operation, all checks, from the ASGI app with its real store.

What schemathesis has to know of the contract is said in `meshguard.contract.made_up`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshguard.contract.made_up import contract_schema
from meshguard.gateway import app
from tests.support import ADMIN_TOKEN, gateway_settings, lifespan, running_app

EXAMPLES = settings().max_examples  # 100, and 1,000 in the nightly profile
SEQUENCES = 50
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
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
contract = contract_schema(gateway.credential)
contract.app = gateway


async def upstream(_: Request) -> JSONResponse:
    return JSONResponse({"upstream": True})


@contextmanager
def started_gateway(folder: Path) -> Iterator[None]:
    """A new gateway with an upstream, a policy and an agent, until the next one."""
    (folder / "policies").mkdir()
    (folder / "policies" / "everything.yaml").write_text(POLICY)
    with running_app(Starlette(routes=[Route("/{path:path}", upstream, methods=METHODS)])) as target:
        gateway.start(
            app(
                gateway_settings(
                    folder,
                    policies_dir=folder / "policies",
                    proxy_target=target,
                    rate_limit_rpm=0,
                    metrics_enabled=True,
                )
            )
        )
        create = contract["/admin/agents"]["POST"].Case(
            body={"name": "schemathesis"},
            headers={"X-Admin-Token": ADMIN_TOKEN},
            media_type="application/json",
        )
        gateway.token = create.call().json()["token"]
        yield


@pytest.fixture(autouse=True)
def _gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with started_gateway(tmp_path_factory.mktemp("gateway")):
        yield


@contract.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_holds_the_contract(case: Any) -> None:
    case.call_and_validate()


def test_sequences_of_operations_along_the_links_hold_the_contract(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each sequence has a gateway of its own, so that none depends on what another left behind."""

    class Sequences(contract.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.servers = ExitStack()
            self.servers.enter_context(started_gateway(tmp_path_factory.mktemp("sequence")))

        def teardown(self) -> None:
            self.servers.close()

    Sequences.run(
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
    )
