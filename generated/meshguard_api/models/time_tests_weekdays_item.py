from typing import Literal

TimeTestsWeekdaysItem = Literal["fri", "mon", "sat", "sun", "thu", "tue", "wed"]

TIME_TESTS_WEEKDAYS_ITEM_VALUES: set[TimeTestsWeekdaysItem] = {
    "fri",
    "mon",
    "sat",
    "sun",
    "thu",
    "tue",
    "wed",
}


def check_time_tests_weekdays_item(value: str) -> TimeTestsWeekdaysItem:
    if value in TIME_TESTS_WEEKDAYS_ITEM_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {TIME_TESTS_WEEKDAYS_ITEM_VALUES!r}"
    )
