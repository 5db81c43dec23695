"""The contract itself: complete, documented, and true to its own examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

SPEC: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parents[2] / "openapi.yaml").read_bytes()
)
COMPONENTS = SPEC["components"]
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, item in SPEC["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        section, name = node["$ref"].removeprefix("#/components/").split("/")
        node = COMPONENTS[section][name]
    return node


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema | {"components": COMPONENTS}, validate_formats=True)


def media_types() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, (_, _, operation) in OPERATIONS.items():
        bodies = {f"{name} {status}": resolve(answer) for status, answer in operation["responses"].items()}
        bodies[f"{name} request"] = resolve(operation.get("requestBody", {}))
        for where, body in bodies.items():
            found += [(f"{where} {kind}", media) for kind, media in body.get("content", {}).items()]
    return found


def test_the_contract_has_every_operation_of_the_gateway() -> None:
    assert set(OPERATIONS) == {
        *("get_gateway_info", "get_health", "get_openapi", "get_metrics"),
        *("check_action", "evaluate", "evaluate_batch"),
        *(f"proxy_{method}" for method in METHODS),
        *(
            "list_agents",
            "create_agent",
            "get_agent",
            "update_agent",
            "put_agent",
            "issue_token",
            "revoke_agent",
        ),
        *("list_policies", "get_policy", "apply_policy", "delete_policy", "validate_policy", "test_policies"),
        *("list_audit_entries", "get_audit_stats", "export_audit_entries", "verify_audit_log"),
    }


@pytest.mark.parametrize("name", COMPONENTS["schemas"])
def test_every_schema_has_a_description_and_examples_that_fit_it(name: str) -> None:
    schema = COMPONENTS["schemas"][name]
    assert schema["description"]
    assert schema["examples"]
    for example in schema["examples"]:
        validator({"$ref": f"#/components/schemas/{name}"}).validate(example)


@pytest.mark.parametrize("media", [pytest.param(media, id=where) for where, media in media_types()])
def test_every_body_has_an_example_that_fits_it(media: dict[str, Any]) -> None:
    example = media["example"] if "example" in media else resolve(media["schema"])["examples"][0]
    validator(media["schema"]).validate(example)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_declares_the_trace_header_and_every_secret_or_decision_is_not_to_be_stored(
    name: str,
) -> None:
    path, method, operation = OPERATIONS[name]
    for status, answer in operation["responses"].items():
        headers = resolve(answer).get("headers", {})
        assert {"X-MeshGuard-Trace-ID", "X-Request-ID"} <= headers.keys(), status
        decides_or_reveals = (
            operation["security"] and "/proxy/{path}" not in path and status in {"200", "201"}
        )
        assert ("Cache-Control" in headers) or not decides_or_reveals, (method, status)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_described_and_tagged_and_declares_what_its_credential_can_meet(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["tags"]
    assert {"400", "500"} <= operation["responses"].keys()
    assert operation["description"]
    if operation["security"] and {} not in operation["security"]:
        assert {"401", "429", "503"} <= operation["responses"].keys()
    for parameter in map(resolve, operation["parameters"]):
        assert parameter["description"]
        if (
            parameter["name"] != "X-MeshGuard-Meta"
        ):  # beside the example of a body with a context, it is rejected
            validator(parameter["schema"]).validate(parameter["example"])


def test_every_link_leads_to_an_operation() -> None:
    links = [
        resolve(link)
        for _, _, operation in OPERATIONS.values()
        for answer in operation["responses"].values()
        for link in resolve(answer).get("links", {}).values()
    ]
    assert {link["operationId"] for link in links} >= {
        *("get_agent", "update_agent", "issue_token", "revoke_agent", "evaluate"),
        *("get_policy", "delete_policy", "list_audit_entries"),
    }
    assert {link["operationId"] for link in links} <= OPERATIONS.keys()


def test_requests_refuse_unknown_fields_and_responses_bear_them() -> None:
    requests = {
        "EvaluateRequest",
        "EvaluateBatchRequest",
        "CreateAgentRequest",
        "UpdateAgentRequest",
        "Policy",
    }
    requests |= {"TestPoliciesRequest", "TestAgent", "Rule", "AppliesTo", "Delegation"}
    for name in requests:
        assert COMPONENTS["schemas"][name]["additionalProperties"] is False, name
    for name in ("Decision", "Denial", "Agent", "AuditEntry", "Error", "Health"):
        assert "additionalProperties" not in COMPONENTS["schemas"][name], name


def properties() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (owner, name, schema)
        for owner, parent in COMPONENTS["schemas"].items()
        for name, schema in parent.get("properties", {}).items()
    ]


def test_every_time_is_a_date_time() -> None:
    times = {
        f"{owner}.{name}": schema
        for owner, name, schema in properties()
        if name == "timestamp" or name.endswith("At")
    }
    times |= {name: COMPONENTS["parameters"][name]["schema"] for name in ("AuditFrom", "AuditTo")}
    assert len(times) == 11
    assert {name for name, schema in times.items() if resolve(schema).get("format") != "date-time"} == set()


def test_no_name_of_a_schema_is_that_of_a_property() -> None:
    """Generators name the type of an object, enumeration or union after its owner and its property."""
    schemas = {name.casefold() for name in COMPONENTS["schemas"]}
    named = {"enum", "properties", "additionalProperties", "anyOf", "oneOf"}
    nested = {(owner + name).casefold() for owner, name, schema in properties() if named & schema.keys()}
    assert len(schemas) == len(COMPONENTS["schemas"])
    assert schemas & nested == set()


def test_no_field_has_a_default() -> None:
    """Some generators require fields with a default."""
    assert [f"{owner}.{name}" for owner, name, schema in properties() if "default" in schema] == []


def test_named_conditions_fit_the_type_of_all_conditions() -> None:
    """In TypeScript, the type of all fields of an object includes the types of the named ones."""
    conditions = COMPONENTS["schemas"]["Conditions"]
    others = validator({"allOf": [conditions["additionalProperties"]]})
    engine = validator({"$ref": "#/components/schemas/Conditions"})
    for value in ("text", ["a"], {"equals": "a"}, {"after": "09:00"}, [{"tags": "a"}]):
        assert others.is_valid(value)
    for wrong in ({"context.a": {"after": "09:00"}}, {"context.a": [{"tags": "a"}]}, {"other": "a"}):
        assert not engine.is_valid(wrong)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "head"])
def test_a_proxied_response_is_bytes_first(method: str) -> None:
    """Generators use the first media type; a 403 may be the upstream's."""
    _, _, operation = OPERATIONS[f"proxy_{method}"]
    for status, response in operation["responses"].items():
        assert next(iter(resolve(response)["content"])) == "application/octet-stream", status
