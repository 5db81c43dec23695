"""A fault to write into the code, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One small mistake that breaks a promise.

    Args:
        name: What the faulty code does, in a few words; unique in its area.
        file: The file to change, from the root: `meshguard/gateway/writer.py`.
        right: Source that occurs exactly once in the file.
        wrong: What replaces it.
        promise: The promise that the fault breaks, as one sentence.
        tests: The tests that must notice it, as pytest names them. All pass without the fault; at least one
            fails with it.
    """

    name: str
    file: str
    right: str
    wrong: str
    promise: str
    tests: tuple[str, ...]

    def apply_to(self, source: str) -> str:
        """Return the faulty source."""
        return source.replace(self.right, self.wrong)
