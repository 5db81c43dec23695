from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="HealthChecks")


@_attrs_define
class HealthChecks:
    """Each part of the gateway; `ok`, or a sentence that says what is the matter. With the admin token only.

    Attributes:
        database (str): Whether the store answers.
        policies (str): Whether policies are loaded, and whether the files on disk are active. Names each file that is
            skipped or broken.
        audit (str): Whether audit entries can be written, whether those that retention or a verification looked at are
            whole,
            and whether there is room for more.
        snapshot (str | Unset): Whether the agents and policies at hand are those of the store, also after changes at
            other gateways. While they may not be, nothing is allowed.
        rate_limit (str | Unset): Whether decisions are counted for all gateways together where that was asked for.
        background (str | Unset): Whether the work beside the requests succeeds, such as following changes, retention
            and emptying SQLite's log. What fails is named and retried.
    """

    database: str
    policies: str
    audit: str
    snapshot: str | Unset = UNSET
    rate_limit: str | Unset = UNSET
    background: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        database = self.database

        policies = self.policies

        audit = self.audit

        snapshot = self.snapshot

        rate_limit = self.rate_limit

        background = self.background

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "database": database,
                "policies": policies,
                "audit": audit,
            }
        )
        if snapshot is not UNSET:
            field_dict["snapshot"] = snapshot
        if rate_limit is not UNSET:
            field_dict["rateLimit"] = rate_limit
        if background is not UNSET:
            field_dict["background"] = background

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        database = d.pop("database")

        policies = d.pop("policies")

        audit = d.pop("audit")

        snapshot = d.pop("snapshot", UNSET)

        rate_limit = d.pop("rateLimit", UNSET)

        background = d.pop("background", UNSET)

        health_checks = cls(
            database=database,
            policies=policies,
            audit=audit,
            snapshot=snapshot,
            rate_limit=rate_limit,
            background=background,
        )

        health_checks.additional_properties = d
        return health_checks

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
