"""JSON text as a tree of values with line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING

from meshguard.policy.numerals import exact_number
from meshguard.policy.source import MAX_VALUES, Budget, Entry, Node, refusal

if TYPE_CHECKING:
    from meshguard.policy.faults import PolicyLoadError

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"true|false|null")


def read_json(text: str, values: int = MAX_VALUES) -> Node:
    """Return the tree of a JSON text of at most so many keys and values.

    Raises:
        PolicyLoadError: It is not JSON, too large or too deep.
    """
    return _Reader(text, Budget(values)).document()


class _Reader:
    def __init__(self, text: str, budget: Budget) -> None:
        self._text = text
        self._at = 0
        self._budget = budget
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def document(self) -> Node:
        node = self._value(0)
        self._skip_space()
        if self._at < len(self._text):
            raise self._refusal("text after the end of the policy")
        return node

    def _value(self, depth: int) -> Node:
        self._skip_space()
        line, column = self._place()
        self._budget.spend(depth, line, column)
        char = self._peek()
        if char == "{":
            return Node(entries=self._entries(depth), line=line, column=column)
        if char == "[":
            return Node(items=self._items(depth), line=line, column=column)
        if char == '"':
            return Node(self._string(), line=line, column=column)
        return self._word(line, column)

    def _word(self, line: int, column: int) -> Node:
        if match := _NUMBER.match(self._text, self._at):
            self._at = match.end()
            value, fault = exact_number(match.group())
            return Node(value, line=line, column=column, fault=fault)
        if match := _WORD.match(self._text, self._at):
            self._at = match.end()
            return Node(_WORDS[match.group()], line=line, column=column)
        raise self._refusal("a JSON value is expected here (text in double quotes, a finite number, …)")

    def _items(self, depth: int) -> tuple[Node, ...]:
        self._at += 1
        items: list[Node] = []
        while not self._closes("]", first=not items):
            items.append(self._value(depth + 1))
        return tuple(items)

    def _entries(self, depth: int) -> tuple[Entry, ...]:
        self._at += 1
        entries: list[Entry] = []
        while not self._closes("}", first=not entries):
            entries.append(self._entry(depth))
        return tuple(entries)

    def _entry(self, depth: int) -> Entry:
        self._skip_space()
        line, column = self._place()
        self._budget.spend(depth, line, column)
        if self._peek() != '"':
            raise self._refusal("a key in double quotes is expected here")
        key = self._string()
        self._skip_space()
        if self._peek() != ":":
            raise self._refusal("`:` is expected here")
        self._at += 1
        return Entry(key, self._value(depth + 1), line, column)

    def _closes(self, bracket: str, *, first: bool) -> bool:
        self._skip_space()
        char = self._peek()
        if char == bracket:
            self._at += 1
            return True
        if not first:
            if char != ",":
                raise self._refusal(f"`,` or `{bracket}` is expected here")
            self._at += 1
        return False

    def _string(self) -> str:
        try:
            text, self._at = scanstring(self._text, self._at + 1, True)
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._refusal(error.msg) from None
        return str(text)

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _place(self) -> tuple[int, int]:
        line = bisect_right(self._line_starts, self._at)
        return line, self._at - self._line_starts[line - 1] + 1

    def _refusal(self, message: str) -> PolicyLoadError:
        return refusal(f"not JSON: {message}", *self._place())
