"""What each test does with a value."""

from __future__ import annotations

import operator
from datetime import time
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from meshguard.policy.hosts import HostError, HostPattern, Url, read_url
from meshguard.policy.logic import either
from meshguard.policy.moments import read_moment
from meshguard.policy.path_patterns import CLIMBS, PathPattern
from meshguard.policy.paths import lies_in, resolve
from meshguard.policy.values import Comparable, Outcome, Problem, comparable, kind_of, mismatch
from meshguard.policy.vocabulary import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshguard.policy.model import Scalar, Test

MAX_PATH_TEXT = 8_192

Check: TypeAlias = "Callable[[Any], Outcome]"

TOO_LONG = Problem(f"the text is longer than {MAX_PATH_TEXT:,} characters")
NO_SCHEME = Problem("a host without a scheme")


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
    patterns = tuple(PathPattern(str(operand)) for operand in operands)

    def check(path: str) -> Outcome:
        if len(path) > MAX_PATH_TEXT:
            return TOO_LONG
        resolved = resolve(path)
        return either([pattern.test(path, resolved) for pattern in patterns])

    return _on_text(check)


def _host(operands: tuple[Scalar, ...]) -> Check:
    patterns = tuple(HostPattern(str(operand)) for operand in operands)
    return _on_url(lambda url: any(pattern.matches(url.host) for pattern in patterns))


def _scheme(operands: tuple[Scalar, ...]) -> Check:
    wanted = frozenset(str(operand).lower() for operand in operands)
    return _on_url(lambda url: _has_scheme(url, wanted))


def _has_scheme(url: Url, wanted: frozenset[str]) -> Outcome:
    return NO_SCHEME if url.scheme is None else url.scheme in wanted


def _on_url(check: Callable[[Url], Outcome]) -> Check:
    def read(text: str) -> Outcome:
        try:
            url = read_url(text)
        except HostError as error:
            return Problem(str(error))
        return check(url)

    return _on_text(read)


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
    "host": _host,
    "scheme": _scheme,
}
