from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.deciding_rule import DecidingRule
    from ..models.explained_policy import ExplainedPolicy


T = TypeVar("T", bound="Explanation")


@_attrs_define
class Explanation:
    """How a decision came about.

    Attributes:
        summary (str): The decision and its cause, in one sentence.
        policies (list[ExplainedPolicy]): Every policy considered.
        decided_by (DecidingRule | Unset): The rule that decided.
        hint (str | Unset): What comes nearest to allowing a denied action: a rule, and the tests that stand against it.
            Another action is
            proposed only if it is allowed. Absent when the action is allowed, or the agent may do nothing at all.
        change (str | Unset): The one change that would turn the decision around; absent when no single one does, or
            none was found within
            the limit of work.
        truncated (bool | Unset): Present and true when the explanation was cut short at its limit of work or size.
    """

    summary: str
    policies: list[ExplainedPolicy]
    decided_by: DecidingRule | Unset = UNSET
    hint: str | Unset = UNSET
    change: str | Unset = UNSET
    truncated: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        summary = self.summary

        policies = []
        for policies_item_data in self.policies:
            policies_item = policies_item_data.to_dict()
            policies.append(policies_item)

        decided_by: dict[str, Any] | Unset = UNSET
        if not isinstance(self.decided_by, Unset):
            decided_by = self.decided_by.to_dict()

        hint = self.hint

        change = self.change

        truncated = self.truncated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "summary": summary,
                "policies": policies,
            }
        )
        if decided_by is not UNSET:
            field_dict["decidedBy"] = decided_by
        if hint is not UNSET:
            field_dict["hint"] = hint
        if change is not UNSET:
            field_dict["change"] = change
        if truncated is not UNSET:
            field_dict["truncated"] = truncated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.deciding_rule import DecidingRule  # noqa: PLC0415
        from ..models.explained_policy import ExplainedPolicy  # noqa: PLC0415

        d = dict(src_dict)
        summary = d.pop("summary")

        policies = []
        _policies = d.pop("policies")
        for policies_item_data in _policies:
            policies_item = ExplainedPolicy.from_dict(policies_item_data)

            policies.append(policies_item)

        _decided_by = d.pop("decidedBy", UNSET)
        decided_by: DecidingRule | Unset
        if isinstance(_decided_by, Unset):
            decided_by = UNSET
        else:
            decided_by = DecidingRule.from_dict(_decided_by)

        hint = d.pop("hint", UNSET)

        change = d.pop("change", UNSET)

        truncated = d.pop("truncated", UNSET)

        explanation = cls(
            summary=summary,
            policies=policies,
            decided_by=decided_by,
            hint=hint,
            change=change,
            truncated=truncated,
        )

        explanation.additional_properties = d
        return explanation

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
