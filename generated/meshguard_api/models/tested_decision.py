from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.explanation import Explanation


T = TypeVar("T", bound="TestedDecision")


@_attrs_define
class TestedDecision:
    """A decision that nobody acted on.

    Attributes:
        decision (str): Known values are `allow` and `deny`.
        allowed (bool): Whether the action would be allowed.
        action (str): What an agent wants to do, by convention `verb:object`. Any text of 1 to 2,048 characters without
            control
            characters; compared by code point, and case matters.
        reason (str): Why, in one sentence.
        trace_id (str): 1 to 128 visible ASCII characters.
        mode (str): Known values are `enforce` and `audit`.
        explanation (Explanation): How a decision came about.
        resource (str | Unset): What the action is done to, without control characters. Often a path or an id.
        policy (str | Unset): The policy that would decide; absent when none matched.
        rule (str | Unset): The rule that would decide; absent when none matched.
    """

    decision: str
    allowed: bool
    action: str
    reason: str
    trace_id: str
    mode: str
    explanation: Explanation
    resource: str | Unset = UNSET
    policy: str | Unset = UNSET
    rule: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        decision = self.decision

        allowed = self.allowed

        action = self.action

        reason = self.reason

        trace_id = self.trace_id

        mode = self.mode

        explanation = self.explanation.to_dict()

        resource = self.resource

        policy = self.policy

        rule = self.rule

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "decision": decision,
                "allowed": allowed,
                "action": action,
                "reason": reason,
                "traceId": trace_id,
                "mode": mode,
                "explanation": explanation,
            }
        )
        if resource is not UNSET:
            field_dict["resource"] = resource
        if policy is not UNSET:
            field_dict["policy"] = policy
        if rule is not UNSET:
            field_dict["rule"] = rule

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

        mode = d.pop("mode")

        explanation = Explanation.from_dict(d.pop("explanation"))

        resource = d.pop("resource", UNSET)

        policy = d.pop("policy", UNSET)

        rule = d.pop("rule", UNSET)

        tested_decision = cls(
            decision=decision,
            allowed=allowed,
            action=action,
            reason=reason,
            trace_id=trace_id,
            mode=mode,
            explanation=explanation,
            resource=resource,
            policy=policy,
            rule=rule,
        )

        tested_decision.additional_properties = d
        return tested_decision

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
