"""Which tools are worth showing to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard.types import PolicyDecision


def could_be_allowed(decision: PolicyDecision) -> bool:
    """Whether other arguments, or another time, could make the decision an allow.

    Our gateway says so itself (`conditional`). For other gateways, read the explanation.
    """
    if decision.allowed or decision.conditional is not None:
        return decision.allowed or bool(decision.conditional)
    if decision.explanation is None:
        return False
    policies = [policy for policy in decision.explanation.get("policies", ()) if policy.get("applies")]
    rules = [rule for policy in policies for rule in policy.get("rules", ())]
    if any(
        rule.get("effect") == "deny" and not _can_be(rule.get("conditions"), wanted=False) for rule in rules
    ):
        return False
    allows = any(
        rule.get("effect") == "allow" and _can_be(rule.get("conditions"), wanted=True) for rule in rules
    )
    by_default = all(policy.get("defaultEffect") == "allow" for policy in policies)
    return allows or bool(policies and by_default)


def _can_be(test: Mapping[str, Any] | None, *, wanted: bool) -> bool:
    """Whether explained conditions can be true or false, as wanted, for some arguments."""
    if test is None:
        return wanted
    name, parts = str(test.get("test")), test.get("parts")
    if not parts:
        return name.startswith(("context.", "resource", "time ")) or test.get("value") == str(wanted).lower()
    if name == "not":
        return _can_be(parts[0], wanted=not wanted)
    enough = all if (name == "all") is wanted else any
    return enough(_can_be(part, wanted=wanted) for part in parts)
