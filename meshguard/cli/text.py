"""Text that is safe to show on a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_WIDTH = 100  # columns of prose; tables may be wider

_CONTROLS = re.compile(r"[^ -~]")


def printable(text: object) -> str:
    r"""Return a text that cannot control the terminal: other characters become U+FFFD.

    Example:
        >>> printable("red\x1b[31m")
        'red\ufffd[31m'
    """
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def to_json(value: Any, *, indent: int | None = None) -> str:
    r"""Return JSON in which every character that could control a terminal is escaped.

    Example:
        >>> to_json({"name": "ä\x9b"})
        '{"name": "ä\\u009b"}'
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return _CONTROLS.sub(lambda found: _escaped(found[0]), text)


def _escaped(char: str) -> str:
    return char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]


def use_color(stream: TextIO) -> bool:
    """Whether to color what is written to a stream: only on a terminal, and not with NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """The columns of the terminal; of `COLUMNS`, or 80, without one."""
    return max(shutil.get_terminal_size().columns, 20)


def table_width() -> int:
    """The columns of a table: of the terminal, and without a limit in a pipe, unless `COLUMNS` is set."""
    return width() if sys.stdout.isatty() or os.environ.get("COLUMNS") else sys.maxsize


def wrap(text: str, columns: int) -> list[str]:
    """Break a text into lines between words only; a longer word has a line to itself."""
    return textwrap.wrap(text, max(columns, 1), break_long_words=False, break_on_hyphens=False) or [""]


def paragraphs(text: str, columns: int) -> Iterator[str]:
    """Yield the lines of a text: paragraphs are filled, and indented lines kept as they are."""
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if any(line.startswith(" ") for line in lines):
            yield from lines
        else:
            yield from wrap(" ".join(lines), columns)
        yield ""


def closest(name: str, names: Iterable[str]) -> str:
    """Return a sentence that suggests the most similar name, or an empty text.

    Example:
        >>> closest("suport", ["support", "sales"])
        ' Did you mean "support"?'
    """
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), 1)
    return f' Did you mean "{printable(found[0])}"?' if found else ""


def write_error(message: str) -> None:
    """Write one error message to stderr: one line, which is wrapped on a terminal."""
    lines = for_stderr(f"Error: {message}")
    if use_color(sys.stderr):
        lines = lines.replace("Error:", "\x1b[1;31mError:\x1b[0m", 1)
    print(lines, file=sys.stderr)


def for_stderr(text: str) -> str:
    """Return a printable text for stderr, wrapped between words on a terminal."""
    lines = [printable(line) for line in text.split("\n")]
    if sys.stderr.isatty():
        lines = [part for line in lines for part in wrap(line, width())]
    return "\n".join(lines)
