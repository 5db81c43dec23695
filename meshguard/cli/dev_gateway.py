"""What `meshguard serve --dev` says and shows."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
from rich.console import Console
from sqlalchemy.engine import make_url

from meshguard.cli.dev_state import DevAgent, open_state, write_state
from meshguard.cli.live import LiveView
from meshguard.client import MeshGuardClient
from meshguard.exceptions import MeshGuardError

if TYPE_CHECKING:
    from meshguard.cli.dev_state import DevState
    from meshguard.gateway import Settings

_AGENT = "dev"


def follow_gateway(settings: Settings, url: str) -> None:
    """Make the agent, say what the gateway works with and how to use it, and show decisions; never returns.

    Args:
        settings: The settings of the gateway.
        url: Where it is ready.
    """
    console = Console(highlight=False)
    with MeshGuardClient(url, admin_token=settings.admin_token.get_secret_value(), trust_env=False) as admin:
        try:
            write_state(_with_agent(open_state(), admin, url))
            console.print(describe_policies(admin, settings.policies_dir), soft_wrap=True, markup=False)
        except MeshGuardError as error:
            console.print(f"The agent {_AGENT} could not be made: {error}", soft_wrap=True, markup=False)
            return
        console.print(f"Agent: {_AGENT}. Its token and the administrator's are in .meshguard/dev.json.")
        console.print(
            '\nIn another terminal: eval "$(meshguard env)"\nDecisions appear here as they are made.\n'
        )
        with LiveView(admin, console):
            threading.Event().wait()


def shown_database(database_url: str) -> str:
    """Return a database's URL without its password; of SQLite, the path of the file."""
    url = make_url(database_url)
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()


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
    known = state.agents.get(_AGENT)
    if known and _is_accepted(url, known.token):
        return state
    created = admin.create_agent(_AGENT, trust_tier="verified")
    return state.with_agent(_AGENT, DevAgent(created["id"], created["token"]))


def _is_accepted(url: str, token: str) -> bool:
    """Whether the gateway accepts a token, found out without a decision: the request names no action."""
    response = httpx.get(f"{url}/proxy/check", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return response.status_code == httpx.codes.BAD_REQUEST
