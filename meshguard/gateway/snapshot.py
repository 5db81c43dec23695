"""What decisions are made from: agents and policies, in memory, never changed but replaced whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from time import monotonic as monotonic_clock
from types import MappingProxyType
from typing import TYPE_CHECKING

from meshguard.gateway.problems import unavailable
from meshguard.policy import Agent as Subject
from meshguard.policy import Policy, PolicyEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

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

    def reset(self, agents: Iterable[AgentRecord], stored: Mapping[str, Policy]) -> Snapshot:
        """Return a snapshot with these agents and these policies of the API, and no others."""
        return replace(self, agents=_by_id(agents)).with_policies(stored=stored)

    def changed(
        self, agents: Iterable[AgentRecord], stored: Mapping[str, Policy], names: AbstractSet[str]
    ) -> Snapshot:
        """Return a snapshot in which these agents and policies are new or changed.

        Args:
            agents: The agents' records.
            stored: The policies.
            names: All policies that are still stored.
        """
        snapshot = self
        if changed := _by_id(agents):
            snapshot = replace(self, agents=MappingProxyType({**self.agents, **changed}))
        if not stored and names == self.stored.keys():
            return snapshot
        policies = {**self.stored, **stored}
        return snapshot.with_policies(stored={name: policies[name] for name in policies if name in names})

    def with_policies(
        self, *, stored: Mapping[str, Policy] | None = None, files: Mapping[str, Policy] | None = None
    ) -> Snapshot:
        """Return a snapshot with other policies, from the API, from files, or both."""
        stored = self.stored if stored is None else MappingProxyType(dict(stored))
        files = self.files if files is None else MappingProxyType(dict(files))
        engine = PolicyEngine({**stored, **files}.values())
        return replace(self, stored=stored, files=files, engine=engine)


def _by_id(records: Iterable[AgentRecord]) -> Mapping[str, Agent]:
    return MappingProxyType({record.id: Agent.of(record) for record in records})


class Current:
    """The snapshot in force, and since when it is not confirmed.

    Args:
        max_age: Seconds that decisions may be made from it after it was last known to be the database's.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, max_age: float, monotonic: Callable[[], float] = monotonic_clock) -> None:
        self.snapshot = Snapshot()
        self._max_age = max_age
        self._monotonic = monotonic
        self._confirmed = float("-inf")
        self._lock = Lock()
        self.doubts = 0

    def replace(self, change: Callable[[Snapshot], Snapshot]) -> None:
        """Put the snapshot in force that a function makes of the present one; from any thread."""
        with self._lock:
            self.snapshot = change(self.snapshot)

    def confirm(self, moment: float, doubts: int) -> None:
        """Note that the snapshot was the database's at a moment of the monotonic clock.

        Args:
            moment: When reading the database began.
            doubts: `doubts` at that moment. What was read before a doubt does not settle it.
        """
        with self._lock:
            if doubts == self.doubts:
                self._confirmed = moment

    def doubt(self) -> None:
        """Note that the database has something else by now; nothing is decided until it is confirmed."""
        with self._lock:
            self.doubts += 1
            self._confirmed = float("-inf")

    @property
    def is_confirmed(self) -> bool:
        """Whether decisions may be made from it."""
        return self._monotonic() - self._confirmed <= self._max_age

    def confirmed(self) -> Snapshot:
        """Return the snapshot, to decide from.

        Raises:
            Problem: 503, when it may have been overtaken, such as by a revocation at another gateway.
        """
        if not self.is_confirmed:
            raise unavailable(
                "The gateway can't tell whether agents changed, so nothing is allowed; try later."
            )
        return self.snapshot
