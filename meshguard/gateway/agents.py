"""Operations on agents."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshguard.gateway import store
from meshguard.gateway.audit import Row, new_row
from meshguard.gateway.clock import milliseconds, timestamp
from meshguard.gateway.http import Request, Response, json_response
from meshguard.gateway.idempotency import Created, create_once
from meshguard.gateway.problems import Problem
from meshguard.gateway.store import AgentRecord, to_json
from meshguard.gateway.writer import Change

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from meshguard.gateway.gateway import Gateway

_SCANNED_AT_ONCE = 500  # agents
_WRITTEN_AT_ONCE = 50  # agents, a millisecond or two
_FIELDS = {
    "name": "name",
    "trustTier": "trust_tier",
    "tags": "tags",
    "metadata": "metadata",
    "description": "description",
    "capabilities": "capabilities",
}


async def list_agents(gateway: Gateway, request: Request) -> Response:
    """Operation `list_agents`."""
    query = request.query
    after = int(query.get("cursor", 0))
    tier = _tier(query["trustTier"]) if "trustTier" in query else None
    limit = query.get("limit")
    records: list[AgentRecord] = []
    texts: list[str] = []
    for number, agent in enumerate(gateway.current.snapshot.agents.values()):
        if number % _SCANNED_AT_ONCE == 0:
            await asyncio.sleep(0)  # others have their turn
        request.work.listed += 1
        record = agent.record
        if (
            record.row_id > after
            and query.get("status", record.status) == record.status
            and (tier or record.trust_tier) == record.trust_tier
            and ("tag" not in query or query["tag"] in record.tags)
        ):
            if len(records) == limit:
                return _page(texts, str(records[-1].row_id))
            records.append(record)
            texts.append(to_json(_wire(record)))
            if len(records) % _WRITTEN_AT_ONCE == 0:
                await asyncio.sleep(0)
    return _page(texts)


def _page(agents: list[str], cursor: str | None = None) -> Response:
    """Return `AgentList` of openapi.yaml, joined from agents that were written a few at a time."""
    more = f',"nextCursor":{to_json(cursor)}' if cursor else ""
    return Response(200, f'{{"agents":[{",".join(agents)}]{more}}}'.encode())


async def get_agent(gateway: Gateway, request: Request) -> Response:
    """Operation `get_agent`."""
    agent = gateway.current.snapshot.agents.get(request.path["agentId"])
    if agent is None:
        raise no_agent()
    return json_response(_wire(agent.record))


async def create_agent(gateway: Gateway, request: Request) -> Response:
    """Operation `create_agent`."""
    body = await request.json()
    fields = _fields(body)
    now = milliseconds(gateway.clock())
    draft = AgentRecord(
        row_id=0,
        id=f"agent_{secrets.token_hex(10)}",
        name=fields["name"],
        trust_tier=fields.get("trust_tier", "verified"),
        tags=fields.get("tags", ()),
        metadata=fields.get("metadata", {}),
        description=fields.get("description"),
        capabilities=fields.get("capabilities"),
        status="active",
        token_id=None,
        created_at=now,
        updated_at=now,
        revision=0,
    )
    issued = gateway.tokens.issue(draft)
    draft = replace(draft, token_id=issued.token_id)

    def create(connection: Connection, number: int) -> Change[Created]:
        record = store.insert_agent(connection, replace(draft, revision=number))
        values = {name: getattr(record, field) for name, field in _FIELDS.items()}
        changes = {name: {"old": None, "new": value} for name, value in values.items() if value is not None}
        change = _changed(gateway, request, record, "create", changes)
        return Change(Created(201, _wire(record), issued), change.rows, change.applied)

    return await create_once(gateway, request, body, create)


async def update_agent(gateway: Gateway, request: Request) -> Response:
    """Operations `update_agent` and `put_agent`."""
    fields = _fields(await request.json())

    def perform(connection: Connection) -> Change[AgentRecord]:
        number = store.begin_change(connection)
        old = _active(connection, request)
        new = replace(old, **fields, updated_at=milliseconds(gateway.clock()), revision=number)
        changes = {
            name: {"old": getattr(old, field), "new": getattr(new, field)}
            for name, field in _FIELDS.items()
            if getattr(old, field) != getattr(new, field)
        }
        if not changes:
            return Change(old, is_undone=True)
        store.update_agent(connection, new)
        return _changed(gateway, request, new, "update", changes)

    return json_response(_wire(await gateway.writer.change(perform)))


async def issue_token(gateway: Gateway, request: Request) -> Response:
    """Operation `issue_token`."""

    def create(connection: Connection, number: int) -> Change[Created]:
        agent = _active(connection, request)
        issued = gateway.tokens.issue(agent)
        now = milliseconds(gateway.clock())
        agent = replace(agent, token_id=issued.token_id, updated_at=now, revision=number)
        store.update_agent(connection, agent)
        change = _changed(gateway, request, agent, "token")
        return Change(Created(200, {"id": agent.id}, issued), change.rows, change.applied)

    return await create_once(gateway, request, None, create)


async def revoke_agent(gateway: Gateway, request: Request) -> Response:
    """Operation `revoke_agent`."""

    def perform(connection: Connection) -> Change[AgentRecord]:
        number = store.begin_change(connection)
        agent = store.find_agent(connection, request.path["agentId"])
        if agent is None:
            raise no_agent()
        if agent.status == "revoked":
            return Change(agent, is_undone=True)
        now = milliseconds(gateway.clock())
        revoked = replace(agent, status="revoked", token_id=None, updated_at=now, revision=number)
        store.update_agent(connection, revoked)
        changes = {"status": {"old": agent.status, "new": revoked.status}}
        return _changed(gateway, request, revoked, "revoke", changes)

    await gateway.writer.change(perform)
    return Response(204)


def no_agent() -> Problem:
    """Return the 404 of an agent's id that nobody has."""
    return Problem(404, "There is no agent with this id; list them with GET /admin/agents.")


