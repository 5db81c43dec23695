from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from meshguard.cli.suggestion import suggest_policy
from meshguard.policy import Agent, PolicyEngine, Request, load_policy
from meshguard.policy.lint import lint

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AGENT = Agent("agent_1", "dev", "unverified")
ACTIONS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30
) | st.sampled_from(
    ["read:a", "read:b", "*", "read:*", "a*b", "yes", "null", "1", "~", "read:a: b#c".replace(" ", "")]
)


@given(st.sets(ACTIONS, min_size=1, max_size=20), st.sets(ACTIONS, max_size=20), st.text(max_size=20))
def test_a_suggestion_allows_exactly_what_was_seen(seen: set[str], others: set[str], name: str) -> None:
    policy = load_policy(suggest_policy(seen, name))
    engine = PolicyEngine([policy])
    for action in seen | others:
        decision = engine.decide(AGENT, Request(action), now=NOW)
        assert decision.allowed is (action in seen), action


def test_a_suggestion_passes_lint() -> None:
    assert lint([load_policy(suggest_policy(["read:a", "read:b", "write:c"], "support bot"))]) == []


def test_a_suggestion_reads_like_one_written_by_hand() -> None:
    assert suggest_policy(["write:mail", "read:b", "read:a"], "support bot") == (
        "name: support-bot\n"
        "rules:\n"
        "  - name: read\n"
        "    effect: allow\n"
        "    actions:\n"
        "      - read:a\n"
        "      - read:b\n"
        "  - name: write\n"
        "    effect: allow\n"
        "    actions:\n"
        "      - write:mail\n"
    )
