from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.rule_effect import RuleEffect, check_rule_effect
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.conditions import Conditions


T = TypeVar("T", bound="Rule")


@_attrs_define
class Rule:
    """One rule.

    Attributes:
        effect (RuleEffect): The effect.
        actions (list[str]): Action patterns.
        name (str | Unset): The name.
        conditions (Conditions | Unset): All must hold.
        reason (str | Unset): Why.
    """

    effect: RuleEffect
    actions: list[str]
    name: str | Unset = UNSET
    conditions: Conditions | Unset = UNSET
    reason: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        effect: str = self.effect

        actions = self.actions

        name = self.name

        conditions: dict[str, Any] | Unset = UNSET
        if not isinstance(self.conditions, Unset):
            conditions = self.conditions.to_dict()

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "effect": effect,
                "actions": actions,
            }
        )
        if name is not UNSET:
            field_dict["name"] = name
        if conditions is not UNSET:
            field_dict["conditions"] = conditions
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.conditions import Conditions  # noqa: PLC0415

        d = dict(src_dict)
        effect = check_rule_effect(d.pop("effect"))

        actions = cast(list[str], d.pop("actions"))

        name = d.pop("name", UNSET)

        _conditions = d.pop("conditions", UNSET)
        conditions: Conditions | Unset
        if isinstance(_conditions, Unset):
            conditions = UNSET
        else:
            conditions = Conditions.from_dict(_conditions)

        reason = d.pop("reason", UNSET)

        rule = cls(
            effect=effect,
            actions=actions,
            name=name,
            conditions=conditions,
            reason=reason,
        )

        return rule
