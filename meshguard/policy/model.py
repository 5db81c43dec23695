"""A policy as a value: what the loader returns and the engine compiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

Effect: TypeAlias = Literal["allow", "deny"]
Scalar: TypeAlias = "str | int | float | Decimal | bool"
Json: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a subject: its name and what it compares with; for ``not``, the tests it negates.

    Example:
        >>> Test("lte", 100).to_json()
        100
        >>> Test("not", (Test("equals", "prod"),)).to_json()
        {'equals': 'prod'}
    """

    __test__ = False

    name: str
    operand: Scalar | tuple[Scalar, ...] | tuple[Test, ...]

    def to_json(self) -> Any:
        """Return the operand as JSON."""
        if self.name == "not":
            return tests_to_json(self.negated)
        return list(self.operand) if isinstance(self.operand, tuple) else self.operand

    @property
    def negated(self) -> tuple[Test, ...]:
        """The tests below a ``not``; empty for every other test."""
        parts = self.operand if isinstance(self.operand, tuple) else ()
        return tuple(part for part in parts if isinstance(part, Test))

    @property
    def alternatives(self) -> tuple[Scalar, ...]:
        """What the test compares with, one value or several alike."""
        parts = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        return tuple(part for part in parts if not isinstance(part, Test))


def tests_to_json(tests: tuple[Test, ...]) -> Json:
    """Return tests of one subject as a JSON object."""
    return {test.name: test.to_json() for test in tests}


@dataclass(frozen=True, slots=True)
class SubjectTests:
    """A subject, such as ``context.amount``, and its tests, all of which must hold."""

    subject: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Nested conditions: ``any`` or ``all`` of them must hold."""

    kind: Literal["any", "all"]
    members: tuple[Conditions, ...]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions that must all hold.

    Example:
        >>> amount = SubjectTests("context.amount", (Test("lte", 100),))
        >>> Conditions((amount, Group("any", (Conditions((amount,)),)))).to_json()
        {'context.amount': {'lte': 100}, 'any': [{'context.amount': {'lte': 100}}]}
    """

    parts: tuple[SubjectTests | Group, ...]

    def to_json(self) -> Json:
        """Return the conditions as a JSON object."""
        return {
            part.kind if isinstance(part, Group) else part.subject: (
                [member.to_json() for member in part.members]
                if isinstance(part, Group)
                else tests_to_json(part.tests)
            )
            for part in self.parts
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Args:
        effect: ``allow`` or ``deny``.
        actions: Patterns of actions, any of which may match.
        name: Unique in its policy; None for a rule known by its place.
        conditions: What must hold for the rule to match; None for nothing.
        reason: The reason given when the rule decides.
        description: What the rule is for.
        id: Another tool's id, kept and not interpreted; None for the name.
    """

    effect: Effect
    actions: tuple[str, ...]
    name: str | None = None
    conditions: Conditions | None = None
    reason: str | None = None
    description: str | None = None
    id: str | None = None

    def to_json(self) -> Json:
        """Return the rule in the form of the wire."""
        return _without_none(
            {
                "id": self.id,
                "name": self.name,
                "description": self.description,
                "effect": self.effect,
                "actions": list(self.actions),
                "conditions": self.conditions and self.conditions.to_json(),
                "reason": self.reason,
            }
        )


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Which agents a policy applies to; a key that is None matches every agent."""

    trust_tiers: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    agent_ids: tuple[str, ...] | None = None

    def to_json(self) -> Json:
        """Return it in the form of the wire."""
        return _without_none(
            {
                "trustTiers": self.trust_tiers and list(self.trust_tiers),
                "tags": self.tags and list(self.tags),
                "agentIds": self.agent_ids and list(self.agent_ids),
            }
        )


@dataclass(frozen=True, slots=True)
class Delegation:
    """How far permissions may be passed on; kept, without effect so far."""

    max_depth: int | None = None
    permission_ceiling: tuple[str, ...] | None = None

    def to_json(self) -> Json:
        """Return it in the form of the wire."""
        return _without_none(
            {
                "maxDepth": self.max_depth,
                "permissionCeiling": self.permission_ceiling and list(self.permission_ceiling),
            }
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was loaded whole; make one with ``load_policy``.

    Args:
        name: Unique in a gateway.
        rules: One or more rules.
        version: The author's version; kept, not interpreted.
        description: What the policy is for.
        applies_to: The agents it applies to; None for every agent.
        default_effect: What it says when no rule matches.
        delegation: Kept, without effect so far.
        id: Another tool's id, kept and not interpreted; None for the name.

    Example:
        >>> Policy("readers", (Rule("allow", ("read:*",)),)).to_dict()
        {'name': 'readers', 'rules': [{'effect': 'allow', 'actions': ['read:*']}]}
    """

    name: str
    rules: tuple[Rule, ...]
    version: str | None = None
    description: str | None = None
    applies_to: AppliesTo | None = None
    default_effect: Effect = "deny"
    delegation: Delegation | None = None
    id: str | None = None

    def to_dict(self) -> Json:
        """Return the policy in the form of the wire; loading that gives an equal policy."""
        return _without_none(
            {
                "id": self.id,
                "name": self.name,
                "version": self.version,
                "description": self.description,
                "appliesTo": self.applies_to and self.applies_to.to_json(),
                "rules": [rule.to_json() for rule in self.rules],
                "defaultEffect": "allow" if self.default_effect == "allow" else None,
                "delegation": self.delegation and self.delegation.to_json(),
            }
        )

    def to_listed(self) -> Json:
        """Return the policy as `to_dict` does, with its name and its rules' in place of missing ids.

        Example:
            >>> policy = Policy("readers", (Rule("allow", ("read:*",)),)).to_listed()
            >>> policy["id"], policy["rules"][0]["id"]
            ('readers', 'rule 1')
        """
        listed = {"id": self.name, **self.to_dict()}
        listed["rules"] = [
            {"id": self.rule_name(index), **rule} for index, rule in enumerate(listed["rules"])
        ]
        return listed

    def rule_name(self, index: int) -> str:
        """Return the name of the rule at an index from 0; "rule 1" for a first rule without a name."""
        return self.rules[index].name or f"rule {index + 1}"


def _without_none(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if value is not None}
