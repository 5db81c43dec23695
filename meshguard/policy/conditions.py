"""Conditions compiled to a tree that is evaluated in three values."""

from __future__ import annotations

import json
import operator
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from meshguard.policy.globs import Glob
from meshguard.policy.model import Conditions, Group, Scalar, Test
from meshguard.policy.moments import read_moment
from meshguard.policy.paths import lies_in, resolve
from meshguard.policy.values import (
    Comparable,
    Outcome,
    Problem,
    comparable,
    kind_of,
    mismatch,
    readings,
    shown,
    size_problem,
)
from meshguard.policy.vocabulary import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshguard.policy.request import Agent, Request

MAX_PATH_TEXT = 8_192
_MAX_LABEL = 200

Check: TypeAlias = "Callable[[Any], Outcome]"
Find: TypeAlias = "Callable[[Facts], object]"

CLIMBS = Problem("the path climbs above its start")
TWO_PATHS = Problem("the pattern matches the path as sent or as resolved, but not both")
TOO_LONG = Problem(f"the text is longer than {MAX_PATH_TEXT:,} characters")


class Facts:
    """What one decision can look at; counts the tests that were errors."""

    __slots__ = ("_sizes", "agent", "errors", "now", "request")

    def __init__(self, agent: Agent, request: Request, now: datetime) -> None:
        self.agent = agent
        self.request = request
        self.now = now
        self.errors = 0
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

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return whether it holds, and the same for people and programs to read."""


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
    label = test_label(subject, test)
    if test.name == "exists":
        return ExistsTest(label, finder(subject), presence(subject), wanted=test.operand is True)
    return ValueTest(label, finder(subject), checker(subject, test))


def test_label(subject: str, test: Test) -> str:
    """Return a test as an explanation names it.

    Example:
        >>> test_label("context.amount", Test("lte", 100))
        'context.amount lte 100'
    """
    return f"{subject} {test.name} {_operand_text(test)}"


def _operand_text(test: Test) -> str:
    text = json.dumps(shown(test.to_json()), ensure_ascii=False)
    return text if len(text) <= _MAX_LABEL else text[:_MAX_LABEL] + "…"


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the three-valued conjunction: false before error before true."""
    if False in outcomes:
        return False
    return _problem_of(outcomes) or True


