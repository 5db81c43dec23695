"""The development gateway of a folder: its secrets, agents and database, in `.meshguard/`."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

FOLDER = Path(".meshguard")
_FILE = "dev.json"
_DATABASE = "gateway.db"


class DevStateError(Exception):
    """The state can't be read or written; the text says what to do."""


@dataclass(frozen=True)
class DevAgent:
    """An agent of the development gateway."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class DevState:
    """What a development gateway keeps from one start to the next.

    Attributes:
        jwt_secret: Signs the agents' tokens.
        admin_token: The administrator's token.
        gateway_url: Where the gateway listens, or listened last.
        agents: The agents by name.
    """

    jwt_secret: str = field(repr=False)
    admin_token: str = field(repr=False)
    gateway_url: str | None = None
    agents: dict[str, DevAgent] = field(default_factory=dict)

    def with_agent(self, name: str, agent: DevAgent) -> DevState:
        """Return the state with one more agent."""
        return replace(self, agents={**self.agents, name: agent})


def database_url(folder: Path = FOLDER) -> str:
    """Return the URL of the folder's database."""
    return f"sqlite:///{(folder / _DATABASE).absolute()}"


def read_state(folder: Path = FOLDER) -> DevState | None:
    """Return the state of a folder, None if it has none.

    Raises:
        DevStateError: The file can't be read, or is not ours.
    """
    file = folder / _FILE
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        agents = {name: DevAgent(**agent) for name, agent in value.pop("agents").items()}
        return DevState(**value, agents=agents)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DevStateError(
            f"Cannot read {file}: {error.strerror}. Make it readable, or delete it."
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise DevStateError(
            f"Cannot read {file}: it is not a file of `meshguard serve --dev`. Delete {folder} to start over."
        ) from None


def open_state(folder: Path = FOLDER) -> DevState:
    """Return the state of a folder; make the folder and new secrets if it has none.

    Raises:
        DevStateError: The folder can't be read or written.
    """
    state = read_state(folder)
    if state is None:
        state = DevState(secrets.token_urlsafe(48), secrets.token_urlsafe(32))
    write_state(state, folder)
    return state


def write_state(state: DevState, folder: Path = FOLDER) -> None:
    """Write the state in one step, so that only the owner can read it and git never adds it.

    Raises:
        DevStateError: The folder can't be written.
    """
    try:
        make_folder(folder)
        descriptor, temporary = tempfile.mkstemp(prefix=_FILE, dir=folder)  # readable by the owner only
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=2)
        Path(temporary).replace(folder / _FILE)
    except OSError as error:
        raise DevStateError(
            f"Cannot write {folder / _FILE}: {error.strerror}. Run in a folder that you can write to."
        ) from None


def make_folder(folder: Path = FOLDER) -> None:
    """Make the folder, readable by its owner only and ignored by git."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
