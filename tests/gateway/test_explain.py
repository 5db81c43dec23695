"""What agents are told of a decision beyond the decision, and what that may cost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from meshguard.gateway import gateway, policies, sync
from meshguard.gateway.decisions import EXPLANATIONS
from meshguard.policy import conditions, load_policy
from meshguard.policy.work import MAX_TESTS, MAX_TEXT
from tests.gateway.conftest import Lab, check

EVALUATE = "/api/v1/pdp/evaluate"
OTHERS = {
    "name": "secret-others",
    "appliesTo": {"agentIds": ["agent_hidden"], "tags": ["hidden-tag"]},
    "rules": [{"name": "hidden-rule", "effect": "allow", "actions": ["*"]}],
}
LIMITS = {
    "name": "limits",
    "rules": [
        {
            "name": "small",
            "effect": "allow",
            "actions": ["pay:*", "read:limited"],
            "conditions": {
                "context.amount": {"lte": 77_123},
                "resource": {"startsWith": "hidden-prefix"},
                "agentId": ["agent_hidden"],
                "metadata.team": "hidden-team",
            },
        },
        {
            "name": "too-much",
            "effect": "deny",
            "actions": ["pay:*"],
            "conditions": {"context.amount": {"gt": 99_321}, "tags": {"not": {"in": ["hidden-tag"]}}},
        },
        {
            "name": "hosts",
            "effect": "deny",
            "actions": ["get:*"],
            "conditions": {"resource": {"host": "hidden.example"}, "context.kind": {"in": ["hidden-kind"]}},
        },
    ],
}
HIDDEN = ("hidden", "77123", "77_123", "77,123", "99321", "secret-others", "would be", "explanation")
QUESTIONS: list[dict[str, Any]] = [
    {"action": action, **about}
    for action in ("pay:x", "read:limited", "get:page", "read:secret", "read:x", "nothing")
    for about in (
        {},
        {"resource": "r", "context": {"amount": 5}},
        {"resource": "http://a\\b", "context": {"amount": "5", "kind": []}},
        {"resource": "http://x.example/", "context": {"amount": 100_000, "kind": "k"}},
        {"context": {"amount": {"a": 1}, "x": "y" * 2_000}},
    )
]


@pytest.fixture
def busy(open_lab: Callable[..., Lab]) -> Callable[..., Lab]:
    def start(**settings: Any) -> Lab:
        lab = open_lab(rate_limit_rpm=0, **settings)
        for policy in (OTHERS, LIMITS):
            assert lab.admin.put(f"/admin/policies/{policy['name']}", json=policy).status_code == 201
        return lab

    return start


def said(response: httpx.Response) -> str:
    return response.text + repr(response.headers)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_an_agent_learns_nothing_of_other_policies_agents_and_thresholds(
    busy: Callable[..., Lab], mode: str
) -> None:
    agent = busy(mode=mode).agent()
    answers = [
        agent.post(EVALUATE, json={**question, "explain": explain})
        for question in QUESTIONS
        for explain in (True, False)
    ]
    batch = [{**question, "explain": True} for question in QUESTIONS]
    answers.append(agent.post(f"{EVALUATE}/batch", json={"requests": batch}))
    for question in QUESTIONS:
        resource = {"X-MeshGuard-Resource": question["resource"]} if "resource" in question else {}
        answers.append(check(agent, question["action"], **resource))
    for answer in answers:
        assert answer.status_code in {200, 403}
        assert [word for word in HIDDEN if word in said(answer)] == []


def test_administrators_get_the_explanation_and_the_nearest_change(busy: Callable[..., Lab]) -> None:
    lab = busy()
    body = {"agent": {"trustTier": "verified", "tags": []}, "action": "read:secret"}
    story = lab.admin.post("/admin/policies/test", json=body).json()["explanation"]
    assert {policy["policy"] for policy in story["policies"]} == {"limits", "readers", "secret-others"}


def test_an_agent_gets_the_explanation_where_the_setting_says_so(busy: Callable[..., Lab]) -> None:
    agent = busy(explain_to_agents=True).agent()
    answer = agent.post(EVALUATE, json={"action": "pay:x", "explain": True}).json()
    assert {policy["policy"] for policy in answer["explanation"]["policies"]} == {
        "limits",
        "readers",
        "secret-others",
    }
    assert "explanation" not in agent.post(EVALUATE, json={"action": "pay:x"}).json()


CONDITIONAL = {
    "name": "cases",
    "rules": [
        {"effect": "allow", "actions": ["a*"], "conditions": {"context.x": 1}},
        {"effect": "allow", "actions": ["b"], "conditions": {"resource": "r"}},
        {"effect": "allow", "actions": ["c"], "conditions": {"tags": "t"}},
        {"effect": "allow", "actions": ["d"], "conditions": {"any": [{"tags": "t"}, {"context.x": 1}]}},
        {"effect": "allow", "actions": ["e"], "conditions": {"time": {"before": "2000-01-01T00:00:00Z"}}},
        {"effect": "allow", "actions": ["f"], "conditions": {"metadata.x": 1}},
        {"effect": "allow", "actions": ["g"], "conditions": {"context.x": {"not": {"exists": False}}}},
        {"effect": "allow", "actions": ["h"], "conditions": {"context.x": 1, "tags": "t"}},
        {"effect": "deny", "actions": ["a-never"]},
        {"effect": "deny", "actions": ["a-tier"], "conditions": {"trustTier": "verified"}},
        {"effect": "deny", "actions": ["a-team"], "conditions": {"metadata.team": "x"}},
        {"effect": "deny", "actions": ["a-maybe"], "conditions": {"context.y": 1, "trustTier": "verified"}},
        {
            "effect": "deny",
            "actions": ["a-sure"],
            "conditions": {"any": [{"context.y": 1}, {"trustTier": "verified"}]},
        },
    ],
}


@pytest.mark.parametrize(
    ("action", "conditional"),
    {
        "a": True,
        "a-never": False,
        "a-tier": False,
        "a-team": False,
        "a-maybe": True,
        "a-sure": False,
        "b": True,
        "c": False,
        "d": True,
        "e": True,
        "f": False,
        "g": True,
        "h": False,
        "z": False,
        "read:x": False,
        "read:secret": False,
    }.items(),
)
def test_a_denial_says_whether_another_request_could_be_allowed(
    lab: Lab, action: str, conditional: bool
) -> None:
    assert lab.admin.put("/admin/policies/cases", json=CONDITIONAL).status_code == 201
    agent = lab.agent()
    answer = agent.post(EVALUATE, json={"action": action, "explain": True}).json()
    assert answer["conditional"] is conditional
    batch = {"requests": [{"action": action, "explain": True}, {"action": action}]}
    first, second = agent.post(f"{EVALUATE}/batch", json=batch).json()["decisions"]
    assert first["conditional"] is conditional
    assert "conditional" not in second


# what an explanation may cost

WIDE = {
    "name": "wide",
    "rules": [
        {
            "effect": "allow",
            "actions": ["x*"],
            "name": f"rule-{number}",
            "conditions": {
                "all": [{f"context.key{number}.{place}": {"in": ["a" * 40, "b", 3]}} for place in range(20)]
            },
        }
        for number in range(45)
    ],
}
BIG: dict[str, Any] = {f"key{number}": ["x" * 9] * 40 for number in range(200)}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tests are evaluated."""
    evaluate = conditions.ValueTest.evaluate
    count = [0]

    def counting(self: Any, facts: Any) -> Any:
        count[0] += 1
        return evaluate(self, facts)

    monkeypatch.setattr(conditions.ValueTest, "evaluate", counting)
    return count


