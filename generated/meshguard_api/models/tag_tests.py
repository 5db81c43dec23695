from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="TagTests")


@_attrs_define
class TagTests:
    """Tests of `tags`; all must hold. `equals`, `in` and `contains` mean "has any of".

    Attributes:
        equals (str | Unset): A tag or an agent id.
        in_ (list[str] | Unset): Tags or agent ids, any of which may match.
        contains (list[str] | str | Unset): One tag or a list of them, any of which may match.
        exists (bool | Unset): Whether the agent has a tag.
        not_ (TagTests | Unset): Tests of `tags`; all must hold. `equals`, `in` and `contains` mean "has any of".
    """

    equals: str | Unset = UNSET
    in_: list[str] | Unset = UNSET
    contains: list[str] | str | Unset = UNSET
    exists: bool | Unset = UNSET
    not_: TagTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        equals = self.equals

        in_: list[str] | Unset = UNSET
        if not isinstance(self.in_, Unset):
            in_ = self.in_

        contains: list[str] | str | Unset
        if isinstance(self.contains, Unset):
            contains = UNSET
        elif isinstance(self.contains, list):
            contains = self.contains

        else:
            contains = self.contains

        exists = self.exists

        not_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.not_, Unset):
            not_ = self.not_.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if equals is not UNSET:
            field_dict["equals"] = equals
        if in_ is not UNSET:
            field_dict["in"] = in_
        if contains is not UNSET:
            field_dict["contains"] = contains
        if exists is not UNSET:
            field_dict["exists"] = exists
        if not_ is not UNSET:
            field_dict["not"] = not_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        equals = d.pop("equals", UNSET)

        in_ = cast(list[str], d.pop("in", UNSET))

        def _parse_contains(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_label_or_labels_type_1 = cast(list[str], data)

                return componentsschemas_policy_label_or_labels_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        contains = _parse_contains(d.pop("contains", UNSET))

        exists = d.pop("exists", UNSET)

        _not_ = d.pop("not", UNSET)
        not_: TagTests | Unset
        if isinstance(_not_, Unset):
            not_ = UNSET
        else:
            not_ = TagTests.from_dict(_not_)

        tag_tests = cls(
            equals=equals,
            in_=in_,
            contains=contains,
            exists=exists,
            not_=not_,
        )

        return tag_tests
