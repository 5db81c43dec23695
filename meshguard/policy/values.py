"""JSON values: their kinds, exact comparison, how much of them is looked at, how they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

MAX_CONTEXT_DEPTH = 32
MAX_CONTEXT_VALUES = 10_000
MAX_CONTEXT_TEXT = 1_048_576
MAX_SHOWN_TEXT = 200
MAX_SHOWN_ITEMS = 20
MAX_SHOWN_DEPTH = 3
MAX_SHOWN = 4_000
_MAX_SHOWN_BITS = 3_000
_PLAIN_SIZE = 100
_PLAIN_TEXT = 1_000
_PLAIN_KINDS = frozenset({int, float, Decimal, bool, type(None)})

Comparable: TypeAlias = "str | int | Decimal | bool"


@dataclass(frozen=True, slots=True)
class Problem:
    """The third value: why a test is neither true nor false."""

    message: str
    missing: bool = False


Outcome: TypeAlias = "bool | Problem"

_KINDS: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    type(None): "null",
    dict: "object",
    list: "list",
    tuple: "list",
}
_BASES = (
    (str, "text"),
    (bool, "boolean"),
    (int | float | Decimal, "number"),
    (Mapping, "object"),
    (list, "list"),
)
_WITH_ARTICLE = {"object": "an object", "null": "null"}
NOT_FINITE = Problem("the number is not finite")


def kind_of(value: object) -> str:
    """Return the JSON type of a value; "unknown" for what is not JSON.

    Example:
        >>> [kind_of(value) for value in ("a", True, 1, 1.5, None, [], {}, object())]
        ['text', 'boolean', 'number', 'number', 'null', 'list', 'object', 'unknown']
    """
    return _KINDS.get(type(value)) or next(
        (kind for base, kind in _BASES if isinstance(value, base)), "unknown"
    )


def comparable(value: object, kind: str) -> Comparable | Problem:
    """Return a value of the wanted kind in a form that compares exactly, or the problem with it.

    A fraction stands for the decimal it is written as: 0.1 is one tenth.

    Example:
        >>> comparable(0.1, "number")
        Decimal('0.1')
        >>> comparable(True, "number")
        Problem(message='a boolean against a number', missing=False)
    """
    if kind_of(value) != kind:
        return mismatch(value, kind)
    return exact(value) if kind == "number" else value  # type: ignore[arg-type,return-value]


def mismatch(value: object, kind: str) -> Problem:
    """Return the problem of comparing a value with one of another kind."""
    seen = kind_of(value)
    return Problem(f"{_WITH_ARTICLE.get(seen, f'a {seen}')} against a {kind}")


def exact(number: float | Decimal) -> int | Decimal | Problem:
    """Return a number in a form that compares exactly with every other."""
    if isinstance(number, int):
        return number
    number = Decimal(repr(float(number))) if isinstance(number, float) else number
    return number if number.is_finite() else NOT_FINITE


def size_problem(value: object) -> Problem | None:
    """Return the problem of a value that is too deep or too large to look into; None when it is not.

    Example:
        >>> size_problem({"a": [1, 2]}) is None
        True
        >>> size_problem({"a": "x" * 2_000_000})
        Problem(message='it is too large', missing=False)
    """
    if _is_plain(value):
        return None
    level: list[object] = [value]
    values = text = 0
    for _ in range(MAX_CONTEXT_DEPTH + 1):
        deeper: list[object] = []
        for item in level:
            kind = kind_of(item)
            if kind == "text":
                text += len(item)  # type: ignore[arg-type]
            elif kind in {"object", "list"}:
                values += len(item)  # type: ignore[arg-type]
                if values > MAX_CONTEXT_VALUES:
                    break
                text += _key_size(item)
                deeper.extend(item.values() if isinstance(item, Mapping) else item)  # type: ignore[arg-type]
        if values > MAX_CONTEXT_VALUES or text > MAX_CONTEXT_TEXT:
            return Problem("it is too large")
        if not deeper:
            return None
        level = deeper
    return Problem("it is too deep")


def count_values(value: object, limit: int) -> int:
    """Return how many values are in a value, with itself; no more than a limit is looked at.

    Example:
        >>> count_values({"a": [1, 2]}, 100), count_values([0] * 1_000_000, 100)
        (4, 100)
    """
    waiting, count = [value], 1
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping | list | tuple):
            count += len(item)
            if count >= limit:
                return limit
            waiting.extend(item.values() if isinstance(item, Mapping) else item)
    return count


def walk(value: object) -> Iterator[object]:
    """Yield a value and all that is in it.

    Example:
        >>> list(walk([1, [2]]))
        [[1, [2]], [2], 2, 1]
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _is_plain(value: object) -> bool:
    """Return whether it is a small object of scalars and short texts, as nearly all contexts are."""
    if type(value) is not dict or len(value) > _PLAIN_SIZE:
        return False
    for key, item in value.items():
        if type(key) is not str or len(key) > _PLAIN_TEXT:
            return False
        if len(item) > _PLAIN_TEXT if type(item) is str else type(item) not in _PLAIN_KINDS:
            return False
    return True


