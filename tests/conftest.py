"""Hypothesis profiles: the normal run repeats itself, the nightly one searches ten times as far."""

from typing import Any

from hypothesis import HealthCheck, settings

_CALM: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}

settings.register_profile("normal", max_examples=100, derandomize=True, database=None, **_CALM)
settings.register_profile("nightly", max_examples=1_000, **_CALM)
if settings.get_current_profile_name() == "default":
    settings.load_profile("normal")
