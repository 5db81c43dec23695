"""Files with tokens: only their owner may read them."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from meshguard.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner can read.

    Args:
        path: The file.

    Raises:
        CommandError: Others can read or write the file, or it belongs to someone else.
        FileNotFoundError: There is no such file.
    """
    with path.open(encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if os.name == "posix" and found.st_mode & _OTHERS:
            raise CommandError(
                f"Cannot use {path}: other users can read or change it. Run `chmod 600 {path}`."
            )
        if os.name == "posix" and found.st_uid != os.geteuid():
            raise CommandError(f"Cannot use {path}: it belongs to another user. Create your own.")
        try:
            return file.read()
        except UnicodeDecodeError:
            raise CommandError(f"Cannot use {path}: it is not UTF-8 text. Create it again.") from None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is replaced as a whole.

    Args:
        path: The file; its folder is created where it is missing.
        text: All of its content.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that only its owner can read, and that takes its name once everything is written.

    Args:
        path: The file.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
