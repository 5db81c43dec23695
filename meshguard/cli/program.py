"""A program under a gateway of its own, in this process."""

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
from typing import TYPE_CHECKING, Any

from meshguard import __version__
from meshguard.cli.dev_gateway import describe_policies, dev_settings
from meshguard.cli.dev_state import FOLDER
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.live import LiveView
from meshguard.cli.output import make_console, write_note
from meshguard.cli.private_files import write_private
from meshguard.cli.signals import on_signals
from meshguard.cli.suggestion import suggest_policy
from meshguard.cli.text import printable
from meshguard.client import MeshGuardClient
from meshguard.gateway import Settings, SettingsError, load_settings
from meshguard.gateway import app as gateway
from meshguard.gateway.embedded import serve_in_thread
from meshguard.policy import PolicyLoadError, load_policies

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT_POLICIES = Path("policies")
_SUGGESTION = "suggested-policy.yaml"
_WITHHELD = ("MESHGUARD_ADMIN_TOKEN", "MESHGUARD_JWT_SECRET", "MESHGUARD_JWT_SECRETS_OLD")
_FORWARDED = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


def run(command: list[str], policies: list[Path], agent: str, *, record: bool) -> int:
    """Run a program under a gateway, and return its exit code.

    Args:
        command: The program and its arguments.
        policies: Files and folders; the folder `policies`, if there is one, when empty.
        agent: The name of the agent that the program acts as.
        record: Whether to allow everything, and suggest a policy at the end.

    Raises:
        CommandError: The program or the gateway can't be started.
    """
    if shutil.which(command[0]) is None:
        raise CommandError(
            f"Cannot start {command[0]}: it is not a program on PATH. Check the name.", ExitCode.NOT_STARTED
        )
    console = make_console(stderr=True)
    paths = policies or ([_DEFAULT_POLICIES] if _DEFAULT_POLICIES.is_dir() else [])
    with _gateway(paths, mode="audit" if record else "enforce") as (url, admin):
        created = admin.create_agent(agent, trust_tier="verified")
        environment = _environment(url, created["token"])
        with LiveView(admin, console):
            code = _run(command, environment)
        if record:
            _suggest(admin, created["id"], agent)
        admin.revoke_agent(created["id"])
    return code


@contextmanager
def _gateway(paths: list[Path], *, mode: str) -> Iterator[tuple[str, MeshGuardClient]]:
    """Serve a gateway with the policies of these paths; yield its URL and an administrator's client."""
    _check(paths)
    logging.basicConfig(format="gateway: %(message)s", level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="meshguard-") as links:
        settings = _settings({**dev_settings(), "policies_dir": _folder(paths, Path(links)), "mode": mode})
        with (
            serve_in_thread(gateway(settings)) as url,
            MeshGuardClient(
                url, admin_token=settings.admin_token.get_secret_value(), trust_env=False
            ) as admin,
        ):
            write_note(f"MeshGuard gateway {__version__}, mode {mode}, is ready at {url}")
            write_note(describe_policies(admin, ", ".join(str(path) for path in paths)))
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
        raise CommandError("\n".join(["Cannot load the policies:", *errors]))


def _settings(values: dict[str, Any]) -> Settings:
    try:
        return load_settings(rate_limit_rpm=0, **values)
    except SettingsError as error:
        raise CommandError(
            "\n".join(["Cannot start the gateway with these settings:", *error.faults])
        ) from None


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
        raise CommandError(
            f"Cannot start {command[0]}: {error.strerror}. Check the file.", ExitCode.NOT_STARTED
        ) from None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the program too
    for number in _FORWARDED:
        signal.signal(number, lambda *_: None)
    on_signals(process.send_signal)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _suggest(admin: MeshGuardClient, agent_id: str, agent: str) -> None:
    """Write the policy that allows what the program did, and say where."""
    actions = {entry["action"] for entry in admin.iter_audit_log(agent=agent_id, kind="decision")}
    if not actions:
        write_note("The program made no governed call, so there is no policy to suggest.")
        return
    text = suggest_policy(actions, agent)
    file = FOLDER / _SUGGESTION
    write_private(file, text)
    write_note(f"\nThis policy allows what {printable(agent)} did. It is in {file}:\n")
    sys.stderr.write(text)
