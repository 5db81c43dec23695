from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given

from tests.policy.comparison import (
    SITUATIONS,
    first_difference,
    first_pattern_difference,
    first_test_difference,
)


# 100 examples of 200 pairs of an agent and a request are 20,000; the nightly profile makes 200,000
@given(SITUATIONS)
def test_the_engine_decides_as_the_language_page_says(
    situation: tuple[list[dict[str, Any]], int, datetime],
) -> None:
    assert first_difference(*situation) is None


def test_every_test_of_every_value_comes_out_as_the_language_page_says() -> None:
    assert first_test_difference() is None


def test_patterns_match_as_the_language_page_says() -> None:
    assert first_pattern_difference(50_000) is None
