"""Govern what AI agents may do."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # importing `typing` would take longest

__version__ = "0.2.0"

if TYPE_CHECKING:
    from typing import Any

    from meshguard.async_client import AsyncMeshGuardClient
    from meshguard.client import MeshGuardClient
    from meshguard.exceptions import (
        AuthenticationError,
        ConfigurationError,
        ConflictError,
        GatewayError,
        GatewayUnavailableError,
        InvalidRequestError,
        InvalidResponseError,
        MeshGuardError,
        NotFoundError,
        PolicyDeniedError,
        RateLimitError,
        UpstreamError,
    )
    from meshguard.types import Agent, PolicyDecision

__all__ = [
    "Agent",
    "AsyncMeshGuardClient",
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "GatewayError",
    "GatewayUnavailableError",
    "InvalidRequestError",
    "InvalidResponseError",
    "MeshGuardClient",
    "MeshGuardError",
    "NotFoundError",
    "PolicyDecision",
    "PolicyDeniedError",
    "RateLimitError",
    "UpstreamError",
    "__version__",
]

_MODULES = {
    "Agent": "types",
    "AsyncMeshGuardClient": "async_client",
    "MeshGuardClient": "client",
    "PolicyDecision": "types",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"meshguard.{_MODULES.get(name, 'exceptions')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
