"""Clients for each identity: a sync one, and an async one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypedDict

from meshguard.async_client import AsyncMeshGuardClient
from meshguard.client import MeshGuardClient
from meshguard.config import Secret, secret
from meshguard.exceptions import ConfigurationError
from meshguard.guard.calls import Client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


class CallOptions(TypedDict, total=False):
    """Client options for one call."""

    agent_token: str | None
    trace_id: str | None


class ClientPool:
    """The clients of one identity: a sync one, and an async one for each event loop."""

    def __init__(self, client: Client, *, owned: bool = False) -> None:
        if not isinstance(client, Client):
            raise ConfigurationError("The client must be a MeshGuardClient or an AsyncMeshGuardClient.")
        self._given = client
        self._owned = owned
        self._sync: MeshGuardClient | None = client if isinstance(client, MeshGuardClient) else None
        self._async: dict[asyncio.AbstractEventLoop, tuple[AsyncMeshGuardClient, AsyncGenerator[Any]]] = {}
        self._lock = threading.Lock()

    def sync(self) -> MeshGuardClient:
        """The sync client."""
        if self._sync is None:
            with self._lock:
                self._sync = self._sync or MeshGuardClient(**_settings(self._given))
        return self._sync

    async def asynchronous(self) -> AsyncMeshGuardClient:
        """The async client of this event loop; connections can't move between event loops."""
        if isinstance(self._given, AsyncMeshGuardClient):
            return self._given
        loop = asyncio.get_running_loop()
        if loop not in self._async:
            for closed in [other for other in tuple(self._async) if other.is_closed()]:
                self._async.pop(closed, None)
            lifetime = self._lifetime(loop)
            self._async[loop] = await anext(lifetime), lifetime
        return self._async[loop][0]

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[AsyncMeshGuardClient]:
        """A client until its event loop ends: `asyncio.run` closes the loop's async generators."""
        async with AsyncMeshGuardClient(**_settings(self._given)) as client:
            try:
                yield client
            finally:
                self._async.pop(loop, None)

    def close(self) -> None:
        """Close the sync client that was made here."""
        if self._sync is not None and (self._owned or self._sync is not self._given):
            self._sync.close()

    async def aclose(self) -> None:
        """Close the clients that were made here, except those of other event loops."""
        self.close()
        _, lifetime = self._async.get(asyncio.get_running_loop(), (None, None))
        if lifetime is not None:
            await lifetime.aclose()


def _settings(client: Client) -> dict[str, Any]:
    transport = client._transport  # noqa: SLF001 - the other client has the same settings
    if not transport.has_own_http_client:
        raise ConfigurationError(
            "The guard can't copy a client that has an http_client. Pass an AsyncMeshGuardClient "
            "for async tools, and a MeshGuardClient for sync ones."
        )
    config = transport.config
    return {
        "gateway_url": config.gateway_url,
        "agent_token": client.agent_token,
        "timeout": config.timeout,
        "trace_id": config.trace_id,
        "max_retries": config.max_retries,
        "on_unavailable": config.on_unavailable,
        "require_tls": config.require_tls,
        "max_response_bytes": config.max_response_bytes,
        "default_headers": config.default_headers,
        "trust_env": transport.trusts_env,
    }


def identities(agents: Mapping[str, str | Client]) -> dict[str, Secret | ClientPool]:
    """The identity of each agent of the framework: a token for the guard's client, or another client."""
    return {name: _identity(value) for name, value in agents.items()}


def _identity(value: str | Client) -> Secret | ClientPool:
    identity = ClientPool(value) if isinstance(value, Client) else secret(value)
    if identity is None:
        raise ConfigurationError("agents must map names to tokens or clients.")
    return identity
