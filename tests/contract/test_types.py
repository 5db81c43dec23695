"""The types of results have the fields that openapi.yaml gives them, and require what it requires."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from meshguard import types

SCHEMAS: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parents[2] / "openapi.yaml").read_bytes()
)["components"]["schemas"]

NAMES = {
    types.ActionCount: "ActionCount",
    types.AgentCount: "AgentCount",
    types.AgentFields: "Agent",
    types.AppliesTo: "AppliesTo",
    types.AuditEntry: "AuditEntry",
    types.AuditStats: "AuditStats",
    types.CreatedAgent: "CreatedAgent",
    types.DecidingRule: "DecidingRule",
    types.Delegation: "Delegation",
    types.ErrorDetail: "ErrorDetail",
    types.ExplainedPolicy: "ExplainedPolicy",
    types.ExplainedRule: "ExplainedRule",
    types.ExplainedTest: "ExplainedTest",
    types.Explanation: "Explanation",
    types.IssuedToken: "IssuedToken",
    types.Policy: "Policy",
    types.PolicyValidation: "PolicyValidation",
    types.Rule: "Rule",
}
CHOICES = [
    (types.TrustTier, SCHEMAS["TrustTier"]["enum"]),
    (types.AgentStatus, SCHEMAS["AgentStatusFilter"]["enum"]),
    (types.Verdict, SCHEMAS["Effect"]["enum"]),
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
    assert set(get_args(choice)) == set(values)
