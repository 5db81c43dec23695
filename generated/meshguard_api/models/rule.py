from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.effect import Effect, check_effect
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.conditions import Conditions


T = TypeVar("T", bound="Rule")


@_attrs_define
class Rule:
    """One rule. A deny rule that matches wins over every allow rule.

    Attributes:
        effect (Effect): What a rule does when it matches, or a policy when no rule does (deny when left out).
        actions (list[str]): Patterns of actions, any of which may match.
        id (str | Unset): An id from another tool; kept, and not interpreted. `list_policies` shows the name where there
            is none, so that
            every policy and rule that is listed has an id.
        name (str | Unset): Unique in the policy; "rule 1" (its place, from 1) when left out.
        description (str | Unset): What the rule is for, in words.
        conditions (Conditions | Unset): Subjects and their tests; all must hold. Beside the subjects named here,
            `context.<dotted path>` and
            `metadata.<dotted path>` are subjects. A bare value stands for `equals`, a bare list for `in`; for `tags` both
            mean "has any of".
        reason (str | Unset): The reason given when this rule decides.
    """

    effect: Effect
    actions: list[str]
    id: str | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    conditions: Conditions | Unset = UNSET
    reason: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        effect: str = self.effect

        actions = self.actions

        id = self.id

        name = self.name

        description = self.description

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
        if id is not UNSET:
            field_dict["id"] = id
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description
        if conditions is not UNSET:
            field_dict["conditions"] = conditions
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.conditions import Conditions  # noqa: PLC0415

        d = dict(src_dict)
        effect = check_effect(d.pop("effect"))

        actions = cast(list[str], d.pop("actions"))

        id = d.pop("id", UNSET)

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

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
            id=id,
            name=name,
            description=description,
            conditions=conditions,
            reason=reason,
        )

        return rule
