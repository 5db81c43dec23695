"""Why a decision came out as it did, as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from meshguard.explanation_text import explanation_text
from meshguard.policy.index import unmet_keys
from meshguard.policy.json_text import json_text
from meshguard.policy.values import Outcome, Problem, shown
from meshguard.policy.work import OutOfWorkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshguard.policy.conditions import Facts
    from meshguard.policy.index import CompiledRule
    from meshguard.policy.model import AppliesTo, Policy
    from meshguard.policy.work import Work

Json: TypeAlias = dict[str, Any]

_UNMET = {
    "trustTiers": "the agent's trust tier is not in its `trustTiers`",
    "tags": "the agent has none of its `tags`",
    "agentIds": "the agent's id is not in its `agentIds`",
}
_POLICY_TEXT = 200  # characters of the frame around a policy; a rule
_RULE_TEXT = 160
_RULES_OF_A_TEST = 10  # rules that are sorted in the time of one test


def summary_of(*, allowed: bool, reason: str) -> str:
    """Return the decision and its reason in one line.

    Example:
        >>> summary_of(allowed=False, reason="no policy applies to this agent")
        'Decision: DENY because no policy applies to this agent'
    """
    return f"Decision: {'ALLOW' if allowed else 'DENY'} because {reason}"


def explain_policies(
    policies: Sequence[Policy],
    found: Sequence[CompiledRule],
    facts: Facts,
    decided: tuple[str | None, str | None],
    work: Work,
) -> tuple[list[Json], bool]:
    """Return what each policy had to say, and whether that is all.

    A policy says whether it applies, and which of its rules have a matching action. What is beyond the limit
    of work is omitted.
    """
    told: list[Json] = []
    try:
        work.spend(tests=len(found) // _RULES_OF_A_TEST)
        by_policy: dict[str, list[CompiledRule]] = {}
        for rule in sorted(found, key=lambda rule: rule.rank):
            by_policy.setdefault(rule.policy, []).append(rule)
        for policy in policies:
            told.append(_policy(policy, facts, work))
            for rule in by_policy.get(policy.name, []) if told[-1]["applies"] else ():
                told[-1]["rules"].append(_rule(rule, facts, decided, work))
    except OutOfWorkError:
        return told, False
    return told, True


def _policy(policy: Policy, facts: Facts, work: Work) -> Json:
    work.spend(text=_POLICY_TEXT + len(policy.name))
    unmet = list(unmet_keys(policy.applies_to, facts.agent)) if policy.applies_to else []
    return {
        "policy": policy.name,
        "applies": not unmet,
        "because": "; ".join(_UNMET[key] for key in unmet) or _met(policy.applies_to),
        "defaultEffect": policy.default_effect,
        "rules": [],
    }


def _met(applies: AppliesTo | None) -> str:
    if applies is None:
        return "it applies to every agent"
    return f"the agent matches its {', '.join(f'`{key}`' for key in applies.to_json())}"


def _rule(rule: CompiledRule, facts: Facts, decided: tuple[str | None, str | None], work: Work) -> Json:
    work.spend(text=_RULE_TEXT + len(rule.name))
    outcome: Outcome = True
    conditions: Json = {}
    if rule.condition is not None:
        outcome, tree = rule.condition.describe(facts, work)
        conditions = {"conditions": tree}
    matched = outcome is True or (not rule.allows and outcome is not False)
    return {
        "rule": rule.name,
        "effect": rule.rule.effect,
        "matched": matched,
        "decided": decided == (rule.policy, rule.name),
        "because": _because(rule, outcome),
        **conditions,
    }


def _because(rule: CompiledRule, outcome: Outcome) -> str:
    if rule.condition is None:
        return "its action matches and it has no conditions"
    if isinstance(outcome, Problem):
        end = "an allow rule does not match then" if rule.allows else "a deny rule matches then"
        return f"its conditions could not be evaluated ({outcome.message}): {end}"
    return "its action matches and its conditions hold" if outcome else "its conditions do not hold"


def render_explanation(explanation: Json) -> str:
    """Return an explanation as text: a tree of policies, rules and tests with ✓, ✗ and ⚠.

    Args:
        explanation: ``Decision.explanation``, or the ``explanation`` of a decision of the gateway.

    Returns:
        Lines without a newline at the end. Control characters in what was seen are written as escapes.

    Example:
        >>> print(render_explanation({
        ...     "summary": "Decision: DENY because no rule of the policies that apply allows it",
        ...     "change": "would be allowed with tag `payments`",
        ...     "policies": [{
        ...         "policy": "refunds", "applies": True, "because": "it applies to every agent",
        ...         "defaultEffect": "deny",
        ...         "rules": [{
        ...             "rule": "small", "effect": "allow", "matched": False, "decided": False,
        ...             "because": "its conditions do not hold",
        ...             "conditions": {"test": 'tags in ["payments"]', "value": "false", "saw": ["support"]},
        ...         }],
        ...     }],
        ... }))
        Decision: DENY because no rule of the policies that apply allows it
        It would be allowed with tag `payments`.
        ✓ policy refunds: it applies to every agent
          ✗ allow small: its conditions do not hold
            ✗ tags in ["payments"] (saw ["support"])
          · no rule decides: deny
    """
    return explanation_text(explanation, _compact)


def _compact(value: object) -> str:
    return json_text(shown(value), spaced=True)
