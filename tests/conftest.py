"""Hypothesis profiles: the normal run repeats itself, the nightly one searches ten times as far."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

_CALM: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}

settings.register_profile("normal", max_examples=100, derandomize=True, database=None, **_CALM)
settings.register_profile("nightly", max_examples=1_000, **_CALM)
if settings.get_current_profile_name() == "default":
    settings.load_profile("normal")


@pytest.fixture(autouse=True)
def log_levels_unchanged() -> Iterator[None]:
    """Fail a test that leaves the level of a logger changed: it would change what later tests see."""
    loggers = [logging.getLogger(name) for name in (None, "meshguard", "httpx", "httpcore")]
    before = [logger.level for logger in loggers]
    yield
    after = [logger.level for logger in loggers]
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
    assert after == before


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write tests/cli/snapshots")
