"""Calls on agents, and how their responses are read."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from meshguard._wire.requests import ApiCall, Page, mapping, query, text, texts
from meshguard._wire.responses import read_object, read_page, read_time, typed
from meshguard.exceptions import InvalidRequestError
from meshguard.types import Agent, AgentFields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import httpx

T = TypeVar("T")

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


def list_agents(filters: Mapping[str, str | None], cursor: str | None = None) -> ApiCall[Page[Agent]]:
    """Operation `list_agents`."""

    def read(response: httpx.Response) -> Page[Agent]:
        return read_page(response, "agents", _agent, cursor, partial(list_agents, filters))

    return ApiCall("list_agents", "GET", "/admin/agents", read, query(**filters, cursor=cursor))


def create(
    name: str,
    path: str,
    read: Callable[[httpx.Response], T],
    idempotency_key: str | None,
    body: Mapping[str, Any] | None = None,
) -> ApiCall[T]:
    """Return a call that creates something, and must not create it twice.

    Every call has a key, for the attempts of this client and of proxies. Only the caller knows whether the
    gateway honors it: without the caller's own key, a call that may have arrived is not sent again.
    """
    key = os.urandom(16).hex() if idempotency_key is None else _checked(idempotency_key)
    options: dict[str, Any] = {"headers": {"Idempotency-Key": key}}
    if body is not None:
        options["json"] = body
    return ApiCall(name, "POST", path, read, options, retryable=idempotency_key is not None)


def fields(
    name: str | None,
    trust_tier: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, object] | None,
) -> dict[str, Any]:
    """Return the fields of an agent that are not omitted."""
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


def read_agent(response: httpx.Response) -> Agent:
    """Return the agent of a success."""
    return _agent(response, read_object(response))


def _checked(key: Any) -> str:
    if not (isinstance(key, str) and _IDEMPOTENCY_KEY.fullmatch(key)):
        raise InvalidRequestError("Invalid idempotency_key: it must be 1 to 255 visible ASCII characters.")
    return key


def _agent(response: httpx.Response, value: Any) -> Agent:
    body = typed(AgentFields, response, value)

    def time(name: str) -> datetime | None:
        return read_time(response, body, name) if name in body else None

    return Agent(
        body["id"],
        body["name"],
        body["trustTier"],
        body.get("tags") or [],
        body.get("orgId"),
        body.get("metadata") or {},
        body.get("status"),
        time("createdAt"),
        time("updatedAt"),
    )
