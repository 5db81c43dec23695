from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="BrokenEntry")


@_attrs_define
class BrokenEntry:
    """The first place where the log is not what it was.

    Attributes:
        stream (str): The chain.
        sequence (int): The place in the chain.
        problem (str): What is wrong there.
        id (str | Unset): The entry's id, if there is an entry.
    """

    stream: str
    sequence: int
    problem: str
    id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        stream = self.stream

        sequence = self.sequence

        problem = self.problem

        id = self.id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "stream": stream,
                "sequence": sequence,
                "problem": problem,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        stream = d.pop("stream")

        sequence = d.pop("sequence")

        problem = d.pop("problem")

        id = d.pop("id", UNSET)

        broken_entry = cls(
            stream=stream,
            sequence=sequence,
            problem=problem,
            id=id,
        )

        broken_entry.additional_properties = d
        return broken_entry

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
