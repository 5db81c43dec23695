"""The gateway under schemathesis: every operation, all checks, from the ASGI app with its real store.

Positive and negative data are made from the contract. Hooks leave out the few cases about which a schema
can't say whether they are valid, and say why. One check is off for `get_agent`: "use after free" takes a
DELETE for the end of a resource, but a revoked agent's record stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshguard.gateway import app
from meshguard.policy import PolicyLoadError, load_policy
from tests.environments import ROOT
from tests.support import ADMIN_TOKEN, gateway_settings, lifespan, running_app

EXAMPLES = 100
SEQUENCES = 50
POLICY_OPERATIONS = {"apply_policy", "test_policies"}
HUGE = 20_000  # characters; the loader limits how many keys and values a YAML text has, a schema can't
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


gateway = Gateway()
KEPT_AFTER_DELETE = {
    "include-operation-id": "get_agent",
    "checks": {"use_after_free": {"enabled": False}},
}
contract = schemathesis.openapi.from_path(
    ROOT / "openapi.yaml", config=SchemathesisConfig.from_dict({"operations": [KEPT_AFTER_DELETE]})
)
contract.app = gateway


@contract.auth()
class Credentials:
    """The credential that the operation declares."""

    def get(self, case: Any, _: schemathesis.AuthContext) -> dict[str, str]:
        security = case.operation.definition.raw.get("security", [])
        if {"adminToken": []} in security:
            return {"X-Admin-Token": ADMIN_TOKEN}
        return {"Authorization": f"Bearer {gateway.token}"} if security else {}

    def set(self, case: Any, data: dict[str, str], _: schemathesis.AuthContext) -> None:
        case.headers.update(data)


async def upstream(_: Request) -> JSONResponse:
    return JSONResponse({"upstream": True})


@contract.hook
def filter_path_parameters(_: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> bool:
    """Leave out paths that are percent-encoded twice: what they decode to says whether they are refused."""
    return not re.search("%[0-9A-Fa-f]{2}", str((path_parameters or {}).get("path")))


@contract.hook
def filter_case(_: schemathesis.HookContext, case: Any) -> bool:
    """Leave out policies of which a schema can't say whether they are valid.

    Such as rules that share a name, or a time window that is empty; and YAML that is no object, which
    `validate_policy` answers with 200. That schema and loader agree on the rest is tested with the loader.
    """
    operation = case.operation.definition.raw["operationId"]
    if operation == "validate_policy":
        return case.media_type != "application/yaml" or isinstance(case.body, dict)
    if operation not in POLICY_OPERATIONS or case.meta.generation.mode.is_negative:
        return True
    policy = case.body if operation == "apply_policy" else case.body.get("candidate")
    return policy is None or (loads(policy) and len(repr(policy)) < HUGE)


def loads(policy: Any) -> bool:
    try:
        load_policy(policy)
    except PolicyLoadError:
        return False
    return True


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


@contract.parametrize()
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
