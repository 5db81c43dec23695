from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.metadata import Metadata


T = TypeVar("T", bound="Agent")


@_attrs_define
class Agent:
    """An identity that acts.

    Attributes:
        id (str): The agent's id, `agent_…`.
        name (str): A name for people; several agents may share one.
        trust_tier (str): Known values, low to high, are `unverified`, `verified`, `trusted` and `privileged`.
        tags (list[str]): Labels that policies can apply to, each once, in the order given.
        metadata (Metadata): Facts about the agent that conditions may look at; replaced whole.
        status (str): Known values are `active` and `revoked`.
        created_at (datetime.datetime): A time as RFC 3339 in UTC with milliseconds and `Z`.
        updated_at (datetime.datetime): A time as RFC 3339 in UTC with milliseconds and `Z`.
        description (str | Unset): What the agent is for, in words; absent when it has none.
        capabilities (list[str] | Unset): What the agent is meant to do, as its creator put it; absent when nothing was.
            Decisions do not use it:
            policies say what an agent may do.
        org_id (str | Unset): The organisation, where a gateway serves several.
    """

    id: str
    name: str
    trust_tier: str
    tags: list[str]
    metadata: Metadata
    status: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    description: str | Unset = UNSET
    capabilities: list[str] | Unset = UNSET
    org_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        name = self.name

        trust_tier = self.trust_tier

        tags = self.tags

        metadata = self.metadata.to_dict()

        status = self.status

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        description = self.description

        capabilities: list[str] | Unset = UNSET
        if not isinstance(self.capabilities, Unset):
            capabilities = self.capabilities

        org_id = self.org_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "name": name,
                "trustTier": trust_tier,
                "tags": tags,
                "metadata": metadata,
                "status": status,
                "createdAt": created_at,
                "updatedAt": updated_at,
            }
        )
        if description is not UNSET:
            field_dict["description"] = description
        if capabilities is not UNSET:
            field_dict["capabilities"] = capabilities
        if org_id is not UNSET:
            field_dict["orgId"] = org_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metadata import Metadata  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        name = d.pop("name")

        trust_tier = d.pop("trustTier")

        tags = cast(list[str], d.pop("tags"))

        metadata = Metadata.from_dict(d.pop("metadata"))

        status = d.pop("status")

        created_at = datetime.datetime.fromisoformat(d.pop("createdAt"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updatedAt"))

        description = d.pop("description", UNSET)

        capabilities = cast(list[str], d.pop("capabilities", UNSET))

        org_id = d.pop("orgId", UNSET)

        agent = cls(
            id=id,
            name=name,
            trust_tier=trust_tier,
            tags=tags,
            metadata=metadata,
            status=status,
            created_at=created_at,
            updated_at=updated_at,
            description=description,
            capabilities=capabilities,
            org_id=org_id,
        )

        agent.additional_properties = d
        return agent

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
