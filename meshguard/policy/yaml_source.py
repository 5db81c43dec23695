"""YAML 1.2 text as a tree of values with line and column; no tags, anchors or aliases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from meshguard.policy.numerals import exact_number
from meshguard.policy.source import MAX_DEPTH, Budget, Entry, Node, Scalar, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshguard.policy.faults import PolicyLoadError

# ruamel's pure parser takes some 15 µs a value and 0.3 µs a character
MAX_YAML_VALUES = 4_000
MAX_LINE = 8_192
MAX_LINES = 20_000
MAX_SCALAR = 16_384

_LONG_LINE = re.compile(rf"^.{{{MAX_LINE + 1}}}", re.MULTILINE)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "false": False}
_UNSURE_BOOLEANS = {"True", "TRUE", "False", "FALSE"}
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_RADIX = re.compile(r"0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_yaml(text: str, values: int = MAX_YAML_VALUES) -> Node:
    """Return the tree of a YAML text of at most so many keys and values.

    Raises:
        PolicyLoadError: It is not YAML, uses what policies do without, or is too large or too deep.
    """
    _check_lines(text)
    try:
        return _Reader(_events(text), Budget(values)).document()
    except ReaderError as error:
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else "a byte"
        raise refusal(f"not YAML: {character} is not allowed here", *_place_of(text, error)) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not YAML: {error.problem or error.context}"
        raise refusal(message, *((mark.line + 1, mark.column + 1) if mark else ())) from None
    except (YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, ValueError) and hasattr(error, "faults"):
            raise
        raise refusal("not YAML") from error


def _check_lines(text: str) -> None:
    if text.count("\n") > MAX_LINES:
        raise refusal(f"more than {MAX_LINES:,} lines: split the policy in several", MAX_LINES + 1, 1)
    if found := _LONG_LINE.search(text):
        number = text.count("\n", 0, found.start()) + 1
        raise refusal(f"a line of more than {MAX_LINE:,} characters: break it up", number, 1)


def _place_of(text: str, error: ReaderError) -> tuple[int, int]:
    before = text[: error.position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _BoundedScanner(Scanner):
    """Stops in time: at deep nesting, which takes the square of the depth to scan, and in long texts."""

    _scalar_start = 0

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """Scan what is between two lines of a plain text, when it is not too long."""
        self._check_length(start_mark.index)
        return super().scan_plain_spaces(indent, start_mark)

    def scan_flow_scalar_spaces(self, double: Any, start_mark: Any) -> Any:
        """Scan what is between two lines of a quoted text, when it is not too long."""
        self._check_length(start_mark.index)
        return super().scan_flow_scalar_spaces(double, start_mark)

    def scan_block_scalar(self, style: Any, rt: Any = False) -> Any:
        """Scan a block of text."""
        self._scalar_start = self.reader.index
        return super().scan_block_scalar(style, rt)

    def scan_block_scalar_breaks(self, indent: Any) -> Any:
        """Scan what is between two lines of a block of text, when it is not too long."""
        self._check_length(self._scalar_start)
        return super().scan_block_scalar_breaks(indent)

    def _check_length(self, start: int) -> None:
        if self.reader.index - start > MAX_SCALAR:
            raise refusal(f"a text of more than {MAX_SCALAR:,} characters", self.reader.line + 1, 1)

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        """Fetch `[` or `{`, when it is not too deep."""
        super().fetch_flow_collection_start(TokenClass, to_push)
        if len(self.flow_context) > MAX_DEPTH + 1:
            raise refusal(f"nested more than {MAX_DEPTH} deep", self.reader.line + 1, self.reader.column + 1)


def _events(text: str) -> Iterator[Event]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _BoundedScanner
    events: Iterator[Event] = yaml.parse(text)
    return events


class _Reader:
    def __init__(self, events: Iterator[Event], budget: Budget) -> None:
        self._events = events
        self._budget = budget

    def document(self) -> Node:
        next(self._events)
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            return Node(line=1, column=1)
        self._check_directives(start)
        node = self._node(next(self._events), 0)
        next(self._events)
        if isinstance(another := next(self._events), DocumentStartEvent):
            raise _refused(another, "a second document: one policy a file")
        return node

    def _check_directives(self, start: DocumentStartEvent) -> None:
        if start.tags or (start.version and tuple(start.version) != (1, 2)):
            raise _refused(start, "directives are not allowed: policies are YAML 1.2")

    def _node(self, event: Event, depth: int) -> Node:
        line, column = _place(event)
        self._budget.spend(depth, line, column)
        _refuse_extras(event)
        if isinstance(event, MappingStartEvent):
            return Node(entries=tuple(self._entries(depth)), line=line, column=column)
        if isinstance(event, SequenceStartEvent):
            return Node(items=tuple(self._items(depth)), line=line, column=column)
        value, fault = _scalar(cast("ScalarEvent", event))
        return Node(value, line=line, column=column, fault=fault)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[Entry]:
        while not isinstance(event := next(self._events), MappingEndEvent):
            line, column = _place(event)
            self._budget.spend(depth, line, column)
            _refuse_extras(event)
            if not isinstance(event, ScalarEvent):
                raise _refused(event, "a list or an object can't be a key")
            yield Entry(_joined(event.value), self._node(next(self._events), depth + 1), line, column)


def _refuse_extras(event: Event) -> None:
    if isinstance(event, AliasEvent):
        raise _refused(event, "aliases (`*name`) are not allowed: write the value out, or quote the text")
    if not isinstance(event, ScalarEvent | CollectionStartEvent):
        return
    if event.anchor is not None:
        raise _refused(event, "anchors (`&name`) are not allowed: write the value out, or quote the text")
    if event.ctag is not None:
        raise _refused(event, "tags (`!name`) are not allowed: leave it out, or quote the text")


def _scalar(event: ScalarEvent) -> tuple[Scalar, str | None]:
    text = _joined(event.value)
    if event.style is not None:
        return text, None
    if text in _NULL:
        return None, None
    if text in _BOOLEANS:
        return _BOOLEANS[text], None
    if text in _UNSURE_BOOLEANS:
        return None, f'write `{text.lower()}` for the boolean, or `"{text}"` in quotes for the text'
    return _number_or_text(text)


def _number_or_text(text: str) -> tuple[Scalar, str | None]:
    if _NOT_FINITE.fullmatch(text):
        return None, f'`{text}` is not a finite number; for the text write `"{text}"` in quotes'
    if _LEADING_ZERO.fullmatch(text):
        return None, f"`{text:.60}` could be octal: write the number without zeros, or the text in quotes"
    if _RADIX.fullmatch(text):
        return int(text, 0), None
    if _NUMBER.fullmatch(text):
        return exact_number(text)
    return text, None


def _joined(text: str) -> str:
    r"""Return text whose escaped surrogate pairs, as JSON writes them (``\ud83d\ude00``), are joined."""
    if text.isprintable():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _place(event: Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refused(event: Event, message: str) -> PolicyLoadError:
    return refusal(message, *_place(event))
