from random import Random

from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import PolicyEngine, load_policy
from tests.policy import oracle
from tests.policy.strategies import NOWS, POLICY_SETS, a_request, an_agent

# 200 examples of 5 agents times 20 requests are 20,000 pairs; the nightly profile makes 200,000
AGENTS = 5
REQUESTS = 20


@given(POLICY_SETS, st.integers(), st.sampled_from(NOWS))
def test_the_engine_decides_as_the_language_page_says(policies, seed, now):
    compare_with_oracle(policies, Random(f"{seed} {policies}"), now)


def compare_with_oracle(policies, random, now):
    engine = PolicyEngine(load_policy(policy) for policy in policies)
    requests = [a_request(random) for _ in range(REQUESTS)]
    for agent in (an_agent(random) for _ in range(AGENTS)):
        for request in requests:
            decision = engine.decide(agent, request, now=now)
            verdict = oracle.Verdict(decision.allowed, decision.policy, decision.rule)
            assert verdict == oracle.decide(policies, agent, request, now), (agent, request)
