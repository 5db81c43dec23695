"""A real gateway for tests, in this process, on an ephemeral port, with its own database.

Needs the extra `testing`. `meshguard.testing.conformance` is the test suite for adapters.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx

from meshguard.client import MeshGuardClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshguard.types import TrustTier

__all__ = ["RunningGateway", "running_gateway"]

_START_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class RunningGateway:
    """A running gateway.

    Attributes:
        url: Its URL.
        admin_token: The administrator's token, omitted from the repr.
    """

    url: str
    admin_token: str = field(repr=False)

    def admin(self) -> MeshGuardClient:
        """Return a client for the administrator. Close it, or use it in a `with` block."""
        return MeshGuardClient(self.url, admin_token=self.admin_token, trust_env=False)

    def agent(
        self, name: str = "agent", *, trust_tier: TrustTier = "verified", tags: Iterable[str] = ()
    ) -> MeshGuardClient:
        """Create an agent and return its client. Close it, or use it in a `with` block.

        Args:
            name: The agent's name.
            trust_tier: `unverified`, `verified`, `trusted` or `privileged`.
            tags: Labels that policies can match.

        Returns:
            A client that acts as the agent.

        Raises:
            MeshGuardError: The gateway did not create the agent.
        """
        with self.admin() as admin:
            created = admin.create_agent(name, trust_tier=trust_tier, tags=list(tags))
        return MeshGuardClient(self.url, created["token"], trust_env=False)


@contextmanager
def running_gateway(*policies: Mapping[str, Any] | str, **settings: Any) -> Iterator[RunningGateway]:
    """Run a gateway for the duration of a `with` block.

    Args:
        policies: Policies to apply, as mappings or as YAML.
        settings: Settings of the gateway by their lower-case names, such as `mode="audit"`. By default,
            secrets are random, the database is SQLite in a temporary folder, and the rate limit is too high
            to be reached.

    Yields:
        The gateway.

    Raises:
        SettingsError: The settings are not valid.
        InvalidRequestError: A policy is not valid.
        RuntimeError: The gateway did not start.

    Example:
        ```python
        from meshguard.testing import running_gateway

        policy = {"name": "desk", "rules": [{"name": "reads", "effect": "allow", "actions": ["read:*"]}]}
        with running_gateway(policy) as gateway, gateway.agent() as agent:
            assert agent.check("read:contacts").allowed
            assert not agent.check("delete:contacts").allowed
        ```
    """
    from meshguard.gateway import app, load_settings  # noqa: PLC0415 - needs the extra

    with tempfile.TemporaryDirectory(prefix="meshguard-", ignore_cleanup_errors=True) as folder:
        values = {
            "jwt_secret": secrets.token_urlsafe(48),
            "admin_token": secrets.token_urlsafe(32),
            "database_url": f"sqlite:///{folder}/gateway.db",
            "rate_limit_rpm": 1_000_000,
            **settings,
        }
        with _served(app(load_settings(_env_file=None, **values))) as url:
            gateway = RunningGateway(url, values["admin_token"])
            with gateway.admin() as admin:
                for policy in policies:
                    admin.apply_policy(policy)
            yield gateway


@contextmanager
def _served(application: Any) -> Iterator[str]:
    from granian.constants import Interfaces  # noqa: PLC0415 - needs the extra
    from granian.server.embed import Server  # noqa: PLC0415 - needs the extra

    port = _free_port()
    server = Server(application, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop, server), name="meshguard-gateway", daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, thread)
        yield url
    finally:
        with suppress(RuntimeError):  # it has already stopped
            loop.call_soon_threadsafe(server.stop)
        thread.join(_START_TIMEOUT)


def _serve(loop: asyncio.AbstractEventLoop, server: Any) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(server.serve())
    finally:
        loop.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, thread: threading.Thread) -> None:
    pause, deadline = threading.Event(), monotonic() + _START_TIMEOUT
    with httpx.Client(trust_env=False) as client:
        while thread.is_alive() and monotonic() < deadline:
            with suppress(httpx.TransportError):
                client.get(f"{url}/health")
                return
            pause.wait(0.01)
    raise RuntimeError(f"The gateway at {url} did not start within {_START_TIMEOUT:.0f} s. See its log.")
