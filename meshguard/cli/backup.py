"""`meshguard backup` and `meshguard restore`: copies of a gateway's SQLite database."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshguard.cli.app import App
from meshguard.cli.errors import CommandError
from meshguard.cli.options import AsJson
from meshguard.cli.output import progress, write, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App()

Database = Annotated[
    str | None,
    typer.Option("--database-url", metavar="URL", help="The database; by default the setting DATABASE_URL."),
]


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to create.")],
    database: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a gateway's SQLite database, even while the gateway runs.

    The secrets are not in it: keep JWT_SECRET too.

    Examples:
      $ meshguard backup meshguard-backup.db
    """
    from meshguard.gateway.backup import back_up, sqlite_file
    from meshguard.gateway.settings import database_url

    with _errors(), progress("Copying"):
        back_up(sqlite_file(database or database_url()), file, overwrite=force)
    _write_done(file, as_json=as_json)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `meshguard backup`.")],
    database: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replace a gateway's SQLite database with a backup, while no gateway runs on it.

    Examples:
      $ meshguard restore meshguard-backup.db
    """
    from meshguard.gateway import backup as copies
    from meshguard.gateway.settings import database_url

    with _errors(), progress("Restoring"):
        target = copies.sqlite_file(database or database_url())
        copies.restore(file, target, overwrite=force)
    _write_done(target, as_json=as_json)


@contextmanager
def _errors() -> Iterator[None]:
    from meshguard.gateway import SettingsError
    from meshguard.gateway.backup import BackupError

    try:
        yield
    except (BackupError, SettingsError) as error:
        raise CommandError(str(error)) from None


def _write_done(file: Path, *, as_json: bool) -> None:
    if as_json:
        write_json({"file": str(file)})
    else:
        write(f"✓ {file}")
