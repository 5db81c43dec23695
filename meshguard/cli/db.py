"""`meshguard db`: the schema of the database."""

from __future__ import annotations

from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from meshguard.cli.app import App
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson
from meshguard.cli.output import progress, write, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from meshguard.gateway.settings import DatabaseSettings

app = App(help="Look after the schema of the database that DATABASE_URL names.")

Database = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="The database; put a URL with a password into DATABASE_URL.  [default: in your data folder]",
    ),
]


@app.command()
def upgrade(database_url: Database = None, as_json: AsJson = False) -> None:
    """Bring the database to the newest schema, and create the partitions of the next weeks.

    Examples:
      $ meshguard db upgrade
    """
    with _opened(database_url) as (engine, settings), progress("Upgrading"):
        from meshguard.gateway import partitions, store
        from meshguard.gateway.clock import milliseconds

        store.migrate(engine)
        with engine.begin() as connection:
            partitions.create_ahead(connection, milliseconds(time()), settings.audit_partition)
        schema = store.read(engine, store.current_schema)
    if as_json:
        write_json({"schema": schema})
    else:
        write(f"schema {schema}")


@app.command()
def current(database_url: Database = None, as_json: AsJson = False) -> None:
    """Show the schema of the database. Exit code 1: it is not the newest.

    Examples:
      $ meshguard db current
    """
    with _opened(database_url) as (engine, _):
        from meshguard.gateway import store

        found, newest = store.read(engine, store.current_schema), store.newest_schema()
    if as_json:
        write_json({"schema": found, "newest": newest})
    else:
        write(f"schema {found or 'none'}, newest {newest}")
    if found != newest:
        raise typer.Exit(ExitCode.NO)


@contextmanager
def _opened(database_url: str | None) -> Iterator[tuple[Engine, DatabaseSettings]]:
    """Open the database and its settings."""
    from sqlalchemy.exc import SQLAlchemyError

    from meshguard.gateway import SettingsError, store
    from meshguard.gateway.settings import load_database_settings

    try:
        settings = load_database_settings(database_url=database_url)
        engine = store.open_database(settings.database_url.get_secret_value())
    except SettingsError as error:
        raise CommandError(str(error)) from None
    try:
        yield engine, settings
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        raise CommandError(
            f"Cannot use the database of DATABASE_URL: {cause}.", ExitCode.CANNOT_TELL
        ) from None
    except store.SchemaError as error:
        raise CommandError(f"Cannot use the database of DATABASE_URL: {error}") from None
    finally:
        engine.dispose()