def _key_size(item: object) -> int:
    return sum(map(len, map(str, item))) if isinstance(item, Mapping) else 0


def readings(value: object, path: Sequence[str]) -> Iterator[object]:
    """Yield every value a dotted path can mean: a key may have dots in its name.

    Example:
        >>> list(readings({"a": {"b": 1}, "a.b": 2}, ["a", "b"]))
        [1, 2]
    """
    if not path:
        yield value
    elif isinstance(value, Mapping):
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in value:
                yield from readings(value[key], path[length:])


def shown(value: object, *, exact: bool = False) -> Any:
    """Return a value as JSON that is bounded in size, for an explanation.

    A decimal becomes text, since the standard library writes no decimals; with ``exact`` it stays one.

    Example:
        >>> shown({"note": "x" * 300, "big": float("inf")})["big"]
        'inf'
    """
    return _Shower(exact=exact).show(value, 0)


class _Shower:
    """Shows one value, and no more of it than there is room for."""

    __slots__ = ("_exact", "_room")

    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self._room = MAX_SHOWN

    def show(self, value: object, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        kind = kind_of(value)
        if kind == "text":
            return self._text(str(value))
        if kind in {"object", "list"} and (depth >= MAX_SHOWN_DEPTH or self._room <= 0):
            return "…"
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list | tuple):
            items = [self.show(item, depth + 1) for item in value[:MAX_SHOWN_ITEMS]]
            return items + ["…"] * (len(value) > MAX_SHOWN_ITEMS)
        return self._number(value)

    def _object(self, value: Mapping[str, object], depth: int) -> dict[str, Any]:
        pairs = zip(range(MAX_SHOWN_ITEMS), value.items(), strict=False)
        found = {self._text(str(key)): self.show(item, depth + 1) for _, (key, item) in pairs}
        return found | ({"…": "…"} if len(value) > MAX_SHOWN_ITEMS else {})

    def _number(self, value: object) -> Any:
        if isinstance(value, int):
            self._room -= value.bit_length() // 3
            return value if value.bit_length() <= _MAX_SHOWN_BITS else "a very large number"
        if isinstance(value, float):
            return value if isfinite(value) else repr(value)
        if isinstance(value, Decimal):
            is_short = len(value.as_tuple().digits) <= MAX_SHOWN_TEXT
            return value if self._exact and value.is_finite() and is_short else self._text(str(value))
        return type(value).__name__

    def _text(self, text: str) -> str:
        longest = min(MAX_SHOWN_TEXT, max(self._room, 1))
        self._room -= len(text)
        text = text if len(text) <= longest else text[:longest] + "…"
        return text.encode("utf-8", "backslashreplace").decode() if not text.isprintable() else text
