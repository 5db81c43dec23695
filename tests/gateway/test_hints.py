"""Where hints on denials go: to administrators always, to agents only with EXPLAIN_TO_AGENTS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Lab, check

POLICY = {
    "name": "payments",
    "rules": [
        {
            "name": "small",
            "effect": "allow",
            "actions": ["pay"],
            "conditions": {
                "context.amount": {"lte": 777.25},
                "agentId": {"in": ["agent_of_somebody_else"]},
            },
        }
    ],
}
SECRETS = ("777.25", "agent_of_somebody_else", "small", "Closest")
ENTRY = (
    "No rule allows this `pay` for bot. Closest: payments / small allows `pay`, "
    "but `context.amount lte 777.25` is false and "
    '`agentId in ["agent_of_somebody_else"]` is false (saw "{}").'
)


def ask(agent: httpx.Client, way: str) -> httpx.Response:
    context = {"amount": 900.5}
    if way == "check":
        return check(agent, "pay", **{"X-MeshGuard-Meta": json.dumps(context)})
    if way == "proxy":
        headers = {"X-MeshGuard-Meta": json.dumps(context), "X-MeshGuard-Action": "pay"}
        return agent.get("/proxy/x", headers=headers)
    one: dict[str, Any] = {"action": "pay", "context": context, "explain": way.endswith("explain")}
    if way.startswith("batch"):
        return agent.post("/api/v1/pdp/evaluate/batch", json={"requests": [one]})
    return agent.post("/api/v1/pdp/evaluate", json=one)


WAYS = ("check", "proxy", "evaluate", "evaluate, explain", "batch", "batch, explain")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_the_entry_of_a_denial_has_a_hint(open_lab: Callable[..., Lab], way: str, mode: str) -> None:
    lab = open_lab(mode=mode, proxy_target="http://127.0.0.1:9")
    lab.admin.put("/admin/policies/payments", json=POLICY)
    created = lab.create()
    ask(lab.client(created["token"]), way)
    (entry,) = lab.entries(kind="decision")
    assert entry["hint"] == ENTRY.format(created["id"])
    assert entry["context"]["fingerprints"].keys() == {"amount"}
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
    exported = lab.admin.get("/admin/audit/export?kind=decision").json()
    assert exported["hint"] == entry["hint"]


@pytest.mark.parametrize("way", WAYS)
def test_agents_get_no_hint(open_lab: Callable[..., Lab], way: str) -> None:
    lab = open_lab(proxy_target="http://127.0.0.1:9")
    lab.admin.put("/admin/policies/payments", json=POLICY)
    answer = ask(lab.agent(), way)
    assert [secret for secret in SECRETS if secret in f"{answer.text}{answer.headers}"] == []


@pytest.mark.parametrize("way", ["check", "proxy", "evaluate, explain", "batch, explain"])
def test_agents_get_hints_where_the_gateway_explains(open_lab: Callable[..., Lab], way: str) -> None:
    lab = open_lab(proxy_target="http://127.0.0.1:9", explain_to_agents=True)
    lab.admin.put("/admin/policies/payments", json=POLICY)
    answer = ask(lab.agent(), way).json()
    decision = answer["decisions"][0] if "decisions" in answer else answer
    hint = decision["explanation"]["hint"] if "explain" in way else decision["hint"]
    assert "`context.amount lte 777.25` is false (saw 900.5)" in hint


def test_an_allowed_action_has_no_hint(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(explain_to_agents=True)
    agent = lab.agent()
    body = {"action": "read:x", "explain": True}
    answers = [check(agent, "read:x"), agent.post("/api/v1/pdp/evaluate", json=body)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("hint" not in answer.text for answer in answers)
    assert all("hint" not in entry for entry in lab.entries(kind="decision"))


def test_a_test_of_policies_has_a_hint(lab: Lab) -> None:
    body = {"agent": {"trustTier": "verified", "name": "imagined"}, "action": "raed:mail"}
    told = lab.admin.post("/admin/policies/test", json=body).json()["explanation"]
    assert told["hint"] == (
        "No rule allows `raed:mail` for imagined. Closest: readers / reads allows `read:*`. "
        "Did you mean `read:mail`?"
    )


def test_a_long_hint_is_truncated(lab: Lab) -> None:
    rules = [{"name": "n" * 128, "effect": "allow", "actions": ["pay"], "conditions": CONDITIONS}]
    lab.admin.put("/admin/policies/long", json={"name": "long", "rules": rules})
    check(lab.agent(name="\U0001f600" * 128), "pay")
    (entry,) = lab.entries(kind="decision")
    assert len(entry["hint"].encode()) <= 1_024


CONDITIONS = {"all": [{"resource": {"equals": "\U0001f600" * 200}} for _ in range(9)]}
