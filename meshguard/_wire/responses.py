"""How a response becomes a result; the status is checked before the body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshguard._wire.body import as_list, find_mismatch, parse_object
from meshguard._wire.errors import error_for, invalid_response
from meshguard._wire.requests import ApiCall, Page, is_sendable
from meshguard._wire.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import httpx

T = TypeVar("T")


def read_nothing(response: httpx.Response) -> None:
    """Check the status only."""
    if not response.is_success:
        raise error_for(response)


def read_object(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a success."""
    read_nothing(response)
    body = parse_object(response)
    if body is None:
        raise invalid_response(response, "the body is not a JSON object")
    return body


def read_as(expected: type[T]) -> Callable[[httpx.Response], T]:
    """Return the reader of a success whose body is a `TypedDict`."""
    return lambda response: typed(expected, response, read_object(response))


def read_items(response: httpx.Response, name: str, read_item: Callable[[httpx.Response, Any], T]) -> list[T]:
    """Return the list that a success has under a name."""
    items = as_list(read_object(response).get(name))
    if items is None:
        raise invalid_response(response, f"/{name} is not a list")
    return [read_item(response, item) for item in items]


def read_page(
    response: httpx.Response,
    name: str,
    read_item: Callable[[httpx.Response, Any], T],
    cursor: str | None,
    call_for: Callable[[str], ApiCall[Page[T]]],
) -> Page[T]:
    """Return one page of a list; `call_for` makes the call for the next cursor."""
    items = read_items(response, name, read_item)
    following = read_object(response).get("nextCursor")
    if following is None:
        return Page(items, None, None)
    if not (isinstance(following, str) and following and following != cursor and is_sendable(following)):
        raise invalid_response(response, "/nextCursor leads nowhere")
    return Page(items, following, call_for(following))


def typed(expected: type[T], response: httpx.Response, value: Any) -> T:
    """Return a JSON value as a `TypedDict`."""
    if mismatch := find_mismatch(expected, value):
        raise invalid_response(response, mismatch)
    return cast("T", value)


def read_time(response: httpx.Response, body: Mapping[str, Any], name: str) -> datetime:
    """Return a field that is a time."""
    try:
        return parse_time(body[name])
    except ValueError as error:
        raise invalid_response(response, f"/{name}: {error}") from None
