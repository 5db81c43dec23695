"""What all commands share: their help, their errors and their exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from meshguard.cli.errors import report
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.help import render_help
from meshguard.cli.text import closest, write_error

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "meshguard"
GATEWAY_PANEL = "Gateway options"

_UsageError: Any = typer.BadParameter.__mro__[1]  # what typer raises for wrong usage; it exports a subclass
_HELP = {"help_option_names": ["-h", "--help"]}


class _Safe:
    """Ends a command with one line for an error, whatever the error."""

    def main(self, args: Any = None, prog_name: Any = None, **options: Any) -> NoReturn:
        """Run the command, and exit."""
        options["standalone_mode"] = False
        try:
            result = super().main(args, prog_name or PROGRAM, **options)  # type: ignore[misc]
        except _UsageError as error:
            result = _report_usage(error)
        except typer.Abort:
            write_error("Interrupted.")
            result = ExitCode.INTERRUPTED
        sys.exit(int(result) if isinstance(result, int) else ExitCode.OK.value)

    def invoke(self, ctx: Any) -> Any:
        """Run the function of the command."""
        try:
            result = super().invoke(ctx)  # type: ignore[misc]
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, _UsageError):
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None
        except KeyboardInterrupt:
            raise typer.Abort from None
        except Exception as error:  # noqa: BLE001 - a user never sees a traceback of ours
            raise typer.Exit(report(error, ctx.command_path)) from None
        return result

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - it is not cut
        """Return the first sentence of the help, for the list of commands and completion."""
        paragraph = " ".join((getattr(self, "help", None) or "").split("\n\n")[0].split())
        return paragraph.split(". ")[0].removesuffix(".")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(render_help(self, ctx))


class Command(_Safe, TyperCommand):  # type: ignore[misc]
    """One command."""


class ProfileCommand(Command):
    """A command about a profile."""

    def __init__(self, *arguments: Any, params: list[Any] | None = None, **options: Any) -> None:
        super().__init__(*arguments, params=[*(params or []), profile_option()], **options)


class GatewayCommand(ProfileCommand):
    """A command that calls a gateway."""

    def __init__(self, *arguments: Any, params: list[Any] | None = None, **options: Any) -> None:
        super().__init__(*arguments, params=[*(params or []), _gateway_url_option()], **options)


class Group(_Safe, TyperGroup):  # type: ignore[misc]
    """A noun with its commands."""


class App(typer.Typer):
    """A noun, or a single command, in the one look."""

    def __init__(self, *, cls: type[TyperGroup] = Group, **options: Any) -> None:
        super().__init__(
            cls=cls,
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings=_HELP,
            **options,
        )

    def command(
        self, name: str | None = None, *, gateway: bool = False, profile: bool = False, **options: Any
    ) -> Callable[..., Any]:
        """Add a command; with `gateway` or `profile` it has the options that select one."""
        settings = {**_HELP, **options.pop("context_settings", {})}
        cls = GatewayCommand if gateway else ProfileCommand if profile else Command
        return super().command(name, cls=options.pop("cls", cls), context_settings=settings, **options)


def _gateway_url_option() -> Any:
    return _stored("--gateway-url", "URL", "URL of the gateway.")


def profile_option() -> Any:
    """Return the option `--profile`, whose value is in the context's `meta`."""
    return _stored("--profile", "NAME", "Profile to use, before the environment.")


def _stored(flag: str, metavar: str, text: str) -> Any:
    def store(ctx: typer.Context, value: str | None) -> None:
        if value is not None:
            ctx.meta[f"meshguard.{flag}"] = value

    def command(
        value: str | None = typer.Option(
            None,
            flag,
            metavar=metavar,
            help=text,
            expose_value=False,
            callback=store,
            rich_help_panel=GATEWAY_PANEL,
        ),
    ) -> None:
        """Has the option; it is never run."""

    app = typer.Typer(add_completion=False)
    app.command()(command)
    option, *_ = typer.main.get_command(app).params
    option.name = f"meshguard.{flag}"  # like no parameter of a command
    return option


def _report_usage(error: Any) -> int:
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message, err=True)
        return ExitCode.USAGE
    possible = getattr(error, "possibilities", None)
    if possible and hasattr(error, "option_name"):
        message = f"No such option: {error.option_name}.{closest(error.option_name, possible)}"
    message = f"{' '.join(message.split()).replace(chr(39), chr(34))}"
    if not message.endswith((".", "?")):
        message += "."
    if error.ctx is not None:
        message += f" Run `{error.ctx.command_path} -h` for help."
    write_error(message)
    return ExitCode.USAGE
