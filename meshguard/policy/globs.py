"""Patterns with ``*``, matched without backtracking.

The time is bounded by the number of wildcards times the length of the text.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Span: TypeAlias = "tuple[int, int]"

_WILDCARD = re.compile(r"(\*+)")


class ActionPattern:
    """A pattern of actions: ``*`` matches any run of characters, all else is literal.

    Example:
        >>> ActionPattern("write:*:draft").matches("write:mail:to/all:draft")
        True
        >>> ActionPattern("read:*").matches("Read:mail")
        False
    """

    __slots__ = ("_middle", "exact", "prefix", "suffix")

    def __init__(self, pattern: str) -> None:
        literals = re.split(r"\*+", pattern)
        self.exact: bool = len(literals) == 1
        self.prefix: str = literals[0]
        self.suffix: str = "" if self.exact else literals[-1]
        self._middle = tuple(literals[1:-1])

    @property
    def is_prefix(self) -> bool:
        """Whether every text that starts with the prefix matches."""
        return not (self.exact or self.suffix or self._middle)

    @property
    def is_suffix(self) -> bool:
        """Whether every text that ends with the suffix matches."""
        return not (self.exact or self.prefix or self._middle)

    @property
    def literals(self) -> tuple[str, ...]:
        """What every text that matches contains."""
        return (self.prefix, *self._middle, self.suffix)

    def matches(self, action: str) -> bool:
        """Return whether the whole action matches."""
        if self.exact:
            return action == self.prefix
        start, end = len(self.prefix), len(action) - len(self.suffix)
        if start > end or not (action.startswith(self.prefix) and action.endswith(self.suffix)):
            return False
        for literal in self._middle:
            found = action.find(literal, start, end)
            if found < 0:
                return False
            start = found + len(literal)
        return True


class Glob:
    """A pattern of paths: ``*`` stops at ``/``, ``**`` does not, all else is literal.

    Example:
        >>> Glob("/srv/*/data/**").matches("/srv/eu/data/2026/01.csv")
        True
        >>> Glob("*.pem").matches("keys/server.pem")
        False
    """

    __slots__ = ("_first", "_last", "_steps")

    def __init__(self, pattern: str) -> None:
        parts = _WILDCARD.split(pattern)
        self._first = parts[0]
        self._last = parts[-1] if len(parts) > 1 else None
        self._steps = tuple(zip((len(wildcard) > 1 for wildcard in parts[1::2]), parts[2::2], strict=True))

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches."""
        if self._last is None:
            return text == self._first
        if not (text.startswith(self._first) and text.endswith(self._last)):
            return False
        spans = [(len(self._first), len(self._first))]
        for crosses, literal in self._steps[:-1]:
            spans = _after(text, _widened(text, spans, crosses=crosses), literal)
            if not spans:
                return False
        spans = _widened(text, spans, crosses=self._steps[-1][0])
        end = len(text) - len(self._last)
        return any(start <= end <= stop for start, stop in spans)


def _widened(text: str, points: list[Span], *, crosses: bool) -> list[Span]:
    """Return where a wildcard that starts at one of the points can end."""
    if crosses:
        return [(points[0][0], len(text))]
    return [(start, _end_of_segment(text, start)) for start, _ in points]


def _end_of_segment(text: str, start: int) -> int:
    slash = text.find("/", start)
    return len(text) if slash < 0 else slash


def _after(text: str, spans: list[Span], literal: str) -> list[Span]:
    """Return the points after a literal that starts in one of the spans: the first of each path segment.

    A later point of the same segment can reach nothing that the first can't.
    """
    points: list[Span] = []
    for start, stop in spans:
        at = start
        while (at := text.find(literal, at, stop + len(literal))) >= 0:
            end = at + len(literal)
            points.append((end, end))
            at = max(at, _end_of_segment(text, end) - len(literal)) + 1
    return points
