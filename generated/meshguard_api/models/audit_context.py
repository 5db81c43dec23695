from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.audit_context_fingerprints import AuditContextFingerprints
    from ..models.audit_context_values import AuditContextValues


T = TypeVar("T", bound="AuditContext")


@_attrs_define
class AuditContext:
    """What is kept of a request's context.

    Attributes:
        values (AuditContextValues | Unset): The values of the keys that the gateway keeps, by dotted key.
        fingerprints (AuditContextFingerprints | Unset): A keyed fingerprint, 32 hexadecimal digits, for each other key
            of the context; `*` stands for all keys
            that are too long or too many.
        truncated (bool | Unset): Present and true when there was more than an entry has room for: a value that the
            settings name has only
            a fingerprint, or several keys have one together.
    """

    values: AuditContextValues | Unset = UNSET
    fingerprints: AuditContextFingerprints | Unset = UNSET
    truncated: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] | Unset = UNSET
        if not isinstance(self.values, Unset):
            values = self.values.to_dict()

        fingerprints: dict[str, Any] | Unset = UNSET
        if not isinstance(self.fingerprints, Unset):
            fingerprints = self.fingerprints.to_dict()

        truncated = self.truncated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if values is not UNSET:
            field_dict["values"] = values
        if fingerprints is not UNSET:
            field_dict["fingerprints"] = fingerprints
        if truncated is not UNSET:
            field_dict["truncated"] = truncated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_context_fingerprints import AuditContextFingerprints  # noqa: PLC0415
        from ..models.audit_context_values import AuditContextValues  # noqa: PLC0415

        d = dict(src_dict)
        _values = d.pop("values", UNSET)
        values: AuditContextValues | Unset
        if isinstance(_values, Unset):
            values = UNSET
        else:
            values = AuditContextValues.from_dict(_values)

        _fingerprints = d.pop("fingerprints", UNSET)
        fingerprints: AuditContextFingerprints | Unset
        if isinstance(_fingerprints, Unset):
            fingerprints = UNSET
        else:
            fingerprints = AuditContextFingerprints.from_dict(_fingerprints)

        truncated = d.pop("truncated", UNSET)

        audit_context = cls(
            values=values,
            fingerprints=fingerprints,
            truncated=truncated,
        )

        audit_context.additional_properties = d
        return audit_context

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
