from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.trust_tier import TrustTier, check_trust_tier
from ..types import UNSET, Unset

T = TypeVar("T", bound="AppliesTo")


@_attrs_define
class AppliesTo:
    """The agents a policy applies to. Every key present must match; within a key any value matches. Without it a
    policy applies to every agent.

        Attributes:
            trust_tiers (list[TrustTier] | Unset): Trust tiers of the agents.
            tags (list[str] | Unset): Tags, of which the agent has one or more.
            agent_ids (list[str] | Unset): Ids of the agents.
    """

    trust_tiers: list[TrustTier] | Unset = UNSET
    tags: list[str] | Unset = UNSET
    agent_ids: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        trust_tiers: list[str] | Unset = UNSET
        if not isinstance(self.trust_tiers, Unset):
            trust_tiers = []
            for trust_tiers_item_data in self.trust_tiers:
                trust_tiers_item: str = trust_tiers_item_data
                trust_tiers.append(trust_tiers_item)

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        agent_ids: list[str] | Unset = UNSET
        if not isinstance(self.agent_ids, Unset):
            agent_ids = self.agent_ids

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if trust_tiers is not UNSET:
            field_dict["trustTiers"] = trust_tiers
        if tags is not UNSET:
            field_dict["tags"] = tags
        if agent_ids is not UNSET:
            field_dict["agentIds"] = agent_ids

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _trust_tiers = d.pop("trustTiers", UNSET)
        trust_tiers: list[TrustTier] | Unset = UNSET
        if _trust_tiers is not UNSET:
            trust_tiers = []
            for trust_tiers_item_data in _trust_tiers:
                trust_tiers_item = check_trust_tier(trust_tiers_item_data)

                trust_tiers.append(trust_tiers_item)

        tags = cast(list[str], d.pop("tags", UNSET))

        agent_ids = cast(list[str], d.pop("agentIds", UNSET))

        applies_to = cls(
            trust_tiers=trust_tiers,
            tags=tags,
            agent_ids=agent_ids,
        )

        return applies_to
