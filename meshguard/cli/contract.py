"""`meshguard contract`: whether a running gateway keeps the contract, openapi.yaml."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from meshguard.cli.app import App
from meshguard.cli.connection import settings_of
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson
from meshguard.cli.output import make_console, write_json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = App()

_URL = "http://127.0.0.1:3100"


@app.command(profile=True)
def contract(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help=f"The gateway; by default the configured one, or {_URL}."),
    ] = None,
    admin_token: Annotated[
        str,
        typer.Option(
            "--admin-token",
            metavar="TOKEN",
            help="Its admin token; by default MESHGUARD_ADMIN_TOKEN.",
            show_default=False,
        ),
    ] = "",
    examples: Annotated[
        int,
        typer.Option(
            "--examples", min=0, metavar="N", help="Generated requests for each operation; 0: none."
        ),
    ] = 100,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            min=0,
            max=60,
            metavar="SECONDS",
            help="Time until a change takes effect, behind a load balancer.",
        ),
    ] = 0.0,
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="TEXT",
            help="Only the tests with this text; no generated requests.",
            show_default=False,
        ),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Omit the boundary values of each parameter and field.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Test whether a running gateway keeps the contract.

    The tests create agents and policies of their own and remove them. Use a gateway that is not in
    production: it gets many requests. Exit code 0: it keeps the contract; 1: it does not; 3: it cannot be
    tested.

    Examples:
      $ meshguard contract http://127.0.0.1:3100 --quick
    """
    import_module("schemathesis")  # not when half of the tests are done
    from meshguard.contract.run import examine
    from meshguard.contract.subject import UnusableError

    settings = settings_of(ctx)
    configured = settings.get("gateway-url")
    token = admin_token or (settings["admin-token"].value if "admin-token" in settings else "")
    if not token.strip():
        raise CommandError("No admin token. Use --admin-token, or set MESHGUARD_ADMIN_TOKEN.")
    try:
        with _progress() as progress:
            report = examine(
                url or (configured.value if configured else _URL),
                token.strip(),
                examples=examples,
                settle=settle,
                only=only,
                quick=quick,
                progress=progress,
            )
    except UnusableError as error:
        raise CommandError(str(error), ExitCode.CANNOT_TELL) from None
    except KeyboardInterrupt:
        message = "Interrupted. The agents and policies of the tests were removed."
        raise CommandError(message, ExitCode.INTERRUPTED) from None
    if not report.findings:
        raise CommandError(f'No test has the text "{only}". Omit --only to run all of them.')
    if as_json:
        write_json_line(report.to_dict())
    else:
        typer.echo(report.to_text())
    raise typer.Exit(ExitCode.OK if report.conforms else ExitCode.NO)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("connecting") as status:
        yield lambda text: status.update(text[: max(20, console.width - 4)])
