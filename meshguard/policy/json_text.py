"""JSON text in which every number stays exactly what it is."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from meshguard.policy.numerals import exact_number


class _DecimalError(TypeError):
    """The standard encoder would round or reject a number."""


def _no_decimal(value: object) -> NoReturn:
    if isinstance(value, Decimal):
        raise _DecimalError
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_COMPACT = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False, default=_no_decimal
)
_SPACED = json.JSONEncoder(ensure_ascii=False, check_circular=False, default=_no_decimal)


def json_text(value: object, *, spaced: bool = False) -> str:
    """Return a value as JSON text on one line: compact, or with spaces for people.

    Example:
        >>> from decimal import Decimal
        >>> json_text({"amount": Decimal("9007199254740992.9")})
        '{"amount":9007199254740992.9}'
    """
    encoder = _SPACED if spaced else _COMPACT
    try:
        return encoder.encode(value)
    except _DecimalError:
        return _exact_text(value, encoder)


def _exact_text(value: object, encoder: json.JSONEncoder) -> str:
    comma, colon = encoder.item_separator, encoder.key_separator
    if isinstance(value, dict):
        members = (f"{encoder.encode(key)}{colon}{_exact_text(value[key], encoder)}" for key in value)
        return "{" + comma.join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + comma.join(_exact_text(item, encoder) for item in value) + "]"
    return str(value) if isinstance(value, Decimal) else encoder.encode(value)


def exact_json(text: str | bytes) -> Any:
    """Return the value of a JSON text of our own, such as a column of the database, with exact numbers.

    Raises:
        ValueError: It is not JSON, or has a number that can't be kept exactly.

    Example:
        >>> exact_json('[0.5, 9007199254740992.9]')
        [0.5, Decimal('9007199254740992.9')]
    """
    return json.loads(text, parse_float=_exact)


def _exact(text: str) -> float | Decimal:
    number, fault = exact_number(text)
    if number is None:
        raise ValueError(fault)
    return number
