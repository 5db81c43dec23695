"""Expectations about a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshguard.testing.conformance.script import Call, Script
    from meshguard.types import AuditEntry


@dataclass
class Outcome:
    """The result of a run."""

    script: Script
    results: list[str] = field(default_factory=list)
    error: BaseException | None = None
    entries: list[AuditEntry] = field(default_factory=list)

    def ran_exactly(self, *calls: Call) -> None:
        """Expect the bodies of these calls, and no others, to have run, in any order."""
        ran = sorted(map(repr, self.script.ran))
        wanted = sorted(repr((call.tool, call.arguments)) for call in calls)
        expect(ran == wanted, f"the tools that ran are {ran}, not {wanted}")

    def model_saw(self, index: int, *words: str) -> None:
        """Expect these words, in any case, in the result of a call."""
        if self.error is not None:
            raise AssertionError("the run ended with an error") from self.error
        expect(len(self.results) > index, f"the model saw only {len(self.results)} results: {self.results}")
        text = self.results[index].casefold()
        missing = [word for word in words if word.casefold() not in text]
        expect(not missing, f"the model saw {self.results[index]!r}, which lacks {missing}")

    def audited(self, *entries: tuple[str, str]) -> None:
        """Expect exactly these audit entries, as (action, decision), in any order."""
        found = sorted((entry["action"], entry["decision"]) for entry in self.entries)
        expect(found == sorted(entries), f"the audit log has {found}, not {sorted(entries)}")


def expect(condition: object, otherwise: str) -> None:
    """Raise `AssertionError` unless the condition is true."""
    if not condition:
        raise AssertionError(otherwise)


def error_kinds(error: BaseException | None) -> list[str]:
    """The classes of an error, of its causes, and of the members of groups."""
    if error is None:
        return []
    inner = [*getattr(error, "exceptions", ()), error.__cause__, error.__context__]
    return [type(error).__name__, *(kind for one in inner for kind in error_kinds(one))]
