"""`.meshguard/dev.json`: where the development gateway of a folder is, and its tokens."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.private_files import read_private, write_private

DEV_FILE = Path(".meshguard/dev.json")


@dataclass(frozen=True)
class DevState:
    """The development gateway of a folder.

    Attributes:
        gateway_url: Its URL.
        agent_token: Token of its agent.
        admin_token: Token of its administrator.
    """

    gateway_url: str
    agent_token: str
    admin_token: str

    def __repr__(self) -> str:
        return f"DevState(gateway_url={self.gateway_url!r})"

    def variables(self) -> dict[str, str]:
        """Return the environment variables that a program needs to use the gateway."""
        return {f"MESHGUARD_{name.upper()}": value for name, value in asdict(self).items()}


def read_dev_state(path: Path = DEV_FILE) -> DevState:
    """Return the development gateway of a folder.

    Args:
        path: The file.

    Raises:
        CommandError: There is no such file, others can read it, or it is not one of ours.
    """
    try:
        found: Any = json.loads(read_private(path))
    except FileNotFoundError:
        message = (
            f"No development gateway: there is no {path} here. Run `meshguard serve --dev` in this folder."
        )
        raise CommandError(message, ExitCode.CANNOT_TELL) from None
    except ValueError:
        found = None
    names = DevState.__dataclass_fields__
    values = {name: found.get(name) for name in names} if isinstance(found, dict) else {}
    if not values or not all(isinstance(value, str) and value.isprintable() for value in values.values()):
        raise CommandError(
            f"Cannot use {path}: it is not from `meshguard serve --dev`. Remove it, and start the gateway."
        )
    return DevState(**{name: str(value) for name, value in values.items()})


def write_dev_state(state: DevState, path: Path = DEV_FILE) -> None:
    """Write the development gateway of a folder, for its owner only, and keep it out of git.

    Args:
        state: The gateway.
        path: The file; its folder is created where it is missing.
    """
    write_private(path, json.dumps(asdict(state), indent=2) + "\n")
    (path.parent / ".gitignore").write_text("*\n")
