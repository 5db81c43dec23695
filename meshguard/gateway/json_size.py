"""How many values a JSON text has, counted before it is parsed."""

from __future__ import annotations

import re

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def has_more_values(body: bytes, limit: int) -> bool:
    """Whether a JSON text has more values than that; object keys count too.

    A first count includes the separators inside texts, so it can only be too high. Texts are removed for a
    second count only when it is.
    """
    return len(body) > limit and _count(body) > limit and _count(_TEXT.sub(b"", body)) > limit


def _count(body: bytes) -> int:
    return body.count(b",") + body.count(b":") + body.count(b"[") + body.count(b"{")
