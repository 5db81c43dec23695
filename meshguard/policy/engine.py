"""Decisions: may this agent do that, now?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from meshguard.policy.change import Change, Situation, smallest_change
from meshguard.policy.conditions import Facts
from meshguard.policy.explanation import explain_policies, summary_of
from meshguard.policy.index import ActionIndex, Audience, AudienceIndex, CompiledRule, compile_rules
from meshguard.policy.nearest import Hint, NearestRules
from meshguard.policy.values import Problem
from meshguard.policy.vocabulary import TIERS
from meshguard.policy.work import OutOfWorkError, Work

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from meshguard.policy.model import AppliesTo, Policy
    from meshguard.policy.request import Agent, Request


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one request.

    Args:
        allowed: Whether the agent may.
        policy: The policy whose rule decided; None when no rule did.
        rule: The rule that decided; None when no rule did.
        reason: Why, in words.
        errors: How many tests could not be evaluated in the rules that were looked at.
        explanation: The whole story as JSON, when asked for; ``render_explanation`` makes text of it.
    """

    allowed: bool
    policy: str | None
    rule: str | None
    reason: str
    errors: int = 0
    explanation: dict[str, Any] | None = None

    @property
    def decision(self) -> Literal["allow", "deny"]:
        """The outcome as a word."""
        return "allow" if self.allowed else "deny"


_DEFAULT_ALLOW = Decision(
    True, None, None, "no rule matches, and every policy that applies allows by default"
)
_DEFAULT_DENY = Decision(False, None, None, "no rule of the policies that apply allows it")
_NO_POLICY = Decision(False, None, None, "no policy applies to this agent")
_UNKNOWN_AGENT = Decision(False, None, None, "the agent is unknown")


