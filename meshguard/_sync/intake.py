# Made from meshguard/_async/intake.py by scripts/unasync; edit that file.
"""Reads the whole body of a response, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshguard._wire.intake import Body, detach

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


def read_body(response: httpx.Response, limit: int, is_late: Callable[[], bool]) -> None:
    """Read the body of a streamed response and release its connection.

    Args:
        response: Sent with `stream=True`.
        limit: Bytes that the body may have, compressed or not.
        is_late: Whether the time for the whole call is over.

    Raises:
        InvalidResponseError: The body is larger, or compressed in a way that was not requested.
        httpx.HTTPError: The connection failed, or the time is over.
    """
    body = Body(response, limit, is_late)
    try:
        stream: Any = response.stream  # `httpx` declares both kinds
        for piece in stream:
            body.add(piece)
        response.close()
    except BaseException:
        response.close()
        detach(response)
        raise
    body.complete()
