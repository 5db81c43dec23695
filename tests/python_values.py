"""Python values with the JSON text that each has exactly, or None: what arguments may be."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import pathlib
import types
import uuid
from collections import OrderedDict, UserDict, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any, Self

from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

Pair = tuple[Any, str | None]


class Level(enum.IntEnum):
    HIGH = 5000


class Word(enum.StrEnum):
    PAY = "pay"


class Price(enum.Enum):
    EXACT = Decimal("1000.10")
    NONE = float("nan")


class Torn(int, enum.Enum):
    """A member is one number, and its value another."""

    FIVE = 5

    def __new__(cls, value: int) -> Self:
        member = int.__new__(cls, value)
        member._value_ = value + 1
        return member


class Amount(int):
    """An int that lies about itself in all ways but one."""

    def __repr__(self) -> str:
        return "0"

    __str__ = __repr__

    def __gt__(self, _: object) -> bool:
        return False


class Text(str):
    """A text that is no key of its own."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        return False

    __hash__ = str.__hash__


class Liar:
    """It says that it is an int."""

    __class__ = int  # type: ignore[assignment]


class Raising(dict[str, Any]):
    def items(self) -> Any:
        raise AssertionError("its own items")


class Broken(UserDict[str, Any]):
    def items(self) -> Any:
        raise LookupError("no")


