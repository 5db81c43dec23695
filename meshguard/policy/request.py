"""What a decision is about: an agent and what it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshguard.policy.vocabulary import CONTROL, SURROGATE

MAX_ACTION = 4_096
MAX_RESOURCE = 8_192


class InvalidRequest(ValueError):  # noqa: N818  (the published errors have no suffix either)
    r"""A request that is refused before evaluation (language page, "Values").

    Args:
        path: JSON pointer to what is wrong: ``/action``, ``/resource`` or ``/context``.
        message: What to do about it.

    Example:
        >>> Request("read:\x00")
        Traceback (most recent call last):
        ...
        meshguard.policy.request.InvalidRequest: /action: take out the control character at position 6
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True, init=False)
class Agent:
    """What the engine knows of an agent.

    Args:
        id: The agent's id.
        name: Its name; need not be unique.
        trust_tier: ``unverified`` (or ``untrusted``, which is read so), ``verified``, ``trusted`` or
            ``privileged``; with any other every decision is a denial.
        tags: Its tags; kept as a frozenset.
        metadata: JSON object that conditions can look into.
        status: ``active``; with any other every decision is a denial.

    Raises:
        TypeError: ``tags`` is one text.

    Example:
        >>> agent = Agent("agent_1", "helper", "untrusted", ["support"])
        >>> agent.trust_tier, agent.tags
        ('unverified', frozenset({'support'}))
    """

    id: str
    name: str
    trust_tier: str
    tags: frozenset[str]
    metadata: Mapping[str, Any]
    status: str

    def __init__(
        self,
        id: str,  # noqa: A002
        name: str,
        trust_tier: str,
        tags: Iterable[str] = (),
        *,
        metadata: Mapping[str, Any] | None = None,
        status: str = "active",
    ) -> None:
        if isinstance(tags, str):
            raise TypeError("tags must be several texts, not one")
        values = {
            "id": id,
            "name": name,
            "trust_tier": "unverified" if trust_tier == "untrusted" else trust_tier,
            "tags": frozenset(tags),
            "metadata": metadata or {},
            "status": status,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent asks for.

    Args:
        action: The action, such as ``write:refund``; 1 to 4,096 characters.
        resource: What it is done to, when there is such a thing; at most 8,192 characters.
        context: JSON object of what conditions can look into.

    Raises:
        InvalidRequest: The action or the resource has control characters or broken Unicode, is empty or too
            long; the context is not an object (language page, "Values").

    Example:
        >>> Request("write:refund", "order/7", {"amount": 20}).resource
        'order/7'
    """

    action: str
    resource: str | None = None
    context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_text("/action", self.action, MAX_ACTION)
        if not self.action:
            raise InvalidRequest("/action", "name an action")
        if self.resource is not None:
            _check_text("/resource", self.resource, MAX_RESOURCE)
        if self.context is not None and not isinstance(self.context, Mapping):
            raise InvalidRequest("/context", "send an object")


def _check_text(path: str, text: object, limit: int) -> None:
    if not isinstance(text, str):
        raise InvalidRequest(path, "send a text")
    if len(text) > limit:
        raise InvalidRequest(path, f"shorten it to {limit:,} characters")
    if text.isprintable():
        return
    if found := CONTROL.search(text):
        raise InvalidRequest(path, f"take out the control character at position {found.start() + 1}")
    if found := SURROGATE.search(text):
        raise InvalidRequest(path, f"take out the broken Unicode at position {found.start() + 1}")