class PolicyEngine:
    """Policies compiled for deciding; never changes, is replaced whole.

    Args:
        policies: Policies with different names, in any order.

    Raises:
        ValueError: Two policies have one name.

    Example:
        >>> from datetime import UTC, datetime
        >>> from meshguard.policy import Agent, Request, load_policy
        >>> policy = load_policy("{name: readers, rules: [{effect: allow, actions: ['read:*']}]}")
        >>> engine = PolicyEngine([policy])
        >>> agent = Agent("agent_1", "helper", "verified")
        >>> now = datetime(2026, 1, 5, 12, tzinfo=UTC)
        >>> engine.decide(agent, Request("read:mail"), now=now).decision
        'allow'
        >>> engine.decide(agent, Request("write:mail"), now=now).reason
        'no rule of the policies that apply allows it'
    """

    __slots__ = ("_actions", "_audiences", "_nearest", "_outcomes", "_policies")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies = tuple(sorted(policies, key=lambda policy: policy.name))
        _refuse_shared_names(self._policies)
        rules = compile_rules(self._policies)
        self._outcomes = tuple(Decision(rule.allows, rule.policy, rule.name, _reason(rule)) for rule in rules)
        self._actions = ActionIndex(rules)
        self._audiences = AudienceIndex(self._policies)
        self._nearest = NearestRules(rules, self._policies)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies, in the order of their names."""
        return self._policies

    def decide(
        self, agent: Agent | None, request: Request, *, now: datetime, explain: bool | Work = False
    ) -> Decision:
        """Decide one request.

        Args:
            agent: Who asks; None for an agent nobody knows.
            request: What it asks for.
            now: The time of the decision, with its time zone.
            explain: Whether to add the explanation; how much work that may be, when it is not the default.

        Returns:
            The decision (language page, "Combining"). It does not depend on the order of the policies.

        Raises:
            ValueError: ``now`` has no time zone.

        Example:
            >>> from datetime import UTC, datetime
            >>> from meshguard.policy import Request
            >>> now = datetime(2026, 1, 5, 12, tzinfo=UTC)
            >>> PolicyEngine([]).decide(None, Request("read:mail"), now=now).reason
            'the agent is unknown'
        """
        if now.tzinfo is None:
            raise ValueError("now has no time zone: pass datetime.now(UTC)")
        refused = _refused(agent)
        if agent is None or refused is not None:
            decision = refused or _UNKNOWN_AGENT
            return replace(decision, explanation=_story(decision, [])) if explain else decision
        decision = self._decide(agent, request, now)
        if not explain:
            return decision
        return self._explained(
            decision, Situation(agent, request, now), Work() if explain is True else explain
        )

    def could_allow(self, agent: Agent, request: Request, *, now: datetime) -> bool:
        """Return whether what is denied could be allowed with another context or resource, or later.

        Args:
            agent: Who asks.
            request: What was denied.
            now: The time of the decision, with its time zone.

        Returns:
            True when a rule, or the default of every policy, could allow it, and no deny matches in any case.

        Example:
            >>> from datetime import UTC, datetime
            >>> from meshguard.policy import Agent, Request, load_policy
            >>> policy = load_policy({"name": "pay", "rules": [
            ...     {"effect": "allow", "actions": ["pay"], "conditions": {"context.amount": {"lte": 9}}},
            ...     {"effect": "deny", "actions": ["pay"], "conditions": {"tags": ["contractor"]}}]})
            >>> engine, now = PolicyEngine([policy]), datetime.now(UTC)
            >>> engine.could_allow(Agent("agent_1", "helper", "verified"), Request("pay"), now=now)
            True
            >>> contractor = Agent("agent_2", "helper", "verified", ["contractor"])
            >>> engine.could_allow(contractor, Request("pay"), now=now)
            False
        """
        if _refused(agent) is not None:
            return False
        audience, facts = self._audiences.of(agent), Facts(agent, request, now)
        denies, allows = (
            [rule.condition for rule in rules if rule.policy_rank in audience.policies]
            for rules in self._actions.find(request.action)
        )
        if not all(condition and condition.can_be(facts, wanted=False) for condition in denies):
            return False
        return audience.allows_by_default or any(
            condition is None or condition.can_be(facts, wanted=True) for condition in allows
        )

    def _decide(self, agent: Agent, request: Request, now: datetime) -> Decision:
        audience = self._audiences.of(agent)
        facts = Facts(agent, request, now)
        policies = audience.policies
        for rules in self._actions.find(request.action):
            for rule in rules:
                if rule.policy_rank in policies:
                    condition = rule.condition
                    if condition is None:
                        return self._outcome(rule, facts)
                    outcome = condition.evaluate(facts)
                    if outcome is True or (not rule.allows and outcome is not False):
                        return self._outcome(rule, facts, outcome)
        return _with_errors(_default(audience), facts.errors)

    def _outcome(self, rule: CompiledRule, facts: Facts, outcome: object = True) -> Decision:
        decision = self._outcomes[rule.rank]
        if isinstance(outcome, Problem):
            reason = f"{decision.reason} (it could not be evaluated: {outcome.message})"
            return Decision(decision.allowed, decision.policy, decision.rule, reason, facts.errors)
        return _with_errors(decision, facts.errors)

    def hint(
        self, agent: Agent | None, request: Request, *, now: datetime, values: bool = True
    ) -> Hint | None:
        """Return what comes nearest to allowing a request that was denied; the work for it is bounded.

        Args:
            agent: Who asks.
            request: What was denied.
            now: The time of the decision, with its time zone.
            values: Whether values of the request's context and the agent's metadata may be shown.

        Returns:
            The hint; None for an agent that is refused whatever the policies say.

        Example:
            >>> from datetime import UTC, datetime
            >>> from meshguard.policy import Agent, Request, load_policy
            >>> rule = {"name": "read-anything", "effect": "allow", "actions": ["read:*"]}
            >>> engine = PolicyEngine([load_policy({"name": "support", "rules": [rule]})])
            >>> agent, now = Agent("agent_1", "support-bot", "verified"), datetime.now(UTC)
            >>> print(engine.hint(agent, Request("find:mail"), now=now).text)
            No rule allows `find:mail` for support-bot. Closest: support / read-anything allows `read:*`.
        """
        if agent is None or _refused(agent) is not None:
            return None
        return self._nearest.hint(
            self._actions.find(request.action),
            self._audiences.of(agent).policies,
            Facts(agent, request, now),
            lambda action: self.decide(agent, replace(request, action=action), now=now).allowed,
            values=values,
        )

    def smallest_change(self, situation: Situation) -> Change | None:
        """Return a change of one thing that turns a decision around; None when none was found.

        Args:
            situation: Who asks for what, and when; an active agent of a known tier.

        Example:
            >>> from datetime import UTC, datetime
            >>> from meshguard.policy import Agent, Request, load_policy
            >>> rule = {"effect": "allow", "actions": ["pay"], "conditions": {"tags": ["payments"]}}
            >>> engine = PolicyEngine([load_policy({"name": "pay", "rules": [rule]})])
            >>> agent = Agent("agent_1", "helper", "verified")
            >>> situation = Situation(agent, Request("pay"), datetime.now(UTC))
            >>> engine.smallest_change(situation).words
            'with tag `payments`'
        """
        try:
            return self._change(situation, self._situation_allowed(situation), Work())
        except OutOfWorkError:
            return None

    def _change(self, situation: Situation, allowed: bool, work: Work) -> Change | None:
        denies, allows = self._actions.find(situation.request.action)
        rules = (*denies, *allows) if allowed else (*allows, *denies)
        return smallest_change(
            situation,
            [rule.rule.conditions for rule in rules if rule.rule.conditions],
            self._audiences_of(rules),
            lambda other: self._situation_allowed(other) is not allowed,
            work,
        )

    def _situation_allowed(self, situation: Situation) -> bool:
        return self.decide(situation.agent, situation.request, now=situation.now).allowed

    def _explained(self, decision: Decision, situation: Situation, work: Work) -> Decision:
        denies, allows = self._actions.find(situation.request.action)
        decided = (decision.policy, decision.rule)
        policies: list[dict[str, Any]] = []
        change, complete = None, False
        try:
            work.spend(values=situation.values())
            facts = situation.facts()
            policies, complete = explain_policies(self._policies, (*denies, *allows), facts, decided, work)
            change = self._change(situation, decision.allowed, work) if complete else None
        except OutOfWorkError:
            complete = False
        hint = None if decision.allowed else self.hint(situation.agent, situation.request, now=situation.now)
        return replace(decision, explanation=_story(decision, policies, change, hint, complete=complete))

    def _audiences_of(self, rules: Iterable[CompiledRule]) -> list[AppliesTo]:
        ranks = dict.fromkeys(rule.policy_rank for rule in rules)
        audiences = (self._policies[rank].applies_to for rank in ranks)
        return [applies for applies in audiences if applies is not None]


def _story(
    decision: Decision,
    policies: list[dict[str, Any]],
    change: Change | None = None,
    hint: Hint | None = None,
    *,
    complete: bool = True,
) -> dict[str, Any]:
    story: dict[str, Any] = {"summary": summary_of(allowed=decision.allowed, reason=decision.reason)}
    if decision.rule is not None:
        story["decidedBy"] = {"policy": decision.policy, "rule": decision.rule}
    if hint is not None:
        story["hint"] = hint.text
    if change is not None:
        story["change"] = f"would be {'denied' if decision.allowed else 'allowed'} {change.words}"
    if not complete:
        story["truncated"] = True
    return story | {"policies": policies}


def _refuse_shared_names(policies: tuple[Policy, ...]) -> None:
    for one, other in pairwise(policies):
        if one.name == other.name:
            raise ValueError(f"two policies have the name {one.name!r}")


def _reason(rule: CompiledRule) -> str:
    verb = "allows" if rule.allows else "denies"
    return rule.rule.reason or f"rule `{rule.name}` of policy `{rule.policy}` {verb} it"


def _refused(agent: Agent | None) -> Decision | None:
    if agent is None:
        return _UNKNOWN_AGENT
    if agent.status != "active":
        return Decision(False, None, None, f"the agent is {agent.status}")
    if agent.trust_tier not in TIERS:
        return Decision(False, None, None, "the agent has an unknown trust tier")
    return None


def _default(audience: Audience) -> Decision:
    if not audience.policies:
        return _NO_POLICY
    return _DEFAULT_ALLOW if audience.allows_by_default else _DEFAULT_DENY


def _with_errors(decision: Decision, errors: int) -> Decision:
    if not errors:
        return decision
    return Decision(decision.allowed, decision.policy, decision.rule, decision.reason, errors)
