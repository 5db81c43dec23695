"""The types of results have the fields that openapi.yaml gives them, and require what it requires."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

import pytest
from ruamel.yaml import YAML

from meshguard import types

COMPONENTS: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parents[2] / "openapi.yaml").read_bytes()
)["components"]
SCHEMAS = COMPONENTS["schemas"]
PARAMETERS = COMPONENTS["parameters"]

NAMES = {
    types.ActionCount: "ActionCount",
    types.AgentCount: "AgentCount",
    types.AgentFields: "Agent",
    types.AppliesTo: "AppliesTo",
    types.AuditHead: "AuditHead",
    types.AuditStats: "AuditStats",
    types.AuditTombstone: "AuditTombstone",
    types.BrokenEntry: "BrokenEntry",
    types.CreatedAgent: "CreatedAgent",
    types.DecidingRule: "DecidingRule",
    types.Delegation: "Delegation",
    types.ErrorDetail: "ErrorDetail",
    types.ExplainedPolicy: "ExplainedPolicy",
    types.ExplainedRule: "ExplainedRule",
    types.ExplainedTest: "ExplainedTest",
    types.Explanation: "Explanation",
    types.Health: "Health",
    types.HypotheticalAgent: "TestAgent",
    types.IssuedToken: "IssuedToken",
    types.Policy: "Policy",
    types.PolicyValidation: "PolicyValidation",
    types.Rule: "Rule",
}
CHOICES = [
    (types.TrustTier, SCHEMAS["TrustTier"]["enum"]),
    (types.AgentStatus, SCHEMAS["AgentStatusFilter"]["enum"]),
    (types.Verdict, SCHEMAS["Effect"]["enum"]),
    (Literal["all"] | types.EntryKind, PARAMETERS["AuditKind"]["schema"]["enum"]),
    (types.Weekday, SCHEMAS["TimeTests"]["properties"]["weekdays"]["items"]["enum"]),
]


@pytest.mark.parametrize("expected", NAMES, ids=lambda expected: str(expected.__name__))
def test_a_type_has_the_fields_of_its_schema(expected: Any) -> None:
    schema = SCHEMAS[NAMES[expected]]
    assert set(expected.__annotations__) == set(schema["properties"])
    assert set(expected.__required_keys__) == set(schema.get("required", ()))


def test_every_test_of_a_condition_is_typed() -> None:
    schemas = [SCHEMAS[f"{subject}Tests"] for subject in ("Text", "TrustTier", "Tag", "Time", "Value")]
    assert set(types.Tests.__annotations__) == {name for schema in schemas for name in schema["properties"]}
    assert not types.Tests.__required_keys__


@pytest.mark.parametrize(("choice", "values"), CHOICES)
def test_a_choice_has_the_values_of_its_schema(choice: Any, values: list[str]) -> None:
    alternatives = get_args(choice)
    assert {value for one in alternatives for value in get_args(one) or (one,)} == set(values)


def test_an_audit_entry_has_every_field_of_its_schema() -> None:
    schema = SCHEMAS["AuditEntry"]
    optional = {name for name, hint in get_type_hints(types.AuditEntry).items() if NoneType in get_args(hint)}
    assert set(types.AuditEntry.__required_keys__) == set(schema["properties"])
    assert optional == schema["properties"].keys() - set(schema["required"])


def test_an_audit_record_has_the_fields_of_an_entry() -> None:
    names = {field.name.replace("_", "").lower() for field in fields(types.AuditRecord)}
    assert names == {name.lower() for name in types.AuditEntry.__annotations__}
