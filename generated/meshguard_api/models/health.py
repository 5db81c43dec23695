from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.health_checks import HealthChecks


T = TypeVar("T", bound="Health")


@_attrs_define
class Health:
    """The state of the gateway.

    Attributes:
        status (str): Known values are `healthy` and `unhealthy`.
        timestamp (str): A moment as RFC 3339 in UTC with milliseconds and `Z`.
        version (str): The gateway's version.
        mode (str): Known values are `enforce` and `audit`.
        uptime (float): Seconds since the gateway started.
        checks (HealthChecks): Each part of the gateway; `ok`, or a sentence that says what is the matter.
    """

    status: str
    timestamp: str
    version: str
    mode: str
    uptime: float
    checks: HealthChecks
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        timestamp = self.timestamp

        version = self.version

        mode = self.mode

        uptime = self.uptime

        checks = self.checks.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "timestamp": timestamp,
                "version": version,
                "mode": mode,
                "uptime": uptime,
                "checks": checks,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.health_checks import HealthChecks  # noqa: PLC0415

        d = dict(src_dict)
        status = d.pop("status")

        timestamp = d.pop("timestamp")

        version = d.pop("version")

        mode = d.pop("mode")

        uptime = d.pop("uptime")

        checks = HealthChecks.from_dict(d.pop("checks"))

        health = cls(
            status=status,
            timestamp=timestamp,
            version=version,
            mode=mode,
            uptime=uptime,
            checks=checks,
        )

        health.additional_properties = d
        return health

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
