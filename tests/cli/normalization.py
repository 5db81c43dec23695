"""Output without what differs between runs; the layout stays, since nothing changes its length."""

from __future__ import annotations

import re

from meshguard import __version__

_CONTROL = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z])")
_ALWAYS = (
    (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", lambda _: "TOKEN"),
    (r"\b(agent|aud|gw)(_|-)([0-9a-f]{16,32})\b", lambda found: found[1] + found[2] + "0" * len(found[3])),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", lambda found: _like(found[0])),
    (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b", lambda found: _like(found[0])),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lambda _: "2026-11-22T09:30:00.000Z"),
    (r"(127\.0\.0\.1:)\d{5}\b", lambda found: f"{found[1]}00000"),
    (r"\b\d{13}-(\d+)", lambda found: f"{'0' * 13}-{found[1]}"),
    (r'("(?:latencyMs|uptime|sequence)": )[\d.]+', lambda found: f"{found[1]}0"),
    (r"/tmp/mg\w{8}/config", lambda _: "~/.config"),
    (r"\b(schema|newest) (\d+)\b", lambda found: f"{found[1]} {_like(found[2])}"),
    (re.escape(__version__), lambda _: "0.0.0"),
)


def normalized(text: str) -> str:
    """Return a text in which IDs, times, ports, tokens and versions are always the same."""
    text = _CONTROL.sub(r"\1\0", text)  # what follows a sequence is a word of its own
    for pattern, replacement in _ALWAYS:
        text = re.sub(pattern, replacement, text)
    text = text.replace("\0", "").replace("\x1b", "\\e")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def _like(text: str) -> str:
    return re.sub(r"[0-9a-f]", "0", text)
