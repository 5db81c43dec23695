"""Numbers as they are written, kept exactly or rejected."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from math import isfinite

MAX_DIGITS = 1_000
MAX_EXPONENT = 1_000
_TOO_LARGE = 10**MAX_DIGITS
_INTEGER = re.compile(r"[-+]?[0-9]+")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_EXACT = Context(prec=MAX_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
_SUM = Context(prec=MAX_DIGITS + 2 * MAX_EXPONENT)
_NOT_EXACT = "is too large or too precise to be kept exactly"


def exact_number(text: str) -> tuple[int | float | Decimal | None, str | None]:
    """Return the number a decimal numeral means, or why it can't be kept exactly.

    A float stands for the decimal that it is written as. Numbers that no float stands for are decimals
    without trailing zeros, so that equal ones are written alike.

    Example:
        >>> exact_number("9007199254740993"), exact_number("0.10")
        ((9007199254740993, None), (0.1, None))
        >>> exact_number("9007199254740992.90")
        (Decimal('9007199254740992.9'), None)
        >>> exact_number("1e999999999")
        (None, '`1e999999999` is too large or too precise to be kept exactly')
    """
    if len(text) > MAX_DIGITS:
        return None, f"a number of more than {MAX_DIGITS:,} digits"
    if _INTEGER.fullmatch(text):
        return int(text), None
    number = _fraction(text)
    return number, f"`{text:.60}` {_NOT_EXACT}" if number is None else None


def _fraction(text: str) -> float | Decimal | None:
    number = float(text)
    if repr(number) == text:
        return number
    exponent = _EXPONENT.search(text)
    if exponent and abs(int(exponent[1])) > MAX_DIGITS + MAX_EXPONENT:
        return None
    exact = Decimal(text)
    if isfinite(number) and Decimal(repr(number)) == exact:
        return number
    return exact.normalize(_EXACT) if abs(exact.adjusted()) <= MAX_EXPONENT else None


def neighbors(number: float | Decimal) -> tuple[int | float | Decimal, int | float | Decimal]:
    """Return the numbers one above and one below.

    Example:
        >>> neighbors(Decimal("9007199254740992.9"))
        (Decimal('9007199254740993.9'), Decimal('9007199254740991.9'))
    """
    if isinstance(number, Decimal):
        return _SUM.add(number, 1), _SUM.subtract(number, 1)
    return number + 1, number - 1


def number_fault(number: float | Decimal) -> str | None:
    """Return why a parsed number can't be kept; None when it can.

    Example:
        >>> number_fault(float("nan"))
        'a number that is not finite'
    """
    if isinstance(number, Decimal):
        return _decimal_fault(number)
    if isinstance(number, float):
        return None if isfinite(number) else "a number that is not finite"
    return f"a number of more than {MAX_DIGITS:,} digits" if abs(number) >= _TOO_LARGE else None


def _decimal_fault(number: Decimal) -> str | None:
    if not number.is_finite():
        return "a number that is not finite"
    if len(number.as_tuple().digits) > MAX_DIGITS or (number and abs(number.adjusted()) > MAX_EXPONENT):
        return f"a number that {_NOT_EXACT}"
    return None
