"""Hints on denials: true of the policies, short, and cheap."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import Agent, PolicyEngine, Request, load_policy, nearest
from meshguard.policy.nearest import Hint
from tests.policy.strategies import NOW, POLICY_SETS, a_request, an_agent

BOT = Agent("agent_1", "support-bot", "verified", ["support"], metadata={"team": "sales"})
SUPPORT: dict[str, Any] = {
    "name": "support",
    "appliesTo": {"tags": ["support"]},
    "rules": [
        {"name": "read-anything", "effect": "allow", "actions": ["read:*"]},
        {
            "name": "small-refunds",
            "effect": "allow",
            "actions": ["write:refund"],
            "conditions": {
                "context.amount": {"gt": 0, "lte": 100},
                "any": [{"tags": ["payments"]}, {"metadata.team": "payments"}],
            },
        },
        {
            "name": "any-refund",
            "effect": "allow",
            "actions": ["write:refund"],
            "conditions": {"trustTier": "privileged", "resource": {"startsWith": "order-"}, "agentName": "x"},
        },
        {
            "name": "no-secrets",
            "effect": "deny",
            "actions": ["read:file"],
            "conditions": {"resource": {"not": {"startsWith": "/srv/"}}},
            "reason": "Off limits",
        },
        {"name": "mail", "effect": "allow", "actions": ["send:email"]},
    ],
}
PAYMENTS: dict[str, Any] = {
    "name": "payments",
    "appliesTo": {"tags": ["payments", "billing"], "trustTiers": ["trusted"]},
    "rules": [{"effect": "allow", "actions": ["pay:invoice"]}],
}


def hint(
    *policies: dict[str, Any],
    action: str,
    context: dict[str, Any] | None = None,
    resource: str | None = None,
    agent: Agent = BOT,
    values: bool = True,
) -> Hint:
    engine = PolicyEngine(map(load_policy, policies))
    request = Request(action, resource, context)
    assert not engine.decide(agent, request, now=NOW).allowed
    found = engine.hint(agent, request, now=NOW, values=values)
    assert found is not None
    return found


def test_the_nearest_rule_is_named() -> None:
    only = {**SUPPORT, "rules": SUPPORT["rules"][:1]}
    found = hint(only, action="execute:search_contacts")
    assert found.text == (
        "No rule allows `execute:search_contacts` for support-bot. "
        "Closest: support / read-anything allows `read:*`."
    )


SPELLINGS = {
    "send:emial": "send:email",
    "Send:email": "send:email",
    "send:email ": "send:email",
    "raed:mail": "read:mail",
    "READ:mail": "read:mail",
}


@pytest.mark.parametrize(("action", "meant"), SPELLINGS.items())
def test_the_nearest_spelling_is_proposed(action: str, meant: str) -> None:
    found = hint(SUPPORT, action=action)
    assert found.action == meant
    assert found.text.endswith(f"Did you mean `{meant}`?")


@pytest.mark.parametrize("action", ["execute:search_contacts", "send:sms", "send", "x", "mail:send", "*"])
def test_no_far_spelling_is_proposed(action: str) -> None:
    assert hint(SUPPORT, action=action).action is None


def test_a_denied_spelling_is_not_proposed() -> None:
    deny = {"name": "freeze", "rules": [{"effect": "deny", "actions": ["send:email"]}]}
    found = hint(SUPPORT, deny, action="send:emial")
    assert (found.action, found.pattern) == (None, "send:email")
    assert "mean" not in found.text


def test_the_tests_that_failed_are_named() -> None:
    found = hint(SUPPORT, action="write:refund", context={"amount": 900})
    assert found.text == (
        "No rule allows this `write:refund` for support-bot. Closest: support / small-refunds allows "
        '`write:refund`, but `context.amount lte 100` is false (saw 900) and `tags in ["payments"]` is false '
        '(saw ["support"]) and `metadata.team equals "payments"` is false (saw "sales").'
    )


def test_a_test_without_a_value_says_so() -> None:
    payer = Agent("agent_1", "support-bot", "verified", ["support", "payments"])
    found = hint(SUPPORT, action="write:refund", context={"amount": "900"}, agent=payer)
    assert '`context.amount gt 0` can\'t be evaluated (saw "900"; a text against a number)' in found.text


def test_the_rule_with_the_fewest_failed_tests_is_named() -> None:
    privileged = Agent("agent_2", "desk", "privileged", ["support"])
    found = hint(SUPPORT, action="write:refund", resource="order-1", agent=privileged)
    assert found.rule is not None
    assert found.rule.name == "any-refund"
    assert found.text.endswith('but `agentName equals "x"` is false (saw "desk").')


def test_a_denial_names_its_tests() -> None:
    found = hint(SUPPORT, action="read:file", resource="/etc/passwd")
    assert found.text == (
        "support / no-secrets denies `read:file`, since "
        '`resource startsWith "/srv/"` is false (saw "/etc/passwd").'
    )
    plain = {"name": "freeze", "rules": [{"effect": "deny", "actions": ["write:*"]}]}
    assert hint(plain, action="write:x").text == "freeze / rule 1 denies `write:*`."


def test_other_agents_are_named() -> None:
    found = hint(PAYMENTS, action="pay:invoices")
    assert found.text == (
        "No rule allows `pay:invoices` for support-bot. Closest: payments / rule 1 allows `pay:invoice` "
        "to agents of trust tier `trusted` and with tag `payments` or `billing`."
    )


def test_a_rule_for_this_agent_comes_first() -> None:
    found = hint(SUPPORT, PAYMENTS, action="pay:invoice")
    assert found.rule is not None
    assert found.rule.policy == "support"


def test_without_policies_nothing_is_near() -> None:
    found = hint(action="read:x")
    assert (found.rule, found.action) == (None, None)
    assert found.text == "No rule allows `read:x` for support-bot. No policy allows anything."


def test_values_of_the_context_can_be_kept_out() -> None:
    context = {"amount": 900, "note": "Ada's number is 0151"}
    secret = Agent("agent_1", "support-bot", "verified", ["support"], metadata={"team": "skunkworks"})
    found = hint(SUPPORT, action="write:refund", context=context, agent=secret, values=False)
    assert "900" not in found.text
    assert "skunkworks" not in found.text
    assert "`context.amount lte 100` is false" in found.text
    assert 'saw ["support"]' in found.text


ENDED = Agent("a", "a", "verified", status="revoked")


@pytest.mark.parametrize("agent", [None, Agent("a", "a", "odd"), ENDED])
def test_an_agent_that_may_nothing_gets_no_hint(agent: Agent | None) -> None:
    engine = PolicyEngine([load_policy(SUPPORT)])
    assert engine.hint(agent, Request("read:x"), now=NOW) is None


def test_odd_names_stay_on_one_short_line() -> None:
    name, action = "b\u2028ot" + "x" * 120, "read\u202e" + "y" * 2_000
    odd = {"name": "p", "rules": [{"name": "r\u2028" + "z" * 120, "effect": "allow", "actions": ["q" * 500]}]}
    found = hint(odd, action=action, agent=Agent("agent_1", name, "verified"))
    assert found.text.isprintable()
    assert len(found.text) < 500


def without_conditions(policies: list[dict[str, Any]], policy: str, rule: str) -> list[dict[str, Any]]:
    changed = []
    for one in policies:
        rules = [
            {key: value for key, value in item.items() if key != "conditions"}
            if one["name"] == policy and item.get("name", f"rule {index}") == rule
            else item
            for index, item in enumerate(one["rules"], 1)
        ]
        changed.append({**one, "rules": rules})
    return changed


@given(POLICY_SETS, st.randoms(use_true_random=False))
def test_a_hint_is_true(policies: list[dict[str, Any]], random: Random) -> None:
    """What it names allows or denies as it says, and what it proposes is allowed."""
    engine = PolicyEngine(map(load_policy, policies))
    for _ in range(5):
        agent, request = an_agent(random), a_request(random)
        decision = engine.decide(agent, request, now=NOW)
        if decision.allowed:
            continue
        found = engine.hint(agent, request, now=NOW)
        if found is None or agent is None:
            assert decision.policy is None
            continue
        assert found.text.isprintable()
        assert len(found.text) < 2_000
        if found.action:
            other = Request(found.action, request.resource, request.context)
            assert engine.decide(agent, other, now=NOW).allowed
        if decision.rule:
            assert found.rule is not None
            assert (found.rule.policy, found.rule.name) == (decision.policy, decision.rule)
        elif found.rule is not None:
            assert found.rule.allows
            assert found.pattern in found.rule.rule.actions
            if "Closest" in found.text and " this " in found.text:
                freed = without_conditions(policies, found.rule.policy, found.rule.name)
                assert PolicyEngine(map(load_policy, freed)).decide(agent, request, now=NOW).allowed


def test_very_many_rules_are_not_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [{"effect": "allow", "actions": [f"read:{number:06}:*"]} for number in range(1_000)]
    policies = [{"name": f"p{number}", "rules": rules} for number in range(10)]
    engine = PolicyEngine(map(load_policy, policies))
    compared: list[str] = []
    likeness = nearest._likeness

    def counted(action: Any, pattern: str) -> float:
        compared.append(pattern)
        return likeness(action, pattern)

    monkeypatch.setattr(nearest, "_likeness", counted)
    for action in ("read:000500", "zzz", "", ":*") * 2:
        found = engine.hint(BOT, Request(action or "a"), now=NOW)
        assert found is not None
        assert found.rule is not None
    assert len(compared) <= 4 * (4 * nearest._NEIGHBORS + 1)


def test_conditions_are_looked_into_up_to_a_limit() -> None:
    conditions = {f"context.k{number}": {"in": ["x", "z"]} for number in range(90)}
    rules = [{"effect": "allow", "actions": ["*"], "conditions": conditions} for _ in range(10)]
    context = {f"k{number}": "y" * 5_000 for number in range(90)}
    found = hint({"name": "p", "rules": rules}, action="pay", context=context)
    assert found.text.endswith("p / rule 1 allows `*`, but not under its conditions.")
