"""The async client."""

from meshguard._async.client import AsyncMeshGuardClient
from meshguard.governed import AsyncGoverned

__all__ = ["AsyncGoverned", "AsyncMeshGuardClient"]
