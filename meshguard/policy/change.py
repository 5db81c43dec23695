"""The smallest change that turns a decision around, found by trying it.

A change is only told when a decision with it was made and came out the other way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from meshguard.policy.conditions import Facts, compile_test, finder, test_label
from meshguard.policy.hosts import HostError, read_url
from meshguard.policy.json_text import json_text
from meshguard.policy.model import Conditions, Scalar, SubjectTests, Test
from meshguard.policy.moments import read_moment
from meshguard.policy.numerals import neighbors
from meshguard.policy.paths import resolve
from meshguard.policy.request import Agent, InvalidRequest, Request
from meshguard.policy.values import MAX_CONTEXT_VALUES, count_values, shown
from meshguard.policy.vocabulary import TIERS
from meshguard.policy.work import Work, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from meshguard.policy.model import AppliesTo

MAX_TRIES = 200
MAX_VALUES = 12

_AGENT_FIELDS = {"agentId": "id", "agentName": "name"}


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asks for what, and when."""

    agent: Agent
    request: Request
    now: datetime

    def facts(self) -> Facts:
        """Return it as conditions see it."""
        return Facts(self.agent, self.request, self.now)

    def values(self) -> int:
        """Return how many values conditions can look at, within what they do look at."""
        context = count_values(self.request.context, MAX_CONTEXT_VALUES)
        return context + count_values(self.agent.metadata, MAX_CONTEXT_VALUES)


@dataclass(frozen=True, slots=True)
class Change:
    """Another situation, and what is different there in words."""

    situation: Situation
    words: str


def smallest_change(
    situation: Situation,
    conditions: Sequence[Conditions],
    audiences: Sequence[AppliesTo],
    is_turned: Callable[[Situation], bool],
    work: Work,
) -> Change | None:
    """Return a change of one thing that turns the decision around; None when no such change was found.

    Args:
        situation: What was decided about.
        conditions: The conditions of the rules whose action matched, the most interesting first.
        audiences: To whom the policies of such rules apply.
        is_turned: Whether the decision about another situation is the other one.
        work: What may be done.

    Returns:
        The first change that works (language page, "Explanation").

    Raises:
        OutOfWorkError: None was found within the limit.
    """
    values = situation.values()
    decision = max(1, work.spent[0])
    for change in islice(_changes(situation, conditions, audiences, work), MAX_TRIES):
        work.spend(tests=decision, values=values)
        if is_turned(change.situation):
            return change
    return None


def _changes(
    situation: Situation, conditions: Sequence[Conditions], audiences: Sequence[AppliesTo], work: Work
) -> Iterator[Change]:
    tests = _counted(conditions, work)
    shared: dict[str, dict[tuple[str, Scalar], None]] = {}
    for subject, test in tests:
        if len(known := shared.setdefault(subject, {})) < MAX_VALUES:
            known.update(dict.fromkeys(islice(_operands(test), MAX_VALUES)))
    for subject, test in tests:
        if subject == "tags":
            yield from _tag_changes(situation, _tags_of(test))
        elif subject == "trustTier":
            yield from _tier_changes(situation)
        else:
            operands = dict.fromkeys(chain(islice(_operands(test), MAX_VALUES), shared[subject]))
            yield from _value_changes(situation, subject, test, list(operands)[:MAX_VALUES], work)
    for applies in audiences:
        yield from _tag_changes(situation, applies.tags or ())
        if applies.trust_tiers:
            yield from _tier_changes(situation)


def _counted(conditions: Sequence[Conditions], work: Work) -> list[tuple[str, Test]]:
    found: list[tuple[str, Test]] = []
    for condition in conditions:
        for pair in _tests(condition):
            work.spend(tests=1)
            found.append(pair)
    return found


def _tests(conditions: Conditions) -> Iterator[tuple[str, Test]]:
    for part in conditions.parts:
        if isinstance(part, SubjectTests):
            yield from ((part.subject, test) for test in part.tests)
        else:
            for member in part.members:
                yield from _tests(member)


def _operands(test: Test) -> Iterator[tuple[str, Scalar]]:
    yield from ((test.name, operand) for operand in test.alternatives)
    for inner in test.negated:
        yield from _operands(inner)


def _tags_of(test: Test) -> list[str]:
    return [str(operand) for name, operand in _operands(test) if name != "exists"]


def _tag_changes(situation: Situation, tags: Iterable[str]) -> Iterator[Change]:
    agent = situation.agent
    for tag in tags:
        has = tag in agent.tags
        other = agent.tags - {tag} if has else agent.tags | {tag}
        words = f"{'without' if has else 'with'} tag `{tag}`"
        yield Change(replace(situation, agent=_like(agent, tags=other)), words)


def _tier_changes(situation: Situation) -> Iterator[Change]:
    agent = situation.agent
    for tier in TIERS:
        if tier != agent.trust_tier:
            yield Change(replace(situation, agent=_like(agent, trust_tier=tier)), f"with trust tier `{tier}`")


