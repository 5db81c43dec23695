"""Every number that JSON can write is compared as it is written, wherever it comes from."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshguard.audit_verify import canonical
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.policy import Agent, PolicyEngine, Request, load_policy
from meshguard.policy.json_text import exact_json, json_text
from meshguard.policy.numerals import MAX_DIGITS, exact_number
from meshguard.policy.testing import load_cases, run_cases

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AGENT = Agent("agent_1", "helper", "verified")
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "equals": operator.eq,
}
TRICKY = [
    "9007199254740992.9",
    "9007199254740993",
    "9007199254740993.0",
    "100.000000000000001",
    "100.0000000000000010",
    "100",
    "1e2",
    "0.1",
    "0.1000000000000000055511151231257827",
    "1e400",
    "1E+400",
    "10e399",
    "1e-400",
    "-1e-400",
    "0e-900",
    "-0.0",
    "1e1000",
    "1e-1000",
    "9" * 1_000,
    "0." + "0" * 900 + "1",
    "4.9e-324",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
]
_DIGITS = st.text("0123456789", min_size=1, max_size=25)
WRITTEN = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{int(whole)}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    _DIGITS,
    st.just("") | _DIGITS.map(".{}".format),
    st.just("") | st.integers(-400, 400).map("e{}".format),
)
NEAR = WRITTEN.flatmap(lambda text: st.tuples(st.just(text), st.sampled_from([text, _next(text)]) | WRITTEN))
PAIRS = NEAR | st.tuples(st.sampled_from(TRICKY), st.sampled_from(TRICKY))


def _next(text: str) -> str:
    """The same numeral with its last digit one higher."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa[:-1]}{(int(mantissa[-1]) + 1) % 10}{e}{exponent}"


def _value(text: str) -> Fraction:
    return Fraction(Decimal(text))


def _allows(engine: PolicyEngine, value: Any) -> bool:
    return engine.decide(AGENT, Request("pay", None, {"x": value}), now=NOW).allowed


def _json_policy(name: str, bound: str) -> str:
    return (
        '{"name": "p", "rules": [{"effect": "allow", "actions": ["pay"], '
        f'"conditions": {{"context.x": {{"{name}": {bound}}}}}}}]}}'
    )


def _yaml_policy(name: str, bound: str) -> str:
    rule = f"{{effect: allow, actions: [pay], conditions: {{context.x: {{{name}: {bound}}}}}}}"
    return f"name: p\nrules: [{rule}]\n"


def _case_outcome(engine: PolicyEngine, cases: str) -> bool:
    return run_cases(engine, load_cases(cases).cases, now=NOW).results[0].decision.allowed


@example(("0." + "1" * 40, "0." + "1" * 39 + "2"))
@example(("9007199254740992.9", "9007199254740992"))
@given(PAIRS)
def test_a_comparison_is_that_of_fractions(pair: tuple[str, str]) -> None:
    value, bound = pair
    for name, compare in ORDERS.items():
        expected = compare(_value(value), _value(bound))
        for source in (_json_policy(name, bound), _yaml_policy(name, bound)):
            policy = load_policy(source)
            for loaded in (policy, load_policy(json_text(policy.to_dict())), load_policy(policy.to_dict())):
                engine = PolicyEngine([loaded])
                sent = parse_json(f'{{"x": {value}}}'.encode())["x"]
                assert _allows(engine, sent) is expected
                assert _allows(engine, exact_json(json_text(sent))) is expected
                assert _allows(engine, Decimal(value)) is expected
        cases = f"[{{name: a, agent: {{}}, action: pay, context: {{x: {value}}}, expect: allow}}]"
        assert _case_outcome(engine, cases) is expected
        written = f'[{{"name":"a","agent":{{}},"action":"pay","context":{{"x":{value}}},"expect":"allow"}}]'
        assert _case_outcome(engine, '{"cases":' + written + "}") is expected


@given(PAIRS)
def test_what_is_recorded_does_not_merge_two_numbers(pair: tuple[str, str]) -> None:
    one, other = (parse_json(text.encode()) for text in pair)
    assert (canonical(one) == canonical(other)) <= (_value(pair[0]) == _value(pair[1]))
    assert (json_text(one) == json_text(other)) <= (_value(pair[0]) == _value(pair[1]))
    assert canonical(exact_json(json_text([one, {"a": one}]))) == canonical([one, {"a": one}])


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**999), 10**999))
def test_numbers_that_floats_hold_are_recorded_as_ever(number: float) -> None:
    text = json.dumps(number)
    assert json_text(parse_json(text.encode())) == text
    assert canonical(parse_json(text.encode())) == text.encode()


@pytest.mark.parametrize(
    "text",
    ["1e1001", "1e-1001", "1e999999999", "-1e999999999", "0e99999", "9" * (MAX_DIGITS + 1), "1e" + "9" * 900],
    ids=lambda text: f"{text[:12]} of {len(text)}",
)
def test_a_number_beyond_bounds_is_refused_everywhere(text: str) -> None:
    with pytest.raises(JsonError):
        parse_json(text.encode())
    assert exact_number(text)[0] is None
    for source in (_json_policy("gt", text), _yaml_policy("gt", text)):
        with pytest.raises(ValueError, match=r"digits|kept exactly"):
            load_policy(source)
    with pytest.raises(ValueError, match=r"digits|kept exactly"):
        load_cases(f"[{{name: a, agent: {{}}, action: pay, context: {{x: {text}}}, expect: allow}}]")


def test_a_number_beside_an_escape_is_exact() -> None:
    assert parse_json(b'{"\\u0041": 9007199254740992.9}') == {"A": Decimal("9007199254740992.9")}
    with pytest.raises(JsonError, match="surrogate"):
        parse_json(b'{"\\ud800": 9007199254740992.9}')


def test_a_huge_decimal_of_a_caller_costs_nothing() -> None:
    engine = PolicyEngine([load_policy(_json_policy("lte", "100"))])
    assert not _allows(engine, Decimal("1e999999999999"))
    assert _allows(engine, Decimal("-1e999999999999"))
    assert not _allows(engine, Decimal("sNaN"))
