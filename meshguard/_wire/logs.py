"""What the client logs of each attempt; never a credential, a query, an upstream path, or content."""

from __future__ import annotations

import logging
import os

import httpx

from meshguard._wire.errors import REQUEST_ID_HEADER

_log = logging.getLogger("meshguard")


def log_attempt(
    request: httpx.Request, outcome: httpx.Response | Exception, attempt: int, seconds: float
) -> None:
    """Log an attempt at DEBUG."""
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug(
            "%s %s: %s in %.1f ms (attempt %d, request %s)",
            request.method,
            _path(request),
            _result(outcome),
            seconds * 1000,
            attempt,
            request.headers.get(REQUEST_ID_HEADER),
        )


def log_retry(request: httpx.Request, outcome: httpx.Response | Exception, delay: float) -> None:
    """Log at DEBUG that a request is sent again, and why."""
    _log.debug("%s %s: retry in %.2f s after %s", request.method, _path(request), delay, _result(outcome))


def log_to_stderr() -> None:
    """Log to standard error if `MESHGUARD_LOG` says so: `debug`, `info` or `warning`."""
    level = os.environ.get("MESHGUARD_LOG", "").upper()
    if level in {"DEBUG", "INFO", "WARNING"}:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        _log.setLevel(level)


def _path(request: httpx.Request) -> str:
    """Return the path; that of a proxied request is content, such as the name of a customer."""
    path = request.url.path
    base, proxied, _ = path.partition("/proxy/")
    return f"{base}/proxy/{{path}}" if proxied and not path.endswith("/proxy/check") else path


def _result(outcome: httpx.Response | Exception) -> str:
    return str(outcome.status_code) if isinstance(outcome, httpx.Response) else type(outcome).__name__
