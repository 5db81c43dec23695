"""The policies of a directory, and watching it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchfiles import awatch

from meshguard.policy import Fault, Policy, PolicyLoadError, load_policies

if TYPE_CHECKING:
    from pathlib import Path

    from meshguard.gateway.snapshot import Current

_log = logging.getLogger("meshguard.gateway")

_DEBOUNCE = 200  # milliseconds that changes are collected at most
_STEP = 20  # milliseconds without a change that end the collecting
_MAX_FAULT = 300


class PolicyFiles:
    """Keeps the policies of a directory in force (setting `POLICIES_DIR`).

    A set of files is in force whole or not at all: while one of them is broken, the last good set stays.
    """

    def __init__(self, directory: Path, current: Current) -> None:
        self._directory = directory
        self._current = current
        self.fault: str | None = None

    def load(self) -> None:
        """Put the files in force.

        Raises:
            PolicyLoadError: With every fault of every file; nothing changed.
        """
        policies = {policy.name: policy for policy in self._read()}
        if policies != dict(self._current.snapshot.files):
            self._current.replace(lambda snapshot: snapshot.with_policies(files=policies))

    def _read(self) -> tuple[Policy, ...]:
        if not self._directory.is_dir():
            raise PolicyLoadError([Fault("", "the directory is gone", str(self._directory))])
        return load_policies(self._directory)

    def reload(self) -> None:
        """Put the files in force, or keep the last good ones and say so."""
        try:
            self.load()
        except PolicyLoadError as error:
            self.fault = str(error.faults[0])[:_MAX_FAULT]
            _log.error("policy files refused, the last good set stays in force: %s", self.fault)
        else:
            if self.fault:
                _log.info("policy files are in order again")
            self.fault = None

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload whenever something in the directory changes."""
        changes = awatch(
            self._directory,
            debounce=_DEBOUNCE,
            step=_STEP,
            stop_event=stop,
            recursive=False,
            rust_timeout=500,
        )
        async for _ in changes:
            await asyncio.to_thread(self.reload)
