from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.explanation import Explanation


T = TypeVar("T", bound="Decision")


@_attrs_define
class Decision:
    """Whether the agent may do this, and why. The act is recorded under `auditId`.

    Attributes:
        decision (str): Known values are `allow` and `deny`; a client takes anything but `allow` as a denial.
        allowed (bool): Whether the agent may act; true exactly when `decision` is `allow`.
        action (str): What an agent wants to do, by convention `verb:object`. Any text of 1 to 2,048 characters without
            control
            characters; compared by code point, and case matters.
        reason (str): Why, in one sentence.
        trace_id (str): 1 to 128 visible ASCII characters.
        audit_id (str): The id of the audit entry, which was durable before this answer was sent.
        mode (str): Known values are `enforce` and `audit`.
        resource (str | Unset): What the action is done to, without control characters. Often a path or an id.
        policy (str | Unset): The policy that decided; absent when none matched.
        rule (str | Unset): The rule that decided; absent when none matched.
        would_deny (bool | Unset): Present and true in mode `audit` when policy denies the action.
        conditional (bool | Unset): Present when the request has `explain: true`. True when the action is denied now,
            but a rule could allow it
            with another context or resource or at another time, and no deny certainly matches.
        explanation (Explanation | Unset): How a decision came about.
    """

    decision: str
    allowed: bool
    action: str
    reason: str
    trace_id: str
    audit_id: str
    mode: str
    resource: str | Unset = UNSET
    policy: str | Unset = UNSET
    rule: str | Unset = UNSET
    would_deny: bool | Unset = UNSET
    conditional: bool | Unset = UNSET
    explanation: Explanation | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        decision = self.decision

        allowed = self.allowed

        action = self.action

        reason = self.reason

        trace_id = self.trace_id

        audit_id = self.audit_id

        mode = self.mode

        resource = self.resource

        policy = self.policy

        rule = self.rule

        would_deny = self.would_deny

        conditional = self.conditional

        explanation: dict[str, Any] | Unset = UNSET
        if not isinstance(self.explanation, Unset):
            explanation = self.explanation.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "decision": decision,
                "allowed": allowed,
                "action": action,
                "reason": reason,
                "traceId": trace_id,
                "auditId": audit_id,
                "mode": mode,
            }
        )
        if resource is not UNSET:
            field_dict["resource"] = resource
        if policy is not UNSET:
            field_dict["policy"] = policy
        if rule is not UNSET:
            field_dict["rule"] = rule
        if would_deny is not UNSET:
            field_dict["wouldDeny"] = would_deny
        if conditional is not UNSET:
            field_dict["conditional"] = conditional
        if explanation is not UNSET:
            field_dict["explanation"] = explanation

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.explanation import Explanation  # noqa: PLC0415

        d = dict(src_dict)
        decision = d.pop("decision")

        allowed = d.pop("allowed")

        action = d.pop("action")

        reason = d.pop("reason")

        trace_id = d.pop("traceId")

        audit_id = d.pop("auditId")

        mode = d.pop("mode")

        resource = d.pop("resource", UNSET)

        policy = d.pop("policy", UNSET)

        rule = d.pop("rule", UNSET)

        would_deny = d.pop("wouldDeny", UNSET)

        conditional = d.pop("conditional", UNSET)

        _explanation = d.pop("explanation", UNSET)
        explanation: Explanation | Unset
        if isinstance(_explanation, Unset):
            explanation = UNSET
        else:
            explanation = Explanation.from_dict(_explanation)

        decision = cls(
            decision=decision,
            allowed=allowed,
            action=action,
            reason=reason,
            trace_id=trace_id,
            audit_id=audit_id,
            mode=mode,
            resource=resource,
            policy=policy,
            rule=rule,
            would_deny=would_deny,
            conditional=conditional,
            explanation=explanation,
        )

        decision.additional_properties = d
        return decision

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
