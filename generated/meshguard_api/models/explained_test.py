from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExplainedTest")


@_attrs_define
class ExplainedTest:
    """One test of a condition and what came of it.

    Attributes:
        test (str): The test in words, or `all`, `any` or `not`.
        value (str): `true`, `false` or `error`.
        saw (Any | Unset): The value that was tested, shortened when long; absent when there was none.
        error (str | Unset): Why the test could not be evaluated.
        parts (list[ExplainedTest] | Unset): The tests inside `all`, `any` and `not`.
    """

    test: str
    value: str
    saw: Any | Unset = UNSET
    error: str | Unset = UNSET
    parts: list[ExplainedTest] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        test = self.test

        value = self.value

        saw = self.saw

        error = self.error

        parts: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.parts, Unset):
            parts = []
            for parts_item_data in self.parts:
                parts_item = parts_item_data.to_dict()
                parts.append(parts_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "test": test,
                "value": value,
            }
        )
        if saw is not UNSET:
            field_dict["saw"] = saw
        if error is not UNSET:
            field_dict["error"] = error
        if parts is not UNSET:
            field_dict["parts"] = parts

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        test = d.pop("test")

        value = d.pop("value")

        saw = d.pop("saw", UNSET)

        error = d.pop("error", UNSET)

        _parts = d.pop("parts", UNSET)
        parts: list[ExplainedTest] | Unset = UNSET
        if _parts is not UNSET:
            parts = []
            for parts_item_data in _parts:
                parts_item = ExplainedTest.from_dict(parts_item_data)

                parts.append(parts_item)

        explained_test = cls(
            test=test,
            value=value,
            saw=saw,
            error=error,
            parts=parts,
        )

        explained_test.additional_properties = d
        return explained_test

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
