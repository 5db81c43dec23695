"""A few seconds of benchmarks/attack.py: what its figures say of correctness, nothing of time."""

from pathlib import Path

import pytest

from benchmarks._attackers import KINDS
from benchmarks.attack import Report, is_allowed, measure


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder: Path = tmp_path_factory.mktemp("attack")
    return measure(folder, seconds=8, quiet=1, entries=1_000)


def test_no_answer_is_wrong_or_lost_under_attack(report: Report) -> None:
    """Errors may occur; an answer that is given is right, is in the log, and the log is valid."""
    assert report.quiet.wrong == []
    assert report.attacked.wrong == []
    assert report.quiet.entries
    assert {"allow", "deny"} == {*report.quiet.entries.values()}
    assert report.missing == 0
    assert report.valid


def test_no_attack_gets_through(report: Report) -> None:
    assert report.breaches() == []
    assert {kind for kind, found in report.attacks.items() if found["sent"]} == {*KINDS}
    assert [kind for kind, found in report.attacks.items() if "500" in found["answers"]] == []


def test_the_right_answers() -> None:
    assert [is_allowed(amount) for amount in ("1000", "1e3", "-5", "1000.01", '"1"', "null", "[1]")] == [
        *[True] * 3,
        *[False] * 4,
    ]
