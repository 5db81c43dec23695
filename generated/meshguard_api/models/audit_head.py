from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.audit_tombstone import AuditTombstone


T = TypeVar("T", bound="AuditHead")


@_attrs_define
class AuditHead:
    """The end of a chain.

    Attributes:
        stream (str): The chain.
        count (int): How many entries it has had.
        hash_ (str): The hash of its last entry.
        number (int | Unset): The chain's place among all chains of the log, from 1; a gap is a chain that was removed.
        signature (str | Unset): HMAC-SHA256 over stream, number, count and hash with the gateway's key, in hexadecimal.
        pruned (AuditTombstone | Unset): What stands for the entries that retention removed from the beginning of a
            chain.
    """

    stream: str
    count: int
    hash_: str
    number: int | Unset = UNSET
    signature: str | Unset = UNSET
    pruned: AuditTombstone | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        stream = self.stream

        count = self.count

        hash_ = self.hash_

        number = self.number

        signature = self.signature

        pruned: dict[str, Any] | Unset = UNSET
        if not isinstance(self.pruned, Unset):
            pruned = self.pruned.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "stream": stream,
                "count": count,
                "hash": hash_,
            }
        )
        if number is not UNSET:
            field_dict["number"] = number
        if signature is not UNSET:
            field_dict["signature"] = signature
        if pruned is not UNSET:
            field_dict["pruned"] = pruned

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_tombstone import AuditTombstone  # noqa: PLC0415

        d = dict(src_dict)
        stream = d.pop("stream")

        count = d.pop("count")

        hash_ = d.pop("hash")

        number = d.pop("number", UNSET)

        signature = d.pop("signature", UNSET)

        _pruned = d.pop("pruned", UNSET)
        pruned: AuditTombstone | Unset
        if isinstance(_pruned, Unset):
            pruned = UNSET
        else:
            pruned = AuditTombstone.from_dict(_pruned)

        audit_head = cls(
            stream=stream,
            count=count,
            hash_=hash_,
            number=number,
            signature=signature,
            pruned=pruned,
        )

        audit_head.additional_properties = d
        return audit_head

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
