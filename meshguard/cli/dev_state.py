"""`.meshguard/`: secrets, agent and database of the development gateway of a folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.private_files import read_private, write_private

FOLDER = Path(".meshguard")
DEV_FILE = FOLDER / "dev.json"
_DATABASE = "gateway.db"


@dataclass(frozen=True)
class DevState:
    """The development gateway of a folder; it keeps secrets and agent from one start to the next.

    Attributes:
        gateway_url: Its URL; empty before its first start.
        agent_token: Token of its agent; empty before its first start.
        admin_token: Token of its administrator.
        agent_id: ID of its agent; empty before its first start.
        jwt_secret: Signs the tokens of agents.
    """

    gateway_url: str
    agent_token: str
    admin_token: str
    agent_id: str = ""
    jwt_secret: str = ""

    def __repr__(self) -> str:
        return f"DevState(gateway_url={self.gateway_url!r})"

    def variables(self) -> dict[str, str]:
        """Return the environment variables that a program needs to use the gateway."""
        return {
            "MESHGUARD_GATEWAY_URL": self.gateway_url,
            "MESHGUARD_AGENT_TOKEN": self.agent_token,
            "MESHGUARD_ADMIN_TOKEN": self.admin_token,
        }


def database_url(folder: Path = FOLDER) -> str:
    """Return the URL of the database in a folder."""
    return f"sqlite:///{(folder / _DATABASE).absolute()}"


def read_dev_state(path: Path = DEV_FILE) -> DevState:
    """Return the development gateway of a folder.

    Args:
        path: The file.

    Raises:
        CommandError: There is no such file, others can read it, or it is not one of ours.
    """
    state = _read(path)
    if state is None or not state.gateway_url:
        message = (
            f"No development gateway: there is none in {path.parent}. "
            "Run `meshguard serve --dev` in this folder."
        )
        raise CommandError(message, ExitCode.CANNOT_TELL)
    return state


def open_dev_state(path: Path = DEV_FILE) -> DevState:
    """Return the development gateway of a folder, with new secrets if there is none yet.

    Args:
        path: The file.

    Raises:
        CommandError: The file can't be read or written, others can read it, or it is not one of ours.
    """
    state = _read(path)
    if state is None or not state.jwt_secret:
        state = DevState("", "", secrets.token_urlsafe(32), jwt_secret=secrets.token_urlsafe(48))
        write_dev_state(state, path)
    return state


def write_dev_state(state: DevState, path: Path = DEV_FILE) -> None:
    """Write the development gateway of a folder, for its owner only.

    Args:
        state: The gateway.
        path: The file; its folder is created where it is missing.

    Raises:
        CommandError: The file can't be written.
    """
    try:
        write_private(path, json.dumps(asdict(state), indent=2) + "\n")
        ignore = path.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"Cannot write {path}: {error.strerror}. Run in a folder that you can write to."
        ) from None


def _read(path: Path) -> DevState | None:
    try:
        found: Any = json.loads(read_private(path))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    names = DevState.__dataclass_fields__
    values = {name: found.get(name, "") for name in names} if isinstance(found, dict) else {}
    if not values.get("admin_token") or not all(
        isinstance(value, str) and (value.isprintable() or not value) for value in values.values()
    ):
        raise CommandError(
            f"Cannot use {path}: it is not from `meshguard serve --dev`. Remove it, and start the gateway."
        )
    return DevState(**{name: str(value) for name, value in values.items()})
