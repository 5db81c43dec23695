"""Govern what AI agents may do."""

__version__ = "0.2.0"

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
