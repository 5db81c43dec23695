"""`meshguard db`: the schema of the database."""

from __future__ import annotations

from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from meshguard.gateway import SettingsError, partitions, store
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.settings import load_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from meshguard.gateway.settings import DatabaseSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_URL = typer.Option(
    None, help="The store; put a URL with a password into DATABASE_URL.  [default: in the user's data folder]"
)


@app.callback()
def _db() -> None:
    """Look after the schema of the database that DATABASE_URL names."""


@app.command()
def upgrade(database_url: str | None = _URL) -> None:
    """Bring the database to the newest schema, and make the partitions of the next weeks."""
    with _opened(database_url) as (engine, settings):
        store.migrate(engine)
        with engine.begin() as connection:
            partitions.create_ahead(connection, milliseconds(time()), settings.audit_partition)
        typer.echo(f"schema {store.read(engine, store.current_schema)}")


@app.command()
def current(database_url: str | None = _URL) -> None:
    """Show the schema of the database; exit code 1 when it is not the newest."""
    with _opened(database_url) as (engine, _):
        found, newest = store.read(engine, store.current_schema), store.newest_schema()
    typer.echo(f"schema {found or 'none'}, newest {newest}")
    if found != newest:
        raise typer.Exit(1)


@contextmanager
def _opened(database_url: str | None) -> Iterator[tuple[Engine, DatabaseSettings]]:
    """Give the database and its settings; quit with one line when it is of no use."""
    try:
        settings = load_database_settings(database_url=database_url)
        engine = store.open_database(settings.database_url.get_secret_value())
    except SettingsError as error:
        _quit(str(error))
    try:
        yield engine, settings
    except SQLAlchemyError as error:
        _quit(f"DATABASE_URL: {getattr(error, 'orig', None) or type(error).__name__}")
    except store.SchemaError as error:
        _quit(f"DATABASE_URL: {error}")
    finally:
        engine.dispose()


def _quit(line: str) -> NoReturn:
    typer.echo(line, err=True)
    raise typer.Exit(1)
