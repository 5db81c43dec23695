"""The policy language: load policies, compile them, decide.

A policy that can't be evaluated never allows.

Example:
    >>> from datetime import UTC, datetime
    >>> policy = load_policy('''
    ... name: support
    ... rules:
    ...   - {effect: allow, actions: ["read:*"]}
    ... ''')
    >>> engine = PolicyEngine([policy])
    >>> agent = Agent("agent_1", "helper", "verified")
    >>> decision = engine.decide(agent, Request("read:mail"), now=datetime.now(UTC))
    >>> decision.decision, decision.policy, decision.rule
    ('allow', 'support', 'rule 1')
"""

from meshguard.policy.engine import Decision, PolicyEngine
from meshguard.policy.explanation import render_explanation
from meshguard.policy.faults import Fault, PolicyLoadError
from meshguard.policy.loader import load_policies, load_policy
from meshguard.policy.model import (
    AppliesTo,
    Conditions,
    Delegation,
    Effect,
    Group,
    Policy,
    Rule,
    SubjectTests,
    Test,
)
from meshguard.policy.request import Agent, InvalidRequest, Request

__all__ = [
    "Agent",
    "AppliesTo",
    "Conditions",
    "Decision",
    "Delegation",
    "Effect",
    "Fault",
    "Group",
    "InvalidRequest",
    "Policy",
    "PolicyEngine",
    "PolicyLoadError",
    "Request",
    "Rule",
    "SubjectTests",
    "Test",
    "load_policies",
    "load_policy",
    "render_explanation",
]
