"""What can be wrong with a policy, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING

from meshguard.explanation_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FAULTS = 100
_MAX_GUESS_LENGTH = 64
_MAX_SHOWN = 60
_MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a policy.

    Args:
        path: JSON pointer to the place, such as ``/rules/0/effect``; empty for the whole policy.
        message: What is wrong and what to write instead.
        file: The file's name, when there is a file.
        line: Line, from 1, when the source was text.
        column: Column, from 1, when the source was text.

    Example:
        >>> print(Fault("/rules/0/effect", "write `allow` or `deny`", "support.yaml", 3, 13))
        support.yaml:3:13: /rules/0/effect: write `allow` or `deny`
    """

    path: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return file, line, column, path and message in one line."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class PolicyLoadError(ValueError):
    """A policy, or a directory of them, was refused; nothing of it is in force.

    Args:
        faults: Everything that is wrong, in the order of the source (language page, "Loading").

    Example:
        >>> error = PolicyLoadError([Fault("/rules", "`rules` is missing")])
        >>> [fault.path for fault in error.faults]
        ['/rules']
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def pointer_part(key: str) -> str:
    """Return a key as a part of a JSON pointer.

    Example:
        >>> pointer_part("a/b~c")
        'a~1b~0c'
    """
    return key[:_MAX_KEY].replace("~", "~0").replace("/", "~1")


def quoted(value: object) -> str:
    """Return a value as it is shown in a message: short, in backquotes, on one line.

    Example:
        >>> quoted("allwo")
        '`allwo`'
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _MAX_SHOWN * 3:
        return "a very large number"
    text = value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else repr(value)
    text = printable(text[: _MAX_SHOWN + 1])
    return f"`{text[:_MAX_SHOWN]}…`" if len(text) > _MAX_SHOWN else f"`{text}`"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a hint that names the nearest valid word, or all of them when none is near.

    Example:
        >>> did_you_mean("startswith", ["startsWith", "endsWith"])
        'did you mean `startsWith`?'
        >>> did_you_mean("regex", ["startsWith", "endsWith"])
        'write one of `startsWith`, `endsWith`'
    """
    known = list(known)
    nearest = _nearest(word, known)
    if nearest:
        return f"did you mean `{nearest}`?"
    return f"write one of {', '.join(f'`{name}`' for name in known)}"


def _nearest(word: object, known: list[str]) -> str | None:
    if not isinstance(word, str) or len(word) > _MAX_GUESS_LENGTH:
        return None
    by_folded = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None
