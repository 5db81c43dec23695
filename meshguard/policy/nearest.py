"""What comes nearest to allowing a denied request, in a sentence that is true of the policies.

It names a rule and the tests that stand against it. Another action is proposed only after deciding about it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from meshguard.explanation_text import printable
from meshguard.policy.faults import quoted
from meshguard.policy.globs import ActionPattern
from meshguard.policy.index import unmet_keys
from meshguard.policy.json_text import json_text
from meshguard.policy.values import shown
from meshguard.policy.work import OutOfWorkError, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshguard.policy.conditions import Facts
    from meshguard.policy.index import CompiledRule
    from meshguard.policy.model import AppliesTo, Policy

Tree: TypeAlias = dict[str, Any]
Near: TypeAlias = "tuple[str, CompiledRule]"
Grams: TypeAlias = frozenset[str]

_NEIGHBORS = 16  # patterns on either side, by beginning and by end
_COMPARED = 64  # characters of an action and a pattern
_LOOKED_INTO = 8  # rules whose conditions are evaluated
_REMEMBERED = 1_024
_WORK = (200, 20_000, 20_000)  # tests, values, characters
_NAMED = 3  # tests, tags
_LABEL = 120  # characters
_ALIKE = 0.7  # from which one text may be written for the other
_ANYTHING = 0.5  # likeness of anything to a pattern of anything
_PRIVATE = ("context.", "metadata.")


@dataclass(frozen=True, slots=True)
class Hint:
    """What comes nearest to allowing a denied request.

    Args:
        text: One to three sentences.
        rule: The rule that is named; None without one.
        pattern: Its pattern that matches or is nearest; None without a rule.
        action: Another action that is allowed, proposed as what was meant; None without one.
    """

    text: str
    rule: CompiledRule | None = None
    pattern: str | None = None
    action: str | None = None


class NearestRules:
    """The allow rules by their patterns, to find those that are nearest to an action.

    Args:
        rules: All rules.
        policies: The policies, by rank.
    """

    __slots__ = ("_by_beginning", "_by_end", "_policies", "_remembered")

    def __init__(self, rules: Iterable[CompiledRule], policies: Sequence[Policy]) -> None:
        patterns = [(pattern, rule) for rule in rules if rule.allows for pattern in rule.rule.actions]
        self._by_beginning = sorted(patterns, key=_by_beginning)
        self._by_end = sorted(patterns, key=_by_end)
        self._policies = policies
        self._remembered: dict[tuple[str, frozenset[int]], Near | None] = {}

    def hint(
        self,
        found: tuple[Sequence[CompiledRule], Sequence[CompiledRule]],
        applying: frozenset[int],
        facts: Facts,
        is_allowed: Callable[[str], bool],
        *,
        values: bool,
    ) -> Hint:
        """Return the hint on a denied request.

        Args:
            found: The deny rules and the allow rules whose action matched.
            applying: The policies that apply to the agent, by rank.
            facts: Those of the request.
            is_allowed: Decides about the same request with another action.
            values: Whether values of the context and the metadata may be shown.
        """
        writer = _Writer(facts, self._policies, values=values)
        denies, allows = ([rule for rule in rules if rule.policy_rank in applying] for rules in found)
        for rule in denies:
            if text := writer.denial(rule):
                return Hint(text, rule, _matching(rule, facts.request.action))
        if allows:
            return writer.unmet(allows)
        near = self._near(facts.request.action, applying)
        if near is None:
            return Hint(writer.nothing())
        spelling = next(filter(is_allowed, _spellings(facts.request.action, near[0])), None)
        return Hint(writer.nearest(near, spelling), near[1], near[0], spelling)

    def _near(self, action: str, applying: frozenset[int]) -> Near | None:
        key = (action, applying)
        if key not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered = {}
            self._remembered[key] = self._find(action, applying)
        return self._remembered[key]

    def _find(self, action: str, applying: frozenset[int]) -> Near | None:
        beginning = bisect_left(self._by_beginning, action, key=_by_beginning)
        end = bisect_left(self._by_end, action[::-1], key=_by_end)
        near = [*dict.fromkeys((*_around(self._by_beginning, beginning), *_around(self._by_end, end)))]
        applying_first = [pair for pair in near if pair[1].policy_rank in applying] or near
        verb, _, rest = action.partition(":")
        grams = (_grams(verb), _grams(rest))
        return max(applying_first, key=lambda pair: (_likeness(grams, pair[0]), -pair[1].rank), default=None)


def _by_beginning(pair: Near) -> str:
    return pair[0]


def _by_end(pair: Near) -> str:
    return pair[0][::-1]


def _around(pairs: list[Near], place: int) -> list[Near]:
    return pairs[max(0, place - _NEIGHBORS) : place + _NEIGHBORS]


def _likeness(action: tuple[Grams, Grams], pattern: str) -> float:
    """Return how much an action is like a pattern, from 0 to 1: half for the verb, half for the rest."""
    return sum(map(_shared, action, _parts(pattern))) / 2


def _shared(one: Grams, other: Grams | None) -> float:
    """Return how many characters and pairs of them two texts share, from 0 to 1."""
    if other is None:
        return _ANYTHING
    return 2 * len(one & other) / (len(one) + len(other))


@lru_cache(4_096)
def _parts(pattern: str) -> tuple[Grams | None, Grams | None]:
    """Return the characters of a pattern's verb and rest, None for one that is anything."""
    verb, _, rest = pattern.partition(":")
    return (None if verb == "*" else _grams(verb)), (None if rest == "*" else _grams(rest))


