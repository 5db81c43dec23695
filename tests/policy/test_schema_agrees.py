from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshguard.policy import PolicyEngine, load_policy
from tests.policy.corpus import WHOLE, faults_of, variants
from tests.policy.strategies import NOW, POLICY_SETS, a_request, an_agent, policy

ROOT = Path(__file__).parents[2]

# what JSON Schema can't say; each of these messages belongs to one such rule
ONLY_THE_LOADER = (
    "is the name of rule",
    "keys and values",
    "nested more than",
    "broken Unicode",
    "climbs above its start",
    "is no time",
    "is not earlier than",
    "kept exactly",
    "digits",
    "is not a pattern of hosts",
    "can match n",
    "can be resolved in two ways",
)


@cache
def schema_of(name: str) -> jsonschema_rs.Draft202012Validator:
    schemas = YAML(typ="safe", pure=True).load(ROOT / "openapi.yaml")["components"]["schemas"]
    root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return jsonschema_rs.Draft202012Validator(root)


def test_the_whole_policy_is_valid_for_both() -> None:
    assert schema_of("Policy").is_valid(WHOLE)
    assert faults_of(WHOLE) is None


def test_the_loader_and_the_schema_agree_on_every_variant_of_the_whole_policy() -> None:
    disagreements = []
    for value, what in variants():
        faults = faults_of(value) or ()
        only_ours = any(message in fault.message for fault in faults for message in ONLY_THE_LOADER)
        if schema_of("Policy").is_valid(value) is bool(faults) and not only_ours:
            disagreements.append((str(what)[:200], faults))
        assert all(fault.path == "" or fault.path.startswith("/") for fault in faults)
    assert disagreements == []


@given(policy("p"))
def test_what_the_loader_takes_the_schema_takes_too(value: dict[str, Any]) -> None:
    assert schema_of("Policy").is_valid(value)
    assert schema_of("Policy").is_valid(load_policy(value).to_dict())


EXCEPTIONS: dict[str, dict[str, Any]] = {
    "is the name of rule": {
        "rules": [
            {"effect": "deny", "actions": ["a"], "name": "rule 2"},
            {"effect": "deny", "actions": ["a"]},
        ]
    },
    "keys and values": {"rules": [{"effect": "deny", "actions": ["a"] * 1_000}] * 12},
    "conditions nested more than 8 deep": json.loads(
        '{"rules": [{"effect": "deny", "actions": ["a"], "conditions": '
        + '{"all": [' * 8
        + '{"tags": "a"}'
        + "]}" * 8
        + "}]}"
    ),
    "climbs above its start": {
        "rules": [{"effect": "deny", "actions": ["a"], "conditions": {"resource": {"within": "a/../.."}}}]
    },
    "is no time": {
        "rules": [
            {"effect": "deny", "actions": ["a"], "conditions": {"time": {"after": "2026-02-30T00:00:00Z"}}}
        ]
    },
    "is not earlier than": {
        "rules": [
            {
                "effect": "deny",
                "actions": ["a"],
                "conditions": {"time": {"after": "22:00", "before": "06:00"}},
            }
        ]
    },
    "is not a pattern of hosts": {
        "rules": [{"effect": "deny", "actions": ["a"], "conditions": {"resource": {"host": "a..b"}}}]
    },
    "can match nothing": {
        "rules": [{"effect": "deny", "actions": ["a"], "conditions": {"resource": {"matches": "../x"}}}]
    },
    "can match no action": {
        "rules": [{"effect": "deny", "actions": ["a"], "conditions": {"resource": {"matches": "a\n*"}}}]
    },
    "can be resolved in two ways": {
        "rules": [{"effect": "deny", "actions": ["a"], "conditions": {"context.a": {"matches": "*/../x"}}}]
    },
    "digits": {"rules": [{"effect": "deny", "actions": ["a"], "conditions": {"context.a": 10**1_001}}]},
}


@pytest.mark.parametrize("message", EXCEPTIONS)
def test_what_json_schema_cannot_say_the_loader_refuses(message: str) -> None:
    value = {"name": "p", **EXCEPTIONS[message]}
    assert any(message in fault.message for fault in faults_of(value) or ())
    if message != "digits":
        assert schema_of("Policy").is_valid(value)


@given(POLICY_SETS, st.integers())
def test_an_explanation_has_the_shape_of_the_contract(policies: list[dict[str, Any]], seed: int) -> None:
    engine = PolicyEngine(load_policy(one) for one in policies)
    random = Random(f"{seed} {policies}")
    for _ in range(5):
        decision = engine.decide(an_agent(random), a_request(random), now=NOW, explain=True)
        schema_of("Explanation").validate(decision.explanation)