class Order(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    amount: Any
    hidden: int = Field(default=1, exclude=True)


class Amounts(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Payment:
    amount: Any
    to: str = "Ada"


Pair2 = namedtuple("Pair2", "amount to")  # noqa: PYI024 - without types on purpose

ITSELF: list[Any] = []
ITSELF.append(ITSELF)
CYCLE: dict[str, Any] = {}
CYCLE["inner"] = {"outer": (CYCLE,)}
DEEP: list[Any] = []
for _ in range(100):
    DEEP = [DEEP]
WIDE: list[Any] = [1]
for _ in range(40):
    WIDE = [WIDE, WIDE]  # 2 ** 40 numbers, in 41 lists

EXACT: dict[str, Pair] = {
    "int": (5000, "5000"),
    "large int": (2**53 + 1, "9007199254740993"),
    "float": (0.1, "0.1"),
    "bool": (True, "true"),
    "none": (None, "null"),
    "text": ('5"000', '"5\\"000"'),
    "decimal": (Decimal(5000), "5000"),
    "decimal of a float": (Decimal("0.1"), "0.1"),
    "decimal beyond a float": (Decimal(9007199254740993), "9007199254740993"),
    "decimal with many digits": (Decimal("1000.0000000000000000000001"), "1000.0000000000000000000001"),
    "decimal exponent": (Decimal("5E+3"), "5E+3"),
    "decimal zero": (Decimal("-0E-9999"), "0"),
    "whole fraction": (Fraction(10000, 2), "5000"),
    "fraction": (Fraction(8001, 8), "1000.125"),
    "int enum": (Level.HIGH, "5000"),
    "text enum": (Word.PAY, '"pay"'),
    "enum": (Price.EXACT, "1000.10"),
    "int subclass": (Amount(5000), "5000"),
    "text subclass": (Text("pay"), '"pay"'),
    "list": ([1, [Decimal("0.5")]], "[1,[0.5]]"),
    "tuple": ((1, "a"), '[1,"a"]'),
    "named tuple": (Pair2(5000, "Ada"), '[5000,"Ada"]'),
    "mapping": ({"a": {"b": Fraction(1, 4)}}, '{"a":{"b":0.25}}'),
    "ordered mapping": (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    "read-only mapping": (types.MappingProxyType({"a": 1}), '{"a":1}'),
    "mapping with its own items": (Raising(a=1), '{"a":1}'),
    "text enum as a key": ({Word.PAY: 1}, '{"pay":1}'),
    "dataclass": (Payment(Decimal(5000)), '{"amount":5000,"to":"Ada"}'),
    "model": (
        Order.model_validate({"amount": Decimal(5000), "more": 2}),
        '{"amount":5000,"hidden":1,"more":2}',
    ),
    "root model": (Amounts([5000]), "[5000]"),
    "date": (dt.date(2026, 1, 2), '"2026-01-02"'),
    "time": (dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), '"2026-01-02T03:00:00+00:00"'),
    "uuid": (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    "path": (pathlib.PurePosixPath("/etc/passwd"), '"/etc/passwd"'),
}
INEXACT: dict[str, Any] = {
    "infinite": float("inf"),
    "1e999": 1e999,
    "nan": float("nan"),
    "infinite decimal": Decimal("Infinity"),
    "nan decimal": Decimal("NaN"),
    "signaling decimal": Decimal("sNaN"),
    "decimal beyond floats": Decimal("1E+999"),
    "decimal below floats": Decimal("1E-999"),
    "third": Fraction(1, 3),
    "complex": 5000j,
    "int with too many digits": 10**5000,
    "set": {5000},
    "frozen set": frozenset({5000}),
    "bytes": b"5000",
    "bytearray": bytearray(b"5000"),
    "object": object(),
    "class": Order,
    "function": len,
    "generator": (number for number in [5000]),
    "range": range(5000, 5001),
    "iterator": iter([5000]),
    "duration": dt.timedelta(days=1),
    "enum of nan": Price.NONE,
    "enum of two numbers": Torn.FIVE,
    "liar": Liar(),
    "broken mapping": Broken(a=1),
    "number as a key": {5000: 1},
    "none as a key": {None: 1},
    "two keys with one text": {Text("a"): 1, Text("a"): 2},
    "half a surrogate pair": "\ud800",
    "half a surrogate pair in a key": {"\udfff": 1},
    "itself": ITSELF,
    "cycle": CYCLE,
    "too deep": DEEP,
    "too wide": WIDE,
    "too long": "x" * 11_000_000,
    "set in a list": [1, {5000}],
    "nan in a mapping": {"a": {"b": [float("nan")]}},
    "object in a dataclass": Payment(object()),
    "bytes in a model": Order(amount=b"5000"),
    "hidden field of a model": Order.model_construct(amount=1, hidden={5000}),
    "set in an additional field": Order.model_validate({"amount": 1, "more": {5000}}),
}


def values() -> st.SearchStrategy[Pair]:
    """Any of these, and numbers, texts and structures made up."""
    leaves: st.SearchStrategy[Pair] = st.one_of(
        st.sampled_from(sorted(EXACT)).map(lambda name: EXACT[name]),
        st.sampled_from(sorted(name for name in INEXACT if not name.startswith("too "))).map(
            lambda name: (INEXACT[name], None)
        ),
        st.integers(-(10**30), 10**30).map(lambda number: (number, str(number))),
        st.floats().map(lambda number: (number, _number(number))),
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9).map(
            lambda number: (number, str(number) if number else "0")
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(
            lambda text: (text, json.dumps(text))
        ),
    )
    return st.recursive(leaves, _structures, max_leaves=5)


def _number(number: float) -> str | None:
    return repr(number) if number - number == 0 else None


def _structures(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    items = st.lists(inner, max_size=3)
    members = st.dictionaries(st.sampled_from(["a", "b", "amount"]), inner, max_size=3)
    return st.one_of(
        items.map(lambda pairs: ([value for value, _ in pairs], _listed(pairs))),
        items.map(lambda pairs: (tuple(value for value, _ in pairs), _listed(pairs))),
        members.map(lambda pairs: ({name: value for name, (value, _) in pairs.items()}, _object(pairs))),
        inner.map(lambda pair: (Payment(pair[0]), _object({"amount": pair, "to": ("Ada", '"Ada"')}))),
    )


def _listed(pairs: list[Pair]) -> str | None:
    texts = [text for _, text in pairs]
    return None if None in texts else f"[{','.join(map(str, texts))}]"


def _object(pairs: dict[str, Pair]) -> str | None:
    texts = {name: text for name, (_, text) in pairs.items()}
    if None in texts.values():
        return None
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"
