"""What a call sends; arguments are checked before anything leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, cast
from urllib.parse import quote

from meshguard.exceptions import InvalidRequestError, MeshGuardError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Credential = Literal["agent", "admin"]

# Compiled when they are first used.
_HEADER_TEXT = r"[!-~](?:[ -~]{0,2046}[!-~])?"
_UNSENDABLE = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


def _reraise(error: MeshGuardError) -> Any:
    raise error


def _never(_: httpx.Response) -> bool:
    return False


@dataclass(eq=False, repr=False)
class ApiCall(Generic[T]):
    """One call of the gateway's API.

    Attributes:
        name: The client's method.
        method: The HTTP method.
        path: The path below the gateway's URL, percent-encoded.
        read: Returns the result of a response, or raises the error that matches it.
        options: More arguments of `httpx.Client.build_request`.
        credential: Whose token is sent.
        retryable: Whether a repeat is harmless.
        recover: Returns a result in place of an error, or raises the error.
        is_streamed: Whether the body of a streamed response is left to the caller.
        action: The action to decide, where the call is about one.
        is_small: Whether the response is one object of a few fields.
    """

    name: str
    method: str
    path: str
    read: Callable[[httpx.Response], T]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    credential: Credential | None = "admin"
    retryable: bool = True
    recover: Callable[[MeshGuardError], T] = _reraise
    is_streamed: Callable[[httpx.Response], bool] = _never
    action: str | None = None
    is_small: bool = False


class Page(NamedTuple, Generic[T]):
    """Some of the items, the cursor of the next page, and the call that fetches it."""

    items: list[T]
    cursor: str | None
    next: ApiCall[Page[T]] | None


def fits_header(value: str) -> bool:
    """Whether a header can carry the value."""
    return isinstance(value, str) and re.fullmatch(_HEADER_TEXT, value) is not None


def is_sendable(value: str) -> bool:
    """Whether a text is free of control characters and lone surrogates."""
    return re.search(_UNSENDABLE, value) is None


def text(name: str, value: Any) -> str:
    """Check a non-empty line of text."""
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"Invalid {name}: it must be a non-empty string.")
    if not is_sendable(value):
        raise InvalidRequestError(
            f"Invalid {name}: it must not contain line breaks, other control characters or lone surrogates."
        )
    return value


def text_block(name: str, value: Any) -> str:
    """Check a non-empty text of several lines."""
    text(name, re.sub(r"[\t\r\n]", " ", value) if isinstance(value, str) else value)
    return cast("str", value)


def texts(name: str, values: Any) -> list[str]:
    """Check a list of texts."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"Invalid {name}: it must be a list of strings.")
    return [text(name, value) for value in cast("Iterable[object]", values)]


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Check a mapping."""
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"Invalid {name}: it must be a mapping.")
    return dict(cast("Mapping[str, Any]", value))


def segment(name: str, value: Any) -> str:
    """Check and encode one segment of a path."""
    if text(name, value) in {".", ".."}:
        raise InvalidRequestError(f"Invalid {name}: it must not be a dot segment.")
    return quote(value, safe="")


def whole_number(name: str, value: Any) -> int:
    """Check a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequestError(f"Invalid {name}: it must be a whole number.")
    return value


def timestamp(name: str, value: Any) -> str | None:
    """Check a time, and write it as the gateway reads it."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequestError(
            f"Invalid {name}: it must be a datetime with a time zone, such as datetime.now(UTC)."
        )
    return value.isoformat()


def query(**filters: Any) -> dict[str, Any]:
    """Return the options of a call whose filters go into the query; empty ones are omitted."""
    return {"params": {name: value for name, value in filters.items() if value is not None}}


def filter_text(name: str, value: Any) -> str | None:
    """Check the text of a filter; an empty one is no filter."""
    return text(name, value) if value else None
