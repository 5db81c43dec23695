"""`meshguard backup`: a copy of a gateway's SQLite database."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer resolves it at run time
from typing import Annotated

import typer

from meshguard.gateway.backup import BackupError, back_up, sqlite_file
from meshguard.gateway.settings import database_url

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to make.")],
    database: Annotated[
        str | None, typer.Option("--database-url", help="The store; else the setting DATABASE_URL.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Copy a gateway's SQLite database, also while the gateway runs.

    The secrets are not in it; keep JWT_SECRET too. Exit code 2: it can't be done, and the message says why.
    """
    try:
        back_up(sqlite_file(database or database_url()), file, overwrite=force)
    except BackupError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    typer.echo(f"✓ {file}")
