from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import Agent, PolicyEngine, Request, load_policy, render_explanation
from meshguard.policy.change import Situation
from meshguard.policy.values import shown
from meshguard.policy.work import MAX_TESTS, OutOfWorkError, Work
from tests.policy.comparison import within_time
from tests.policy.strategies import NOW, POLICY_SETS, a_request, an_agent

AGENT = Agent("agent_1", "helper", "verified", ["support"])
REFUND: dict[str, Any] = {
    "name": "refunds",
    "rules": [
        {"name": "other", "effect": "allow", "actions": ["read:*"]},
        {
            "name": "small",
            "effect": "allow",
            "actions": ["write:refund"],
            "conditions": {"context.amount": {"gt": 0, "lte": 100}, "tags": ["payments"]},
        },
    ],
}
ELSEWHERE: dict[str, Any] = {
    "name": "elsewhere",
    "appliesTo": {"tags": ["x"], "trustTiers": ["trusted"]},
    "rules": [{"effect": "deny", "actions": ["*"]}],
}


def explain(
    *policies: dict[str, Any],
    action: str = "write:refund",
    resource: str | None = None,
    context: dict[str, Any] | None = None,
    agent: Agent = AGENT,
) -> dict[str, Any]:
    engine = PolicyEngine(load_policy(policy) for policy in policies)
    told = engine.decide(agent, Request(action, resource, context), now=NOW, explain=True).explanation
    assert told is not None
    return told


def rule(effect: str, conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "p", "rules": [{"effect": effect, "actions": ["*"], "conditions": conditions}], **more}


@pytest.mark.parametrize(
    ("tests", "resource", "words"),
    [
        ({"host": "*.example.com"}, "https://evil.test/", '"https://x.example.com/"'),
        ({"host": ["::1"]}, "http://evil.test/", '"http://[::1]/"'),
        ({"scheme": "https"}, "http://a.example/", '"https://a.example/"'),
        ({"matches": "./src/*"}, "lib/a", '"./src/x"'),
    ],
)
def test_the_change_of_a_url_keeps_the_rest(tests: dict[str, Any], resource: str, words: str) -> None:
    told = explain(rule("allow", {"resource": tests}), resource=resource)
    if "matches" in tests:
        assert "change" in told
    else:
        assert words in told["change"]


def test_an_explanation_is_made_only_when_asked_for() -> None:
    engine = PolicyEngine([load_policy(REFUND)])
    assert engine.decide(AGENT, Request("write:refund"), now=NOW).explanation is None


def test_every_policy_is_told_and_why_it_did_or_did_not_apply() -> None:
    told = explain(REFUND, ELSEWHERE)["policies"]
    assert [(one["policy"], one["applies"], one["because"], one["defaultEffect"]) for one in told] == [
        (
            "elsewhere",
            False,
            "the agent's trust tier is not in its `trustTiers`; the agent has none of its `tags`",
            "deny",
        ),
        ("refunds", True, "it applies to every agent", "deny"),
    ]
    assert told[0]["rules"] == []


def test_every_rule_whose_action_matched_is_told_with_the_value_of_each_test() -> None:
    told = explain(REFUND, context={"amount": "50"})["policies"][0]["rules"]
    assert told == [
        {
            "rule": "small",
            "effect": "allow",
            "matched": False,
            "decided": False,
            "because": "its conditions do not hold",
            "conditions": {
                "test": "all",
                "value": "false",
                "parts": [
                    {
                        "test": "context.amount gt 0",
                        "value": "error",
                        "saw": "50",
                        "error": "a text against a number",
                    },
                    {
                        "test": "context.amount lte 100",
                        "value": "error",
                        "saw": "50",
                        "error": "a text against a number",
                    },
                    {"test": 'tags in ["payments"]', "value": "false", "saw": ["support"]},
                ],
            },
        }
    ]


