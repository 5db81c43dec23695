"""Where the database is by default."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path
from sqlalchemy.engine import URL

_DATABASE = "meshguard.db"


def default_database_url() -> str:
    """Return the URL of the database in the user's data folder.

    A `meshguard.db` in the working directory, where earlier versions made it, is used instead.

    Example:
        >>> default_database_url().startswith("sqlite:///")
        True
    """
    path = Path(_DATABASE) if Path(_DATABASE).exists() else _folder() / _DATABASE
    return URL.create("sqlite", database=str(path)).render_as_string()


def make_data_folder(database: str) -> None:
    """Make the data folder, readable by its owner only, if the database belongs there."""
    if Path(database).parent == _folder():
        with suppress(OSError):  # SQLite itself reports what is wrong
            _folder().mkdir(mode=0o700, parents=True, exist_ok=True)


def _folder() -> Path:
    return user_data_path("meshguard", appauthor=False)
