from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Denial")


@_attrs_define
class Denial:
    """The gateway's refusal of an action.

    Attributes:
        error (str): Always `forbidden`.
        message (str): The reason in words; the same as `reason`.
        reason (str): Why, in one sentence.
        action (str): What an agent wants to do, by convention `verb:object`. Any text of 1 to 2,048 characters without
            control
            characters; compared by code point, and case matters.
        trace_id (str): 1 to 128 visible ASCII characters.
        audit_id (str): The id of the audit entry.
        resource (str | Unset): What the action is done to, without control characters. Often a path or an id.
        policy (str | Unset): The policy that decided; absent when none matched.
        rule (str | Unset): The rule that decided; absent when none matched.
        hint (str | Unset): What comes nearest to allowing it; only where the gateway's `EXPLAIN_TO_AGENTS` is on.
    """

    error: str
    message: str
    reason: str
    action: str
    trace_id: str
    audit_id: str
    resource: str | Unset = UNSET
    policy: str | Unset = UNSET
    rule: str | Unset = UNSET
    hint: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        error = self.error

        message = self.message

        reason = self.reason

        action = self.action

        trace_id = self.trace_id

        audit_id = self.audit_id

        resource = self.resource

        policy = self.policy

        rule = self.rule

        hint = self.hint

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "error": error,
                "message": message,
                "reason": reason,
                "action": action,
                "traceId": trace_id,
                "auditId": audit_id,
            }
        )
        if resource is not UNSET:
            field_dict["resource"] = resource
        if policy is not UNSET:
            field_dict["policy"] = policy
        if rule is not UNSET:
            field_dict["rule"] = rule
        if hint is not UNSET:
            field_dict["hint"] = hint

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        error = d.pop("error")

        message = d.pop("message")

        reason = d.pop("reason")

        action = d.pop("action")

        trace_id = d.pop("traceId")

        audit_id = d.pop("auditId")

        resource = d.pop("resource", UNSET)

        policy = d.pop("policy", UNSET)

        rule = d.pop("rule", UNSET)

        hint = d.pop("hint", UNSET)

        denial = cls(
            error=error,
            message=message,
            reason=reason,
            action=action,
            trace_id=trace_id,
            audit_id=audit_id,
            resource=resource,
            policy=policy,
            rule=rule,
            hint=hint,
        )

        denial.additional_properties = d
        return denial

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
