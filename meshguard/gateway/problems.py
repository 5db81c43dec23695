"""Answers that are errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshguard.gateway.work import MAX_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_TEXT = 512  # characters of a path or a message in details
CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    429: "rate_limited",
    500: "internal_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault of a request: a JSON pointer and a sentence."""

    path: str
    message: str


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - it is an answer, not a failure
    """An error answer, raised wherever it is found out (openapi.yaml, "Errors").

    Args:
        status: The HTTP status; the code follows from it.
        message: One sentence that says what to do.
        details: The faults of an invalid request.
        headers: Further response headers.
        fields: Further fields of the body.
    """

    status: int
    message: str
    details: tuple[Detail, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    fields: dict[str, int] = field(default_factory=dict)


def invalid(*details: Detail) -> Problem:
    """Return the 400 for these errors; it lists the first ones, shortened."""
    message = "Correct the fields named in details."
    if len(details) >= MAX_ERRORS:
        message = "Correct the fields named in details; there may be more."
    return Problem(400, message, listed(details))


def listed(details: Sequence[Detail]) -> tuple[Detail, ...]:
    """Return what a response lists of these errors, so that its size is bounded."""
    return tuple(
        Detail(_shortened(detail.path), _shortened(detail.message)) for detail in details[:MAX_ERRORS]
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def unavailable(message: str, retry_after: int = 1) -> Problem:
    """Return the 503 that asks to try again after so many seconds."""
    return Problem(503, message, headers=(("Retry-After", str(retry_after)),))
