"""The engine beside the oracle."""

from random import Random

from hypothesis import strategies as st

from meshguard.policy import PolicyEngine, load_policy
from tests.policy import oracle
from tests.policy.strategies import NOWS, POLICY_SETS, a_request, an_agent

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
