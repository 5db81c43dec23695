from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="RateLimitError")


@_attrs_define
class RateLimitError:
    """Too many requests.

    Attributes:
        error (str): Always `rate_limited`.
        message (str): One sentence that says what to do.
        trace_id (str): 1 to 128 visible ASCII characters.
        retry_after (int): Seconds to wait before the next try.
        limit (int): The number of requests a minute that is allowed.
    """

    error: str
    message: str
    trace_id: str
    retry_after: int
    limit: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        error = self.error

        message = self.message

        trace_id = self.trace_id

        retry_after = self.retry_after

        limit = self.limit

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "error": error,
                "message": message,
                "traceId": trace_id,
                "retryAfter": retry_after,
                "limit": limit,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        error = d.pop("error")

        message = d.pop("message")

        trace_id = d.pop("traceId")

        retry_after = d.pop("retryAfter")

        limit = d.pop("limit")

        rate_limit_error = cls(
            error=error,
            message=message,
            trace_id=trace_id,
            retry_after=retry_after,
            limit=limit,
        )

        rate_limit_error.additional_properties = d
        return rate_limit_error

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
