"""Patterns of paths as `matches` puts them to a value: resolved, and never guessing what was meant."""

from __future__ import annotations

import re

from meshguard.policy.globs import Glob
from meshguard.policy.hosts import HostError, read_url
from meshguard.policy.paths import resolve
from meshguard.policy.values import Outcome, Problem

CLIMBS = Problem("the path climbs above its start")
TWO_PATHS = Problem("the pattern matches the path as sent or as resolved, but not both")
NO_NAME = Problem("the pattern has no /, the value has: does it mean the whole value or a part of it?")

_STAR = re.compile(r"\*+")
_ONE_STAR = re.compile(r"(?<!\*)\*(?!\*)")


def pattern_fault(pattern: str) -> str | None:
    """Return why a pattern can match nothing, or can't be resolved as values are; None when it can.

    Example:
        >>> pattern_fault("../src/**")
        'climbs above its start and can match nothing: write `src/**`'
        >>> pattern_fault("./src/**") is None
        True
    """
    segments = pattern.split("/")
    if _climbs_out_of_star(segments):
        return "has `..` after `*`, which can be resolved in two ways: write the folder without `..`"
    resolved = resolve(pattern)
    if resolved is None:
        rest = resolve("/".join(segment for segment in segments if segment != ".."))
        return f"climbs above its start and can match nothing: write `{rest or '**'}`"
    return None if resolved else "is resolved to nothing and can match nothing: write `**` for every value"


def _climbs_out_of_star(segments: list[str]) -> bool:
    folders: list[str] = []
    for segment in segments:
        if segment == ".." and folders:
            if "*" in folders.pop():
                return True
        elif segment not in {"", ".", ".."}:
            folders.append(segment)
    return False


class PathPattern:
    """A pattern that is resolved as values are.

    Example:
        >>> PathPattern("./src/**").test("src/a.py", "src/a.py")
        True
        >>> PathPattern("*.pem").test("keys/a.pem", "keys/a.pem") is NO_NAME
        True
    """

    __slots__ = ("_crossing", "_glob", "_is_name", "_is_path", "_lower", "_segments")

    def __init__(self, pattern: str) -> None:
        text = resolve(pattern) or pattern
        self._glob = Glob(text)
        self._is_name = "/" not in text
        self._is_path = not self._is_name or ("**" in text and text.strip("*") != "")
        self._segments = self._is_name and _ONE_STAR.search(text) is not None
        self._crossing = Glob(_STAR.sub("**", text))
        self._lower = Glob(text.lower())

    def test(self, path: str, resolved: str | None) -> Outcome:
        """Return whether a value matches.

        Args:
            path: The value as it was sent.
            resolved: The same resolved; None when it climbs above its start.
        """
        outcome: Outcome = self._glob.matches(path)
        if self._is_path and resolved != path:
            if resolved is None:
                return CLIMBS
            outcome = outcome if outcome is self._glob.matches(resolved) else TWO_PATHS
        if outcome is False and self._is_name and "/" in path and self._may_mean(path):
            return NO_NAME
        return outcome

    def _may_mean(self, path: str) -> bool:
        """Return whether the pattern matches when `*` crosses `/`, or matches a segment or the host."""
        if self._crossing.matches(path):
            return True
        if self._segments and any(self._glob.matches(segment) for segment in path.split("/") if segment):
            return True
        return "://" in path and self._matches_host(path)

    def _matches_host(self, url: str) -> bool:
        try:
            return self._lower.matches(read_url(url).host)
        except HostError:
            return True