def _active(connection: Connection, request: Request) -> AgentRecord:
    agent = store.find_agent(connection, request.path["agentId"])
    if agent is None:
        raise no_agent()
    if agent.status != "active":
        raise Problem(409, "The agent is revoked and stays so; create a new one.")
    return agent


def _changed(
    gateway: Gateway, request: Request, record: AgentRecord, verb: str, changes: dict[str, Any] | None = None
) -> Change[AgentRecord]:
    row = admin_row(
        gateway,
        request,
        f"admin:agent.{verb}",
        record.id,
        changes,
        agent_id=record.id,
        agent_name=record.name,
        trust_tier=record.trust_tier,
    )
    return Change(record, [row], gateway.sync.refresh)


def admin_row(
    gateway: Gateway,
    request: Request,
    action: str,
    resource: str,
    changes: dict[str, Any] | None,
    **agent: str,
) -> Row:
    """Return the audit entry of an administrator's change."""
    return new_row(
        timestamp=milliseconds(gateway.clock()),
        trace_id=request.trace_id,
        kind="admin",
        action=action,
        resource=resource,
        decision="allow",
        reason="The request carried the admin token.",
        latency_ms=0.0,
        changes=None if changes is None else to_json(changes),
        **agent,
    )


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    fields = {_FIELDS[name]: value for name, value in body.items()}
    if "trust_tier" in fields:
        fields["trust_tier"] = _tier(fields["trust_tier"])
    if "tags" in fields:
        fields["tags"] = tuple(dict.fromkeys(fields["tags"]))
    if fields.get("capabilities") is not None:
        fields["capabilities"] = tuple(fields["capabilities"])
    return fields


def _tier(name: str) -> str:
    return "unverified" if name == "untrusted" else name


def _wire(record: AgentRecord) -> dict[str, Any]:
    fields = {
        "id": record.id,
        "name": record.name,
        "trustTier": record.trust_tier,
        "tags": list(record.tags),
        "metadata": record.metadata,
        "description": record.description,
        "capabilities": record.capabilities,
        "status": record.status,
        "createdAt": timestamp(record.created_at),
        "updatedAt": timestamp(record.updated_at),
    }
    return {name: value for name, value in fields.items() if value is not None}
