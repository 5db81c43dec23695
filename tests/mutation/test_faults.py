"""The curated faults keep up with the code: a refactoring changes them too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.catalog import areas, faults_of, sample
from tests.mutation.checks import errors_in

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("area", areas())
def test_faults_fit_the_code_and_their_tests_exist(area: str) -> None:
    assert errors_in(faults_of(area), ROOT) == []


def test_a_sample_is_spread_over_the_areas_and_repeatable() -> None:
    catalog = {area: faults_of(area) for area in areas()}
    chosen = sample(catalog, len(catalog), "seed")
    assert [len(faults) for faults in chosen.values()] == [1] * len(catalog)
    assert chosen == sample(catalog, len(catalog), "seed")
    assert sample(catalog, 10_000, "seed").keys() == catalog.keys()


def test_there_are_enough_faults() -> None:
    faults = [fault for area in areas() for fault in faults_of(area)]
    assert len(faults) >= 150
    assert len({fault.file for fault in faults}) >= 30
