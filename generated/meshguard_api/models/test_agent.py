from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.trust_tier import TrustTier, check_trust_tier
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.metadata import Metadata


T = TypeVar("T", bound="TestAgent")


@_attrs_define
class TestAgent:
    """An imagined agent.

    Attributes:
        trust_tier (TrustTier): How far an agent is trusted, low to high: `unverified`, `verified`, `trusted`,
            `privileged`. `untrusted` is
            read as `unverified`.
        tags (list[str] | Unset): The agent's labels.
        id (str | Unset): An id, for policies that apply to ids.
        name (str | Unset): A name for people; several agents may share one.
        metadata (Metadata | Unset): Facts about the agent that conditions may look at; replaced whole.
    """

    trust_tier: TrustTier
    tags: list[str] | Unset = UNSET
    id: str | Unset = UNSET
    name: str | Unset = UNSET
    metadata: Metadata | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        trust_tier: str = self.trust_tier

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        id = self.id

        name = self.name

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "trustTier": trust_tier,
            }
        )
        if tags is not UNSET:
            field_dict["tags"] = tags
        if id is not UNSET:
            field_dict["id"] = id
        if name is not UNSET:
            field_dict["name"] = name
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metadata import Metadata  # noqa: PLC0415

        d = dict(src_dict)
        trust_tier = check_trust_tier(d.pop("trustTier"))

        tags = cast(list[str], d.pop("tags", UNSET))

        id = d.pop("id", UNSET)

        name = d.pop("name", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: Metadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = Metadata.from_dict(_metadata)

        test_agent = cls(
            trust_tier=trust_tier,
            tags=tags,
            id=id,
            name=name,
            metadata=metadata,
        )

        return test_agent
