"""The development gateway: its settings, its agent, and what `meshguard serve --dev` shows."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy.engine import make_url

from meshguard.cli.dev_state import database_url, open_dev_state, write_dev_state
from meshguard.cli.errors import CommandError
from meshguard.cli.live import LiveView
from meshguard.cli.output import make_console, write
from meshguard.client import MeshGuardClient
from meshguard.exceptions import MeshGuardError

if TYPE_CHECKING:
    from meshguard.cli.dev_state import DevState
    from meshguard.gateway import Settings

_AGENT = "dev"


def dev_settings(url: str | None = None) -> dict[str, Any]:
    """Return the settings of the development gateway of this folder.

    Args:
        url: Of another database than the folder's.

    Raises:
        CommandError: The state of the folder can't be read or written.
    """
    state = open_dev_state()
    return {
        "jwt_secret": state.jwt_secret,
        "admin_token": state.admin_token,
        "database_url": url or database_url(),
        "explain_to_agents": True,
    }


def follow_gateway(settings: Settings, url: str) -> None:
    """Make the agent, say what the gateway works with and how to use it, and show decisions; never returns.

    Args:
        settings: The settings of the gateway.
        url: Where it is ready.
    """
    with MeshGuardClient(url, admin_token=settings.admin_token.get_secret_value(), trust_env=False) as admin:
        try:
            write_dev_state(_with_agent(open_dev_state(), admin, url))
            write(describe_policies(admin, settings.policies_dir))
        except (MeshGuardError, CommandError) as error:
            write(f"The agent {_AGENT} could not be created: {error}")
            return
        write(f"Agent: {_AGENT}. Its token and the administrator's are in .meshguard/dev.json.")
        write()
        write('In another terminal, in this folder: eval "$(meshguard env)"')
        write("Decisions appear here as they are made.")
        write()
        with LiveView(admin, make_console()):
            threading.Event().wait()


def shown_database(url: str) -> str:
    """Return a database's URL without its password; of SQLite, the path of the file."""
    parsed = make_url(url)
    return parsed.database or "" if parsed.get_backend_name() == "sqlite" else parsed.render_as_string()


def describe_policies(admin: MeshGuardClient, where: object) -> str:
    """Return a line with the number and the names of the active policies, and where their files are."""
    names = [policy["name"] for policy in admin.list_policies()]
    source = f" from {where}" if where else ""
    if not names:
        return f"Policies{source}: none, so everything is denied. Name a file or a folder of policies."
    return f"Policies{source}: {len(names)} ({', '.join(names)})"


def _with_agent(state: DevState, admin: MeshGuardClient, url: str) -> DevState:
    """Return the state with the gateway's URL, and with an agent whose token works."""
    state = replace(state, gateway_url=url)
    if state.agent_token and _is_accepted(url, state.agent_token):
        return state
    created = admin.create_agent(_AGENT, trust_tier="verified")
    return replace(state, agent_id=created["id"], agent_token=created["token"])


def _is_accepted(url: str, token: str) -> bool:
    """Whether the gateway accepts a token, found out without a decision: the request names no action."""
    response = httpx.get(f"{url}/proxy/check", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return response.status_code == httpx.codes.BAD_REQUEST
