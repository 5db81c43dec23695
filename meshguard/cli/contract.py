"""`meshguard contract`: whether a running gateway keeps the contract, openapi.yaml."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from meshguard.contract.run import examine
from meshguard.contract.subject import UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

import_module("schemathesis")  # not when half of the tests are done

app = typer.Typer(rich_markup_mode=None)

BROKEN = 1
UNUSABLE = 2


@app.command()
def contract(  # noqa: PLR0917 - typer calls it
    url: Annotated[
        str, typer.Argument(envvar="MESHGUARD_GATEWAY_URL", help="The gateway.")
    ] = "http://127.0.0.1:3100",
    admin_token: Annotated[
        str, typer.Option(envvar="MESHGUARD_ADMIN_TOKEN", help="Its admin token.", show_default=False)
    ] = "",
    examples: Annotated[
        int, typer.Option(min=0, help="How many requests to make up for each operation; 0: none.")
    ] = 100,
    settle: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds until a change holds, behind a load balancer.")
    ] = 0.0,
    only: Annotated[str, typer.Option(help="Only the sentences with this text, no made-up requests.")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the boundary values of each parameter and field.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test whether a running gateway keeps the contract.

    The tests make agents and policies of their own and take them away again. Use a gateway on which nobody
    relies: it gets many requests. Exit code 0: it keeps the contract; 1: it does not; 2: can't tell.
    """
    if not admin_token.strip():
        _quit("Give the gateway's admin token with --admin-token or MESHGUARD_ADMIN_TOKEN.")
    try:
        with _progress() as progress:
            report = examine(
                url,
                admin_token.strip(),
                examples=examples,
                settle=settle,
                only=only,
                quick=quick,
                progress=progress,
            )
    except UnusableError as error:
        _quit(str(error))
    except KeyboardInterrupt:
        _quit("Interrupted; what the tests made was taken away again.")
    if not report.findings:
        _quit(f'No sentence has the text "{only}".')
    typer.echo(json.dumps(report.to_dict(), ensure_ascii=False) if as_json else report.to_text())
    raise typer.Exit(0 if report.conforms else BROKEN)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("connecting") as status:
        yield lambda text: status.update(text[: max(20, console.width - 4)])


def _quit(message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(UNUSABLE)
