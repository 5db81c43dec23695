"""Conditions compiled to a tree that is evaluated in three values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from meshguard.policy.checks import checker
from meshguard.policy.json_text import json_text
from meshguard.policy.logic import both, either, negation, value_word
from meshguard.policy.model import Conditions, Group, Test
from meshguard.policy.values import Outcome, Problem, readings, shown, size_problem
from meshguard.policy.work import Work, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshguard.policy.request import Agent, Request

_MAX_LABEL = 200

Find: TypeAlias = "Callable[[Facts], object]"


class Facts:
    """What one decision can look at; counts the tests that were errors."""

    __slots__ = ("_sizes", "agent", "errors", "now", "request")

    def __init__(self, agent: Agent, request: Request, now: datetime) -> None:
        self.agent: Agent = agent
        self.request: Request = request
        self.now: datetime = now
        self.errors: int = 0
        self._sizes: dict[str, Problem | None] = {}

    def root(self, name: str) -> Mapping[str, Any] | None:
        """Return the object that paths of a root, ``context`` or ``metadata``, start at."""
        return self.request.context if name == "context" else self.agent.metadata

    def size_problem(self, name: str) -> Problem | None:
        """Return the problem of a root that is too deep or too large; measured once a decision."""
        if name not in self._sizes:
            self._sizes[name] = size_problem(self.root(name))
        return self._sizes[name]

    def utc(self) -> datetime:
        """Return the time of the decision in UTC."""
        return self.now.astimezone(UTC)


class Condition(Protocol):
    """A node of compiled conditions."""

    def evaluate(self, facts: Facts) -> Outcome:
        """Return whether the condition holds, counting errors in the facts."""

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return whether it holds, and the same for people and programs to read.

        Raises:
            OutOfWorkError: That would be more than may be done.
        """

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether it could come out as wanted with another context or resource, or at another time."""


def compile_conditions(conditions: Conditions) -> Condition:
    """Return conditions ready to be evaluated.

    Example:
        >>> from meshguard.policy import Agent, Request, SubjectTests
        >>> condition = compile_conditions(Conditions((SubjectTests("tags", (Test("in", ("support",)),)),)))
        >>> agent = Agent("agent_1", "helper", "verified", ["support"])
        >>> condition.evaluate(Facts(agent, Request("read:mail"), datetime.now(UTC)))
        True
    """
    parts: list[Condition] = []
    for part in conditions.parts:
        parts.extend([_group(part)] if isinstance(part, Group) else _subject_tests(part.subject, part.tests))
    return _all_of(parts)


def _group(group: Group) -> Condition:
    members = [compile_conditions(member) for member in group.members]
    return AnyOf(members) if group.kind == "any" else AllOf(members)


def _subject_tests(subject: str, tests: Sequence[Test]) -> list[Condition]:
    return [compile_test(subject, test) for test in tests]


def _all_of(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else AllOf(parts)


def compile_test(subject: str, test: Test) -> Condition:
    """Return one test of a subject ready to be evaluated."""
    if test.name == "not":
        return Not(_all_of(_subject_tests(subject, test.negated)))
    if test.name == "exists":
        return ExistsTest(subject, wanted=test.operand is True)
    return ValueTest(subject, test)


def test_label(subject: str, test: Test) -> str:
    """Return a test as an explanation names it.

    Example:
        >>> test_label("context.amount", Test("lte", 100))
        'context.amount lte 100'
    """
    return f"{subject} {test.name} {_operand_text(test)}"


def _operand_text(test: Test) -> str:
    text = json_text(shown(test.to_json(), exact=True), spaced=True)
    return text if len(text) <= _MAX_LABEL else text[:_MAX_LABEL] + "…"


class AllOf:
    """Conditions that must all hold. Every part is evaluated, so that every error is counted."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts: tuple[Condition, ...] = tuple(parts)

    def evaluate(self, facts: Facts) -> Outcome:
        """Return their conjunction."""
        return both([part.evaluate(facts) for part in self.parts])

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return their conjunction and each part."""
        return _described("all", both, [part.describe(facts, work) for part in self.parts])

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether all parts could hold, or one could fail."""
        enough = all if wanted else any
        return enough(part.can_be(facts, wanted=wanted) for part in self.parts)


