"""What tests compare with, read from a policy's source."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from meshguard.policy import vocabulary as words
from meshguard.policy.faults import quoted
from meshguard.policy.hosts import SCHEME, HostError, HostPattern, read_url
from meshguard.policy.moments import read_moment
from meshguard.policy.numerals import number_fault
from meshguard.policy.path_patterns import pattern_fault
from meshguard.policy.paths import resolve
from meshguard.policy.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from meshguard.policy.model import Scalar


def read_operand(place: Place, subject: str, name: str) -> Scalar | tuple[Scalar, ...] | None:
    """Return what a test of a subject compares with; None, and a fault, when it can't."""
    if name == "exists":
        return place.boolean()
    if name == "weekdays":
        return place.list_of(lambda at: at.word(words.WEEKDAYS, "a weekday"), len(words.WEEKDAYS))
    if name == "in":
        return place.list_of(_member_reader(subject, name))
    read = _member_reader(subject, name)
    if name in {*words.STRING_TESTS, *words.PATTERN_TESTS} and place.node.items is not None:
        return place.list_of(read)
    return read(place)


def _member_reader(subject: str, name: str) -> Callable[[Place], Scalar | None]:
    if name == "matches":
        return partial(_glob, is_clean=subject in words.CLEAN_SUBJECTS)
    if name in _READERS:
        return _READERS[name]
    if subject in _SUBJECT_READERS:
        return _SUBJECT_READERS[subject]
    if subject in words.TEXT_SUBJECTS:
        return _filled_text if name == "contains" else Place.text
    if name in words.ORDER_TESTS:
        return _ordered
    return _filled_scalar if name == "contains" else _scalar


def _filled_text(place: Place) -> str | None:
    return place.text(least=1)


def _glob(place: Place, *, is_clean: bool) -> str | None:
    value = place.text(words.MAX_PATTERN, least=1)
    if value is None or not few_wildcards(place, value):
        return None
    if fault := pattern_fault(value):
        place.fault(f"the pattern {quoted(value)} {fault}")
        return None
    if is_clean and words.CONTROL.search(value):
        place.fault("a pattern with control characters can match no action and no resource: leave them out")
        return None
    return value


def _host(place: Place) -> str | None:
    value = place.line(words.MAX_PATTERN)
    if value is None:
        return None
    try:
        HostPattern(value)
    except HostError as error:
        place.fault(f"{quoted(value)} is not a pattern of hosts: {error}{_other_host(value)}")
        return None
    return value


def _other_host(pattern: str) -> str:
    try:
        return f"; did you mean `{read_url(pattern).host}`?"
    except HostError:
        return ""


def _scheme(place: Place) -> str | None:
    value = place.line(words.MAX_PATTERN)
    if value is not None and not SCHEME.fullmatch(value):
        place.fault(f"{quoted(value)} is not a scheme: write it without `:` and `//`, such as `https`")
        return None
    return value


def _folder(place: Place) -> str | None:
    value = place.text(least=1)
    if value is not None and resolve(value) is None:
        place.fault(f"the folder {quoted(value)} climbs above its start")
        return None
    return value


def _moment(place: Place) -> str | None:
    value = place.node.value
    if not isinstance(value, str):
        place.wrong_type("a text such as `17:30`")
    elif read_moment(value) is None:
        place.fault(f"{quoted(value)} is no time: write `17:30` (UTC) or `2026-01-31T17:30:00Z`")
    else:
        return value
    return None


def _scalar(place: Place, *, least: int = 0) -> Scalar | None:
    node = place.node
    if isinstance(node.value, str):
        return place.text(least=least)
    if node.fault or node.value is None:
        place.wrong_type("a text, a number or a boolean")
        return None
    if isinstance(node.value, bool):
        return node.value
    return _number(place, node.value)


def _number(place: Place, value: float | Decimal) -> int | float | Decimal | None:
    fault = number_fault(value)
    if fault:
        place.fault(fault)
        return None
    return value


def _filled_scalar(place: Place) -> Scalar | None:
    return _scalar(place, least=1)


def _ordered(place: Place) -> Scalar | None:
    if isinstance(place.node.value, bool):
        place.wrong_type("a number or a text")
        return None
    return _scalar(place)


_READERS: dict[str, Callable[[Place], Scalar | None]] = {
    "startsWith": _filled_text,
    "endsWith": _filled_text,
    "within": _folder,
    "host": _host,
    "scheme": _scheme,
    "after": _moment,
    "before": _moment,
}


def few_wildcards(place: Place, pattern: str) -> bool:
    """Return whether a pattern has no more wildcards than it may; otherwise there is a fault."""
    if len(words.WILDCARDS.findall(pattern)) <= words.MAX_WILDCARDS:
        return True
    place.fault(f"a pattern with more than {words.MAX_WILDCARDS} runs of `*`")
    return False


def read_tier(place: Place) -> str | None:
    """Return the trust tier here, in its one spelling."""
    value = place.word(words.TIER_WORDS, "a trust tier")
    return "unverified" if value == "untrusted" else value


_SUBJECT_READERS: dict[str, Callable[[Place], Scalar | None]] = {"trustTier": read_tier, "tags": Place.line}