def test_the_rule_that_decided_is_told() -> None:
    told = explain(REFUND, rule("deny", {"context.amount": {"gt": 5}}), context={"amount": 9})
    assert told["decidedBy"] == {"policy": "p", "rule": "rule 1"}
    assert told["summary"] == "Decision: DENY because rule `rule 1` of policy `p` denies it"
    decided = [one["rule"] for policy in told["policies"] for one in policy["rules"] if one["decided"]]
    assert decided == ["rule 1"]


def test_a_rule_without_conditions_has_none_in_the_explanation() -> None:
    (one,) = explain(REFUND, action="read:mail")["policies"][0]["rules"]
    assert "conditions" not in one
    assert one["because"] == "its action matches and it has no conditions"


def test_what_is_missing_was_not_seen() -> None:
    told = explain(rule("allow", {"resource": {"not": {"equals": "x"}}}))["policies"][0]["rules"][0][
        "conditions"
    ]
    assert told == {
        "test": "not",
        "value": "error",
        "parts": [{"test": 'resource equals "x"', "value": "error", "error": "the request has no resource"}],
    }


def test_the_smallest_change_is_told() -> None:
    assert explain(REFUND, context={"amount": 50})["change"] == "would be allowed with tag `payments`"
    payer = Agent("agent_1", "helper", "verified", ["payments"])
    change = explain(REFUND, context={"amount": 500}, agent=payer)["change"]
    assert change.startswith("would be allowed if `context.amount lte 100` held, as with `context.amount` ")
    tier = rule("allow", {"trustTier": ["trusted"]})
    assert explain(tier)["change"] == "would be allowed with trust tier `trusted`"
    deny = [rule("deny", {"resource": {"within": "/etc"}}), {**REFUND, "defaultEffect": "allow"}]
    assert (
        '`resource within "/etc"` did not hold'
        in explain(*deny, action="read:x", resource="/etc/x")["change"]
    )
    unmet = {"name": "p", "appliesTo": {"tags": ["crew"]}, "rules": [{"effect": "allow", "actions": ["*"]}]}
    assert explain(unmet)["change"] == "would be allowed with tag `crew`"
    timed = rule("allow", {"time": {"after": "13:00"}})
    assert explain(timed)["change"].endswith("as at 2026-01-05T13:00:00+00:00")
    named = rule("allow", {"agentName": "lead"})
    assert explain(named)["change"].endswith('as with `agentName` "lead"')
    allowed = explain(rule("allow", {"context.a": {"exists": False}}))
    assert allowed["change"].startswith("would be denied if `context.a exists false` did not hold")


def test_no_change_is_told_when_two_things_stand_between() -> None:
    assert "change" not in explain(REFUND, context={"amount": 500})
    assert "change" not in explain({"name": "p", "rules": [{"effect": "deny", "actions": ["*"]}]})
    assert "change" not in explain(REFUND, action="delete:all")


@given(POLICY_SETS, st.integers())
def test_a_change_that_is_told_turns_the_decision_around(policies: list[dict[str, Any]], seed: int) -> None:
    engine = PolicyEngine(load_policy(policy) for policy in policies)
    random = Random(f"{seed} {policies}")
    for _ in range(5):
        agent, request = an_agent(random), a_request(random)
        if agent is None or agent.status != "active":
            continue
        decision = engine.decide(agent, request, now=NOW)
        change = engine.smallest_change(Situation(agent, request, NOW))
        if change is not None:
            other = change.situation
            assert engine.decide(other.agent, other.request, now=other.now).allowed is not decision.allowed
            assert differences(other, agent, request) == 1


def differences(other: Situation, agent: Agent, request: Request) -> int:
    fields = [
        (getattr(other.agent, name), getattr(agent, name)) for name in ("id", "name", "trust_tier", "tags")
    ]
    fields += [(repr(other.agent.metadata), repr(agent.metadata)), (other.now, NOW)]
    fields += [(other.request.action, request.action), (other.request.resource, request.resource)]
    fields += [(repr(other.request.context or {}), repr(request.context or {}))]
    return sum(one != two for one, two in fields)


