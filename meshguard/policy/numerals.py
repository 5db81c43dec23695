"""Numbers as they are written, kept exactly or refused."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite

MAX_DIGITS = 1_000
_TOO_LARGE = 10**MAX_DIGITS
_INTEGER = re.compile(r"[-+]?[0-9]+")


def exact_number(text: str) -> tuple[int | float | None, str | None]:
    """Return the number a decimal numeral means, or why it can't be kept exactly.

    Example:
        >>> exact_number("9007199254740993")
        (9007199254740993, None)
        >>> exact_number("1e400")
        (None, '`1e400` is too large or too precise to be kept exactly')
    """
    if len(text) > MAX_DIGITS:
        return None, f"a number of more than {MAX_DIGITS:,} digits"
    if _INTEGER.fullmatch(text):
        return int(text), None
    number = float(text)
    if not _stands_for(number, text):
        return None, f"`{text:.60}` is too large or too precise to be kept exactly"
    return number, None


def _stands_for(number: float, text: str) -> bool:
    return isfinite(number) and Decimal(repr(number)) == Decimal(text)


def number_fault(number: float) -> str | None:
    """Return why a parsed number can't be kept; None when it can.

    Example:
        >>> number_fault(float("nan"))
        'a number that is not finite'
    """
    if isinstance(number, float):
        return None if isfinite(number) else "a number that is not finite"
    return f"a number of more than {MAX_DIGITS:,} digits" if abs(number) >= _TOO_LARGE else None
