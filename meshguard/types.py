"""What the clients return and take: classes where fields are attributes, `TypedDict`s where they are keys."""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, Required, TypeAlias, TypedDict

from httpx import Auth, Timeout

OnUnavailable = Literal["raise", "deny", "allow"]
TrustTier = Literal["unverified", "verified", "trusted", "privileged", "untrusted"]
AgentStatus = Literal["active", "revoked"]
Verdict = Literal["allow", "deny"]
EntryKind = Literal["decision", "admin", "cut"]
Period = Literal["24h", "7d", "30d"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class ExplainedTest(TypedDict):
    """One test of a condition and what came of it; `value` is `true`, `false` or `error`."""

    test: str
    value: str
    saw: NotRequired[object]
    error: NotRequired[str]
    parts: NotRequired["list[ExplainedTest]"]


class ExplainedRule(TypedDict):
    """One rule whose action matched."""

    rule: str
    effect: str
    matched: bool
    decided: bool
    because: str
    conditions: NotRequired[ExplainedTest]


class ExplainedPolicy(TypedDict):
    """One policy that was considered."""

    policy: str
    applies: bool
    because: str
    defaultEffect: str
    rules: list[ExplainedRule]


class DecidingRule(TypedDict):
    """The rule that decided."""

    policy: str
    rule: str


class Explanation(TypedDict):
    """How a decision was made; `change` would reverse it, and `truncated` marks one that is cut short."""

    summary: str
    policies: list[ExplainedPolicy]
    decidedBy: NotRequired[DecidingRule]
    change: NotRequired[str]
    truncated: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """Whether the agent may do this, and why; true in a condition exactly when allowed.

    Attributes:
        allowed: Whether the agent may act.
        action: What was asked for.
        decision: `"allow"` or `"deny"`; anything else a gateway may say is a denial too.
        policy: The policy that decided, or None when none matched.
        rule: The rule that decided, or None when none matched.
        reason: Why, in one sentence.
        trace_id: Ties the decision to the gateway's log and audit entries.
        resource: What the action is done to, or None.
        audit_id: The id of the audit entry, or None when the gateway gave none.
        would_deny: True when the gateway is in mode `audit` and policy denies the action.
        degraded: True when the gateway was not available and `on_unavailable` decided instead.
        explanation: How the decision was made, when that was requested.
        status_code: The HTTP status of the response; None without one.
        code: The gateway's word for a denial that is an error response, `forbidden`; otherwise None.
        conditional: Whether other arguments, another context or another time could turn the denial into
            permission, when an explanation was asked for; None when the gateway does not say.

    Example:
        ```python
        if client.check("read:contacts"):
            print("allowed")
        ```
    """

    allowed: bool
    action: str
    decision: str
    policy: str | None = None
    rule: str | None = None
    reason: str | None = None
    trace_id: str | None = None
    resource: str | None = None
    audit_id: str | None = None
    would_deny: bool = False
    degraded: bool = False
    explanation: Explanation | None = field(default=None, hash=False)
    status_code: int | None = field(default=None, compare=False)
    code: str | None = field(default=None, compare=False)
    conditional: bool | None = None

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Agent:
    """An identity that acts.

    Attributes:
        id: The agent's id, `agent_…`.
        name: A name for people; several agents may share one.
        trust_tier: How far it is trusted: `unverified`, `verified`, `trusted` or `privileged`.
        tags: Labels that policies can apply to.
        org_id: The organisation, where a gateway serves several.
        metadata: Facts about the agent that conditions may look at.
        status: `active` or `revoked`; None when the gateway does not say.
        created_at: When it was created, RFC 3339; None when the gateway does not say.
        updated_at: When it was last changed, RFC 3339; None when the gateway does not say.
    """

    id: str
    name: str
    trust_tier: str
    tags: list[str] = field(default_factory=list[str], hash=False)
    org_id: str | None = None
    metadata: dict[str, object] = field(default_factory=dict[str, object], hash=False)
    status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class CheckRequest(TypedDict, total=False):
    """One question of `check_many`."""

    action: Required[str]
    resource: str | None
    context: Mapping[str, object] | None
    explain: bool


class ErrorDetail(TypedDict):
    """One fault of a request; `path` is a JSON pointer, or `/query/<name>` and the like."""

    path: str
    message: str


class AgentFields(TypedDict):
    """An agent as it is on the wire."""

    id: str
    name: str
    trustTier: str
    tags: list[str]
    metadata: dict[str, object]
    status: str
    createdAt: str
    updatedAt: str
    orgId: NotRequired[str | None]


class CreatedAgent(TypedDict):
    """The new agent and its token, which the gateway shows only once."""

    id: str
    name: str
    trustTier: str
    tags: list[str]
    metadata: dict[str, object]
    status: str
    createdAt: str
    updatedAt: str
    token: str
    expiresAt: str
    orgId: NotRequired[str | None]


class IssuedToken(TypedDict):
    """An agent's new token, which the gateway shows only once."""

    id: str
    token: str
    expiresAt: str


Scalar = str | float | bool
Texts = str | Sequence[str]
# All tests of one subject must hold; docs/policies.md has a table.
Tests = TypedDict(
    "Tests",
    {
        "equals": Scalar,
        "in": Sequence[Scalar],
        "startsWith": Texts,
        "endsWith": Texts,
        "contains": Scalar | Sequence[Scalar],
        "matches": Texts,
        "within": Texts,
        "host": Texts,
        "scheme": Texts,
        "gt": str | float,
        "gte": str | float,
        "lt": str | float,
        "lte": str | float,
        "exists": bool,
        "not": "Tests",
        "after": str,
        "before": str,
        "weekdays": Sequence[Weekday],
    },
    total=False,
)

# By subject, such as `context.amount`; `any` and `all` have lists of conditions.
Condition: TypeAlias = "Scalar | Tests | Sequence[Scalar | Conditions]"
Conditions: TypeAlias = dict[str, Condition]


class Rule(TypedDict):
    """One rule of a policy; the language is described in docs/policies.md."""

    effect: str
    actions: list[str]
    name: NotRequired[str | None]
    description: NotRequired[str | None]
    conditions: NotRequired[Conditions | None]
    reason: NotRequired[str | None]


class AppliesTo(TypedDict, total=False):
    """The agents that a policy applies to."""

    trustTiers: list[str]
    tags: list[str]
    agentIds: list[str]


class Delegation(TypedDict, total=False):
    """How far an agent may delegate."""

    maxDepth: int
    permissionCeiling: list[str]


class Policy(TypedDict):
    """Rules under a name; the language is described in docs/policies.md."""

    name: str
    rules: list[Rule]
    version: NotRequired[str | None]
    description: NotRequired[str | None]
    appliesTo: NotRequired[AppliesTo | None]
    defaultEffect: NotRequired[str | None]
    delegation: NotRequired[Delegation | None]


class PolicyValidation(TypedDict):
    """What is wrong with a policy: `errors` keep it from being applied, `warnings` don't."""

    valid: bool
    errors: list[ErrorDetail]
    warnings: list[ErrorDetail]


class AuditEntry(TypedDict):
    """One line of the audit log: a decision, or a change by an administrator."""

    id: str
    timestamp: str
    traceId: str
    kind: str
    action: str
    decision: str
    reason: str
    latencyMs: float
    stream: str
    sequence: int
    prevHash: str
    hash: str
    agentId: NotRequired[str | None]
    agentName: NotRequired[str | None]
    trustTier: NotRequired[str | None]
    resource: NotRequired[str | None]
    wouldDeny: NotRequired[bool | None]
    policy: NotRequired[str | None]
    rule: NotRequired[str | None]
    method: NotRequired[str | None]
    path: NotRequired[str | None]
    status: NotRequired[int | None]
    context: NotRequired[dict[str, object] | None]
    changes: NotRequired[dict[str, object] | None]


class ActionCount(TypedDict):
    """How often an action was denied."""

    action: str
    count: int


class AgentCount(TypedDict):
    """How often an agent asked."""

    agentId: str
    agentName: str
    count: int


class AuditStats(TypedDict):
    """Decisions of a period, counted."""

    total: int
    allowed: int
    denied: int
    wouldDeny: int
    period: str
    topDenied: list[ActionCount]
    topAgents: list[AgentCount]


class Health(TypedDict):
    """The state of a gateway; `status` is `healthy` or `unhealthy`."""

    status: str
    version: NotRequired[str | None]
    mode: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    uptime: NotRequired[float | None]
    checks: NotRequired[dict[str, object] | None]


class ProxyOptions(TypedDict, total=False):
    """What `httpx` takes for a request and the proxy passes on, with `httpx`'s meaning.

    `auth` may only be None, since the gateway holds the upstream's credential, and `follow_redirects` only
    False, since a redirect could lead to another host.
    """

    params: Mapping[str, object] | Sequence[tuple[str, object]] | str | None
    headers: (
        Mapping[str, str]
        | Mapping[bytes, bytes]
        | Sequence[tuple[str, str]]
        | Sequence[tuple[bytes, bytes]]
        | None
    )
    cookies: Mapping[str, str] | None
    content: str | bytes | Iterable[bytes] | AsyncIterable[bytes] | None
    data: Mapping[str, object] | None
    files: object
    json: object
    timeout: float | Timeout | None
    extensions: Mapping[str, object] | None
    auth: Auth | None
    follow_redirects: bool
