from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import Decision, PolicyEngine, PolicyLoadError, load_policy
from meshguard.policy.json_text import json_text
from tests.policy.strategies import NOW, POLICY_SETS, a_request, an_agent, policy, rules

SEEDS = st.integers()


def decisions(policies: list[dict[str, Any]], seed: int, count: int = 60) -> Iterator[Decision]:
    engine = PolicyEngine(load_policy(one) for one in policies)
    random = Random(f"{seed}")
    agents = [an_agent(random) for _ in range(6)]
    for number in range(count):
        yield engine.decide(agents[number % len(agents)], a_request(random), now=NOW)


@given(POLICY_SETS.filter(bool), rules(["deny"]), st.integers(0, 9), SEEDS)
def test_adding_a_deny_rule_never_turns_deny_into_allow(
    policies: list[dict[str, Any]], deny: dict[str, Any], place: int, seed: int
) -> None:
    changed = [dict(one, rules=list(one["rules"])) for one in policies]
    changed[place % len(changed)]["rules"].insert(place, deny)
    for before, after in zip(decisions(policies, seed), decisions(changed, seed), strict=True):
        assert before.allowed or not after.allowed


@given(POLICY_SETS.filter(bool), SEEDS)
def test_removing_an_allow_rule_never_turns_deny_into_allow(
    policies: list[dict[str, Any]], seed: int
) -> None:
    for index, one in enumerate(policies):
        for place, rule in enumerate(one["rules"]):
            if rule["effect"] == "allow":
                without = one["rules"][:place] + one["rules"][place + 1 :]
                rest = without or [{"effect": "deny", "actions": ["never"]}]
                changed = [*policies[:index], dict(one, rules=rest), *policies[index + 1 :]]
                for before, after in zip(
                    decisions(policies, seed, 12), decisions(changed, seed, 12), strict=True
                ):
                    assert before.allowed or not after.allowed


BROKEN_TEST = {"context.nowhere": {"lte": 1}}


@given(POLICY_SETS, SEEDS)
def test_an_error_in_every_rule_never_allows_by_a_rule(policies: list[dict[str, Any]], seed: int) -> None:
    broken = [
        dict(one, rules=[dict(rule, conditions={"all": [BROKEN_TEST]}) for rule in one["rules"]])
        for one in policies
    ]
    for decision in decisions(broken, seed):
        assert not decision.allowed or decision.rule is None
        assert decision.rule is None or decision.errors


@given(POLICY_SETS, SEEDS)
def test_an_error_in_an_applying_deny_rule_denies(policies: list[dict[str, Any]], seed: int) -> None:
    guard = {
        "name": "guard",
        "rules": [
            {"effect": "deny", "actions": ["*"], "conditions": {"any": [BROKEN_TEST, {"resource": "no"}]}}
        ],
    }
    assert not any(decision.allowed for decision in decisions([*policies, guard], seed))


@given(POLICY_SETS, SEEDS)
def test_an_error_beside_other_conditions_never_allows(policies: list[dict[str, Any]], seed: int) -> None:
    widened = [
        dict(one, rules=[with_error(rule) if rule["effect"] == "allow" else rule for rule in one["rules"]])
        for one in policies
    ]
    for decision in decisions(widened, seed):
        assert decision.rule is None or not decision.allowed


def with_error(rule: dict[str, Any]) -> dict[str, Any]:
    return dict(
        rule, conditions={"all": [BROKEN_TEST, *([rule["conditions"]] if "conditions" in rule else [])]}
    )


@given(POLICY_SETS, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_policies_and_of_keys_changes_nothing(
    policies: list[dict[str, Any]], seed: int, random: Random
) -> None:
    shuffled = [shuffle_keys(one, random) for one in policies]
    random.shuffle(shuffled)
    assert list(decisions(policies, seed)) == list(decisions(shuffled, seed))


def shuffle_keys(value: Any, random: Random) -> Any:
    if isinstance(value, list):
        return [shuffle_keys(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    random.shuffle(keys)
    return {key: shuffle_keys(value[key], random) for key in keys}


@given(policy("p"))
def test_what_was_loaded_loads_again_as_the_same(one: dict[str, Any]) -> None:
    loaded = load_policy(one)
    assert load_policy(loaded.to_dict()) == loaded
    assert load_policy(json_text(loaded.to_dict())) == loaded
    assert (
        load_policy(json_text(loaded.to_dict(), spaced=True).replace(", ", ",\n ").encode(), file="p.yaml")
        == loaded
    )


@given(policy("p"), st.text(min_size=1), st.randoms(use_true_random=False))
def test_an_unknown_key_anywhere_is_refused(one: dict[str, Any], key: str, random: Random) -> None:
    targets = [(at, known) for at, known in objects_of(one) if key not in known]
    target, _ = random.choice(targets)
    target[key] = "x"
    with pytest.raises(PolicyLoadError):
        load_policy(one)


def objects_of(one: dict[str, Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Every object of a policy, and the keys it may have; all that begin alike count as known."""
    yield one, {"name", "version", "description", "appliesTo", "rules", "defaultEffect", "delegation"}
    if "appliesTo" in one:
        yield one["appliesTo"], {"trustTiers", "tags", "agentIds"}
    for rule in one["rules"]:
        yield rule, {"name", "description", "effect", "actions", "conditions", "reason"}
        if "conditions" in rule:
            yield (
                rule["conditions"],
                {"resource", "action", "agentId", "agentName", "trustTier", "any", "all"},
            )


@given(POLICY_SETS, SEEDS)
def test_the_explanation_agrees_with_the_decision(policies: list[dict[str, Any]], seed: int) -> None:
    engine = PolicyEngine(load_policy(one) for one in policies)
    random = Random(f"{seed}")
    for _ in range(10):
        agent, request = an_agent(random), a_request(random)
        plain = engine.decide(agent, request, now=NOW)
        told = engine.decide(agent, request, now=NOW, explain=True)
        assert (plain.allowed, plain.policy, plain.rule, plain.errors) == (
            told.allowed,
            told.policy,
            told.rule,
            told.errors,
        )
        json.dumps(told.explanation, allow_nan=False).encode()
        assert_story_leads_to(told, policies)


def assert_story_leads_to(decision: Decision, policies: list[dict[str, Any]]) -> None:
    story = decision.explanation
    assert story is not None
    told = [rule for one in story["policies"] for rule in one["rules"]]
    denied = any(rule["matched"] for rule in told if rule["effect"] == "deny")
    allowed = any(rule["matched"] for rule in told if rule["effect"] == "allow")
    if decision.rule:
        assert decision.allowed is (allowed and not denied)
        assert [rule["rule"] for rule in told if rule["decided"]] == [decision.rule]
        assert story["decidedBy"] == {"policy": decision.policy, "rule": decision.rule}
    else:
        assert (denied, allowed) == (False, False)
        assert "decidedBy" not in story
    assert not story["policies"] or len(story["policies"]) == len(policies)
