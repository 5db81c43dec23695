# Made from meshguard/_async/agents.py by scripts/unasync; edit that file.
"""Agents: the identities that act."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from meshguard._sync.base import ClientBase
from meshguard._wire.requests import ApiCall, Page, filter_text, mapping, query, segment, text, texts
from meshguard._wire.responses import read_as, read_nothing, read_object, read_page, typed
from meshguard.exceptions import InvalidRequestError
from meshguard.types import Agent, AgentFields, AgentStatus, CreatedAgent, IssuedToken, TrustTier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx


class Agents(ClientBase):
    """The methods that administer agents."""

    def list_agents(
        self,
        *,
        status: AgentStatus | None = None,
        trust_tier: TrustTier | None = None,
        tag: str | None = None,
    ) -> list[Agent]:
        """List the agents, oldest first; all pages of them. Operation `list_agents`.

        Args:
            status: Only agents in this state, `active` or `revoked`.
            trust_tier: Only agents of this tier.
            tag: Only agents that have this tag.

        Returns:
            The agents.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know.

        Example:
            ```python
            for agent in client.list_agents(status="active"):
                print(f"{agent.name} ({agent.trust_tier})")
            ```
        """
        filters = {
            "status": filter_text("status", status),
            "trustTier": filter_text("trust_tier", trust_tier),
            "tag": filter_text("tag", tag),
        }
        return [agent for agent in self._items(_list_agents(filters))]

    def get_agent(self, agent_id: str) -> Agent:
        """Fetch one agent. Operation `get_agent`.

        Args:
            agent_id: The agent's id.

        Returns:
            The agent as it is stored.

        Raises:
            NotFoundError: There is no such agent.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.

        Example:
            ```python
            created = client.create_agent("support-bot")
            agent = client.get_agent(created["id"])
            print(agent.name, agent.status)
            ```
        """
        call = ApiCall("get_agent", "GET", f"/admin/agents/{segment('agent_id', agent_id)}", _read_agent)
        return self._transport.send(call)

    def create_agent(
        self,
        name: str,
        trust_tier: TrustTier = "verified",
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> CreatedAgent:
        """Create an agent and its first token. Operation `create_agent`.

        Args:
            name: A name for people, 1 to 128 characters; several agents may share one.
            trust_tier: `unverified`, `verified`, `trusted` or `privileged`.
            tags: Labels that policies can apply to, at most 64.
            metadata: Facts about the agent that conditions may look at.

        Returns:
            The agent's fields by their names on the wire, and its `token`, which is shown this once. The
            token does not show in a repr.

        Raises:
            InvalidRequestError: A value is not sound; `details` says which.

        Example:
            ```python
            result = client.create_agent("sales-bot", trust_tier="verified", tags=["sales"])
            print(result["id"])
            ```
        """
        body: dict[str, Any] = {"tags": [], **_fields(name, trust_tier, tags, metadata)}
        call = ApiCall(
            "create_agent", "POST", "/admin/agents", read_as(CreatedAgent), {"json": body}, retryable=False
        )
        return self._transport.send(call)

    def update_agent(
        self,
        agent_id: str,
        *,
        name: str | None = None,
        trust_tier: TrustTier | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Agent:
        """Change an agent; what is not given stays. Operation `update_agent`.

        The change holds from the next decision on, with no new token.

        Args:
            agent_id: The agent's id.
            name: A new name.
            trust_tier: A new tier.
            tags: All its labels from now on.
            metadata: All its metadata from now on.

        Returns:
            The agent as it is stored now.

        Raises:
            InvalidRequestError: Nothing is given to change, or a value is not sound.
            NotFoundError: There is no such agent.
            ConflictError: The agent is revoked.

        Example:
            ```python
            result = client.create_agent("support-bot")
            agent = client.update_agent(result["id"], trust_tier="trusted", tags=["production"])
            print(agent.trust_tier)
            ```
        """
        body = _fields(name, trust_tier, tags, metadata)
        if not body:
            raise InvalidRequestError("Nothing to change. Pass name, trust_tier, tags or metadata.")
        path = f"/admin/agents/{segment('agent_id', agent_id)}"
        return self._transport.send(ApiCall("update_agent", "PATCH", path, _read_agent, {"json": body}))

    def issue_token(self, agent_id: str) -> IssuedToken:
        """Replace an agent's token; the earlier ones stop working at once. Operation `issue_token`.

        Args:
            agent_id: The agent's id.

        Returns:
            `id`, `expiresAt`, and the `token`, which is shown this once and does not show in a repr.

        Raises:
            NotFoundError: There is no such agent.
            ConflictError: The agent is revoked.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.

        Example:
            ```python
            result = client.create_agent("support-bot")
            client.issue_token(result["id"])["token"]
            ```
        """
        path = f"/admin/agents/{segment('agent_id', agent_id)}/token"
        call = ApiCall("issue_token", "POST", path, read_as(IssuedToken), retryable=False)
        return self._transport.send(call)

    def revoke_agent(self, agent_id: str) -> None:
        """Revoke an agent, at once and for good; to revoke it again is no error. Operation `revoke_agent`.

        Args:
            agent_id: The agent's id.

        Raises:
            NotFoundError: There is no such agent.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.

        Example:
            ```python
            result = client.create_agent("support-bot")
            client.revoke_agent(result["id"])
            ```
        """
        path = f"/admin/agents/{segment('agent_id', agent_id)}"
        self._transport.send(ApiCall("revoke_agent", "DELETE", path, read_nothing))


def _list_agents(filters: Mapping[str, str | None], cursor: str | None = None) -> ApiCall[Page[Agent]]:
    def read(response: httpx.Response) -> Page[Agent]:
        return read_page(response, "agents", _agent, cursor, partial(_list_agents, filters))

    return ApiCall("list_agents", "GET", "/admin/agents", read, query(**filters, cursor=cursor))


def _fields(
    name: str | None,
    trust_tier: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, object] | None,
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if name is not None:
        fields["name"] = text("name", name)
    if trust_tier is not None:
        fields["trustTier"] = text("trust_tier", trust_tier)
    if tags is not None:
        fields["tags"] = texts("tags", tags)
    if metadata is not None:
        fields["metadata"] = mapping("metadata", metadata)
    return fields


def _read_agent(response: httpx.Response) -> Agent:
    return _agent(response, read_object(response))


def _agent(response: httpx.Response, value: Any) -> Agent:
    body = typed(AgentFields, response, value)
    return Agent(
        body["id"],
        body["name"],
        body["trustTier"],
        body.get("tags") or [],
        body.get("orgId"),
        body.get("metadata") or {},
        body.get("status"),
        body.get("createdAt"),
        body.get("updatedAt"),
    )
