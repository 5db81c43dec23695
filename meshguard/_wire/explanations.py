"""Explanations of decisions: objects that print as a tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from meshguard.types import Explanation

_MAX_VALUE = 1_000  # characters


class _PrintedExplanation(dict[str, Any]):
    """The fields of an explanation, as they are on the wire."""

    def __str__(self) -> str:
        from meshguard.explanation_text import explanation_text  # noqa: PLC0415 - only when it is printed

        return explanation_text(self, _value_text)


def read_explanation(value: object) -> Explanation | None:
    """Return the explanation in a response; None without one."""
    return cast("Explanation", _PrintedExplanation(cast("Any", value))) if isinstance(value, dict) else None


def _value_text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"
