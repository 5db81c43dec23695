"""The gateway itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard._async.base import ClientBase
from meshguard._wire.body import parse_object
from meshguard._wire.pending import awaited, decides
from meshguard._wire.requests import ApiCall, Credential
from meshguard._wire.responses import read_as, typed
from meshguard.exceptions import MeshGuardError
from meshguard.types import Health

if TYPE_CHECKING:
    import httpx
    from meshguard_api import AuthenticatedClient

_UNHEALTHY = 503


class System(ClientBase):
    """The methods about the gateway itself, and the generated client."""

    @awaited  # sync:
    async def health(self) -> Health:
        """Return the state of the gateway, healthy or not. Operation `get_health`.

        Returns:
            `status` (`"healthy"` or `"unhealthy"`), `version` and `mode`; with an admin token also `checks`,
            `timestamp` and `uptime`.

        Example:
            ```python
            health = await client.health()
            print(health["status"], health.get("mode"))
            ```
        """
        as_admin = self._transport.config.admin_token is not None
        return await self._transport.send(_health("admin" if as_admin else None))

    @decides  # sync:
    async def is_healthy(self) -> bool:
        """Whether the gateway responds and is healthy; never raises. Operation `get_health`.

        Example:
            ```python
            if await client.is_healthy():
                print("Gateway is up!")
            ```
        """
        try:
            health = await self._transport.send(_health(None))
        except MeshGuardError:
            return False
        return health["status"] == "healthy"

    @property
    def api(self) -> AuthenticatedClient:
        """The generated client with the agent's token, for every operation of the contract.

        It shares this client's connections, trace ID and timeout, hides the token in its repr, does not
        retry, and raises `httpx`'s errors. Import operations and models from `meshguard_api`.

        Example:
            ```python
            from meshguard_api.api.decisions import evaluate
            from meshguard_api.models import EvaluateRequest

            decision = await evaluate.asyncio(client=client.api, body=EvaluateRequest(action="read:contacts"))
            print(decision)
            ```
        """
        return self._transport.generated("agent")

    @property
    def admin_api(self) -> AuthenticatedClient:
        """The generated client with the admin token; see `api`.

        Example:
            ```python
            from meshguard_api.api.audit import verify_audit_log

            print(await verify_audit_log.asyncio(client=client.admin_api))
            ```
        """
        return self._transport.generated("admin")


def _health(credential: Credential | None) -> ApiCall[Health]:
    return ApiCall(
        "health", "GET", "/health", _read_health, credential=credential, retryable=False, is_small=True
    )


def _read_health(response: httpx.Response) -> Health:
    """Read the health of a gateway; an unhealthy one returns 503 and the same fields."""
    body = parse_object(response) or {}
    if response.status_code == _UNHEALTHY and "status" in body:
        return typed(Health, response, body)
    return read_as(Health)(response)
