"""Any Python value as an argument, against a real gateway: what it decides is about the value's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from meshguard import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.testing import RunningGateway, running_gateway
from tests.python_values import EXACT, INEXACT, Pair, values

POLICY = """
name: amounts
rules:
  - {effect: allow, actions: ["execute:large-denied", "execute:text-denied"]}
  - effect: deny
    actions: ["execute:large-denied"]
    conditions: {context.args.amount: {exists: true, gt: 1000}}
  - effect: deny
    actions: ["execute:text-denied"]
    conditions: {context.args.amount: {exists: true, startsWith: pay}}
  - {effect: allow, actions: ["execute:absent"], conditions: {context.args.amount: {exists: false}}}
  - {effect: allow, actions: ["execute:small"], conditions: {context.args.amount: {lte: 1000}}}
  - {effect: allow, actions: ["execute:nested"], conditions: {context.args.amount.amount: {exists: false}}}
  - {effect: allow, actions: ["execute:not"], conditions: {context.args.amount: {not: {in: [5000, "pay"]}}}}
"""
TOOLS = ("large-denied", "text-denied", "absent", "small", "nested", "not")


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(POLICY) as running:
        yield running


@pytest.fixture(scope="module")
def agent(gateway: RunningGateway) -> Iterator[MeshGuardClient]:
    with gateway.agent() as client:
        yield client


@pytest.fixture(scope="module")
def wire(gateway: RunningGateway, agent: MeshGuardClient) -> Iterator[httpx.Client]:
    """Requests as text, without any code of the client."""
    headers = {"Authorization": f"Bearer {agent.agent_token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=gateway.url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def decided(wire: httpx.Client, tool: str, text: str) -> bool:
    """Whether the gateway allows a call with this JSON as the amount."""
    facts = f'{{"args":{{"amount":{text}}},"tool":{json.dumps(tool)}}}'
    answer = wire.post(
        "/api/v1/pdp/evaluate", content=f'{{"action":"execute:{tool}","context":{facts}}}'.encode()
    )
    return answer.status_code == httpx.codes.OK and bool(answer.json()["allowed"])


def is_held(agent: MeshGuardClient, wire: httpx.Client, pair: Pair) -> None:
    value, text = pair
    for tool in TOOLS:
        decision = Guard(agent).check(ToolCall(tool, {"amount": value}))
        assert decision.allowed is (text is not None and decided(wire, tool, text))
        if text is None:
            assert "the argument 'amount' contains" in (decision.reason or "")


@pytest.mark.parametrize("name", EXACT)
def test_a_value_is_decided_on_as_its_json(agent: MeshGuardClient, wire: httpx.Client, name: str) -> None:
    is_held(agent, wire, EXACT[name])


@pytest.mark.parametrize("name", INEXACT)
def test_a_value_without_json_is_never_allowed(agent: MeshGuardClient, wire: httpx.Client, name: str) -> None:
    is_held(agent, wire, (INEXACT[name], None))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=values())
def test_no_value_turns_a_denial_into_permission_unless_its_json_does(
    agent: MeshGuardClient, wire: httpx.Client, pair: Pair
) -> None:
    is_held(agent, wire, pair)


@pytest.mark.parametrize("text", ["1e999", "NaN", "-Infinity", "[1e999]", '{"a": 1, "a": 2}', '"\\ud800"'])
def test_a_text_of_a_model_without_a_single_meaning_is_never_allowed(
    agent: MeshGuardClient, text: str
) -> None:
    for tool in TOOLS:
        decision = Guard(agent).check(ToolCall(tool, f'{{"amount": {text}}}'))
        assert not decision.allowed
        assert "the argument 'amount' contains" in (decision.reason or "")
