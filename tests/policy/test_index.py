"""Finding the rules of an action."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import load_policy
from meshguard.policy.globs import ActionPattern
from meshguard.policy.index import ActionIndex, compile_rules

_texts = st.text("ab:", max_size=8)
_patterns = st.text("ab:*", min_size=1, max_size=9)


def index_of(patterns: list[str]) -> ActionIndex:
    rules = [{"effect": "allow", "actions": [pattern], "name": pattern} for pattern in patterns]
    return ActionIndex(compile_rules([load_policy({"name": "p", "rules": rules})]))


@given(patterns=st.lists(_patterns, min_size=1, max_size=20, unique=True), action=_texts)
def test_it_finds_what_matches(patterns: list[str], action: str) -> None:
    _, allows = index_of(patterns).find(action)
    expected = [pattern for pattern in patterns if ActionPattern(pattern).matches(action)]
    assert [rule.name for rule in allows] == expected


@pytest.mark.parametrize("pattern", ["*:item{}:*", "team:*:item{}", "team:*:item{}:*:read", "*{}:*:item*x"])
def test_few_patterns_are_looked_at(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of([pattern.format(f"{number:03}") for number in range(1_000)])
    matches, looked_at = ActionPattern.matches, [0]

    def counting(self: ActionPattern, action: str) -> bool:
        looked_at[0] += 1
        return matches(self, action)

    monkeypatch.setattr(ActionPattern, "matches", counting)
    _, allows = index.find(pattern.format(123).replace("*", "team"))
    assert [rule.name for rule in allows] == [pattern.format(123)]
    assert looked_at[0] <= 20
