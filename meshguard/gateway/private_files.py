"""Files that only the user who runs the gateway may read."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

_log = logging.getLogger("meshguard.gateway")

_MODE = 0o600
_OTHERS = 0o077
_COMPANIONS = ("", "-wal", "-shm", "-journal")


def create_private(file: Path) -> None:
    """Make a file that only its owner may read, whatever the umask; one that exists is left as it is."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE))
    except FileExistsError:
        return


class PrivateDatabase:
    """Keeps a SQLite file, and those that SQLite makes beside it, from other users of the machine.

    SQLite gives the files beside a database its permissions, so that it is enough to make that one first.
    Files of earlier versions are tightened, with a line in the log.

    Args:
        database: The file as SQLite is given it: a path, or a URI that starts with `file:`.
    """

    def __init__(self, database: str) -> None:
        path = unquote(urlsplit(database).path) if database.startswith("file:") else database
        self._file = Path(os.path.realpath(path))
        self._failed: set[str] = set()

    def protect(self) -> None:
        """Make the file if it is missing and its folder is there; tighten it otherwise."""
        try:
            create_private(self._file)
        except OSError:
            return  # SQLite itself reports what is wrong
        if os.name == "posix":
            for suffix in _COMPANIONS:
                self._tighten(Path(f"{self._file}{suffix}"))

    def _tighten(self, file: Path) -> None:
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & _OTHERS:
                file.chmod(mode & ~_OTHERS)
                _log.warning(
                    "%s was open to other users (%o): only its owner may read it now", file.name, mode
                )
        except FileNotFoundError:
            return
        except OSError as error:
            if file.name not in self._failed:
                self._failed.add(file.name)
                _log.warning(
                    "%s is open to other users: its mode can't be changed (%s)", file.name, error.strerror
                )