def _like(agent: Agent, **changed: Any) -> Agent:
    fields = {
        name: getattr(agent, name) for name in ("id", "name", "trust_tier", "tags", "metadata", "status")
    }
    return Agent(**(fields | changed))


def _size(test: Test) -> int:
    return len(test.alternatives) + sum(map(_size, test.negated))


def _value_changes(
    situation: Situation, subject: str, test: Test, operands: list[tuple[str, Scalar]], work: Work
) -> Iterator[Change]:
    value, values = finder(subject)(situation.facts()), situation.values()
    cost = max(_size(test), weight(value, _size(test)))
    work.spend(tests=2 * cost, values=2 * values)
    condition = compile_test(subject, test)
    before = condition.evaluate(situation.facts())
    for other, words in _situations(situation, subject, operands):
        work.spend(tests=cost, values=values)
        after = condition.evaluate(other.facts())
        if after is not before and isinstance(after, bool):
            verb = "held" if after else "did not hold"
            yield Change(other, f"if `{test_label(subject, test)}` {verb}, as {words}")


def _situations(
    situation: Situation, subject: str, operands: list[tuple[str, Scalar]]
) -> Iterator[tuple[Situation, str]]:
    if subject == "time":
        yield from _times(situation, operands)
        return
    seen = finder(subject)(situation.facts())
    for value in [*_values(operands, seen if isinstance(seen, str) else ""), None]:
        changed = _with_value(situation, subject, value)
        if changed is not None:
            text = json_text(shown(value, exact=True), spaced=True)
            yield changed, f"without `{subject}`" if value is None else f"with `{subject}` {text}"


def _values(operands: list[tuple[str, Scalar]], seen: str) -> Iterator[Scalar]:
    for name, operand in operands:
        if isinstance(operand, str):
            yield from _texts(name, operand, seen)
        elif isinstance(operand, bool):
            yield operand if name != "exists" else "x"
        else:
            yield from (operand, *neighbors(operand))
    yield "x"


def _texts(name: str, operand: str, seen: str) -> Iterator[str]:
    if name == "matches":
        yield (resolve(operand) or operand).replace("**", "x").replace("*", "x")
    elif name == "within":
        yield operand.rstrip("/") + "/x"
    elif name in {"host", "scheme"}:
        yield _url(name, operand, seen)
    else:
        yield operand
        if name in {"gt", "lt"}:
            yield from (operand + "x", operand[:-1])


def _url(name: str, operand: str, seen: str) -> str:
    """Return a URL with another host or scheme and, where there is one, the other part of what was seen."""
    try:
        host, scheme = read_url(seen)
    except HostError:
        host, scheme = "x.example", None
    if name == "scheme":
        return f"{operand}://{f'[{host}]' if ':' in host else host}/"
    host = operand.removeprefix("[").removesuffix("]").replace("*", "x")
    return f"{scheme or 'https'}://{f'[{host}]' if ':' in host else host}/"


def _with_value(situation: Situation, subject: str, value: Scalar | None) -> Situation | None:
    root, _, path = subject.partition(".")
    agent, request = situation.agent, situation.request
    if root == "context":
        context = _placed(request.context or {}, path.split("."), value)
        return replace(situation, request=Request(request.action, request.resource, context))
    if root == "metadata":
        metadata = _placed(agent.metadata, path.split("."), value)
        return replace(situation, agent=_like(agent, metadata=metadata))
    if root in _AGENT_FIELDS and value is not None:
        return replace(situation, agent=_like(agent, **{_AGENT_FIELDS[root]: str(value)}))
    return _with_text(situation, root, value)


def _with_text(situation: Situation, subject: str, value: Scalar | None) -> Situation | None:
    request = situation.request
    text = None if value is None else str(value)
    try:
        if subject == "resource":
            return replace(situation, request=replace(request, resource=text))
        return replace(situation, request=replace(request, action=text)) if text else None
    except InvalidRequest:
        return None


def _placed(root: Mapping[str, Any], path: list[str], value: Scalar | None) -> dict[str, Any]:
    first, rest = path[0], path[1:]
    others = {key: item for key, item in root.items() if key != first}
    if rest:
        inner = root.get(first)
        return others | {first: _placed(inner if isinstance(inner, dict) else {}, rest, value)}
    return others if value is None else others | {first: value}


def _times(situation: Situation, operands: list[tuple[str, Scalar]]) -> Iterator[tuple[Situation, str]]:
    now = situation.now.astimezone(UTC)
    for name, operand in operands:
        for moment in _moments(name, str(operand), now):
            yield replace(situation, now=moment), f"at {moment.isoformat(timespec='seconds')}"


def _moments(name: str, operand: str, now: datetime) -> Iterator[datetime]:
    if name == "weekdays":
        yield from (now + timedelta(days=days) for days in range(1, 7))
        return
    moment = read_moment(operand)
    if moment is None:
        return
    at = moment if isinstance(moment, datetime) else datetime.combine(now.date(), moment, UTC)
    yield from (at, at - timedelta(seconds=1))
