"""A real gateway for tests, in this process, on an ephemeral port, with its own database.

Needs the extra `testing`. `meshguard.testing.conformance` is the test suite for adapters.
"""

from __future__ import annotations

import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshguard.client import MeshGuardClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshguard.types import TrustTier

__all__ = ["RunningGateway", "running_gateway"]


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
    from meshguard.gateway.embedded import serve_in_thread  # noqa: PLC0415 - needs the extra

    with tempfile.TemporaryDirectory(prefix="meshguard-", ignore_cleanup_errors=True) as folder:
        values = {
            "jwt_secret": secrets.token_urlsafe(48),
            "admin_token": secrets.token_urlsafe(32),
            "database_url": f"sqlite:///{folder}/gateway.db",
            "rate_limit_rpm": 1_000_000,
            **settings,
        }
        with serve_in_thread(app(load_settings(_env_file=None, **values))) as url:
            gateway = RunningGateway(url, values["admin_token"])
            with gateway.admin() as admin:
                for policy in policies:
                    admin.apply_policy(policy)
            yield gateway
