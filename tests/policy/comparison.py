"""The engine beside the oracle."""

from random import Random

from hypothesis import strategies as st

from meshguard.policy import Agent, PolicyEngine, Request, Test, load_policy
from meshguard.policy.conditions import Facts, compile_test, value_word
from meshguard.policy.globs import ActionPattern, Glob
from tests.policy import oracle
from tests.policy.strategies import (
    FOLDERS,
    GLOBS,
    NOW,
    NOWS,
    PATHS,
    POLICY_SETS,
    SCALARS,
    VALUES,
    a_request,
    an_agent,
)

AGENTS = 5
PAIRS = 100
SITUATIONS = st.tuples(POLICY_SETS, st.integers(), st.sampled_from(NOWS))


def first_difference(policies, seed, now):
    """The first agent and request about which the two do not agree, and what they say."""
    engine = PolicyEngine(load_policy(policy) for policy in policies)
    random = Random(f"{seed} {policies}")
    agents = [an_agent(random) for _ in range(AGENTS)]
    for number in range(PAIRS):
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
OPERANDS = {
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
}


def first_test_difference():
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


def first_pattern_difference(pairs=10_000):
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
