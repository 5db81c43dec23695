"""An explanation is a mapping, and prints as the tree."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meshguard import MeshGuardClient, PolicyDecision, PolicyDeniedError
from meshguard._wire.explanations import read_explanation
from meshguard.policy import render_explanation
from tests.support import running_gateway

POLICY = """
name: payments
rules:
  - name: small
    effect: allow
    actions: [pay]
    conditions: {context.amount: {lte: 100}}
"""
TREE = """\
Decision: DENY because no rule of the policies that apply allows it
No rule allows this `pay` for bot. Closest: payments / small allows `pay`, but \
`context.amount lte 100` is false (saw 900.5).
It would be allowed if `context.amount lte 100` held, as with `context.amount` 100.
✓ policy payments: it applies to every agent
  ✗ allow small: its conditions do not hold
    ✗ context.amount lte 100 (saw 900.5)
  · no rule decides: deny"""


def denied(tmp_path: Path) -> PolicyDecision:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "payments.yaml").write_text(POLICY)
    with (
        running_gateway(tmp_path, policies_dir=tmp_path / "policies", explain_to_agents=True) as gateway,
        MeshGuardClient(gateway.url, admin_token=gateway.admin_token) as admin,
        MeshGuardClient(gateway.url, str(admin.create_agent("bot")["token"])) as client,
    ):
        return client.check("pay", context={"amount": 900.5}, explain=True)


def test_an_explanation_prints_as_the_tree(tmp_path: Path) -> None:
    decision = denied(tmp_path)
    error = PolicyDeniedError("pay", decision=decision)
    assert str(error.explanation) == str(decision.explanation) == TREE
    assert decision.explanation is not None
    assert decision.explanation["policies"][0]["policy"] == "payments"
    assert render_explanation(dict(decision.explanation)) == TREE


def test_an_explanation_is_a_mapping() -> None:
    fields: Any = {"summary": "no", "policies": []}
    found = read_explanation(fields)
    assert found == fields
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), json.loads(json.dumps(found))):
        assert other == fields
    assert repr(found) == repr(fields)
    others: list[Any] = [None, "no", [], 7]
    assert [read_explanation(value) for value in others] == [None] * 4


FIELDS = ("summary", "policies", "rules", "conditions", "parts", "saw", "value", "test", "hint")
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=30,
)


@given(JSON)
def test_whatever_a_gateway_sends_prints(value: Any) -> None:
    text = str(read_explanation({"summary": value, "policies": value, "hint": value, "change": value}))
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_deep_explanation_prints() -> None:
    test: dict[str, Any] = {"test": "x", "value": "true"}
    for _ in range(5_000):
        test = {"test": "all", "parts": [test]}
    rule = {"rule": "r", "conditions": test}
    assert "policy p" in str(read_explanation({"policies": [{"policy": "p", "rules": [rule]}]}))
