from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.explained_test import ExplainedTest


T = TypeVar("T", bound="ExplainedRule")


@_attrs_define
class ExplainedRule:
    """What one rule had to say.

    Attributes:
        rule (str): The rule's name.
        effect (str): `allow` or `deny`.
        matched (bool): Whether the rule matched, conditions and all.
        decided (bool): Whether this is the rule that decided.
        because (str): Why it matched or did not.
        conditions (ExplainedTest | Unset): One test of a condition and what came of it.
    """

    rule: str
    effect: str
    matched: bool
    decided: bool
    because: str
    conditions: ExplainedTest | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        rule = self.rule

        effect = self.effect

        matched = self.matched

        decided = self.decided

        because = self.because

        conditions: dict[str, Any] | Unset = UNSET
        if not isinstance(self.conditions, Unset):
            conditions = self.conditions.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "rule": rule,
                "effect": effect,
                "matched": matched,
                "decided": decided,
                "because": because,
            }
        )
        if conditions is not UNSET:
            field_dict["conditions"] = conditions

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.explained_test import ExplainedTest  # noqa: PLC0415

        d = dict(src_dict)
        rule = d.pop("rule")

        effect = d.pop("effect")

        matched = d.pop("matched")

        decided = d.pop("decided")

        because = d.pop("because")

        _conditions = d.pop("conditions", UNSET)
        conditions: ExplainedTest | Unset
        if isinstance(_conditions, Unset):
            conditions = UNSET
        else:
            conditions = ExplainedTest.from_dict(_conditions)

        explained_rule = cls(
            rule=rule,
            effect=effect,
            matched=matched,
            decided=decided,
            because=because,
            conditions=conditions,
        )

        explained_rule.additional_properties = d
        return explained_rule

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
