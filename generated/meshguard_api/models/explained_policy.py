from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.explained_rule import ExplainedRule


T = TypeVar("T", bound="ExplainedPolicy")


@_attrs_define
class ExplainedPolicy:
    """What one policy had to say.

    Attributes:
        policy (str): The policy's name.
        applies (bool): Whether the policy applies to the agent.
        because (str): Why it applies or does not.
        default_effect (str): What the policy says where no rule matches, `allow` or `deny`.
        rules (list[ExplainedRule]): The rules whose action matched, when the policy applies.
    """

    policy: str
    applies: bool
    because: str
    default_effect: str
    rules: list[ExplainedRule]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        policy = self.policy

        applies = self.applies

        because = self.because

        default_effect = self.default_effect

        rules = []
        for rules_item_data in self.rules:
            rules_item = rules_item_data.to_dict()
            rules.append(rules_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "policy": policy,
                "applies": applies,
                "because": because,
                "defaultEffect": default_effect,
                "rules": rules,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.explained_rule import ExplainedRule  # noqa: PLC0415

        d = dict(src_dict)
        policy = d.pop("policy")

        applies = d.pop("applies")

        because = d.pop("because")

        default_effect = d.pop("defaultEffect")

        rules = []
        _rules = d.pop("rules")
        for rules_item_data in _rules:
            rules_item = ExplainedRule.from_dict(rules_item_data)

            rules.append(rules_item)

        explained_policy = cls(
            policy=policy,
            applies=applies,
            because=because,
            default_effect=default_effect,
            rules=rules,
        )

        explained_policy.additional_properties = d
        return explained_policy

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
