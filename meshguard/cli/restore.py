"""`meshguard restore`: a gateway's SQLite database out of a copy."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer resolves it at run time
from typing import Annotated

import typer

from meshguard.gateway import backup
from meshguard.gateway.backup import BackupError, sqlite_file
from meshguard.gateway.settings import database_url

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `meshguard backup` made.")],
    database: Annotated[
        str | None, typer.Option("--database-url", help="The store; else the setting DATABASE_URL.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a database that is there.")] = False,
) -> None:
    """Put a backup in the place of a gateway's SQLite database, while no gateway runs on it.

    Exit code 2: it can't be done, and the message says why.
    """
    try:
        target = sqlite_file(database or database_url())
        backup.restore(file, target, overwrite=force)
    except BackupError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    typer.echo(f"✓ {target}")
