"""What may stand in a signed token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshguard.gateway.auth import Tokens
from meshguard.gateway.problems import Problem
from meshguard.gateway.snapshot import Agent, Snapshot
from meshguard.gateway.store import AgentRecord
from tests.gateway.conftest import Lab
from tests.gateway.test_identity import claims_of, signed, status_with
from tests.support import SECRET, Clock, gateway_settings

NOW = int(Clock.seconds)
HUGE = 10**400
ODD: list[Any] = [
    HUGE,
    -HUGE,
    10**5000,
    2**63,
    2**64,
    -1,
    253_402_300_800,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    9_999_999_999.5,
    9_999_999_999.0,
    True,
    False,
    None,
    "",
    "9999999999",
    "soon",
    "\ud800",
    "\x00",
    "é",
    "a" * 10_000,
    [],
    [9_999_999_999],
    ["\ud800"],
    {},
    {"exp": 9_999_999_999},
    [[[[[]]]]],
]
CLAIMS = ["sub", "iat", "exp", "nbf", "iss", "jti"]


def raw_json(value: Any) -> str:
    """As `json.dumps`, with integers of any length."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{raw_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**4000:
        return "1" + "0" * 5000
    return json.dumps(value)


def signed_raw(claims: dict[str, Any]) -> str:
    return jwt.api_jws.encode(raw_json(claims).encode(), SECRET, "HS256")


@pytest.mark.parametrize("name", CLAIMS)
def test_an_odd_value_of_a_claim_is_401(lab: Lab, name: str) -> None:
    claims = claims_of(lab.create()["token"])
    statuses = [status_with(lab, signed_raw({**claims, name: value})) for value in ODD]
    assert statuses == [401] * len(ODD)


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", 7), ("name", None), ("tier", ["verified"]), ("tags", "a"), ("tags", [1]), ("tags", {})],
)
def test_a_claim_of_another_type_than_issued_is_401(lab: Lab, name: str, value: Any) -> None:
    claims = claims_of(lab.create()["token"])
    assert status_with(lab, signed({**claims, name: value})) == 401


@pytest.mark.parametrize("claims", [[], "text", 7, None, {}, [{"sub": "a"}]])
def test_claims_that_are_no_object_are_401(lab: Lab, claims: Any) -> None:
    assert status_with(lab, signed(claims)) == 401


def test_a_token_counts_from_its_nbf_on(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    claims = claims_of(lab.create()["token"])
    token = signed({**claims, "nbf": NOW + 60})
    assert status_with(lab, token) == 401
    clock.seconds += 54
    assert status_with(lab, token) == 401
    clock.seconds += 1  # five seconds are allowed for clocks that differ
    assert status_with(lab, token) == 200
    assert status_with(lab, signed({**claims, "nbf": NOW - 60})) == 200


AGENT = AgentRecord(1, "agent_1", "bot", "verified", (), {}, None, None, "active", "f" * 32, 0, 0, 0)
VALID = {
    "sub": "agent_1",
    "name": "bot",
    "tier": "verified",
    "tags": [],
    "iat": NOW,
    "exp": NOW + 60,
    "iss": "meshguard",
    "jti": "f" * 32,
}
numbers = st.integers() | st.integers(NOW - 100, NOW + 100) | st.floats() | st.just(HUGE)
texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(["meshguard", "agent_1", "f" * 32])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
changes = st.dictionaries(st.sampled_from([*VALID, "nbf", "aud", "crit", "x"]), values, max_size=4)


def is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < 253_402_300_800


def is_valid(claims: dict[str, Any]) -> bool:
    """The rules once more, written down independently."""
    times = [claims["iat"], claims["exp"], *([claims["nbf"]] if "nbf" in claims else [])]
    return (
        (claims["sub"], claims["jti"], claims["iss"]) == ("agent_1", "f" * 32, "meshguard")
        and isinstance(claims["name"], str)
        and isinstance(claims["tier"], str)
        and isinstance(claims["tags"], list)
        and all(isinstance(tag, str) for tag in claims["tags"])
        and all(map(is_time, times))
        and claims["exp"] > NOW
        and max(claims["iat"], claims.get("nbf", 0)) <= NOW + 5
        and claims.get("aud") is None
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes, left_out=st.sets(st.sampled_from(sorted(VALID)), max_size=1))
def test_claims_are_accepted_only_if_exactly_valid(
    tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any], left_out: set[str]
) -> None:
    tokens = Tokens(gateway_settings(tmp_path_factory.getbasetemp()), Clock())
    snapshot = Snapshot(agents={"agent_1": Agent.of(AGENT)})
    claims = {name: value for name, value in {**VALID, **change}.items() if name not in left_out - {*change}}
    expected = claims.keys() >= VALID.keys() and is_valid(claims)
    if expected:
        assert tokens.agent(f"Bearer {signed(claims)}", snapshot).record.id == "agent_1"
        return
    with pytest.raises(Problem) as refusal:
        tokens.agent(f"Bearer {signed(claims)}", snapshot)
    assert refusal.value.status == 401


def test_the_signature_counts_for_a_token_seen_before(lab: Lab) -> None:
    token = lab.create()["token"]
    assert status_with(lab, token) == 200
    head, _, signature = token.rpartition(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for forged in (f"{head}.{flipped}", f"{head}.{'A' * len(signature)}", f"{head}.{signature[:-4]}"):
        assert status_with(lab, forged) == 401
    assert status_with(lab, token) == 200
