"""The gateway for the suite, with its policy."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshguard.client import MeshGuardClient
from meshguard.testing import RunningGateway, running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshguard.types import AuditEntry

POLICY = """
name: conformance
rules:
  - {name: lookups, effect: allow, actions: ["execute:lookup"]}
  - name: small-transfers
    effect: allow
    actions: ["execute:transfer"]
    conditions: {context.args.amount: {lte: 100}}
  - {name: archivists, effect: allow, actions: ["execute:delete_records"], conditions: {tags: [archivist]}}
"""


@dataclass(frozen=True)
class World:
    """A gateway and its administrator."""

    gateway: RunningGateway
    admin: MeshGuardClient

    @contextmanager
    def agent(self, name: str, tags: Sequence[str] = ()) -> Iterator[tuple[MeshGuardClient, str]]:
        """A new agent: its client and its ID."""
        created = self.admin.create_agent(name, tags=list(tags))
        with MeshGuardClient(self.gateway.url, created["token"], trust_env=False) as client:
            yield client, created["id"]

    def decisions(self, agent_id: str) -> list[AuditEntry]:
        """The audit entries of an agent's decisions, without those of tool lists."""
        entries = self.admin.iter_audit_log(agent=agent_id)
        return [entry for entry in entries if entry.get("kind") == "decision" and not _is_listing(entry)]


@contextmanager
def world() -> Iterator[World]:
    """A gateway with the policy of the suite."""
    with running_gateway(POLICY) as gateway, gateway.admin() as admin:
        yield World(gateway, admin)


def _is_listing(entry: AuditEntry) -> bool:
    """The log keeps each key of a context as a value or as a fingerprint."""
    recorded: Mapping[str, Any] = entry.get("context") or {}
    return any("listing" in part for part in recorded.values())
