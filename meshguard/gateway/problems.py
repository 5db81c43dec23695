"""Answers that are errors."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """Return the 400 for these faults."""
    return Problem(400, "Correct the fields named in details.", details)


def unavailable(message: str, retry_after: int = 1) -> Problem:
    """Return the 503 that asks to try again after so many seconds."""
    return Problem(503, message, headers=(("Retry-After", str(retry_after)),))
