from __future__ import annotations

import pytest

from meshguard.contract.made_up import contract_schema, to_yaml
from meshguard.policy import load_policy

TEXTS = ["03108", "017", "0o17", "0b1", "0x1f", "1_000", "1e3", ".5", "+1", "12:30:45", ".inf", ".nan"]
TEXTS += ["true", "yes", "on", "null", "~", "", "2026-11-22", "=", "<<", "a: b", "é\n😀", "\x85", "\u2028"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_made_up_text_reaches_the_gateway_as_a_text(text: str) -> None:
    operation = contract_schema(lambda _: {})["/admin/policies/{name}"]["PUT"]
    body = {"name": "x", "rules": [{"effect": "deny", "actions": ["*"], "description": text}]}
    case = operation.Case(body=body, media_type="application/yaml", path_parameters={"name": "x"})
    sent = case.as_transport_kwargs(base_url="http://gateway")["data"]
    assert load_policy(sent).rules[0].description == text


def test_a_made_up_policy_has_no_anchors() -> None:
    tests = {"within": ["/srv"]}
    rule = {"effect": "allow", "actions": ["a"], "conditions": {"resource": tests, "context.path": tests}}
    assert load_policy(to_yaml(None, {"name": "p", "rules": [rule]})).name == "p"