def test_a_batch_of_explanations_shares_one_budget(
    open_lab: Callable[..., Lab], counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = open_lab(rate_limit_rpm=0, explain_to_agents=True)
    assert lab.admin.put("/admin/policies/wide", json=WIDE).status_code == 201
    agent = lab.agent()
    yields = [0]
    sleep = asyncio.sleep

    async def counting(seconds: float, *more: Any) -> Any:
        yields[0] += seconds == 0
        return await sleep(seconds, *more)

    monkeypatch.setattr("meshguard.gateway.turns.asyncio.sleep", counting)
    requests = [
        {"action": "x", "explain": True, "context": BIG if not number else {}} for number in range(60)
    ]
    plain = agent.post(
        f"{EVALUATE}/batch", json={"requests": [{**one, "explain": False} for one in requests]}, timeout=60
    )
    needed, counted[0], yields[0] = counted[0], 0, 0
    answer = agent.post(f"{EVALUATE}/batch", json={"requests": requests}, timeout=60)
    assert answer.status_code == plain.status_code == 200
    # Deciding and `conditional` take once what deciding alone takes, each.
    assert counted[0] <= 2 * needed + EXPLANATIONS * MAX_TESTS
    assert len(answer.content) <= 2 * EXPLANATIONS * MAX_TEXT
    assert yields[0] >= len(requests) - 1
    decisions = answer.json()["decisions"]
    assert decisions[-1]["explanation"]["truncated"] is True
    kept = ("decision", "policy", "rule", "reason")
    assert [[one.get(name) for name in kept] for one in decisions] == [
        [one.get(name) for name in kept] for one in plain.json()["decisions"]
    ]


def test_the_work_of_explanations_counts_against_the_limit(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=10, explain_to_agents=True)
    assert lab.admin.put("/admin/policies/wide", json=WIDE).status_code == 201
    agent = lab.agent()
    body = {"action": "x", "explain": True, "context": {"key1": {"2": "c"}}}
    statuses = [agent.post(EVALUATE, json=body).status_code for _ in range(8)]
    assert statuses[0] == 200
    assert 429 in statuses
    small = lab.agent()
    assert {small.post(EVALUATE, json={"action": "y", "explain": True}).status_code for _ in range(10)} == {
        200
    }


# beside the event loop


def test_policies_are_compiled_beside_the_event_loop(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[str]] = {}
    loop_threads = {thread.name for thread in threading.enumerate() if "run_quietly" in thread.name}
    assert loop_threads

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def watched(*args: Any, **more: Any) -> Any:
            seen.setdefault(name, set()).add(threading.current_thread().name)
            return real(*args, **more)

        monkeypatch.setattr(module, name, watched)

    watch(policies, "load_policy")
    watch(policies, "json_value")
    watch(policies, "lint")
    watch(policies, "PolicyEngine")
    watch(sync, "load_policy")
    policy = json.dumps({"name": "p", "rules": [{"effect": "allow", "actions": ["x"]}]})
    headers = {"Content-Type": "application/json"}
    assert lab.admin.put("/admin/policies/p", content=policy, headers=headers).status_code == 201
    assert lab.apply("{name: p, rules: [{effect: allow, actions: [y]}]}", "p").status_code == 200
    for body in (policy, "{"):
        lab.admin.post("/admin/policies/validate", content=body, headers=headers)
    test = {"agent": {"trustTier": "verified", "tags": []}, "action": "x", "candidate": json.loads(policy)}
    assert lab.admin.post("/admin/policies/test", json=test).json()["allowed"]
    assert lab.admin.delete("/admin/policies/p").status_code == 204
    assert set(seen) == {"load_policy", "json_value", "lint", "PolicyEngine"}
    assert not set.union(*seen.values()) & loop_threads


def test_a_caller_waits_only_so_long_for_policies(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    release, load = threading.Event(), load_policy

    def slow(source: Any) -> Any:
        release.wait(20)
        return load(source)

    monkeypatch.setattr(gateway, "POLICY_TIMEOUT", 0.01)
    monkeypatch.setattr(policies, "load_policy", slow)
    answer = lab.apply("{name: p, rules: [{effect: allow, actions: [y]}]}", "p")
    release.set()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