def _grams(text: str) -> Grams:
    text = text[:_COMPARED].lower()
    ends = f"\0{text}\0"
    return frozenset(text) | {ends[start : start + 2] for start in range(len(ends) - 1)}


def _spellings(action: str, pattern: str) -> Iterator[str]:
    """Yield the action of which another may be a misspelling, if a pattern names one or all with a verb."""
    verb, colon, rest = action.partition(":")
    meant, _, other = pattern.partition(":")
    if not colon or "*" in meant or not _may_be_meant(verb, meant):
        return
    if other == "*":
        yield f"{meant}:{rest}"
    elif "*" not in other and _may_be_meant(rest, other):
        yield pattern


def _may_be_meant(written: str, meant: str) -> bool:
    return SequenceMatcher(None, written[:_COMPARED].lower(), meant[:_COMPARED].lower()).ratio() >= _ALIKE


def _matching(rule: CompiledRule, action: str) -> str:
    return next(pattern for pattern in rule.rule.actions if ActionPattern(pattern).matches(action))


class _Writer:
    """Writes the sentences."""

    def __init__(self, facts: Facts, policies: Sequence[Policy], *, values: bool) -> None:
        self._facts = facts
        self._policies = policies
        self._work = Work(*_WORK)
        self._values = values
        self._name = quoted(facts.agent.name)[1:-1]
        self._action = quoted(facts.request.action)

    def denial(self, rule: CompiledRule) -> str | None:
        """Return which rule denies, and why; None if this one does not."""
        text = f"{_title(rule)} denies {quoted(_matching(rule, self._facts.request.action))}"
        if rule.condition is None:
            return f"{text}."
        if rule.condition.evaluate(self._facts) is False:
            return None
        leaves = self._leaves(rule, wanted=False)
        return f"{text}{self._because(leaves) if leaves else ' under its conditions'}."

    def unmet(self, allows: Sequence[CompiledRule]) -> Hint:
        """Return which of the rules with a matching action has the fewest tests against it, and which."""
        known = [(rule, self._leaves(rule, wanted=True)) for rule in allows[:_LOOKED_INTO]]
        known = [pair for pair in known if pair[1]] or [(allows[0], [])]
        rule, leaves = min(known, key=lambda pair: len(pair[1]))
        pattern = _matching(rule, self._facts.request.action)
        text = f"No rule allows this {self._action} for {self._name}."
        text += f" Closest: {_title(rule)} allows {quoted(pattern)}"
        end = f", but {self._facts_of(leaves)}" if leaves else ", but not under its conditions"
        return Hint(f"{text}{end}.", rule, pattern)

    def nearest(self, near: Near, spelling: str | None) -> str:
        """Return which rule is nearest to an action that no rule has a pattern for."""
        pattern, rule = near
        text = f"{self._nobody_allows()} Closest: {_title(rule)} allows {quoted(pattern)}"
        applies = self._policies[rule.policy_rank].applies_to
        unmet = list(unmet_keys(applies, self._facts.agent)) if applies else []
        if applies and unmet:
            text += f" to agents {' and '.join(_audience(key, applies) for key in unmet)}"
        if rule.condition is not None:
            text += ", under conditions"
        return f"{text}.{f' Did you mean {quoted(spelling)}?' if spelling else ''}"

    def nothing(self) -> str:
        """Return that there is no rule to name."""
        return f"{self._nobody_allows()} No policy allows anything."

    def _nobody_allows(self) -> str:
        return f"No rule allows {self._action} for {self._name}."

    def _leaves(self, rule: CompiledRule, *, wanted: bool) -> list[Tree]:
        """Return the tests that keep conditions from being as wanted; none beyond the limit of work."""
        if rule.condition is None:
            return []
        try:
            return list(_decisive(rule.condition.describe(self._facts, self._work)[1], wanted=wanted))
        except OutOfWorkError:
            return []

    def _because(self, leaves: list[Tree]) -> str:
        return f", since {self._facts_of(leaves)}"

    def _facts_of(self, leaves: list[Tree]) -> str:
        texts = [self._fact(leaf) for leaf in leaves[:_NAMED]]
        more = len(leaves) - _NAMED
        return " and ".join([*texts, f"{more} more"] if more > 0 else texts)

    def _fact(self, leaf: Tree) -> str:
        label = str(leaf["test"])
        label = label if len(label) <= _LABEL else f"{label[:_LABEL]}…"
        state = "can't be evaluated" if leaf["value"] == "error" else f"is {leaf['value']}"
        if label.startswith(_PRIVATE) and not self._values:
            return _escaped(f"`{label}` {state}")
        details = [f"saw {_short(leaf['saw'])}"] if "saw" in leaf else []
        details += [str(leaf["error"])] if "error" in leaf else []
        end = f" ({'; '.join(details)})" if details else ""
        return _escaped(f"`{label}` {state}{end}")


def _decisive(tree: Tree, *, wanted: bool) -> Iterator[Tree]:
    """Yield the tests in an explanation whose outcome keeps the whole from being as wanted."""
    if tree["value"] == str(wanted).lower():
        return
    parts = tree.get("parts")
    if parts is None:
        yield tree
    for part in parts or ():
        yield from _decisive(part, wanted=wanted is not (tree["test"] == "not"))


def _title(rule: CompiledRule) -> str:
    return f"{rule.policy} / {quoted(rule.name)[1:-1]}"


def _audience(key: str, applies: AppliesTo) -> str:
    if key == "agentIds":
        return "with other ids"
    names = applies.tags if key == "tags" else applies.trust_tiers
    listed = " or ".join(quoted(name) for name in (names or ())[:_NAMED])
    more = " and others" if len(names or ()) > _NAMED else ""
    return f"{'with tag' if key == 'tags' else 'of trust tier'} {listed}{more}"


def _short(value: object) -> str:
    text = printable(json_text(shown(value), spaced=True))
    return text if len(text) <= _LABEL else f"{text[:_LABEL]}…"


def _escaped(text: str) -> str:
    """Return a text in which characters that don't show, or that turn others around, are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
