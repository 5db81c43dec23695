"""Whether a failed call is sent again, and after how long."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import httpx

from meshguard._wire.errors import DECISION_HEADER, is_interruption, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard._wire.requests import ApiCall

MAX_RETRY_AFTER = 30.0  # seconds
_FIRST_DELAY = 0.25
_MAX_DELAY = 5.0
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def retry_delay(
    call: ApiCall[Any],
    outcome: httpx.Response | Exception,
    *,
    attempt: int,
    time_left: float,
    draw: Callable[[float, float], float] = random.uniform,
) -> float | None:
    """Return the seconds to wait before the next attempt; None when there should not be one.

    The gateway's `Retry-After` is honored up to `MAX_RETRY_AFTER`. Otherwise the wait is random, up to a
    limit that doubles with each attempt.

    Args:
        call: The call.
        outcome: What the last attempt came to.
        attempt: How many attempts were made, 1 or more.
        time_left: Seconds until the call's deadline.
        draw: Returns a random number between two others.
    """
    if not _should_retry(call, outcome):
        return None
    requested = retry_after(outcome) if isinstance(outcome, httpx.Response) else None
    if requested is not None and requested > MAX_RETRY_AFTER:
        return None
    limit = min(_FIRST_DELAY * 2 ** min(attempt - 1, 10), _MAX_DELAY)
    delay = draw(0.0, limit) if requested is None else requested
    return delay if delay < time_left else None


def _should_retry(call: ApiCall[Any], outcome: httpx.Response | Exception) -> bool:
    if isinstance(outcome, httpx.Response):
        failed = outcome.status_code in _RETRY_STATUSES and DECISION_HEADER not in outcome.headers
        return failed and call.retryable
    return isinstance(outcome, _NEVER_CONNECTED) or (call.retryable and is_interruption(outcome))
