"""Templates for actions and resources, filled with arguments of a call."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from meshguard import exact_json
from meshguard._wire.requests import is_sendable
from meshguard.exceptions import ConfigurationError
from meshguard.guard.arguments import UndecidableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
# Separators of actions, wildcards, and what could give a path or a URL a second reading.
_RESERVED = re.compile(r"[*:\\%?#]")
_MAX_DIGITS = 100


@dataclass(frozen=True, slots=True)
class _Placeholder:
    name: str


class Template:
    """Text with arguments in braces, such as `read:{path}`. Doubled braces are literal.

    A filled value never reaches into another part of the text: it contains no separator, no wildcard and no
    dot segment. The only exception is a resource that is one argument, which is used as it is.

    Args:
        setting: The setting of the guard, for errors.
        text: The template.
        verbatim: Whether a template that is a single placeholder uses the value as it is.

    Raises:
        ConfigurationError: The template is not valid.
    """

    def __init__(self, setting: str, text: str, *, verbatim: bool = False) -> None:
        self._setting = setting
        self._parts = tuple(_parts(setting, text))
        self._verbatim = verbatim and len(self._parts) == 1

    @property
    def is_constant(self) -> bool:
        """Whether the template has no placeholders."""
        return not any(isinstance(part, _Placeholder) for part in self._parts)

    def fill(self, arguments: Mapping[str, object]) -> str:
        """Return the text for a call.

        Args:
            arguments: The arguments by name, as encoded JSON. Other values are not scalars.

        Raises:
            UndecidableError: An argument is missing, is not a scalar, or can't be used here.
        """
        return "".join(
            part if isinstance(part, str) else self._value(index, part, arguments)
            for index, part in enumerate(self._parts)
        )

    def _value(self, index: int, placeholder: _Placeholder, arguments: Mapping[str, object]) -> str:
        value = _scalar(arguments.get(placeholder.name))
        if placeholder.name not in arguments:
            problem: str | None = "is missing"
        elif value is None:
            problem = "is not text, a whole number or a boolean"
        elif not value:
            problem = "is empty"
        elif not is_sendable(value):
            problem = "contains control characters"
        else:
            problem = None if self._verbatim else _problem(value, *self._neighbors(index))
        if value is None or problem:
            raise UndecidableError(
                f"the argument {exact_json.shown(placeholder.name)} {problem}",
                f"The guard's {self._setting} needs it.",
            )
        return value

    def _neighbors(self, index: int) -> tuple[str, str]:
        """The literal texts before and after a placeholder."""
        before = self._parts[index - 1] if index else ""
        after = self._parts[index + 1] if index + 1 < len(self._parts) else ""
        return str(before), str(after)


def _parts(setting: str, text: str) -> Iterator[str | _Placeholder]:
    literal, end, adjacent = "", 0, False
    for token in _TOKEN.finditer(text):
        literal, end = literal + text[end : token.start()], token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
            continue
        name = token[0][1:-1]
        if not name:
            raise ConfigurationError(
                f"{setting} has an invalid template {text!r}: braces must contain the name of an argument. "
                "Write {{ and }} for literal braces."
            )
        if adjacent and not literal:
            raise ConfigurationError(
                f"{setting} has an invalid template {text!r}: two arguments need text between them."
            )
        if literal:
            yield literal
        yield _Placeholder(name)
        literal, adjacent = "", True
    if literal + text[end:]:
        yield literal + text[end:]


def _scalar(value: object) -> str | None:
    """The text of a scalar, given as JSON; whole numbers have one spelling."""
    if not isinstance(value, exact_json.Encoded):
        return None
    if value.text.startswith('"'):
        return str(json.loads(value.text))
    if value.text in ("true", "false"):
        return value.text
    if value.text.startswith(("[", "{", "n")):
        return None
    number = Decimal(value.text)
    is_whole = number.adjusted() < _MAX_DIGITS and number == number.to_integral_value()
    return str(int(number)) if is_whole else None


def _problem(value: str, before: str, after: str) -> str | None:
    """Why a value can't stand between these texts, or None."""
    reserved = _RESERVED.search(value)
    if reserved:
        return f"contains {reserved[0]!r}"
    if after and after[0] in value:
        return f"contains {after[0]!r}"
    if not value.isprintable() or value != value.strip():
        return "contains invisible characters, or starts or ends with a space"
    relative = value if before.endswith("/") else value.removeprefix("/")
    if {"", ".", ".."} & set(relative.split("/")):
        return "is a path with empty or dot segments"
    return None
