"""The policies of a folder, and watching it."""

from __future__ import annotations

import asyncio
import logging
from threading import Event, Thread
from time import monotonic as monotonic_clock
from typing import TYPE_CHECKING

from meshguard.gateway.policy_folder import FolderContents, PolicyFolder
from meshguard.gateway.sharing import computing
from meshguard.policy import Fault, Policy, PolicyLoadError, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshguard.gateway.snapshot import Current

_log = logging.getLogger("meshguard.gateway")

_INTERVAL = 0.25  # seconds between two looks at the folder
_SETTLE_PAUSE = 0.05  # seconds that a change has to stay the same, so that no file is read half written
_SETTLE_TIMEOUT = 1.0  # seconds after which a folder that keeps changing is taken as it is
_SUPERVISION = 0.25  # seconds between two looks at the thread
_MAX_AGE = 2.0  # seconds after which health says that the folder has not been read
_MAX_FAULT = 300
_MAX_SHOWN = 5


class PolicyFiles:
    """Keeps the policies of a folder active (setting `POLICIES_DIR`).

    A set of files is active whole or not at all: while one of them is broken, the last good set stays. The
    folder is read again and again by a thread: notifications of the file system miss what happens behind
    links, on network file systems, and to a folder that is replaced.

    Args:
        directory: The folder, or a link to it.
        current: The snapshot that gets the policies.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(
        self, directory: Path, current: Current, monotonic: Callable[[], float] = monotonic_clock
    ) -> None:
        self._current = current
        self._monotonic = monotonic
        self._folder = PolicyFolder(directory, monotonic)
        self._seen: FolderContents | None = None
        self._parsed: dict[str, tuple[bytes, Policy]] = {}
        self._ended = Event()
        self._looked_at = monotonic()
        self._failure: str | None = None
        self.fault: str | None = None
        self.skipped: tuple[str, ...] = ()

    def load(self) -> None:
        """Put the files into effect.

        Raises:
            PolicyLoadError: With every fault of every file; nothing changed.
        """
        contents = self._settled()
        self._skip(contents.skipped)
        self._seen = contents
        self._apply(contents)
        self._looked_at = self._monotonic()

    def reload(self) -> None:
        """Put a change of the files into effect, or keep the last good ones and say so."""
        contents = self._settled()
        if contents == self._seen:
            return
        self._skip(contents.skipped)
        try:
            self._apply(contents)
        except PolicyLoadError as error:
            self.fault = str(error.faults[0])[:_MAX_FAULT]
            _log.error("policy files rejected, the last good set stays active: %s", self.fault)
        else:
            if self.fault:
                _log.info("policy files are in order again")
            self.fault = None
        self._seen = contents

    def problems(self) -> list[str]:
        """Return what keeps the files on disk from being active, one sentence each; empty if nothing does."""
        age = self._monotonic() - self._looked_at
        found = []
        if self._failure:
            found.append(f"watching the files failed ({self._failure}) and is tried again")
        if age > _MAX_AGE:
            found.append(f"the files have not been read for {age:.0f} s, so changes may be missing")
        if self.fault:
            found.append(f"the files are broken, the last good set stays active: {self.fault}")
        if self.skipped:
            found.append(f"skipped, because only regular files are read: {_listing(self.skipped)}")
        return found

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep a thread at work that puts each change into effect, until `stop` is set."""
        self._ended = Event()
        thread: Thread | None = None
        try:
            while not stop.is_set():
                if thread is None or not thread.is_alive():
                    thread = self._start(self._ended, again=thread is not None) or thread
                try:
                    await asyncio.wait_for(stop.wait(), _SUPERVISION)
                except TimeoutError:
                    continue
        finally:
            self._ended.set()

    def _start(self, ended: Event, *, again: bool) -> Thread | None:
        if again:
            _log.error("the watcher of the policy files died and is started again")
        thread = Thread(target=self._run, args=(ended,), name="meshguard-policies", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no room for another thread; the next round tries again
            self._report(error)
            return None
        return thread

    def _run(self, ended: Event) -> None:
        while not ended.wait(_INTERVAL):
            try:
                self.reload()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the next look must come
                self._report(error)
            else:
                self._looked_at = self._monotonic()
                if self._failure:
                    _log.info("the policy files are watched again")
                self._failure = None

    def _report(self, error: BaseException) -> None:
        failure = type(error).__name__
        if failure != self._failure:
            _log.error("watching the policy files failed (%s); the next try follows", failure)
        self._failure = failure

    def _settled(self) -> FolderContents:
        """Return what the folder contains, once two looks in a row agree on a change."""
        contents = self._folder.read()
        until = self._monotonic() + _SETTLE_TIMEOUT
        while contents != self._seen and self._monotonic() < until:
            self._ended.wait(_SETTLE_PAUSE)
            again = self._folder.read()
            if again == contents:
                break
            contents = again
        return contents

    def _apply(self, contents: FolderContents) -> None:
        with computing():
            policies = self._policies(contents)
            changed = policies != dict(self._current.snapshot.files)
            if changed:
                self._current.replace(lambda snapshot: snapshot.with_policies(files=policies))
        if changed:
            _log.info("policy files loaded: %s", _listing(tuple(sorted(policies))) or "none")

    def _policies(self, contents: FolderContents) -> dict[str, Policy]:
        faults = list(contents.faults)
        parsed: dict[str, tuple[bytes, Policy]] = {}
        policies: dict[str, Policy] = {}
        origins: dict[str, str] = {}
        for path, source in contents.sources.items():
            try:
                parsed[path] = self._parse(path, source)
            except PolicyLoadError as error:
                faults.extend(error.faults)
                continue
            policy = parsed[path][1]
            if policy.name in policies:
                message = f"`{policy.name}` is the name of the policy in {origins[policy.name]} too"
                faults.append(Fault("/name", message, path))
            policies[policy.name] = policy
            origins[policy.name] = path
        self._parsed = parsed
        if faults:
            raise PolicyLoadError(faults)
        return policies

    def _parse(self, path: str, source: bytes) -> tuple[bytes, Policy]:
        known = self._parsed.get(path)
        return known if known and known[0] == source else (source, load_policy(source, file=path))

    def _skip(self, skipped: tuple[str, ...]) -> None:
        if skipped and skipped != self.skipped:
            _log.warning("skipped in the policy folder, not regular files: %s", _listing(skipped))
        self.skipped = skipped


def _listing(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
