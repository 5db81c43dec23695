"""Requests to the upstream, and how the gateway's own responses are told from the upstream's."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx

from meshguard._wire.errors import DECISION_HEADER, error_for, trace_id_of, with_response
from meshguard._wire.requests import ApiCall, fits_header, is_sendable, text
from meshguard.exceptions import InvalidRequestError, UpstreamError
from meshguard.types import ProxyOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABSOLUTE_URL = r"[A-Za-z][A-Za-z0-9+.-]*://"
_METHOD = r"[A-Za-z]+"
_OUR_HEADERS = frozenset({"authorization", "x-admin-token", "x-request-id"})
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def request(
    method: str,
    path: str,
    action: str,
    *,
    resource: str | None = None,
    raise_for_status: bool = True,
    options: ProxyOptions,
) -> ApiCall[httpx.Response]:
    """Operations `proxy_get` and its siblings; the generated ones take no path of several segments."""
    if not (isinstance(method, str) and re.fullmatch(_METHOD, method)):
        raise InvalidRequestError("Invalid method: it must be an HTTP method, such as GET.")
    return ApiCall(
        "request",
        method.upper(),
        f"/proxy/{_upstream_path(path)}",
        partial(_read_upstream, action, raise_for_status),
        {
            **_httpx_options(options),
            "headers": [*_callers_headers(options), *_question_headers(action, resource)],
        },
        credential="agent",
        retryable=method.upper() in _READING_METHODS,
        is_streamed=lambda response: not _is_from_gateway(response),
        action=action,
    )


def _is_from_gateway(response: httpx.Response) -> bool:
    """Whether the gateway itself rejected a request, rather than passing on what the upstream returned."""
    stated = response.headers.get(DECISION_HEADER)
    return response.status_code >= httpx.codes.BAD_REQUEST if stated is None else stated != "allow"


def _upstream_path(path: str) -> str:
    path = text("path", path).lstrip("/")
    plain = path.partition("?")[0]
    while plain != (plain := unquote(plain)):
        pass
    if re.match(_ABSOLUTE_URL, plain) or "#" in path:
        raise InvalidRequestError(
            "Invalid path: it must be a path below the upstream's base URL, without a fragment."
        )
    if not is_sendable(plain) or not {".", ".."}.isdisjoint(re.split(r"[/\\]", plain)):
        raise InvalidRequestError(
            "Invalid path: it must not contain dot segments or control characters, in any encoding."
        )
    return path


def _httpx_options(options: ProxyOptions) -> dict[str, Any]:
    if unknown := options.keys() - ProxyOptions.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    if options.get("auth") is not None:
        raise InvalidRequestError("Invalid auth: the gateway adds the upstream's own credential. Omit it.")
    if options.get("follow_redirects"):
        raise InvalidRequestError(
            "Invalid follow_redirects: redirects are returned. Follow one with a separate request."
        )
    ours = {"auth", "follow_redirects", "headers"}
    return {name: value for name, value in options.items() if name not in ours}


def _callers_headers(options: ProxyOptions) -> Iterator[tuple[bytes, bytes]]:
    try:
        headers = httpx.Headers(options.get("headers"))
    except (TypeError, ValueError, AttributeError):
        raise InvalidRequestError("Invalid headers: they must be a mapping or pairs of ASCII text.") from None
    for name, value in headers.raw:
        lower = name.lower().decode("ascii", "replace")
        if lower not in _OUR_HEADERS and not lower.startswith("x-meshguard-"):
            yield name, value


def _question_headers(action: str, resource: str | None) -> Iterator[tuple[bytes, bytes]]:
    for name, value in (("action", action), ("resource", resource or None)):
        if value is None:
            continue
        if not fits_header(text(name, value)):
            raise InvalidRequestError(
                f"Invalid {name} of a proxied request: it must be at most 2,048 printable ASCII characters."
            )
        yield f"X-MeshGuard-{name.title()}".encode(), value.encode()


def _read_upstream(action: str, raise_for_status: bool, response: httpx.Response) -> httpx.Response:
    if _is_from_gateway(response):
        raise error_for(response, action)
    if raise_for_status and response.status_code >= httpx.codes.BAD_REQUEST:
        error = UpstreamError(
            f"The upstream returned {response.status_code} for {response.request.method} "
            f"{response.request.url.path.partition('/proxy')[2]}.",
            response=response,
            status_code=response.status_code,
            trace_id=trace_id_of(response),
        )
        raise with_response(error, response)
    return response
