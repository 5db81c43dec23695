from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.audit_context import AuditContext
    from ..models.audit_entry_changes import AuditEntryChanges


T = TypeVar("T", bound="AuditEntry")


@_attrs_define
class AuditEntry:
    """One line of the gateway's memory. `kind: "decision"` is an agent's act; `kind: "admin"` a change by an
    administrator, with an action such as `admin:agent.update`, the object's id or name as `resource`, and the
    old and new values in `changes`. Guesses at the admin token are `admin:token.guess`, decision `deny`, with the
    client's address as `resource`. `kind: "cut"` is a proxied exchange that the gateway ended because the
    agent's credential had ended: its `traceId`, action, method and path are those of the decision.

    An entry of a decision takes at most 16,384 bytes. A text for which that leaves no room ends in
    `… [truncated: N characters, sha256 H]`: how long it was, and the first 32 digits of its SHA-256.

        Attributes:
            id (str): The entry's id, `aud_…`.
            timestamp (datetime.datetime): A time as RFC 3339 in UTC with milliseconds and `Z`.
            trace_id (str): 1 to 128 visible ASCII characters.
            kind (str): Known values are `decision`, `admin` and `cut`.
            action (str): What was asked for, or what an administrator did.
            decision (str): Known values are `allow` and `deny`.
            reason (str): Why, in one sentence.
            latency_ms (float): Milliseconds the decision took.
            stream (str): The chain that the entry belongs to; each gateway process writes its own.
            sequence (int): The entry's place in its chain, from 1.
            prev_hash (str): The `hash` of the entry before it, or 64 zeros for the first.
            hash_ (str): SHA-256 over the entry in its canonical form and `prevHash`, in hexadecimal.
            agent_id (str | Unset): The agent that acted, or that was changed.
            agent_name (str | Unset): Its name at that moment.
            trust_tier (str | Unset): Its tier at that moment.
            resource (str | Unset): What it was to be done to.
            would_deny (bool | Unset): Present and true when mode `audit` let a denied action pass.
            policy (str | Unset): The policy that decided.
            rule (str | Unset): The rule that decided.
            hint (str | Unset): What comes nearest to allowing a denied action: a rule, and the tests that stand against it,
                without the
                values of the request's context.
            method (str | Unset): The HTTP method, for a proxied request.
            path (str | Unset): The upstream path, for a proxied request.
            status (int | Unset): The HTTP status that the gateway answered itself. Absent for a proxied request that was
                forwarded,
                since the entry is durable before the upstream is asked.
            context (AuditContext | Unset): What is kept of a request's context.
            changes (AuditEntryChanges | Unset): For an admin entry, each changed field with its old and new value.
    """

    id: str
    timestamp: datetime.datetime
    trace_id: str
    kind: str
    action: str
    decision: str
    reason: str
    latency_ms: float
    stream: str
    sequence: int
    prev_hash: str
    hash_: str
    agent_id: str | Unset = UNSET
    agent_name: str | Unset = UNSET
    trust_tier: str | Unset = UNSET
    resource: str | Unset = UNSET
    would_deny: bool | Unset = UNSET
    policy: str | Unset = UNSET
    rule: str | Unset = UNSET
    hint: str | Unset = UNSET
    method: str | Unset = UNSET
    path: str | Unset = UNSET
    status: int | Unset = UNSET
    context: AuditContext | Unset = UNSET
    changes: AuditEntryChanges | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        timestamp = self.timestamp.isoformat()

        trace_id = self.trace_id

        kind = self.kind

        action = self.action

        decision = self.decision

        reason = self.reason

        latency_ms = self.latency_ms

        stream = self.stream

        sequence = self.sequence

        prev_hash = self.prev_hash

        hash_ = self.hash_

        agent_id = self.agent_id

        agent_name = self.agent_name

        trust_tier = self.trust_tier

        resource = self.resource

        would_deny = self.would_deny

        policy = self.policy

        rule = self.rule

        hint = self.hint

        method = self.method

        path = self.path

        status = self.status

        context: dict[str, Any] | Unset = UNSET
        if not isinstance(self.context, Unset):
            context = self.context.to_dict()

        changes: dict[str, Any] | Unset = UNSET
        if not isinstance(self.changes, Unset):
            changes = self.changes.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "timestamp": timestamp,
                "traceId": trace_id,
                "kind": kind,
                "action": action,
                "decision": decision,
                "reason": reason,
                "latencyMs": latency_ms,
                "stream": stream,
                "sequence": sequence,
                "prevHash": prev_hash,
                "hash": hash_,
            }
        )
        if agent_id is not UNSET:
            field_dict["agentId"] = agent_id
        if agent_name is not UNSET:
            field_dict["agentName"] = agent_name
        if trust_tier is not UNSET:
            field_dict["trustTier"] = trust_tier
        if resource is not UNSET:
            field_dict["resource"] = resource
        if would_deny is not UNSET:
            field_dict["wouldDeny"] = would_deny
        if policy is not UNSET:
            field_dict["policy"] = policy
        if rule is not UNSET:
            field_dict["rule"] = rule
        if hint is not UNSET:
            field_dict["hint"] = hint
        if method is not UNSET:
            field_dict["method"] = method
        if path is not UNSET:
            field_dict["path"] = path
        if status is not UNSET:
            field_dict["status"] = status
        if context is not UNSET:
            field_dict["context"] = context
        if changes is not UNSET:
            field_dict["changes"] = changes

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_context import AuditContext  # noqa: PLC0415
        from ..models.audit_entry_changes import AuditEntryChanges  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        trace_id = d.pop("traceId")

        kind = d.pop("kind")

        action = d.pop("action")

        decision = d.pop("decision")

        reason = d.pop("reason")

        latency_ms = d.pop("latencyMs")

        stream = d.pop("stream")

        sequence = d.pop("sequence")

        prev_hash = d.pop("prevHash")

        hash_ = d.pop("hash")

        agent_id = d.pop("agentId", UNSET)

        agent_name = d.pop("agentName", UNSET)

        trust_tier = d.pop("trustTier", UNSET)

        resource = d.pop("resource", UNSET)

        would_deny = d.pop("wouldDeny", UNSET)

        policy = d.pop("policy", UNSET)

        rule = d.pop("rule", UNSET)

        hint = d.pop("hint", UNSET)

        method = d.pop("method", UNSET)

        path = d.pop("path", UNSET)

        status = d.pop("status", UNSET)

        _context = d.pop("context", UNSET)
        context: AuditContext | Unset
        if isinstance(_context, Unset):
            context = UNSET
        else:
            context = AuditContext.from_dict(_context)

        _changes = d.pop("changes", UNSET)
        changes: AuditEntryChanges | Unset
        if isinstance(_changes, Unset):
            changes = UNSET
        else:
            changes = AuditEntryChanges.from_dict(_changes)

        audit_entry = cls(
            id=id,
            timestamp=timestamp,
            trace_id=trace_id,
            kind=kind,
            action=action,
            decision=decision,
            reason=reason,
            latency_ms=latency_ms,
            stream=stream,
            sequence=sequence,
            prev_hash=prev_hash,
            hash_=hash_,
            agent_id=agent_id,
            agent_name=agent_name,
            trust_tier=trust_tier,
            resource=resource,
            would_deny=would_deny,
            policy=policy,
            rule=rule,
            hint=hint,
            method=method,
            path=path,
            status=status,
            context=context,
            changes=changes,
        )

        audit_entry.additional_properties = d
        return audit_entry

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
