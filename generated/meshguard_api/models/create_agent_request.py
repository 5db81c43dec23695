from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.trust_tier import TrustTier, check_trust_tier
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.metadata import Metadata


T = TypeVar("T", bound="CreateAgentRequest")


@_attrs_define
class CreateAgentRequest:
    """The agent to create.

    Attributes:
        name (str): A name for people; several agents may share one.
        trust_tier (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`, `verified`, `trusted`,
            `privileged`. `untrusted` is
            read as `unverified`.
        tags (list[str] | Unset): Labels; one given twice is kept once.
        metadata (Metadata | Unset): Facts about the agent that conditions may look at; replaced whole.
        description (None | str | Unset): What the agent is for, in words; `null` for nothing.
        capabilities (list[str] | None | Unset): What the agent is meant to do, in the client's own terms; `null` for
            nothing. Kept and returned. Decisions
            do not use it: policies say what an agent may do.
    """

    name: str
    trust_tier: TrustTier | Unset = UNSET
    tags: list[str] | Unset = UNSET
    metadata: Metadata | Unset = UNSET
    description: None | str | Unset = UNSET
    capabilities: list[str] | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        trust_tier: str | Unset = UNSET
        if not isinstance(self.trust_tier, Unset):
            trust_tier = self.trust_tier

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        capabilities: list[str] | None | Unset
        if isinstance(self.capabilities, Unset):
            capabilities = UNSET
        elif isinstance(self.capabilities, list):
            capabilities = self.capabilities

        else:
            capabilities = self.capabilities

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
            }
        )
        if trust_tier is not UNSET:
            field_dict["trustTier"] = trust_tier
        if tags is not UNSET:
            field_dict["tags"] = tags
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if description is not UNSET:
            field_dict["description"] = description
        if capabilities is not UNSET:
            field_dict["capabilities"] = capabilities

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metadata import Metadata  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")

        _trust_tier = d.pop("trustTier", UNSET)
        trust_tier: TrustTier | Unset
        if isinstance(_trust_tier, Unset):
            trust_tier = UNSET
        else:
            trust_tier = check_trust_tier(_trust_tier)

        tags = cast(list[str], d.pop("tags", UNSET))

        _metadata = d.pop("metadata", UNSET)
        metadata: Metadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = Metadata.from_dict(_metadata)

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))

        def _parse_capabilities(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                capabilities_type_0 = cast(list[str], data)

                return capabilities_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        capabilities = _parse_capabilities(d.pop("capabilities", UNSET))

        create_agent_request = cls(
            name=name,
            trust_tier=trust_tier,
            tags=tags,
            metadata=metadata,
            description=description,
            capabilities=capabilities,
        )

        return create_agent_request
