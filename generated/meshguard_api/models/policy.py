from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.effect import Effect, check_effect
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.applies_to import AppliesTo
    from ..models.delegation import Delegation
    from ..models.rule import Rule


T = TypeVar("T", bound="Policy")


@_attrs_define
class Policy:
    """What agents may do. A policy is in force whole or not at all.

    Attributes:
        name (str): 1 to 128 letters, digits, dots, underscores and hyphens.
        rules (list[Rule]): The rules. Their order decides only which one is reported.
        id (str | Unset): An id from another tool; kept, and not interpreted. `list_policies` shows the name where there
            is none, so that
            every policy and rule that is listed has an id.
        version (str | Unset): The author's version; kept, and not interpreted.
        description (str | Unset): What the policy is for, in words.
        applies_to (AppliesTo | Unset): The agents a policy applies to. Every key present must match; within a key any
            value matches. Without it a
            policy applies to every agent.
        default_effect (Effect | Unset): What a rule does when it matches, or a policy when no rule does (deny when left
            out).
        delegation (Delegation | Unset): How far permissions may be passed on. Checked and kept; without effect so far.
    """

    name: str
    rules: list[Rule]
    id: str | Unset = UNSET
    version: str | Unset = UNSET
    description: str | Unset = UNSET
    applies_to: AppliesTo | Unset = UNSET
    default_effect: Effect | Unset = UNSET
    delegation: Delegation | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        rules = []
        for rules_item_data in self.rules:
            rules_item = rules_item_data.to_dict()
            rules.append(rules_item)

        id = self.id

        version = self.version

        description = self.description

        applies_to: dict[str, Any] | Unset = UNSET
        if not isinstance(self.applies_to, Unset):
            applies_to = self.applies_to.to_dict()

        default_effect: str | Unset = UNSET
        if not isinstance(self.default_effect, Unset):
            default_effect = self.default_effect

        delegation: dict[str, Any] | Unset = UNSET
        if not isinstance(self.delegation, Unset):
            delegation = self.delegation.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "rules": rules,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id
        if version is not UNSET:
            field_dict["version"] = version
        if description is not UNSET:
            field_dict["description"] = description
        if applies_to is not UNSET:
            field_dict["appliesTo"] = applies_to
        if default_effect is not UNSET:
            field_dict["defaultEffect"] = default_effect
        if delegation is not UNSET:
            field_dict["delegation"] = delegation

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.applies_to import AppliesTo  # noqa: PLC0415
        from ..models.delegation import Delegation  # noqa: PLC0415
        from ..models.rule import Rule  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")

        rules = []
        _rules = d.pop("rules")
        for rules_item_data in _rules:
            rules_item = Rule.from_dict(rules_item_data)

            rules.append(rules_item)

        id = d.pop("id", UNSET)

        version = d.pop("version", UNSET)

        description = d.pop("description", UNSET)

        _applies_to = d.pop("appliesTo", UNSET)
        applies_to: AppliesTo | Unset
        if isinstance(_applies_to, Unset):
            applies_to = UNSET
        else:
            applies_to = AppliesTo.from_dict(_applies_to)

        _default_effect = d.pop("defaultEffect", UNSET)
        default_effect: Effect | Unset
        if isinstance(_default_effect, Unset):
            default_effect = UNSET
        else:
            default_effect = check_effect(_default_effect)

        _delegation = d.pop("delegation", UNSET)
        delegation: Delegation | Unset
        if isinstance(_delegation, Unset):
            delegation = UNSET
        else:
            delegation = Delegation.from_dict(_delegation)

        policy = cls(
            name=name,
            rules=rules,
            id=id,
            version=version,
            description=description,
            applies_to=applies_to,
            default_effect=default_effect,
            delegation=delegation,
        )

        return policy
