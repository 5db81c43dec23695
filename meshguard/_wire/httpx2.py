"""Between `httpx`, whose requests and responses the client works with, and the caller's `httpx2` client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import httpx2

from meshguard._wire.credentials import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.CookieConflict, httpx2.StreamError)


def build_request(
    client: httpx2.Client | httpx2.AsyncClient, method: str, url: httpx.URL, options: Mapping[str, Any]
) -> httpx.Request:
    """Make a request with the settings of a client; options may have types of `httpx`."""
    given = dict(options)
    if (params := given.pop("params", None)) is not None:
        url = url.copy_merge_params(params)
    if (headers := given.get("headers")) is not None:
        given["headers"] = httpx.Headers(headers).raw
    if (cookies := given.get("cookies")) is not None:
        given["cookies"] = httpx.Cookies(cookies).jar
    if "timeout" in given:
        timeout = httpx.Timeout(given.pop("timeout")).as_dict()
        given["extensions"] = {**(given.get("extensions") or {}), "timeout": timeout}
    built = client.build_request(method, str(url), **given)
    return httpx.Request(
        built.method,
        str(built.url),
        headers=built.headers.raw,
        stream=built.stream,  # type: ignore[arg-type]  # it goes back into a request of httpx2
        extensions=built.extensions,
    )


def to_httpx2(request: httpx.Request) -> httpx2.Request:
    """Return the request for the client to send; its headers hide the same values in their repr."""
    stream: Any = request.stream
    if isinstance(stream, httpx.ByteStream):
        stream = httpx2.ByteStream(request.read())
    sent = httpx2.Request(request.method, str(request.url), stream=stream, extensions=request.extensions)
    sent.headers = masked(httpx2.Headers)(request.headers.raw)
    sent.headers.hidden = getattr(request.headers, "hidden", ())  # type: ignore[attr-defined]
    return sent


def to_httpx_error(error: Exception) -> Exception:
    """Return the same error of `httpx`."""
    for kind in type(error).__mro__:
        same = getattr(httpx, kind.__name__, None)
        if same is not None and same is not httpx.HTTPStatusError:
            found: Exception = (
                httpx.StreamError(str(error)) if issubclass(same, RuntimeError) else same(str(error))
            )
            return found
    return RuntimeError(str(error))
