"""Backup and restore of a SQLite database, by SQLite's own online backup."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from meshguard.gateway.private_files import PrivateDatabase, create_private

_TABLES = {"agents", "audit_entries", "audit_heads", "policies"}


class BackupError(RuntimeError):
    """It can't be done; the message says why, and what to do."""


def sqlite_file(database_url: str) -> Path:
    """Return the file of a database URL.

    Args:
        database_url: As in the setting `DATABASE_URL`.

    Raises:
        BackupError: The database is not a SQLite file.

    Example:
        >>> sqlite_file("sqlite:///meshguard.db").name
        'meshguard.db'
    """
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise BackupError("DATABASE_URL: must be a URL such as sqlite:///meshguard.db") from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BackupError("DATABASE_URL: only SQLite is backed up here; use pg_dump for PostgreSQL.")
    return Path(url.database)


def back_up(database: Path, target: Path, *, overwrite: bool = False) -> None:
    """Copy a database, also while gateways write to it; the copy is that of one moment.

    Args:
        database: The file of the database.
        target: The file to make; it takes its name when it is whole and on disk.
        overwrite: Whether a file of this name may go.

    Raises:
        BackupError: There is no such database, or the target is there or can't be written.
    """
    _check_database(database)
    if target.exists() and not overwrite:
        raise BackupError(f"{target} is there already; choose another name, or overwrite it with --force.")
    part = Path(f"{target}.part")
    try:
        part.unlink(missing_ok=True)
        create_private(part)
        with closing(_read_only(database)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        _sync(part)
        part.replace(target)
        _sync(target.absolute().parent)
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"{target}: the backup failed: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def restore(backup: Path, database: Path, *, overwrite: bool = False) -> None:
    """Put a backup in place of a database, whole or not at all.

    Args:
        backup: What `back_up` made.
        database: The file of the database, which no gateway may have open.
        overwrite: Whether a database that is there may go.

    Raises:
        BackupError: The backup is none, a gateway runs on the database, or it would be overwritten.
    """
    _check_database(backup)
    if database.exists() and not overwrite:
        raise BackupError(f"{database} is there already; overwrite it with --force.")
    try:
        PrivateDatabase(str(database)).protect()
        with closing(_read_only(backup)) as source, closing(sqlite3.connect(database, timeout=0)) as target:
            target.execute("PRAGMA locking_mode = EXCLUSIVE")
            # To leave WAL mode takes the only connection: whoever else has the file open keeps us from it.
            target.execute("PRAGMA journal_mode = DELETE")
            target.execute("BEGIN EXCLUSIVE")
            target.execute("COMMIT")
            source.backup(target)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise BackupError(f"{database} is in use; stop every gateway that runs on it.") from None
        raise BackupError(f"{database}: the restore failed: {error}") from None
    except sqlite3.Error as error:
        raise BackupError(f"{database}: the restore failed: {error}") from None


def _check_database(file: Path) -> None:
    if not file.is_file():
        raise BackupError(f"{file}: there is no such file.")
    try:
        with closing(_read_only(file)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            sound = tables >= _TABLES and connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    except sqlite3.Error as error:
        raise BackupError(f"{file}: can't be read: {error}") from None
    if not sound:
        raise BackupError(f"{file} is no sound MeshGuard database.")


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
