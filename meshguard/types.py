"""What the clients return and take: classes where fields are attributes, `TypedDict`s where they are keys."""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Literal, NotRequired, Protocol, Required, TypeAlias, TypedDict

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
    hint: NotRequired[str]
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
        created_at: When it was created, in UTC; None when the gateway does not say.
        updated_at: When it was last changed, in UTC; None when the gateway does not say.
    """

    id: str
    name: str
    trust_tier: str
    tags: list[str] = field(default_factory=list[str], hash=False)
    org_id: str | None = None
    metadata: dict[str, object] = field(default_factory=dict[str, object], hash=False)
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


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
    description: NotRequired[str | None]
    capabilities: NotRequired[list[str] | None]
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
    description: NotRequired[str | None]
    capabilities: NotRequired[list[str] | None]
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
    id: NotRequired[str | None]
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
    id: NotRequired[str | None]
    version: NotRequired[str | None]
    description: NotRequired[str | None]
    appliesTo: NotRequired[AppliesTo | None]
    defaultEffect: NotRequired[str | None]
    delegation: NotRequired[Delegation | None]


PolicySource: TypeAlias = Mapping[str, object] | Policy | str | PathLike[str]


class PolicyValidation(TypedDict):
    """The errors of a policy, which prevent it from being applied, and warnings, which don't."""

    valid: bool
    errors: list[ErrorDetail]
    warnings: list[ErrorDetail]


class HypotheticalAgent(TypedDict):
    """An agent that need not exist, for `test_policies`."""

    trustTier: TrustTier
    id: NotRequired[str]
    name: NotRequired[str]
    tags: NotRequired[Sequence[str]]
    metadata: NotRequired[Mapping[str, object]]


class AuditFilters(TypedDict, total=False):
    """Select entries of the audit log; an entry must match every filter.

    Attributes:
        agent: The ID or the name of the agent.
        action: A pattern of the action; `*` matches any run of characters.
        trace_id: The trace ID.
        policy: The policy that decided.
        kind: `"decision"` (agents' actions), `"admin"` (administrators' changes), `"cut"` (proxied exchanges
            that ended with their credential), or `"all"`.
        since: The earliest time, inclusive; with a time zone.
        until: The latest time, exclusive; with a time zone.
    """

    agent: str | None
    action: str | None
    trace_id: str | None
    policy: str | None
    kind: EntryKind | Literal["all"]
    since: datetime | None
    until: datetime | None


class AuditEntry(TypedDict):
    """An entry of the audit log as it is on the wire, except that absent fields are None."""

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
    agentId: str | None
    agentName: str | None
    trustTier: str | None
    resource: str | None
    wouldDeny: bool | None
    policy: str | None
    rule: str | None
    hint: str | None
    method: str | None
    path: str | None
    status: int | None
    context: dict[str, object] | None
    changes: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry of an `AuditPage`: the fields of `AuditEntry`, with `timestamp` as a `datetime` in UTC."""

    timestamp: datetime
    action: str
    decision: str
    id: str | None = None
    trace_id: str | None = None
    kind: str | None = None
    reason: str | None = None
    latency_ms: float | None = None
    stream: str | None = None
    sequence: int | None = None
    prev_hash: str | None = None
    hash: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    trust_tier: str | None = None
    resource: str | None = None
    would_deny: bool | None = None
    policy: str | None = None
    rule: str | None = None
    hint: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    context: dict[str, object] | None = field(default=None, hash=False)
    changes: dict[str, object] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of the audit log.

    Attributes:
        entries: The entries, newest first.
        cursor: Continues below the last entry, at any later time; None on the last page.
    """

    entries: list[AuditRecord]
    cursor: str | None


class AuditTombstone(TypedDict):
    """Represents the entries that retention removed from the beginning of a chain."""

    count: int
    hash: str
    prunedAt: str
    signature: str


class AuditHead(TypedDict):
    """The end of a chain as it is on the wire; kept elsewhere, it is an anchor."""

    stream: str
    count: int
    hash: str
    number: NotRequired[int]
    signature: NotRequired[str]
    pruned: NotRequired[AuditTombstone]


class BrokenEntry(TypedDict):
    """The first place where the audit log is not intact; `id` is absent where there is no entry."""

    stream: str
    sequence: int
    problem: str
    id: NotRequired[str]


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """Whether the audit log is complete and unaltered; true in a condition exactly when it is.

    Attributes:
        valid: Whether every chain is intact.
        entries: How many entries the gateway verified.
        heads: The end of every chain; keep them elsewhere as anchors for later verifications.
        first_broken: The first place where a chain is not intact; None when all are.
    """

    valid: bool
    entries: int
    heads: list[AuditHead] = field(hash=False)
    first_broken: BrokenEntry | None = field(default=None, hash=False)

    def __bool__(self) -> bool:
        return self.valid


@dataclass(frozen=True, slots=True)
class AuditExport:
    """What `export_audit_log` wrote.

    Attributes:
        entries: How many entries.
        verification: Whether they are the complete and unaltered log; None for a selection of entries, and
            for an open file.
    """

    entries: int
    verification: AuditVerification | None = None


class BinaryWriter(Protocol):
    """A file that is open for writing bytes."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""


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
    version: str
    mode: str
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
