"""The sync client, and the other names that the published package has here."""

from meshguard._sync.client import MeshGuardClient
from meshguard.governed import Governed
from meshguard.governed import Governed as GovernedContext
from meshguard.types import Agent, PolicyDecision

__all__ = ["Agent", "Governed", "GovernedContext", "MeshGuardClient", "PolicyDecision"]
