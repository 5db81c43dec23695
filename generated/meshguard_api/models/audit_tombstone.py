from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="AuditTombstone")


@_attrs_define
class AuditTombstone:
    """What stands for the entries that retention removed from the beginning of a chain.

    Attributes:
        count (int): How many entries were removed.
        hash_ (str): The hash of the last of them.
        pruned_at (datetime.datetime): A time as RFC 3339 in UTC with milliseconds and `Z`.
        signature (str): HMAC-SHA256 over stream, count, hash and prunedAt with the gateway's key, in hexadecimal.
    """

    count: int
    hash_: str
    pruned_at: datetime.datetime
    signature: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        count = self.count

        hash_ = self.hash_

        pruned_at = self.pruned_at.isoformat()

        signature = self.signature

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "count": count,
                "hash": hash_,
                "prunedAt": pruned_at,
                "signature": signature,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        count = d.pop("count")

        hash_ = d.pop("hash")

        pruned_at = datetime.datetime.fromisoformat(d.pop("prunedAt"))

        signature = d.pop("signature")

        audit_tombstone = cls(
            count=count,
            hash_=hash_,
            pruned_at=pruned_at,
            signature=signature,
        )

        audit_tombstone.additional_properties = d
        return audit_tombstone

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
