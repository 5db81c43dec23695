"""The path that is forwarded: one spelling, or refused."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from meshguard.gateway.problems import Detail, Problem, invalid

_MAX_ENCODINGS = 8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_SLASHES = re.compile(r"/{2,}")
_SAFE = "/-._~!$&'()*+,;=:@"


def normalise(path: str) -> str:
    """Return a decoded path below the upstream in its one spelling, without leading slash.

    Repeated slashes become one, and `%2F` counts as a slash, so that what is decided on is what an upstream
    sees, however it reads the path.

    Args:
        path: The path after `/proxy/`, percent-decoded once.

    Raises:
        Problem: 400 for dot segments and backslashes in any encoding, control characters, and absolute URLs.
    """
    for text in _readings(path):
        if _CONTROL.search(text):
            raise _refused("control characters are not forwarded")
        if "\\" in text:
            raise _refused("backslashes are not forwarded")
        if any(segment.partition(";")[0].strip(" ") in {".", ".."} for segment in text.split("/")):
            raise _refused('the segments "." and ".." are not forwarded; send the path they lead to')
        if _ABSOLUTE.match(text.lstrip("/")):
            raise _refused("only paths below the upstream are forwarded, not URLs")
    return _SLASHES.sub("/", path).lstrip("/")


def encode(path: str) -> str:
    """Return a normalised path percent-encoded, the same way for every spelling that was sent."""
    return quote(path, safe=_SAFE)


def _readings(path: str) -> list[str]:
    """Return the path as it is, and as upstreams see it that decode once more, and once more.

    Raises:
        Problem: 400, when it is encoded again and again.
    """
    readings = [path]
    while len(readings) <= _MAX_ENCODINGS:
        decoded = unquote(readings[-1], errors="replace")
        if decoded == readings[-1]:
            return readings
        readings.append(decoded)
    raise _refused("the path is percent-encoded too many times over")


def _refused(message: str) -> Problem:
    return invalid(Detail("/path/path", message))
