"""JSON text of Python values: exact, or an error."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.exact_json import MAX_DEPTH, InexactError, decode, encode, encode_members
from tests.python_values import EXACT, INEXACT, Pair, values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.parametrize("name", EXACT)
def test_a_value_with_a_json_value_is_exact(name: str) -> None:
    value, text = EXACT[name]
    assert encode(value) == text


@pytest.mark.parametrize("name", INEXACT)
def test_a_value_without_a_json_value_is_an_error(name: str) -> None:
    with pytest.raises(InexactError) as caught:
        encode(INEXACT[name])
    assert "5000" not in str(caught.value)


@given(pair=values())
def test_a_structure_is_exact_if_all_of_it_is(pair: Pair) -> None:
    value, text = pair
    try:
        encoded = encode(value)
    except InexactError:
        encoded = None
    assert encoded == text or (text is not None and encoded is not None and _same(encoded, text))


def _same(one: str, other: str) -> bool:
    read: Any = (json.loads(text, parse_float=Decimal) for text in (one, other))
    first, second = read
    return bool(first == second)


@given(value=JSON)
def test_json_survives_both_ways(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "text",
    ["0.1", "100.000000000000001", "9007199254740992.9", "1e5", "-0.5", "123456789012345678901234567890"],
)
def test_a_number_of_a_text_stays_as_it_was_written(text: str) -> None:
    assert Decimal(encode(decode(text))) == Decimal(text)
    assert isinstance(decode(text), int | float)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "1e-99999999999999999999",
        "0e99999999999999999999", "1" * 5000, '{"a": 1, "a": 1}', '{"b": [{"a": 1, "a": 2}]}', '"\\ud800"',
    ],
)  # fmt: skip
def test_a_text_without_a_single_meaning_cannot_be_encoded(text: str) -> None:
    with pytest.raises(InexactError):
        encode(decode(text))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "{} {}", "nan", b"\xff"])
def test_what_is_not_json_is_an_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_depth_has_a_limit() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert encode(nested).startswith("[[")
    with pytest.raises(InexactError, match="more than 50 levels"):
        encode([nested])


def test_one_value_in_two_places_is_no_cycle() -> None:
    shared = {"a": 1}
    assert encode([shared, shared]) == '[{"a":1},{"a":1}]'


def test_an_error_names_the_member_and_no_value() -> None:
    with pytest.raises(InexactError) as caught:
        encode_members({"amount": 1, "secret": {"hunter2"}})
    assert (caught.value.name, caught.value.cause) == ("'secret'", "a value of type set")


@pytest.mark.parametrize("key", [1, None, "\ud800", "x" * 500])
def test_a_name_is_shown_as_printable_text(key: Any) -> None:
    with pytest.raises(InexactError) as caught:
        encode_members({key: {1}})
    assert caught.value.name is not None
    assert len(caught.value.name) < 100
    caught.value.name.encode()
