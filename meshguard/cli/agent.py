"""`meshguard agent`: the identities that act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshguard.cli.app import App
from meshguard.cli.connection import open_client
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AgentRef, AsJson, AsJsonLines, Tier, Yes, format_time
from meshguard.cli.output import (
    Column,
    confirm,
    write,
    write_json,
    write_json_line,
    write_note,
    write_record,
    write_table,
)
from meshguard.cli.text import closest, printable

if TYPE_CHECKING:
    from meshguard import MeshGuardClient
    from meshguard.types import Agent

_ONCE = "Keep the token now; it is not shown again."

app = App(help="Create, change and revoke agents.")

TierOption = Annotated[Tier | None, typer.Option("--tier", help="How far the agent is trusted.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="A label for policies; once for each.")
]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only agents with this label.")]


@app.command("list", gateway=True)
def list_agents(
    ctx: typer.Context,
    tier: Annotated[Tier | None, typer.Option("--tier", help="Only agents of this tier.")] = None,
    tag: Tag = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Only revoked agents.")] = False,
    as_json: AsJsonLines = False,
) -> None:
    """List the active agents, oldest first.

    Examples:
      $ meshguard agent list
      $ meshguard agent list --tag support --json
    """
    with open_client(ctx) as client:
        agents = client.list_agents(
            status="revoked" if revoked else "active", trust_tier=tier.value if tier else None, tag=tag
        )
    if as_json:
        for agent in agents:
            write_json_line(_fields(agent))
        return
    columns = ("name", "tier", "id", "tags", "created")
    rows = (
        (agent.name, agent.trust_tier, agent.id, ", ".join(agent.tags), format_time(agent.created_at))
        for agent in agents
    )
    write_table([Column(title, detail=title in {"tags", "created"}) for title in columns], rows)
    if not agents:
        write_note("No agents.")


@app.command(gateway=True)
def show(ctx: typer.Context, agent: AgentRef, as_json: AsJson = False) -> None:
    """Show one agent.

    Examples:
      $ meshguard agent show support-bot
    """
    with open_client(ctx) as client:
        _show(find_agent(client, agent), as_json=as_json)


@app.command(gateway=True)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for people.")],
    tier: Annotated[Tier, typer.Option("--tier", help="How far the agent is trusted.")] = Tier.verified,
    tags: Tags = None,
    as_json: AsJson = False,
) -> None:
    """Create an agent and its token, which is shown only once.

    Examples:
      $ meshguard agent create support-bot --tag support
      $ meshguard agent create ops-bot --tier trusted --json
    """
    with open_client(ctx) as client:
        created = client.create_agent(name, tier.value, tags or [])
    if as_json:
        write_json(created)
    else:
        _write_fields(dict(created))
        write_note(_ONCE)


@app.command(gateway=True)
def update(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    agent: AgentRef,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    tier: Annotated[Tier | None, typer.Option("--tier", help="A new tier.")] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A label, in place of all earlier ones; once for each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an agent; the next decision uses the change.

    Examples:
      $ meshguard agent update support-bot --tier trusted
      $ meshguard agent update support-bot --tag a --tag b
    """
    if name is None and tier is None and not tags:
        raise CommandError("Nothing to change. Use --name, --tier or --tag.")
    with open_client(ctx) as client:
        found = find_agent(client, agent)
        changed = client.update_agent(
            found.id, name=name, trust_tier=tier.value if tier else None, tags=tags or None
        )
    _show(changed, as_json=as_json)


@app.command(gateway=True)
def token(ctx: typer.Context, agent: AgentRef, as_json: AsJson = False) -> None:
    """Issue a new token; the earlier ones stop working at once.

    Examples:
      $ meshguard agent token support-bot
    """
    with open_client(ctx) as client:
        issued = client.issue_token(find_agent(client, agent).id)
    if as_json:
        write_json(issued)
    else:
        _write_fields(dict(issued))
        write_note(_ONCE)


@app.command(gateway=True)
def revoke(ctx: typer.Context, agent: AgentRef, yes: Yes = False, as_json: AsJson = False) -> None:
    """Revoke an agent permanently; its tokens stop working at once.

    Examples:
      $ meshguard agent revoke support-bot
      $ meshguard agent revoke support-bot --yes
    """
    with open_client(ctx) as client:
        found = find_agent(client, agent)
        confirm(f"Revoke {found.name} ({found.id}) permanently?", yes=yes)
        client.revoke_agent(found.id)
    if as_json:
        write_json({"id": found.id, "status": "revoked"})
    else:
        write(f"✓ Revoked {found.name} ({found.id})")


def find_agent(client: MeshGuardClient, reference: str) -> Agent:
    """Return the agent with an ID or a name.

    Args:
        client: An administrator's client.
        reference: An ID, or the name of exactly one active agent.

    Raises:
        CommandError: There is no such agent, or several active agents share the name.
    """
    agents = client.list_agents()
    by_id = [agent for agent in agents if agent.id == reference]
    named = [agent for agent in agents if agent.name == reference]
    active = [agent for agent in named if agent.status != "revoked"]
    found = by_id or (active or named)
    if len(found) == 1:
        return found[0]
    if not found:
        names = [name for agent in agents for name in (agent.name, agent.id)]
        raise CommandError(
            f'No agent "{printable(reference)}".{closest(reference, names)} '
            "`meshguard agent list` shows them all.",
            ExitCode.NO,
        )
    ids = ", ".join(agent.id for agent in found)
    raise CommandError(f'Several agents are named "{printable(reference)}". Use an ID: {ids}.')


def _fields(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "name": agent.name,
        "trustTier": agent.trust_tier,
        "tags": agent.tags,
        "metadata": agent.metadata,
        "status": agent.status,
        "createdAt": format_time(agent.created_at),
        "updatedAt": format_time(agent.updated_at),
        **({"orgId": agent.org_id} if agent.org_id else {}),
    }


def _show(agent: Agent, *, as_json: bool) -> None:
    if as_json:
        write_json(_fields(agent))
    else:
        _write_fields(_fields(agent))


def _write_fields(fields: dict[str, Any]) -> None:
    metadata = fields.get("metadata") or {}
    write_record(
        [
            ("id", fields["id"]),
            ("name", fields.get("name")),
            ("status", fields.get("status")),
            ("tier", fields.get("trustTier")),
            ("tags", ", ".join(fields.get("tags") or [])),
            ("metadata", ", ".join(f"{key}={value}" for key, value in metadata.items())),
            ("created", format_time(fields.get("createdAt"))),
            ("updated", format_time(fields.get("updatedAt"))),
            ("token", fields.get("token")),
            ("expires", format_time(fields.get("expiresAt"))),
        ]
    )