def test_what_was_seen_is_cut_to_size() -> None:
    context = {
        "a": {"b": ["x" * 1_000] * 1_000, "c": {"d": {"e": {"f": 1}}}, **{str(n): n for n in range(100)}}
    }
    told = explain(rule("deny", {"context.a": "x"}), context=context)
    assert len(json.dumps(told)) < 10_000


def test_an_explanation_of_a_large_request_takes_no_longer_than_is_noticed() -> None:
    conditions = [{f"context.k{number}": {"lte": 1}} for number in range(50)]
    engine = PolicyEngine([load_policy(rule("allow", {"all": conditions}))])
    request = Request("a", None, {f"k{number}": 5 for number in range(9_900)})

    def explain_it() -> dict[str, Any] | None:
        return engine.decide(AGENT, request, now=NOW, explain=True).explanation

    assert "change" not in (within_time(explain_it) or {})


def test_what_was_seen_can_be_written_as_json_whatever_it_is() -> None:
    for value in (float("nan"), float("inf"), 10**5_000, "\ud800", "\x00\u202e", {"\ud800": 1}, b"x"):
        told = explain(rule("deny", {"context.a": {"gt": 1}}), context={"a": value})
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
        assert render_explanation(told).isprintable() is False


def test_rendered_text_has_no_control_characters_of_the_request() -> None:
    told = explain(rule("deny", {"context.a": "x"}), context={"a": "\x1b[31m\u202e\x07"})
    assert all(line.isprintable() for line in render_explanation(told).splitlines())


def test_a_rendered_explanation_is_a_tree() -> None:
    told = explain(REFUND, rule("deny", {"context.amount": {"gt": 5}}), context={"amount": "9"})
    assert render_explanation(told) == TREE


TREE = """\
Decision: DENY because rule `rule 1` of policy `p` denies it (it could not be evaluated: a text against a number)
p / rule 1 denies `*`, since `context.amount gt 5` can't be evaluated (saw "9"; a text against a number).
✓ policy p: it applies to every agent
  ✓ deny rule 1: its conditions could not be evaluated (a text against a number): a deny rule matches then  ← decided
    ⚠ context.amount gt 5 (saw "9"; a text against a number)
✓ policy refunds: it applies to every agent
  ✗ allow small: its conditions do not hold
    ✗ all
      ⚠ context.amount gt 0 (saw "9"; a text against a number)
      ⚠ context.amount lte 100 (saw "9"; a text against a number)
      ✗ tags in ["payments"] (saw ["support"])
  · no rule decides: deny"""  # noqa: E501


BUDGETS = {"tests": Work(tests=9), "values": Work(values=60), "text": Work(text=900)}


@pytest.mark.parametrize("limit", BUDGETS)
def test_an_explanation_stops_at_each_limit(limit: str) -> None:
    conditions = {f"context.a{number}": {"in": ["x", "y"]} for number in range(20)}
    engine = PolicyEngine([load_policy(rule("allow", conditions))])
    request = Request("a", None, {f"a{number}": ["z"] for number in range(20)})
    plain = engine.decide(AGENT, request, now=NOW)
    decision = engine.decide(AGENT, request, now=NOW, explain=BUDGETS[limit])
    assert decision.explanation is not None
    assert decision.explanation["truncated"] is True
    assert "cut short" in render_explanation(decision.explanation)
    assert (decision.allowed, decision.reason, decision.errors) == (plain.allowed, plain.reason, plain.errors)


def test_a_value_that_is_shown_has_bounds() -> None:
    deep = [[["x" * 900] * 90] * 90] * 90
    assert len(json.dumps(shown(deep))) < 10_000
    assert len(json.dumps(shown({"k" * 900 + str(number): deep for number in range(90)}))) < 20_000


def test_a_part_counts_in_the_whole() -> None:
    whole = Work(tests=MAX_TESTS + 1)
    whole.part().spend(tests=MAX_TESTS)
    with pytest.raises(OutOfWorkError):
        whole.part().spend(tests=2)
    assert whole.requests == MAX_TESTS // 1_000
