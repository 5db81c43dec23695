from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.audit_head import AuditHead
    from ..models.broken_entry import BrokenEntry


T = TypeVar("T", bound="AuditVerification")


@_attrs_define
class AuditVerification:
    """Whether the audit log is whole and unaltered.

    Attributes:
        valid (bool): Whether every chain is whole.
        entries (int): How many entries were read.
        heads (list[AuditHead]): The end of every chain.
        first_broken (BrokenEntry | Unset): The first place where the log is not what it was.
    """

    valid: bool
    entries: int
    heads: list[AuditHead]
    first_broken: BrokenEntry | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        valid = self.valid

        entries = self.entries

        heads = []
        for heads_item_data in self.heads:
            heads_item = heads_item_data.to_dict()
            heads.append(heads_item)

        first_broken: dict[str, Any] | Unset = UNSET
        if not isinstance(self.first_broken, Unset):
            first_broken = self.first_broken.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "valid": valid,
                "entries": entries,
                "heads": heads,
            }
        )
        if first_broken is not UNSET:
            field_dict["firstBroken"] = first_broken

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_head import AuditHead  # noqa: PLC0415
        from ..models.broken_entry import BrokenEntry  # noqa: PLC0415

        d = dict(src_dict)
        valid = d.pop("valid")

        entries = d.pop("entries")

        heads = []
        _heads = d.pop("heads")
        for heads_item_data in _heads:
            heads_item = AuditHead.from_dict(heads_item_data)

            heads.append(heads_item)

        _first_broken = d.pop("firstBroken", UNSET)
        first_broken: BrokenEntry | Unset
        if isinstance(_first_broken, Unset):
            first_broken = UNSET
        else:
            first_broken = BrokenEntry.from_dict(_first_broken)

        audit_verification = cls(
            valid=valid,
            entries=entries,
            heads=heads,
            first_broken=first_broken,
        )

        audit_verification.additional_properties = d
        return audit_verification

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
