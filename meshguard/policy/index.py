"""Rules by action and policies by agent, so that a decision looks at few of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from meshguard.policy.conditions import Condition, compile_conditions
from meshguard.policy.globs import ActionPattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshguard.policy.model import AppliesTo, Policy, Rule
    from meshguard.policy.request import Agent

MAX_REMEMBERED_AUDIENCES = 4_096
_GRAM = 3  # characters


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule ready to be evaluated; ``rank`` is its place in policy-name order, then rule order."""

    rank: int
    policy_rank: int
    policy: str
    name: str
    rule: Rule
    allows: bool
    condition: Condition | None


def compile_rules(policies: Sequence[Policy]) -> tuple[CompiledRule, ...]:
    """Return the rules of policies that are in the order of their names."""
    compiled: list[CompiledRule] = []
    for policy_rank, policy in enumerate(policies):
        for index, rule in enumerate(policy.rules):
            compiled.append(
                CompiledRule(
                    rank=len(compiled),
                    policy_rank=policy_rank,
                    policy=policy.name,
                    name=policy.rule_name(index),
                    rule=rule,
                    allows=rule.effect == "allow",
                    condition=compile_conditions(rule.conditions) if rule.conditions else None,
                )
            )
    return tuple(compiled)


Rules: TypeAlias = "Sequence[CompiledRule]"
Found: TypeAlias = "tuple[Rules, Rules]"

NOTHING: Found = ((), ())


class _Bucket:
    """Rules under one key: those the key alone selects, by effect, and those with more pattern to match."""

    __slots__ = ("_checked", "_sure")

    def __init__(self) -> None:
        self._sure: Found = NOTHING
        self._checked: tuple[tuple[ActionPattern, CompiledRule], ...] = ()

    def fill(self, sure: list[CompiledRule], checked: list[tuple[ActionPattern, CompiledRule]]) -> None:
        self._sure = _by_effect(sure)
        self._checked = tuple(checked)

    def find(self, action: str) -> Found:
        if not self._checked:
            return self._sure
        matching = [rule for pattern, rule in self._checked if pattern.matches(action)]
        return _merged([self._sure, _by_effect(matching)]) if matching else self._sure


def _by_effect(rules: Iterable[CompiledRule]) -> Found:
    ordered = sorted({rule.rank: rule for rule in rules}.values(), key=_rank)
    denies = tuple(rule for rule in ordered if not rule.allows)
    return denies, tuple(rule for rule in ordered if rule.allows)


def _rank(rule: CompiledRule) -> int:
    return rule.rank


def _merged(found: list[Found]) -> Found:
    return _by_effect(rule for both in found for rules in both for rule in rules)


class _BucketBuilder:
    def __init__(self) -> None:
        self._sure: dict[str, list[CompiledRule]] = {}
        self._checked: dict[str, list[tuple[ActionPattern, CompiledRule]]] = {}

    def add(self, key: str, rule: CompiledRule, pattern: ActionPattern | None = None) -> None:
        if pattern is None:
            self._sure.setdefault(key, []).append(rule)
        else:
            self._checked.setdefault(key, []).append((pattern, rule))

    def build(self) -> dict[str, _Bucket]:
        buckets: dict[str, _Bucket] = {}
        for key in self._sure.keys() | self._checked.keys():
            buckets[key] = _Bucket()
            buckets[key].fill(self._sure.get(key, []), self._checked.get(key, []))
        return buckets


Patterns: TypeAlias = "list[tuple[ActionPattern, CompiledRule]]"


class _GramIndex:
    """General patterns by three characters in a row that every action they match contains, the rarest.

    However many such patterns there are, a decision looks at few of them.
    """

    __slots__ = ("_by_gram", "rest")

    def __init__(self, patterns: Patterns) -> None:
        self._by_gram: dict[str, Patterns] = {}
        self.rest: Patterns = []
        found = [set().union(*map(_grams, pattern.literals)) for pattern, _ in patterns]
        frequency = Counter(gram for grams in found for gram in grams)
        for one, grams in zip(patterns, found, strict=True):
            if grams:
                rarest = min(grams, key=lambda gram: (frequency[gram], gram))
                self._by_gram.setdefault(rarest, []).append(one)
            else:
                self.rest.append(one)

    def find(self, action: str) -> Found:
        if not self._by_gram:
            return NOTHING
        shared = _grams(action) & self._by_gram.keys()
        matching = [
            rule for gram in shared for pattern, rule in self._by_gram[gram] if pattern.matches(action)
        ]
        return _by_effect(matching) if matching else NOTHING


def _grams(text: str) -> set[str]:
    return {text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1)}


