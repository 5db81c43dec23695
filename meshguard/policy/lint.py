"""Warnings about policies that load, and yet may not do what was meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshguard.policy.faults import pointer_part, quoted
from meshguard.policy.index import ActionIndex, CompiledRule, compile_rules
from meshguard.policy.model import Conditions, SubjectTests, Test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshguard.policy.model import AppliesTo, Policy
    from meshguard.policy.request import Agent

_ANY_TEXT = "\0"
_LIKE_URL = re.compile(r"(?:[A-Za-z*][A-Za-z0-9+.*-]*:/*)?//|[A-Za-z][A-Za-z0-9+.-]*:/")
_TOP = "app|cloud|com|corp|de|dev|edu|example|gov|info|internal|io|lan|local|localhost|net|onion|org|test|uk"
_LIKE_HOST = re.compile(rf"\*\*?\.[A-Za-z0-9*.-]+\.\*|[A-Za-z0-9*.-]*\.(?:{_TOP})|localhost", re.IGNORECASE)
_NAMES_URL = re.compile(
    r"(?:^|[._-])(?:url|uri|host|hostname|domain|link|href|website|endpoint)s?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class LintWarning:
    """Something in a policy that is worth a second look.

    Args:
        path: JSON pointer into the policy, such as ``/rules/0``.
        message: What may go wrong, and what to do.
        policy: The policy's name.
        rule: The rule's name, when it is about a rule.
    """

    path: str
    message: str
    policy: str
    rule: str | None = None


def lint(policies: Iterable[Policy], *, agents: Iterable[Agent] | None = None) -> list[LintWarning]:
    """Return warnings about policies that are in force together.

    Args:
        policies: All of them; a rule of one may shadow a rule of another.
        agents: The agents there are; without them, tags and ids are not looked up.

    Returns:
        The warnings, in the order of policy names and rules (language page, "Lint").

    Example:
        >>> from meshguard.policy import load_policy
        >>> policy = load_policy("{name: all, rules: [{effect: allow, actions: ['*']}]}")
        >>> [warning.message for warning in lint([policy])]
        ['allows every action without conditions: name the actions, or add conditions']
    """
    ordered = sorted(policies, key=lambda policy: policy.name)
    found = _Linter(ordered, None if agents is None else list(agents))
    return [warning for rank in range(len(ordered)) for warning in found.warnings(rank)]


class _Linter:
    def __init__(self, policies: Sequence[Policy], agents: list[Agent] | None) -> None:
        self._policies = policies
        self._rules = compile_rules(policies)
        self._denies = ActionIndex(rule for rule in self._rules if not rule.allows)
        self._first_ranks = _first_ranks(policies)
        self._tags = None if agents is None else {tag for agent in agents for tag in agent.tags}
        self._ids = None if agents is None else {agent.id for agent in agents}
        self._named_denies = [rule for rule in self._rules if not rule.allows and _is_by_name(rule)]

    def warnings(self, rank: int) -> Iterator[LintWarning]:
        policy = self._policies[rank]
        first = self._first_ranks[rank]
        for path, message in self._about_policy(policy):
            yield LintWarning(path, message, policy.name)
        for index, rule in enumerate(self._rules[first : first + len(policy.rules)]):
            for path, message in self._about_rule(rule):
                yield LintWarning(f"/rules/{index}{path}", message, policy.name, rule.name)

    def _about_policy(self, policy: Policy) -> Iterator[tuple[str, str]]:
        if policy.applies_to is not None:
            yield from self._nobody("/appliesTo/tags", "tag", policy.applies_to.tags or (), self._tags)
            yield from self._nobody("/appliesTo/agentIds", "id", policy.applies_to.agent_ids or (), self._ids)
        if policy.delegation is not None:
            yield "/delegation", "is checked and kept, but has no effect until there are delegation calls"

    def _nobody(
        self, path: str, what: str, words: Iterable[object], known: set[str] | None
    ) -> Iterator[tuple[str, str]]:
        if known is None:
            return
        for index, word in enumerate(words):
            if word not in known:
                yield f"{path}/{index}", f"no agent has the {what} {quoted(word)}"

    def _about_rule(self, rule: CompiledRule) -> Iterator[tuple[str, str]]:
        yield from self._shadowed(rule)
        yield from self._contradicted(rule)
        if not rule.allows and rule.rule.reason is None:
            yield "", "denies without a `reason`: say why, for those who will ask"
        if rule.allows and _allows_everything(rule):
            yield from self._too_wide(rule)
        for path, subject, test in _tests(rule.rule.conditions, "/conditions"):
            yield from self._unknown_names(path, subject, test)
            if _is_presence(test) and not rule.allows and self._allows_by_default(rule):
                yield path, _may_be_omitted(subject)
            if test.name == "matches":
                yield from _glob_warnings(rule, path, subject, test)

    def _shadowed(self, rule: CompiledRule) -> Iterator[tuple[str, str]]:
        for deny in self._covering_denies(rule):
            if self._shadows(deny, rule):
                yield "", f"can never decide: the deny {_named(deny)} covers it"
                return

    def _covering_denies(self, rule: CompiledRule) -> list[CompiledRule]:
        """Return the deny rules whose patterns match all that the patterns of a rule match."""
        covering = [self._denies.find(_as_text(pattern))[0] for pattern in rule.rule.actions]
        shared = set.intersection(*({deny.rank for deny in denies} for denies in covering))
        return [deny for deny in covering[0] if deny.rank in shared]

    def _shadows(self, deny: CompiledRule, rule: CompiledRule) -> bool:
        if deny.rank == rule.rank or (not rule.allows and deny.rank > rule.rank):
            return False
        if deny.rule.conditions is not None and deny.rule.conditions != rule.rule.conditions:
            return False
        return _covers(self._audience(deny), self._audience(rule))

    def _contradicted(self, rule: CompiledRule) -> Iterator[tuple[str, str]]:
        if not rule.allows:
            return
        for pattern in rule.rule.actions:
            for deny in self._denies.find(_as_text(pattern))[0]:
                same = pattern in deny.rule.actions and deny.rule.conditions == rule.rule.conditions
                if same and _may_share(self._audience(deny), self._audience(rule)):
                    yield (
                        "",
                        f"allows {quoted(pattern)} under the conditions under which {_named(deny)} denies it",
                    )

    def _too_wide(self, rule: CompiledRule) -> Iterator[tuple[str, str]]:
        if rule.rule.conditions is None:
            yield "", "allows every action without conditions: name the actions, or add conditions"
        for deny in self._named_denies:
            if _may_share(self._audience(deny), self._audience(rule)):
                yield (
                    "",
                    (
                        f"allows every action beside the deny {_named(deny)}, which goes by name: "
                        "another spelling of the name would pass"
                    ),
                )
                return

    def _unknown_names(self, path: str, subject: str, test: Test) -> Iterator[tuple[str, str]]:
        names = [operand for operand in test.alternatives if isinstance(operand, str)]
        known = {"tags": self._tags, "agentId": self._ids if test.name in {"equals", "in"} else None}
        if subject in known:
            yield from self._nobody(path, "tag" if subject == "tags" else "id", names, known[subject])

    def _allows_by_default(self, rule: CompiledRule) -> bool:
        ours = self._audience(rule)
        return any(
            policy.default_effect == "allow" and _may_share(policy.applies_to, ours)
            for policy in self._policies
        )

    def _audience(self, rule: CompiledRule) -> AppliesTo | None:
        return self._policies[rule.policy_rank].applies_to


def _first_ranks(policies: Sequence[Policy]) -> list[int]:
    ranks = [0]
    for policy in policies:
        ranks.append(ranks[-1] + len(policy.rules))
    return ranks


def _named(rule: CompiledRule) -> str:
    return f"`{rule.name}` of policy `{rule.policy}`"


def _as_text(pattern: str) -> str:
    """Return a text that a pattern matches if and only if it matches all that this pattern matches."""
    return pattern.replace("*", _ANY_TEXT)


def _is_by_name(rule: CompiledRule) -> bool:
    return any("*" not in pattern for pattern in rule.rule.actions)


def _allows_everything(rule: CompiledRule) -> bool:
    return any(not pattern.strip("*") for pattern in rule.rule.actions)


def _covers(wide: AppliesTo | None, narrow: AppliesTo | None) -> bool:
    """Return whether every agent of the narrow audience is in the wide one."""
    pairs = zip(_keys(wide), _keys(narrow), strict=True)
    return all(ours is None or (theirs is not None and theirs <= ours) for ours, theirs in pairs)


def _may_share(one: AppliesTo | None, other: AppliesTo | None) -> bool:
    """Return whether one agent may be in both audiences; an agent has many tags, but one tier and one id."""
    if one is None or other is None:
        return True
    pairs = ((one.trust_tiers, other.trust_tiers), (one.agent_ids, other.agent_ids))
    return not any(ours and theirs and set(ours).isdisjoint(theirs) for ours, theirs in pairs)


def _keys(applies: AppliesTo | None) -> list[set[str] | None]:
    if applies is None:
        return [None, None, None]
    keys = (applies.trust_tiers, applies.tags, applies.agent_ids)
    return [None if key is None else set(key) for key in keys]


def _tests(conditions: Conditions | None, path: str) -> Iterator[tuple[str, str, Test]]:
    for part in conditions.parts if conditions else ():
        if isinstance(part, SubjectTests):
            for test in part.tests:
                here = f"{path}/{pointer_part(part.subject)}"
                yield from ((here, part.subject, inner) for inner in _with_negated(test))
        else:
            for index, member in enumerate(part.members):
                yield from _tests(member, f"{path}/{part.kind}/{index}")


def _may_be_omitted(subject: str) -> str:
    return (
        f"{quoted(subject)} may be omitted or renamed, and a policy with `defaultEffect: allow` then allows: "
        "deny what is not known to be right, with `not`"
    )


def _is_presence(test: Test) -> bool:
    return test.name == "exists" and test.operand is True


def _with_negated(test: Test) -> Iterator[Test]:
    yield test
    for inner in test.negated:
        yield from _with_negated(inner)


def _glob_warnings(rule: CompiledRule, path: str, subject: str, test: Test) -> Iterator[tuple[str, str]]:
    globs = [str(operand) for operand in test.alternatives]
    for glob in globs:
        if _LIKE_URL.match(glob):
            advice = "use `host` and `scheme`, which read it as a URL"
            yield path, f"{quoted(glob)} is an error on a URL, which is resolved as a path; {advice}"
        elif "/" not in glob and (_LIKE_HOST.fullmatch(glob) or _NAMES_URL.search(subject)):
            advice = "use `host`, as in `host: [example.com, '*.example.com']`"
            yield path, f"{quoted(glob)} is an error on a URL, since `*` stops at `/`; {advice}"
        bare = glob.removeprefix("**/")
        if not rule.allows and bare != glob and bare not in globs and "*" not in bare:
            yield path, f"{quoted(glob)} does not match {quoted(bare)} itself: add it to the list"
