"""JSON as the gateway takes it: one meaning, or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from meshguard.policy.json_text import json_text
from meshguard.policy.numerals import MAX_DIGITS, exact_number

if TYPE_CHECKING:
    from decimal import Decimal

MAX_DEPTH = 64


class JsonError(ValueError):
    """The bytes are not JSON that the gateway takes; the message says why."""


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text (openapi.yaml, "Conventions").

    Args:
        body: The text in UTF-8.

    Raises:
        JsonError: It is no JSON, has a duplicate key, a number that can't be kept exactly, a lone surrogate,
            or more than 64 levels.
    """
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_exact,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        raise JsonError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise JsonError(f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise JsonError(_TOO_DEEP) from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _refuse_deep(value)
    if b"\\u" in body:
        _refuse_surrogates(value)
    return value


_TOO_DEEP = f"more than {MAX_DEPTH} levels of lists and objects"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"the key {json.dumps(key[:60])} is given twice")
            seen.add(key)
    return result


def _refuse_constant(text: str) -> NoReturn:
    raise JsonError(f"{text} is not a JSON number")


def _exact(text: str) -> float | Decimal:
    number, fault = exact_number(text)
    if number is None:
        raise JsonError(f"the number {text[:60]} is too large" if len(text) <= MAX_DIGITS else str(fault))
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise JsonError(f"the number {text[:20]}… has too many digits")
    return int(text)


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _containers(item)]
        if not level:
            return
    raise JsonError(_TOO_DEEP)


def _containers(value: Any) -> list[Any]:
    """Return the lists and objects directly inside a list or object."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]


def _refuse_surrogates(value: Any) -> None:
    try:
        json_text(value).encode()
    except UnicodeEncodeError:
        raise JsonError("text with half a surrogate pair is not Unicode") from None
