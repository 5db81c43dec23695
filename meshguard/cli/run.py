"""`meshguard run`: a program under a gateway that lives as long as the program."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from meshguard import __version__
from meshguard.cli.dev_gateway import describe_policies
from meshguard.cli.dev_state import FOLDER, DevStateError, database_url, open_state
from meshguard.cli.live import LiveView, printable
from meshguard.cli.signals import on_signals
from meshguard.policy import PolicyLoadError, load_policies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshguard.client import MeshGuardClient

app = typer.Typer(add_completion=False)

_DEFAULT_POLICIES = Path("policies")
_NOT_STARTED = 127  # as a shell says it
_BROKEN = 2
_SUGGESTION = "suggested-policy.yaml"
_WITHHELD = ("MESHGUARD_ADMIN_TOKEN", "MESHGUARD_JWT_SECRET", "MESHGUARD_JWT_SECRETS_OLD")
_FORWARDED = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after --.")],
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="A policy file, or a folder of them; can be repeated.  [default: policies]"),
    ] = None,
    agent: Annotated[str, typer.Option(help="The name of the agent that the program acts as.")] = "dev",
    record: Annotated[
        bool, typer.Option("--record", help="Allow everything, and suggest a policy at the end.")
    ] = False,
) -> None:
    """Run a program under a gateway of its own.

    The program finds MESHGUARD_GATEWAY_URL and MESHGUARD_AGENT_TOKEN in its environment, and no secret of an
    administrator: an agent must not change its own policies. Each decision is shown on standard error as it
    is made, and kept in .meshguard/. The exit code is the program's.

    Example: meshguard run --policy policies -- python agent.py
    """
    if shutil.which(command[0]) is None:
        _quit(f"Cannot start {command[0]}: it is not a program on PATH. Check the name.", _NOT_STARTED)
    console = Console(stderr=True, highlight=False)
    paths = policy or ([_DEFAULT_POLICIES] if _DEFAULT_POLICIES.is_dir() else [])
    with _gateway(paths, console, mode="audit" if record else "enforce") as (url, admin):
        created = admin.create_agent(agent, trust_tier="verified")
        environment = _environment(url, created["token"])
        with LiveView(admin, console):
            code = _run(command, environment)
        if record:
            _suggest(admin, created["id"], agent, console)
        admin.revoke_agent(created["id"])
    raise typer.Exit(code)


@contextmanager
def _gateway(paths: list[Path], console: Console, *, mode: str) -> Iterator[tuple[str, MeshGuardClient]]:
    """Serve a gateway with the policies of these paths; yield its URL and an administrator's client."""
    from meshguard.client import MeshGuardClient  # noqa: PLC0415 - after the arguments were checked
    from meshguard.gateway import SettingsError, load_settings  # noqa: PLC0415
    from meshguard.gateway import app as gateway  # noqa: PLC0415
    from meshguard.gateway.embedded import serve_in_thread  # noqa: PLC0415

    _check(paths)
    logging.basicConfig(format="gateway: %(message)s", level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="meshguard-") as links:
        try:
            state = open_state()
            settings = load_settings(
                jwt_secret=state.jwt_secret,
                admin_token=state.admin_token,
                database_url=database_url(),
                policies_dir=_folder(paths, Path(links)),
                mode=mode,
                explain_to_agents=True,
                rate_limit_rpm=0,
            )
        except DevStateError as error:
            _quit(str(error), _BROKEN)
        except SettingsError as error:
            _quit("The gateway can't start with these settings:\n" + "\n".join(error.faults), _BROKEN)
        with (
            serve_in_thread(gateway(settings)) as url,
            MeshGuardClient(url, admin_token=state.admin_token, trust_env=False) as admin,
        ):
            console.print(f"MeshGuard gateway {__version__}, mode {mode}, is ready at {url}", style="dim")
            where = ", ".join(str(path) for path in paths)
            console.print(describe_policies(admin, where), style="dim", soft_wrap=True, markup=False)
            yield url, admin


def _check(paths: list[Path]) -> None:
    """Quit with every error in the policies; here it has the name of the file that the user wrote."""
    errors: list[str] = []
    for path in paths:
        try:
            load_policies(path)
        except PolicyLoadError as error:
            errors += [str(fault) for fault in error.faults]
    if errors:
        _quit("\n".join(["The policies can't be loaded:", *errors]), _BROKEN)


def _folder(paths: list[Path], links: Path) -> Path:
    """Return the folder to watch: the one that was named, or one with a link to each file."""
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0]
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    for number, file in enumerate(files):
        (links / f"{number:05}-{file.name}").symlink_to(file.absolute())
    return links


def _environment(url: str, token: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    return inherited | {"MESHGUARD_GATEWAY_URL": url, "MESHGUARD_AGENT_TOKEN": token}


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run a program to its end, passing signals on, and return its exit code as a shell does."""
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own
    except OSError as error:
        _quit(f"Cannot start {command[0]}: {error.strerror}. Check the file.", _NOT_STARTED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the program too
    for number in _FORWARDED:
        signal.signal(number, lambda *_: None)
    on_signals(process.send_signal)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _suggest(admin: MeshGuardClient, agent_id: str, agent: str, console: Console) -> None:
    """Write the policy that allows what the program did, and say where."""
    from meshguard.cli.suggestion import suggest_policy  # noqa: PLC0415 - only with --record

    actions = {entry["action"] for entry in admin.iter_audit_log(agent=agent_id, kind="decision")}
    if not actions:
        console.print("The program made no governed call, so there is no policy to suggest.")
        return
    text = suggest_policy(actions, agent)
    file = FOLDER / _SUGGESTION
    file.write_text(text, encoding="utf-8")
    console.print(f"\nThis policy allows what {printable(agent)} did. It is in {file}:\n")
    console.print(text, markup=False, soft_wrap=True)


def _quit(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(code)