class ActionIndex:
    """Rules by action: exact ones, by prefix, by suffix, and general patterns."""

    __slots__ = ("_exact", "_general", "_prefix_lengths", "_prefixes", "_suffix_lengths", "_suffixes")

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        exact, prefixes, suffixes = _BucketBuilder(), _BucketBuilder(), _BucketBuilder()
        general: Patterns = []
        for rule in rules:
            for pattern in map(ActionPattern, rule.rule.actions):
                if pattern.exact:
                    exact.add(pattern.prefix, rule)
                elif pattern.is_prefix:
                    prefixes.add(pattern.prefix, rule)
                elif pattern.is_suffix:
                    suffixes.add(pattern.suffix, rule)
                else:
                    general.append((pattern, rule))
        self._general = _GramIndex(general)
        for pattern, rule in self._general.rest:
            if pattern.suffix and not pattern.prefix:
                suffixes.add(pattern.suffix, rule, pattern)
            else:
                prefixes.add(pattern.prefix, rule, pattern)
        self._exact = exact.build()
        self._prefixes = prefixes.build()
        self._suffixes = suffixes.build()
        self._prefix_lengths = tuple(sorted({len(key) for key in self._prefixes}))
        self._suffix_lengths = tuple(sorted({len(key) for key in self._suffixes}))

    def find(self, action: str) -> Found:
        """Return the deny rules and the allow rules with a pattern for an action, each in order."""
        places: list[_Bucket | _GramIndex] = [*self._buckets(action), self._general]
        found = [both for place in places if (both := place.find(action)) is not NOTHING]
        if len(found) > 1:
            return _merged(found)
        return found[0] if found else NOTHING

    def _buckets(self, action: str) -> list[_Bucket]:
        buckets: list[_Bucket] = []
        if bucket := self._exact.get(action):
            buckets.append(bucket)
        size = len(action)
        for length in self._prefix_lengths:
            if length > size:
                break
            if bucket := self._prefixes.get(action[:length]):
                buckets.append(bucket)
        for length in self._suffix_lengths:
            if length > size:
                break
            if bucket := self._suffixes.get(action[size - length :]):
                buckets.append(bucket)
        return buckets


@dataclass(frozen=True, slots=True)
class Audience:
    """The policies that apply to agents of one kind, by rank."""

    policies: frozenset[int]
    allows_by_default: bool


class AudienceIndex:
    """Policies by agent: by id, by tag, by tier, or for everyone.

    What was found is remembered, within bounds: agents are few, decisions are many.
    """

    __slots__ = ("_by_id", "_by_tag", "_by_tier", "_everyone", "_policies", "_remembered")

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies
        self._by_id: dict[str, list[int]] = {}
        self._by_tag: dict[str, list[int]] = {}
        self._by_tier: dict[str, list[int]] = {}
        self._everyone: list[int] = []
        self._remembered: dict[tuple[object, ...], Audience] = {}
        for rank, policy in enumerate(policies):
            self._file(rank, policy.applies_to)

    def _file(self, rank: int, applies: AppliesTo | None) -> None:
        if applies is None:
            self._everyone.append(rank)
        elif applies.agent_ids is not None:
            _file_under(self._by_id, applies.agent_ids, rank)
        elif applies.tags is not None:
            _file_under(self._by_tag, applies.tags, rank)
        else:
            _file_under(self._by_tier, applies.trust_tiers or (), rank)

    def of(self, agent: Agent) -> Audience:
        """Return the policies that apply to an agent."""
        key = (agent.trust_tier, agent.tags, agent.id if self._by_id else None)
        audience = self._remembered.get(key)
        return self._remember(key, agent) if audience is None else audience

    def _remember(self, key: tuple[object, ...], agent: Agent) -> Audience:
        if len(self._remembered) >= MAX_REMEMBERED_AUDIENCES:
            self._remembered = {}
        audience = self._find(agent)
        self._remembered[key] = audience
        return audience

    def _find(self, agent: Agent) -> Audience:
        ranks = frozenset(
            rank for rank in self._candidates(agent) if applies_to(self._policies[rank].applies_to, agent)
        )
        allows = all(self._policies[rank].default_effect == "allow" for rank in ranks)
        return Audience(ranks, allows_by_default=bool(ranks) and allows)

    def _candidates(self, agent: Agent) -> Iterator[int]:
        yield from self._everyone
        yield from self._by_id.get(agent.id, ())
        yield from self._by_tier.get(agent.trust_tier, ())
        for tag in agent.tags:
            yield from self._by_tag.get(tag, ())


def _file_under(index: dict[str, list[int]], keys: Iterable[str], rank: int) -> None:
    for key in dict.fromkeys(keys):
        index.setdefault(key, []).append(rank)


def applies_to(applies: AppliesTo | None, agent: Agent) -> bool:
    """Return whether every key that is present matches the agent."""
    return applies is None or not any(True for _ in unmet_keys(applies, agent))


def unmet_keys(applies: AppliesTo, agent: Agent) -> Iterator[str]:
    """Yield the keys of ``appliesTo`` that do not match an agent."""
    if applies.trust_tiers is not None and agent.trust_tier not in applies.trust_tiers:
        yield "trustTiers"
    if applies.tags is not None and agent.tags.isdisjoint(applies.tags):
        yield "tags"
    if applies.agent_ids is not None and agent.id not in applies.agent_ids:
        yield "agentIds"
