"""Reading the policy files of a folder."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic as monotonic_clock
from typing import TYPE_CHECKING

from meshguard.policy import Fault
from meshguard.policy.regular_files import NotRegularError, read_regular, require_regular

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILES = 10_000
_MAX_BYTES = 1_048_576 + 1  # one more than a policy may have, so that a longer file is rejected
_SUFFIXES = (".yaml", ".yml", ".json")
_ALWAYS_READ = 100  # files; of more, those whose signature is settled are not read again
_SETTLING = 3.0  # seconds; some file systems keep times to two seconds

_Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What a folder of policies contained.

    Args:
        sources: The contents of each policy file by path, in the order of their names.
        skipped: Entries named like a policy file that are not regular files, and what they are.
        faults: Why the folder or a file could not be read.
    """

    sources: dict[str, bytes]
    skipped: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Known:
    signature: _Signature
    since: float
    source: bytes


class PolicyFolder:
    """Reads a folder again and again, following its links each time.

    Args:
        directory: The folder, or a link to it. Folders below it and hidden files are not read.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, directory: Path, monotonic: Callable[[], float] = monotonic_clock) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    def read(self) -> FolderContents:
        """Return what the folder contains now. Never waits for a writer, and never raises `OSError`."""
        try:
            names = self._names()
        except OSError as error:
            return FolderContents({}, faults=(_fault(self._directory, error),))
        if len(names) > MAX_FILES:
            message = f"more than {MAX_FILES:,} policy files: split the folder"
            return FolderContents({}, faults=(Fault("", message, str(self._directory)),))
        return self._contents(names)

    def _names(self) -> list[str]:
        with os.scandir(self._directory) as entries:
            return sorted(
                entry.name
                for entry in entries
                if Path(entry.name).suffix in _SUFFIXES and not entry.name.startswith(".")
            )

    def _contents(self, names: list[str]) -> FolderContents:
        sources: dict[str, bytes] = {}
        skipped: list[str] = []
        faults: list[Fault] = []
        known: dict[str, _Known] = {}
        for name in names:
            path = self._directory / name
            try:
                known[name] = self._file(path, self._known.get(name), reread=len(names) <= _ALWAYS_READ)
                sources[str(path)] = known[name].source
            except NotRegularError as error:
                skipped.append(f"{name} ({error.kind})")
            except FileNotFoundError:
                if path.is_symlink():
                    skipped.append(f"{name} (a link to nothing)")
            except OSError as error:
                if error.errno == errno.ELOOP:
                    skipped.append(f"{name} (a link to itself)")
                else:
                    faults.append(_fault(path, error))
        self._known = known
        return FolderContents(sources, tuple(skipped), tuple(faults))

    def _file(self, path: Path, known: _Known | None, *, reread: bool) -> _Known:
        """Return a file's contents, read again unless its signature proves that they are the same.

        Times have a granularity: a file changed twice within it keeps its signature. So a signature proves
        nothing before it is older than that, by this machine's clock, which the file system's may not follow.
        """
        signature = _signature(path.stat())
        now = self._monotonic()
        if known and known.signature == signature:
            if not reread and now - known.since > _SETTLING:
                return known
            since = known.since
        else:
            since = now
        source = read_regular(path, _MAX_BYTES)
        # Unchanged contents stay one object, so that comparing two looks costs nothing.
        return _Known(signature, since, known.source if known and known.source == source else source)


def _signature(status: os.stat_result) -> _Signature:
    require_regular(status)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _fault(path: Path, error: OSError) -> Fault:
    return Fault("", f"can't be read: {error.strerror or type(error).__name__}", str(path))
