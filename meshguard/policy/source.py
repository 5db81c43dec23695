"""Policy text as a tree of values that know where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from meshguard.policy.faults import Fault, PolicyLoadError

MAX_BYTES = 1_048_576
MAX_VALUES = 10_000
MAX_DEPTH = 40

Scalar: TypeAlias = "str | int | float | Decimal | bool | None"
Value: TypeAlias = "Scalar | list[Node] | list[Entry]"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the source: a scalar, a list or an object (``entries``), and its place from 1.

    ``fault`` says why the value can't be taken as it stands, for instance an ambiguous number.
    """

    value: Scalar = None
    items: tuple[Node, ...] | None = None
    entries: tuple[Entry, ...] | None = None
    line: int | None = None
    column: int | None = None
    fault: str | None = None

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither a list nor an object."""
        return self.items is None and self.entries is None


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of an object and its value; the place is the key's."""

    key: str
    node: Node
    line: int | None = None
    column: int | None = None


class Budget:
    """How many more values and how much more depth a source may use."""

    def __init__(self, values: int) -> None:
        self._limit = values
        self._left = values

    def spend(self, depth: int, line: int | None = None, column: int | None = None) -> None:
        """Count one value at a depth.

        Raises:
            PolicyLoadError: The source is too large or too deep.
        """
        self._left -= 1
        if self._left < 0:
            advice = "split the policy in several, or write YAML as JSON"
            raise refusal(f"more than {self._limit:,} keys and values: {advice}", line, column)
        if depth > MAX_DEPTH:
            raise refusal(f"nested more than {MAX_DEPTH} deep", line, column)


def refusal(message: str, line: int | None = None, column: int | None = None) -> PolicyLoadError:
    """Return the error of a source that can't be read at all."""
    return PolicyLoadError([Fault("", message, None, line, column)])


def from_json_value(value: object) -> Node:
    """Return the tree of an already parsed JSON value.

    Raises:
        PolicyLoadError: The value is too large or too deep.
    """
    return _from_value(value, Budget(MAX_VALUES), 0)


def _from_value(value: object, budget: Budget, depth: int) -> Node:
    budget.spend(depth)
    if isinstance(value, Mapping):
        return Node(entries=tuple(_entry(key, item, budget, depth) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return Node(items=tuple(_from_value(item, budget, depth + 1) for item in value))
    if value is None or isinstance(value, str | int | float | Decimal):
        return Node(value)
    return Node(fault=f"a {type(value).__name__} is not a JSON value")


def _entry(key: object, value: object, budget: Budget, depth: int) -> Entry:
    budget.spend(depth)
    if not isinstance(key, str):
        raise refusal(f"the key {key!r:.60} is not text")
    return Entry(key, _from_value(value, budget, depth + 1))
