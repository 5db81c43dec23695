"""JSON text of Python values: exact, or an error.

A value is encoded only if its JSON value is unambiguous. Nothing is rounded, omitted or replaced: what JSON
cannot represent is an `InexactError`, so that no fact of a call can disappear on its way to a policy.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import pathlib
import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from json.encoder import encode_basestring
from typing import Any, Self, cast

MAX_DEPTH = 50  # levels of lists and objects; our gateway reads 64, and the request has some of its own
MAX_SIZE = 10_000_000  # characters; gateways take less
_VALUE_SIZE = 100  # what a value counts besides its characters

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMPY_NUMBERS = frozenset("biuf")  # kinds of dtype: booleans, integers, floats


class InexactError(ValueError):
    """A value has no exact JSON value.

    Attributes:
        name: The member that holds it, if it is in an object.
        cause: What is in the way, as in "it holds …"; never a value.
    """

    def __init__(self, cause: str, name: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.name = name


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """JSON text that goes into other JSON as it is."""

    text: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a JSON text that has no single meaning; it can't be encoded.

    Attributes:
        cause: What is in the way, as in "it holds …"; never a value.
        key: The key that comes twice, if that is why.
    """

    cause: str
    key: str | None = None


class WrittenNumber(float):
    """A number of a JSON text with more digits than a float holds; constructed from the text."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Self:
        """Make a number of its text."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def encode(value: object) -> str:
    """Return the JSON text of a value.

    - Numbers are exact: `int`, `float`, `Decimal`, `Fraction` with a finite decimal, scalars of NumPy.
    - An enum is its value; a list or tuple a list; a mapping with text as keys, a dataclass or a Pydantic
      model an object; a date, time, UUID or path its standard text.

    Raises:
        InexactError: It holds anything else, a number that is not finite, itself, half a surrogate pair, two
            keys with the same text, or too much.

    Example:
        >>> from decimal import Decimal
        >>> encode({"amount": Decimal("100.000000000000000001"), "to": ("Ada", None)})
        '{"amount":100.000000000000000001,"to":["Ada",null]}'
    """
    return _Encoder().text(value)


def encode_members(members: Mapping[Any, Any]) -> dict[str, Encoded]:
    """Return an object's members, each encoded on its own.

    Raises:
        InexactError: A member has no exact JSON value; `name` says which.
    """
    encoded: dict[str, Encoded] = {}
    for key, value in members.items():
        try:
            encoded[_new_key(key, encoded)] = Encoded(encode(value))
        except InexactError as error:
            raise InexactError(error.cause, shown(key)) from None
    return encoded


def shown(name: object) -> str:
    """Return a name as an error shows it."""
    return repr(str.__str__(name)[:60]) if isinstance(name, str) else f"of type {type(name).__name__}"


