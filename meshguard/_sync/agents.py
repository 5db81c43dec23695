# Made from meshguard/_async/agents.py by scripts/unasync; edit that file.
"""Agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard._sync.base import ClientBase
from meshguard._wire import agents
from meshguard._wire.requests import ApiCall, filter_text, segment
from meshguard._wire.responses import read_as, read_nothing
from meshguard.exceptions import InvalidRequestError
from meshguard.types import CreatedAgent, IssuedToken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshguard.types import Agent, AgentStatus, TrustTier


class Agents(ClientBase):
    """The methods that administer agents.

    Args:
        agent_id: The agent's ID, `agent_…`.
    """

    def list_agents(
        self,
        *,
        status: AgentStatus | None = None,
        trust_tier: TrustTier | None = None,
        tag: str | None = None,
    ) -> list[Agent]:
        """List all agents, oldest first. Operation `list_agents`.

        Args:
            status: Selects agents with this status, `"active"` or `"revoked"`.
            trust_tier: Selects agents of this tier.
            tag: Selects agents with this tag.

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
        return [agent for agent in self._items(agents.list_agents(filters))]

    def get_agent(self, agent_id: str) -> Agent:
        """Return an agent. Operation `get_agent`.

        Raises:
            NotFoundError: No agent has this ID.

        Example:
            ```python
            created = client.create_agent("support-bot")
            agent = client.get_agent(created["id"])
            print(agent.name, agent.status, agent.created_at)
            ```
        """
        return self._transport.send(ApiCall("get_agent", "GET", _path(agent_id), agents.read_agent))

    def create_agent(
        self,
        name: str,
        trust_tier: TrustTier = "verified",
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, object] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CreatedAgent:
        """Create an agent and its first token. Operation `create_agent`.

        Args:
            name: A name for people, 1 to 128 characters; several agents may have the same one.
            trust_tier: `"unverified"`, `"verified"`, `"trusted"` or `"privileged"`.
            tags: Labels that policies can apply to, at most 64.
            metadata: Facts about the agent for conditions.
            idempotency_key: 1 to 255 visible ASCII characters, unique to this agent. For 24 hours, a repeated
                call with it returns the same agent, so the call is also retried when its response is lost.
                Omit it if the gateway does not support such keys.

        Returns:
            The agent by its names on the wire, and its `token`, which is shown only once, and not in a repr.

        Raises:
            ConflictError: The key was used for another request.

        Example:
            ```python
            result = client.create_agent("sales-bot", trust_tier="verified", tags=["sales"])
            print(result["id"])
            ```
        """
        body = agents.fields(name, trust_tier, () if tags is None else tags, metadata)
        call = agents.create("create_agent", "/admin/agents", read_as(CreatedAgent), idempotency_key, body)
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
        """Change an agent, from its next decision on; omitted fields stay. Operation `update_agent`.

        Args:
            name: The new name.
            trust_tier: The new tier.
            tags: All its labels.
            metadata: All its metadata.

        Raises:
            NotFoundError: No agent has this ID.
            ConflictError: The agent is revoked.

        Example:
            ```python
            result = client.create_agent("support-bot")
            agent = client.update_agent(result["id"], trust_tier="trusted", tags=["production"])
            print(agent.trust_tier)
            ```
        """
        body = agents.fields(name, trust_tier, tags, metadata)
        if not body:
            raise InvalidRequestError("Nothing to change. Pass name, trust_tier, tags or metadata.")
        call = ApiCall("update_agent", "PATCH", _path(agent_id), agents.read_agent, {"json": body})
        return self._transport.send(call)

    def issue_token(self, agent_id: str, *, idempotency_key: str | None = None) -> IssuedToken:
        """Replace an agent's token; earlier ones stop working at once. Operation `issue_token`.

        Args:
            idempotency_key: Unique to this token; as for `create_agent`.

        Returns:
            `id`, `expiresAt`, and the `token`, which is shown only once, and not in a repr.

        Raises:
            NotFoundError: No agent has this ID.
            ConflictError: The agent is revoked, or the key was used for another request.

        Example:
            ```python
            result = client.create_agent("support-bot")
            client.issue_token(result["id"])["token"]
            ```
        """
        path = f"{_path(agent_id)}/token"
        call = agents.create("issue_token", path, read_as(IssuedToken), idempotency_key)
        return self._transport.send(call)

    def revoke_agent(self, agent_id: str) -> None:
        """Revoke an agent at once and permanently; it may be revoked already. Operation `revoke_agent`.

        Raises:
            NotFoundError: No agent has this ID.

        Example:
            ```python
            result = client.create_agent("support-bot")
            client.revoke_agent(result["id"])
            ```
        """
        self._transport.send(ApiCall("revoke_agent", "DELETE", _path(agent_id), read_nothing))


def _path(agent_id: str) -> str:
    return f"/admin/agents/{segment('agent_id', agent_id)}"
