from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.time_tests_weekdays_item import (
    TimeTestsWeekdaysItem,
    check_time_tests_weekdays_item,
)
from ..types import UNSET, Unset

T = TypeVar("T", bound="TimeTests")


@_attrs_define
class TimeTests:
    """Tests of the time of the decision, in UTC; all must hold. `after` is from that moment on, `before` is up to
    but not at it.

        Attributes:
            after (str | Unset): A time of day in UTC, `HH:MM` or `HH:MM:SS`, or a moment as in RFC 3339.
            before (str | Unset): A time of day in UTC, `HH:MM` or `HH:MM:SS`, or a moment as in RFC 3339.
            weekdays (list[TimeTestsWeekdaysItem] | Unset): Days of the week.
            not_ (TimeTests | Unset): Tests of the time of the decision, in UTC; all must hold. `after` is from that moment
                on, `before` is up to
                but not at it.
    """

    after: str | Unset = UNSET
    before: str | Unset = UNSET
    weekdays: list[TimeTestsWeekdaysItem] | Unset = UNSET
    not_: TimeTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        after = self.after

        before = self.before

        weekdays: list[str] | Unset = UNSET
        if not isinstance(self.weekdays, Unset):
            weekdays = []
            for weekdays_item_data in self.weekdays:
                weekdays_item: str = weekdays_item_data
                weekdays.append(weekdays_item)

        not_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.not_, Unset):
            not_ = self.not_.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if after is not UNSET:
            field_dict["after"] = after
        if before is not UNSET:
            field_dict["before"] = before
        if weekdays is not UNSET:
            field_dict["weekdays"] = weekdays
        if not_ is not UNSET:
            field_dict["not"] = not_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        after = d.pop("after", UNSET)

        before = d.pop("before", UNSET)

        _weekdays = d.pop("weekdays", UNSET)
        weekdays: list[TimeTestsWeekdaysItem] | Unset = UNSET
        if _weekdays is not UNSET:
            weekdays = []
            for weekdays_item_data in _weekdays:
                weekdays_item = check_time_tests_weekdays_item(weekdays_item_data)

                weekdays.append(weekdays_item)

        _not_ = d.pop("not", UNSET)
        not_: TimeTests | Unset
        if isinstance(_not_, Unset):
            not_ = UNSET
        else:
            not_ = TimeTests.from_dict(_not_)

        time_tests = cls(
            after=after,
            before=before,
            weekdays=weekdays,
            not_=not_,
        )

        return time_tests
