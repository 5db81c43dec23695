from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Delegation")


@_attrs_define
class Delegation:
    """How far permissions may be passed on. Checked and kept; without effect so far.

    Attributes:
        max_depth (int | Unset): How many times a permission may be passed on.
        permission_ceiling (list[str] | Unset): Patterns of the actions that may be passed on.
    """

    max_depth: int | Unset = UNSET
    permission_ceiling: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        max_depth = self.max_depth

        permission_ceiling: list[str] | Unset = UNSET
        if not isinstance(self.permission_ceiling, Unset):
            permission_ceiling = self.permission_ceiling

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if max_depth is not UNSET:
            field_dict["maxDepth"] = max_depth
        if permission_ceiling is not UNSET:
            field_dict["permissionCeiling"] = permission_ceiling

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        max_depth = d.pop("maxDepth", UNSET)

        permission_ceiling = cast(list[str], d.pop("permissionCeiling", UNSET))

        delegation = cls(
            max_depth=max_depth,
            permission_ceiling=permission_ceiling,
        )

        return delegation
