"""Faults of hints on denials, and of what other SDKs send."""

from tests.mutation.fault import Fault

_NEAREST = "meshguard/policy/nearest.py"
_DECISIONS = "meshguard/gateway/decisions.py"

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="a spelling is proposed without deciding about it",
        file=_NEAREST,
        right="next(filter(is_allowed, _spellings(facts.request.action, near[0])), None)",
        wrong="next(_spellings(facts.request.action, near[0]), None)",
        promise="An action that is proposed is allowed.",
        tests=("tests/policy/test_nearest.py::test_a_denied_spelling_is_not_proposed",),
    ),
    Fault(
        name="a rule of others counts as one for this agent",
        file=_NEAREST,
        right="[rule for rule in rules if rule.policy_rank in applying] for rules in found",
        wrong="list(rules) for rules in found",
        promise="A hint is true of the policies that apply.",
        tests=("tests/policy/test_nearest.py::test_a_hint_is_true",),
    ),
    Fault(
        name="the log shows values of the context",
        file=_DECISIONS,
        right="_text(find_hint(values=False))",
        wrong="_text(find_hint())",
        promise="The log keeps no values of a context but those of the settings.",
        tests=("tests/gateway/test_hints.py::test_the_entry_of_a_denial_has_a_hint",),
    ),
    Fault(
        name="every agent gets hints",
        file=_DECISIONS,
        right="if self._explain and not allowed else None",
        wrong="if not allowed else None",
        promise="Agents get hints only with EXPLAIN_TO_AGENTS.",
        tests=("tests/gateway/test_hints.py::test_agents_get_no_hint",),
    ),
    Fault(
        name="a proxied request has no context",
        file="meshguard/gateway/proxy.py",
        right="    context = context_in_header(request)\n",
        wrong="    context = None\n",
        promise="X-MeshGuard-Meta is the context of a proxied request.",
        tests=("tests/gateway/test_other_sdks.py::test_a_proxied_request_has_a_context",),
    ),
    Fault(
        name="a batch drops a context in the header",
        file=_DECISIONS,
        right="    if _META in request.head:\n",
        wrong="    if False:\n",
        promise="No context is ignored.",
        tests=("tests/gateway/test_other_sdks.py::test_two_contexts_are_rejected",),
    ),
    Fault(
        name="agentId takes names too",
        file="meshguard/gateway/audit_operations.py",
        right='agent_id=query.get("agentId"),',
        wrong="",
        promise="agentId lists the entries of one agent.",
        tests=("tests/gateway/test_other_sdks.py::test_the_audit_log_is_filtered_by_agent_id",),
    ),
)
