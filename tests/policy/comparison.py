"""The engine beside the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from meshguard.policy import Agent, PolicyEngine, Request, Test, load_policy
from meshguard.policy.conditions import Facts, compile_test
from meshguard.policy.globs import ActionPattern, Glob
from meshguard.policy.logic import value_word
from meshguard.policy.model import Scalar
from meshguard.policy.values import Outcome
from tests.policy import oracle
from tests.policy.strategies import (
    FOLDERS,
    GLOBS,
    HOSTS,
    NOW,
    NOWS,
    PATHS,
    POLICY_SETS,
    SCALARS,
    SCHEMES,
    VALUES,
    a_request,
    an_agent,
)

Result = TypeVar("Result")

HANG = 0.1
AGENTS = 5
PAIRS = 200
SITUATIONS = st.tuples(POLICY_SETS, st.integers(), st.sampled_from(NOWS))


def first_difference(
    policies: list[dict[str, Any]], seed: int, now: datetime, pairs: int = PAIRS
) -> tuple[Agent | None, Request, oracle.Verdict, oracle.Verdict] | None:
    """The first agent and request about which the two do not agree, and what they say."""
    engine = PolicyEngine(load_policy(policy) for policy in policies)
    random = Random(f"{seed} {policies}")
    agents = [an_agent(random) for _ in range(AGENTS)]
    for number in range(pairs):
        agent, request = agents[number % AGENTS], a_request(random)
        decision = engine.decide(agent, request, now=now)
        verdict = oracle.Verdict(decision.allowed, decision.policy, decision.rule)
        expected = oracle.decide(policies, agent, request, now)
        if verdict != expected:
            return agent, request, verdict, expected
    return None


AGENT = Agent("agent_1", "helper", "verified")
ORDERED = [one for one in SCALARS if not isinstance(one, bool)]
BEGINNINGS = ["a", "prod", "/", "é", "e"]
OPERANDS: dict[str, Sequence[Scalar]] = {
    "equals": SCALARS,
    "in": SCALARS,
    "gt": ORDERED,
    "gte": ORDERED,
    "lt": ORDERED,
    "lte": ORDERED,
    "contains": [one for one in SCALARS if one != ""],
    "startsWith": BEGINNINGS,
    "endsWith": BEGINNINGS,
    "matches": GLOBS,
    "within": FOLDERS,
    "host": HOSTS,
    "scheme": SCHEMES,
}


def first_test_difference() -> tuple[str, Scalar, Any, Outcome] | None:
    """The first test, value and outcome about which the two do not agree, of all there are."""
    for value in [*VALUES, *PATHS]:
        request = Request("a", None, {"a": value})
        for name, operands in OPERANDS.items():
            for operand in operands:
                condition = compile_test("context.a", Test(name, (operand,)))
                outcome = condition.evaluate(Facts(AGENT, request, NOW))
                expected = oracle.test_value("context.a", name, [operand], AGENT, request, NOW)
                if value_word(outcome) != str(expected).lower():
                    return name, operand, value, outcome
    return None


def first_pattern_difference(pairs: int = 10_000) -> tuple[str, str] | None:
    """The first pattern and text about which the two do not agree, of many short ones."""
    random = Random(1)
    for _ in range(pairs):
        pattern = "".join(random.choices(["a", "b", "/", "*", "**"], k=random.randrange(1, 8)))
        text = "".join(random.choices("ab//", k=random.randrange(10)))
        if Glob(pattern).matches(text) is not oracle.glob_matches(pattern, text):
            return pattern, text
        if ActionPattern(pattern).matches(text) is not oracle.action_matches(pattern, text):
            return pattern, text
    return None


def within_time(call: Callable[[], Result]) -> Result:
    """The result of a call, which takes less processor time than would be noticed as a hang."""
    fastest = float("inf")
    for _ in range(5):
        start = time.process_time()
        result = call()
        fastest = min(fastest, time.process_time() - start)
        if fastest < HANG:
            break
    assert fastest < HANG
    return result