def decode(text: str | bytes) -> Any:
    """Return the value of a JSON text, such that `encode` returns its numbers as written.

    A part with no single meaning (a key that comes twice) becomes `Unreadable`, and a number that is not
    finite a float that is not: neither can be encoded.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=_number, parse_int=_integer)
    except RecursionError:
        raise ValueError("too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unreadable:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    return Unreadable("a key that comes twice", next(iter(Counter(names).most_common(1)))[0])


def _number(text: str) -> float | Unreadable:
    number = float(text)
    if math.isinf(number):
        return number
    try:
        return number if Decimal(repr(number)) == Decimal(text) else WrittenNumber(text)
    except ArithmeticError:
        return Unreadable(_OUT_OF_RANGE)


def _integer(text: str) -> int | Unreadable:
    try:
        return int(text)
    except ValueError:
        return Unreadable(_TOO_MANY_DIGITS)


class _Encoder:
    """One encoding: how much it wrote, and what it is inside of."""

    def __init__(self) -> None:
        self._left = MAX_SIZE
        self._inside: set[int] = set()

    def text(self, value: object) -> str:
        if type(value) is Encoded:
            return value.text
        write = _WRITERS.get(type(value))
        if write is not None:
            return self._counted(write(value))
        self._counted("")
        return self._structure(value)

    def _counted(self, text: str) -> str:
        self._left -= len(text) + _VALUE_SIZE
        if self._left < 0:
            raise InexactError("too much")
        return text

    def _structure(self, value: object) -> str:
        if len(self._inside) >= MAX_DEPTH:
            raise InexactError(f"more than {MAX_DEPTH} levels")
        if id(value) in self._inside:
            raise InexactError("itself")
        self._inside.add(id(value))
        try:
            return self._members(value)
        except InexactError:
            raise
        except Exception:  # noqa: BLE001 - classes raise what they like
            raise InexactError(_unknown(value)) from None
        finally:
            self._inside.discard(id(value))

    def _members(self, value: object) -> str:
        for base, meaning in _MEANINGS:
            if isinstance(value, base):
                return self._meant(meaning(value))
        if (number := _numpy_number(value)) is not None:
            return self.text(number)
        fields = _fields(value)
        if fields is None:
            raise InexactError(_unknown(value))
        return self._meant(fields)

    def _meant(self, meaning: Any) -> str:
        if isinstance(meaning, _Items):
            return f"[{','.join(map(self.text, meaning.items))}]"
        if isinstance(meaning, _Pairs):
            return self._object(meaning.pairs)
        return self.text(meaning)

    def _object(self, pairs: Iterable[tuple[Any, Any]]) -> str:
        members: dict[str, str] = {}
        for key, value in pairs:
            name = _new_key(key, members)
            members[name] = f"{self._counted(encode_basestring(name))}:{self.text(value)}"
        return f"{{{','.join(members.values())}}}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Items:
    items: Iterable[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: Iterable[tuple[Any, Any]]


_TOO_MANY_DIGITS = "a number with too many digits"
_NOT_FINITE = "a number that is not finite"
_OUT_OF_RANGE = "a number beyond the range of JSON readers"


def _unknown(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _new_key(key: object, known: Mapping[str, object]) -> str:
    if not isinstance(key, str):
        raise InexactError("a key that is not text")
    name = _sound(str.__str__(key))
    if name in known:
        raise InexactError("two keys with the same text")
    return name


def _sound(text: str) -> str:
    if _SURROGATE.search(text):
        raise InexactError("half a surrogate pair")
    return text


def _write_text(text: str) -> str:
    return str(encode_basestring(_sound(text)))


def _write_int(number: int) -> str:
    try:
        return int.__repr__(number)
    except ValueError:
        raise InexactError(_TOO_MANY_DIGITS) from None


def _write_float(number: float) -> str:
    if not math.isfinite(number):
        raise InexactError(_NOT_FINITE)
    return float.__repr__(number)


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _write_text,
    int: _write_int,
    float: _write_float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}


def _decimal(number: Decimal) -> Encoded:
    if not number.is_finite():
        raise InexactError(_NOT_FINITE)
    approximate = float(number)
    if math.isinf(approximate) or (number and not approximate):
        raise InexactError(_OUT_OF_RANGE)
    return Encoded(Decimal.__str__(number) if number else "0")


def _fraction(number: Fraction) -> Encoded | int:
    rest, places = number.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        raise InexactError("a fraction without a finite decimal")
    if not places:
        return number.numerator
    return _decimal(Decimal(f"{number.numerator * 10**places // number.denominator}E-{places}"))


def _enum(member: enum.Enum) -> Any:
    """The value; a member that is itself a text or a number must be the same one."""
    value = member.value
    for base, plain in _PLAIN:
        if isinstance(member, base) and not (type(value) is base and plain(member) == value):
            raise InexactError(_unknown(member))
    return value


def _numpy_number(value: object) -> bool | int | float | None:
    """A scalar of NumPy, if that is imported at all; `item` returns a longdouble as it is."""
    generic = getattr(sys.modules.get("numpy"), "generic", None)
    scalar: Any = value
    if generic is None or not isinstance(scalar, generic) or scalar.dtype.kind not in _NUMPY_NUMBERS:
        return None
    number = scalar.item()
    return number if type(number) in {bool, int, float} else None


def _fields(value: object) -> Any:
    """The fields of a dataclass or a Pydantic model: all of them, those that it does not dump included."""
    kind = type(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Unreadable):
        return _Pairs([(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)])
    fields: Any = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "model_fields", None)
    if not isinstance(fields, dict):
        return None
    names = cast("dict[str, Any]", fields)
    if getattr(kind, "__pydantic_root_model__", False):
        return value.__dict__["root"]
    extra: dict[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
    return _Pairs([*((name, value.__dict__[name]) for name in names), *extra.items()])


def _unreadable(part: Unreadable) -> Any:
    raise InexactError(part.cause)


# Typed as Any, since the methods of a bare class have unknown types.
_DICT: Any = dict
_LIST: Any = list
_TUPLE: Any = tuple
_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)
_MEANINGS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Unreadable, _unreadable),
    (enum.Enum, _enum),
    (str, str.__str__),
    (WrittenNumber, lambda number: _decimal(Decimal(number.text))),
    (int, lambda number: Encoded(_write_int(number))),
    (float, lambda number: Encoded(_write_float(number))),
    (Decimal, _decimal),
    (Fraction, _fraction),
    (dict, lambda value: _Pairs(_DICT.items(value))),
    (list, lambda value: _Items(_LIST.__iter__(value))),
    (tuple, lambda value: _Items(_TUPLE.__iter__(value))),
    (Mapping, lambda value: _Pairs(value.items())),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    ((uuid.UUID, pathlib.PurePath), str),
)
