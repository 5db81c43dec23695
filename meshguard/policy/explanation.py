"""Why a decision came out as it did, as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from meshguard.policy.faults import ascii_safe
from meshguard.policy.index import unmet_keys
from meshguard.policy.json_text import json_text
from meshguard.policy.values import Outcome, Problem, shown
from meshguard.policy.work import OutOfWorkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
_MARKS = {"true": "✓", "false": "✗", "error": "⚠"}


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
    return "\n".join(ascii_safe(line) for line in _lines(explanation))


def _lines(explanation: Json) -> Iterator[str]:
    yield str(explanation.get("summary", ""))
    if hint := explanation.get("hint"):
        yield str(hint)
    if change := explanation.get("change"):
        yield f"It {change}."
    if explanation.get("truncated") is True:
        yield "The explanation is cut short at its limit of work."
    for policy in explanation.get("policies", []):
        yield from _policy_lines(policy)


def _policy_lines(policy: Json) -> Iterator[str]:
    applies = policy.get("applies") is True
    yield f"{_MARKS['true' if applies else 'false']} policy {policy.get('policy')}: {policy.get('because')}"
    rules = policy.get("rules", [])
    for rule in rules:
        yield from _rule_lines(rule)
    if applies and not any(rule.get("matched") for rule in rules):
        yield f"  · no rule decides: {policy.get('defaultEffect')}"


def _rule_lines(rule: Json) -> Iterator[str]:
    mark = _MARKS["true" if rule.get("matched") else "false"]
    decided = "  ← decided" if rule.get("decided") else ""
    yield f"  {mark} {rule.get('effect')} {rule.get('rule')}: {rule.get('because')}{decided}"
    if conditions := rule.get("conditions"):
        yield from _test_lines(conditions, 2)


def _test_lines(test: Json, depth: int) -> Iterator[str]:
    details = [f"saw {_compact(test['saw'])}"] if "saw" in test else []
    details += [str(test["error"])] if "error" in test else []
    end = f" ({'; '.join(details)})" if details else ""
    yield f"{'  ' * depth}{_MARKS.get(str(test.get('value')), '?')} {test.get('test')}{end}"
    for part in test.get("parts", []):
        yield from _test_lines(part, depth + 1)


def _compact(value: object) -> str:
    return json_text(shown(value), spaced=True)
