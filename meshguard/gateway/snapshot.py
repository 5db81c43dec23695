"""What decisions are made from: agents and policies, in memory, never changed but replaced whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from meshguard.policy import Agent as Subject
from meshguard.policy import Policy, PolicyEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshguard.gateway.store import AgentRecord


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: its record, and what the policy engine knows of it."""

    record: AgentRecord
    subject: Subject

    @classmethod
    def of(cls, record: AgentRecord) -> Agent:
        """Return the agent of a record."""
        subject = Subject(
            record.id,
            record.name,
            record.trust_tier,
            record.tags,
            metadata=record.metadata,
            status=record.status,
        )
        return cls(record, subject)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All agents by id, oldest first, and all policies.

    Args:
        agents: The agents, revoked ones too.
        stored: The policies that were applied through the API, by name.
        files: The policies of the directory, by name; they win where a name is shared.
    """

    agents: Mapping[str, Agent] = field(default_factory=lambda: MappingProxyType({}))
    stored: Mapping[str, Policy] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, Policy] = field(default_factory=lambda: MappingProxyType({}))
    engine: PolicyEngine = field(default_factory=lambda: PolicyEngine(()))

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in force, by name."""
        return self.engine.policies

    def policy(self, name: str) -> Policy | None:
        """Return the policy in force under a name."""
        return self.files.get(name) or self.stored.get(name)

    def with_agents(self, records: Iterable[AgentRecord]) -> Snapshot:
        """Return a snapshot in which these agents are new or changed."""
        changed = {record.id: Agent.of(record) for record in records}
        return replace(self, agents=MappingProxyType({**self.agents, **changed}))

    def with_policies(
        self, *, stored: Mapping[str, Policy] | None = None, files: Mapping[str, Policy] | None = None
    ) -> Snapshot:
        """Return a snapshot with other policies, from the API, from files, or both."""
        stored = self.stored if stored is None else MappingProxyType(dict(stored))
        files = self.files if files is None else MappingProxyType(dict(files))
        engine = PolicyEngine({**stored, **files}.values())
        return replace(self, stored=stored, files=files, engine=engine)


class Current:
    """The snapshot in force."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._lock = Lock()

    def replace(self, change: Callable[[Snapshot], Snapshot]) -> None:
        """Put the snapshot in force that a function makes of the present one; from any thread."""
        with self._lock:
            self.snapshot = change(self.snapshot)