def either(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the three-valued disjunction: true before error before false."""
    if True in outcomes:
        return True
    return _problem_of(outcomes) or False


def _problem_of(outcomes: Sequence[Outcome]) -> Problem | None:
    """Return one problem, the same whatever the order."""
    problems = [outcome for outcome in outcomes if type(outcome) is Problem]
    return min(problems, key=_message) if problems else None


def _message(problem: Problem) -> str:
    return problem.message


def negation(outcome: Outcome) -> Outcome:
    """Return the three-valued negation: an error stays an error."""
    return outcome if isinstance(outcome, Problem) else not outcome


def value_word(outcome: Outcome) -> str:
    """Return an outcome as one of "true", "false", "error"."""
    return "error" if isinstance(outcome, Problem) else str(outcome).lower()


class AllOf:
    """Conditions that must all hold. Every part is evaluated, so that every error is counted."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts = tuple(parts)

    def evaluate(self, facts: Facts) -> Outcome:
        """Return their conjunction."""
        return both([part.evaluate(facts) for part in self.parts])

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return their conjunction and each part."""
        return _described("all", both, [part.describe(facts) for part in self.parts])


class AnyOf:
    """Conditions of which one must hold. Every part is evaluated, so that every error is counted."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts = tuple(parts)

    def evaluate(self, facts: Facts) -> Outcome:
        """Return their disjunction."""
        return either([part.evaluate(facts) for part in self.parts])

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return their disjunction and each part."""
        return _described("any", either, [part.describe(facts) for part in self.parts])


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
        self.part = part

    def evaluate(self, facts: Facts) -> Outcome:
        """Return the negation."""
        return negation(self.part.evaluate(facts))

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return the negation and what is negated."""
        outcome, part = self.part.describe(facts)
        return negation(outcome), {"test": "not", "value": value_word(negation(outcome)), "parts": [part]}


class ValueTest:
    """One test of one subject."""

    __slots__ = ("_check", "_find", "label")

    def __init__(self, label: str, find: Find, check: Check) -> None:
        self.label = label
        self._find = find
        self._check = check

    def evaluate(self, facts: Facts) -> Outcome:
        """Find the value and put it to the test."""
        value = self._find(facts)
        outcome = value if type(value) is Problem else self._check(value)
        if type(outcome) is Problem:
            facts.errors += 1
        return outcome

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return the outcome, what the test saw, and the error if it is one."""
        outcome = self.evaluate(facts)
        return outcome, _leaf(self.label, outcome, self._find(facts))


class ExistsTest:
    """Whether a subject is there; never an error."""

    __slots__ = ("_find", "_is_there", "label", "wanted")

    def __init__(self, label: str, find: Find, is_there: Callable[[Facts], bool], *, wanted: bool) -> None:
        self.label = label
        self.wanted = wanted
        self._find = find
        self._is_there = is_there

    def evaluate(self, facts: Facts) -> Outcome:
        """Return whether it is there, or is not, as wanted."""
        return self._is_there(facts) is self.wanted

    def describe(self, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        """Return the outcome and what is there."""
        outcome = self.evaluate(facts)
        return outcome, _leaf(self.label, outcome, self._find(facts))


def _leaf(label: str, outcome: Outcome, value: object) -> dict[str, Any]:
    leaf: dict[str, Any] = {"test": label, "value": value_word(outcome)}
    if not isinstance(value, Problem):
        leaf["saw"] = _seen(value)
    if isinstance(outcome, Problem):
        leaf["error"] = outcome.message
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


def checker(subject: str, test: Test) -> Check:
    """Return the function that puts a value to a test."""
    if subject == "tags":
        wanted = frozenset(test.alternatives)
        return lambda tags: not wanted.isdisjoint(tags)
    if test.name in _TIME_CHECKS:
        return _TIME_CHECKS[test.name](test.alternatives)
    if test.name in _ORDERS:
        return _ordered(_ORDERS[test.name], test.alternatives[0])
    return _CHECKS[test.name](test.alternatives)


def _equals(operands: tuple[Scalar, ...]) -> Check:
    kind = kind_of(operands[0])
    wanted = comparable(operands[0], kind)

    def check(value: object) -> Outcome:
        seen = comparable(value, kind)
        return seen if isinstance(seen, Problem) else seen == wanted

    return check


def _ordered(compare: Callable[[Any, Any], bool], operand: Scalar) -> Check:
    kind = kind_of(operand)
    bound = comparable(operand, kind)

    def check(value: object) -> Outcome:
        seen = comparable(value, kind)
        return seen if isinstance(seen, Problem) else compare(seen, bound)

    return check


class _Alternatives:
    """Scalars by kind: whether a value equals any, without comparing it with each."""

    __slots__ = ("_by_kind",)

    def __init__(self, operands: Iterable[Scalar]) -> None:
        self._by_kind: dict[str, set[Comparable]] = {}
        for operand in operands:
            kind = kind_of(operand)
            self._by_kind.setdefault(kind, set()).add(cast("Comparable", comparable(operand, kind)))

    def equal(self, value: object) -> Outcome:
        """Return the disjunction of comparing a value with each of them."""
        kind = kind_of(value)
        if kind in self._by_kind:
            seen = comparable(value, kind)
            if isinstance(seen, Problem) or seen in self._by_kind[kind]:
                return seen if isinstance(seen, Problem) else True
        other = next((name for name in self._by_kind if name != kind), None)
        return False if other is None else mismatch(value, other)


def _in(operands: tuple[Scalar, ...]) -> Check:
    return _Alternatives(operands).equal


def _starts_with(operands: tuple[Scalar, ...]) -> Check:
    return _on_text(lambda text: text.startswith(cast("tuple[str, ...]", operands)))


def _ends_with(operands: tuple[Scalar, ...]) -> Check:
    return _on_text(lambda text: text.endswith(cast("tuple[str, ...]", operands)))


def _on_text(check: Callable[[str], Outcome]) -> Check:
    return lambda value: check(value) if isinstance(value, str) else mismatch(value, "text")


def _contains(operands: tuple[Scalar, ...]) -> Check:
    alternatives = _Alternatives(operands)

    def check(value: object) -> Outcome:
        if isinstance(value, str):
            return either([_part_of(value, operand) for operand in operands])
        if isinstance(value, list | tuple):
            return either([alternatives.equal(item) for item in value])
        return mismatch(value, "list or a text")

    return check


def _part_of(text: str, operand: Scalar) -> Outcome:
    return operand in text if isinstance(operand, str) else mismatch(text, kind_of(operand))


def _matches(operands: tuple[Scalar, ...]) -> Check:
    globs = tuple(Glob(str(operand)) for operand in operands)

    def check(path: str) -> Outcome:
        if len(path) > MAX_PATH_TEXT:
            return TOO_LONG
        resolved = resolve(path)
        return either([_matches_path(glob, path, resolved) for glob in globs])

    return _on_text(check)


def _matches_path(glob: Glob, path: str, resolved: str | None) -> Outcome:
    if not glob.has_slash or resolved == path:
        return glob.matches(path)
    if resolved is None:
        return CLIMBS
    as_sent = glob.matches(path)
    return as_sent if as_sent is glob.matches(resolved) else TWO_PATHS


def _within(operands: tuple[Scalar, ...]) -> Check:
    folders = tuple(cast("str", resolve(str(operand))) for operand in operands)

    def check(path: str) -> Outcome:
        if len(path) > MAX_PATH_TEXT:
            return TOO_LONG
        resolved = resolve(path)
        return CLIMBS if resolved is None else any(lies_in(resolved, folder) for folder in folders)

    return _on_text(check)


def _time_check(compare: Callable[[Any, Any], bool]) -> Callable[[tuple[Scalar, ...]], Check]:
    def make(operands: tuple[Scalar, ...]) -> Check:
        moment = read_moment(str(operands[0]))
        if isinstance(moment, time):
            return lambda now: compare(now.time(), moment)
        return lambda now: compare(now, moment)

    return make


def _weekdays(operands: tuple[Scalar, ...]) -> Check:
    wanted = frozenset(WEEKDAYS.index(str(operand)) for operand in operands)
    return lambda now: now.weekday() in wanted


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TIME_CHECKS: dict[str, Callable[[tuple[Scalar, ...]], Check]] = {
    "after": _time_check(operator.ge),
    "before": _time_check(operator.lt),
    "weekdays": _weekdays,
}
_CHECKS: dict[str, Callable[[tuple[Scalar, ...]], Check]] = {
    "equals": _equals,
    "in": _in,
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "contains": _contains,
    "matches": _matches,
    "within": _within,
}