class AnyOf:
    """Conditions of which one must hold. Every part is evaluated, so that every error is counted."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts: tuple[Condition, ...] = tuple(parts)

    def evaluate(self, facts: Facts) -> Outcome:
        """Return their disjunction."""
        return either([part.evaluate(facts) for part in self.parts])

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return their disjunction and each part."""
        return _described("any", either, [part.describe(facts, work) for part in self.parts])

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether one part could hold, or all could fail."""
        enough = any if wanted else all
        return enough(part.can_be(facts, wanted=wanted) for part in self.parts)


def _described(
    name: str,
    combine: Callable[[Sequence[Outcome]], Outcome],
    parts: list[tuple[Outcome, dict[str, Any]]],
) -> tuple[Outcome, dict[str, Any]]:
    outcome = combine([part for part, _ in parts])
    return outcome, {"test": name, "value": value_word(outcome), "parts": [part for _, part in parts]}


class Not:
    """The negation of tests of one subject."""

    __slots__ = ("part",)

    def __init__(self, part: Condition) -> None:
        self.part: Condition = part

    def evaluate(self, facts: Facts) -> Outcome:
        """Return the negation."""
        return negation(self.part.evaluate(facts))

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return the negation and what is negated."""
        outcome, part = self.part.describe(facts, work)
        return negation(outcome), {"test": "not", "value": value_word(negation(outcome)), "parts": [part]}

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether what is negated could come out the other way."""
        return self.part.can_be(facts, wanted=not wanted)


class ValueTest:
    """One test of one subject."""

    __slots__ = ("_check", "_find", "_subject", "_test")

    def __init__(self, subject: str, test: Test) -> None:
        self._subject = subject
        self._test = test
        self._find = finder(subject)
        self._check = checker(subject, test)

    def evaluate(self, facts: Facts) -> Outcome:
        """Find the value and put it to the test."""
        value = self._find(facts)
        outcome = value if type(value) is Problem else self._check(value)
        if type(outcome) is Problem:
            facts.errors += 1
        return outcome

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return the outcome, what the test saw, and the error if it is one."""
        value = self._find(facts)
        work.spend(tests=weight(value, len(self._test.alternatives)))
        outcome = self.evaluate(facts)
        return outcome, _leaf(test_label(self._subject, self._test), outcome, value, work)

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether it is what is wanted, or is about something that varies."""
        return _varies(self._subject) or self.evaluate(facts) is wanted


class ExistsTest:
    """Whether a subject is there; never an error."""

    __slots__ = ("_is_there", "_subject", "wanted")

    def __init__(self, subject: str, *, wanted: bool) -> None:
        self.wanted: bool = wanted
        self._subject = subject
        self._is_there = presence(subject)

    def evaluate(self, facts: Facts) -> Outcome:
        """Return whether it is there, or is not, as wanted."""
        return self._is_there(facts) is self.wanted

    def describe(self, facts: Facts, work: Work) -> tuple[Outcome, dict[str, Any]]:
        """Return the outcome and what is there."""
        work.spend(tests=1)
        outcome = self.evaluate(facts)
        label = test_label(self._subject, Test("exists", self.wanted))
        return outcome, _leaf(label, outcome, finder(self._subject)(facts), work)

    def can_be(self, facts: Facts, *, wanted: bool) -> bool:
        """Return whether it is what is wanted, or is about something that varies."""
        return _varies(self._subject) or self.evaluate(facts) is wanted


def _varies(subject: str) -> bool:
    """Return whether a request of the same agent for the same action can have another value."""
    return subject in {"resource", "time"} or subject.startswith("context.")


def _leaf(label: str, outcome: Outcome, value: object, work: Work) -> dict[str, Any]:
    leaf: dict[str, Any] = {"test": label, "value": value_word(outcome)}
    if not isinstance(value, Problem):
        leaf["saw"] = _seen(value)
    if isinstance(outcome, Problem):
        leaf["error"] = outcome.message
    work.spend(text=len(str(leaf)))
    return leaf


def _seen(value: object) -> Any:
    if isinstance(value, datetime):
        return f"{value:%a} {value.isoformat(timespec='milliseconds')}"
    return shown(sorted(value) if isinstance(value, frozenset) else value)


def finder(subject: str) -> Find:
    """Return the function that finds a subject's value, or the problem with finding it."""
    plain = _PLAIN_FINDERS.get(subject)
    if plain is not None:
        return plain
    root, _, path = subject.partition(".")
    return _path_finder(root, path.split("."), subject) if "." in path else _field_finder(root, path, subject)


def _field_finder(root: str, name: str, subject: str) -> Find:
    missing = Problem(f"{subject} is missing", missing=True)

    def find(facts: Facts) -> object:
        if problem := facts.size_problem(root):
            return _too_large(root, problem)
        fields = facts.root(root)
        return fields.get(name, missing) if fields else missing

    return find


def _too_large(root: str, problem: Problem) -> Problem:
    return Problem(f"the {root} can't be looked into: {problem.message}")


def _path_finder(root: str, path: Sequence[str], subject: str) -> Find:
    missing = Problem(f"{subject} is missing", missing=True)

    def find(facts: Facts) -> object:
        if problem := facts.size_problem(root):
            return _too_large(root, problem)
        found = readings(facts.root(root), path)
        value = next(found, missing)
        return value if next(found, missing) is missing else Problem(f"{subject} means two things")

    return find


def _find_resource(facts: Facts) -> object:
    resource = facts.request.resource
    return _NO_RESOURCE if resource is None else resource


_NO_RESOURCE = Problem("the request has no resource", missing=True)
_PLAIN_FINDERS: dict[str, Find] = {
    "resource": _find_resource,
    "action": lambda facts: facts.request.action,
    "tags": lambda facts: facts.agent.tags,
    "trustTier": lambda facts: facts.agent.trust_tier,
    "agentId": lambda facts: facts.agent.id,
    "agentName": lambda facts: facts.agent.name,
    "time": lambda facts: facts.utc(),
}


def presence(subject: str) -> Callable[[Facts], bool]:
    """Return the function that says whether a subject is there, whatever the size of what holds it."""
    if subject == "resource":
        return lambda facts: facts.request.resource is not None
    if subject in _PLAIN_FINDERS:
        return lambda _: True
    root, _, rest = subject.partition(".")
    path = tuple(rest.split("."))
    return lambda facts: any(True for _ in readings(facts.root(root), path))
