"""Calls that create something are sent again only where that creates nothing twice."""

from collections.abc import Callable
from typing import Any

import pytest

from meshguard import (
    AsyncMeshGuardClient,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    MeshGuardClient,
    MeshGuardError,
)

from .conftest import Answer, Gateway
from .raw_server import run

BOTH = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
CREATING = pytest.mark.parametrize(
    "create",
    [
        lambda client, **key: client.create_agent("bot", **key),
        lambda client, **key: client.issue_token("agent_1", **key),
    ],
    ids=["create_agent", "issue_token"],
)
CREATED = Answer({"id": "agent_1", "token": "t"}, 201)
LOST = Answer(None)
BUSY = Answer("", 503, {"Retry-After": "0"})
Create = Callable[..., Any]


def keys(gateway: Gateway) -> list[str]:
    return [request.headers["idempotency-key"] for request in gateway.received]


@BOTH
@CREATING
def test_every_call_has_its_own_key(gateway: Gateway, client_class: Any, create: Create) -> None:
    gateway.answers(CREATED)
    for _ in range(2):
        run(client_class, create, gateway.url)
    assert len(set(keys(gateway))) == 2
    assert all(len(key) == 32 for key in keys(gateway))


@BOTH
@CREATING
@pytest.mark.parametrize("failure", [LOST, BUSY, Answer("", 429, {"Retry-After": "0"}), Answer("", 502)])
def test_a_call_with_a_key_is_sent_again(
    gateway: Gateway, client_class: Any, create: Create, failure: Answer
) -> None:
    gateway.answers(failure, CREATED)
    created = run(
        client_class, lambda client: create(client, idempotency_key="order-17"), gateway.url, max_retries=2
    )
    assert created["id"] == "agent_1"
    assert keys(gateway) == ["order-17", "order-17"]


@BOTH
@CREATING
@pytest.mark.parametrize(("failure", "expected"), [(LOST, GatewayUnavailableError), (BUSY, GatewayError)])
def test_a_call_without_a_key_is_sent_once(
    gateway: Gateway, client_class: Any, create: Create, failure: Answer, expected: type[MeshGuardError]
) -> None:
    """An older gateway ignores the generated key, and would create a second agent."""
    gateway.answers(failure, CREATED)
    with pytest.raises(expected):
        run(client_class, create, gateway.url, max_retries=2)
    assert len(gateway.received) == 1


@CREATING
@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\nb", 5])
def test_a_key_that_cannot_be_sent_is_rejected(
    gateway: Gateway, client: MeshGuardClient, create: Create, key: Any
) -> None:
    with pytest.raises(InvalidRequestError, match="idempotency_key"):
        create(client, idempotency_key=key)
    assert gateway.received == []


def test_a_long_key_is_sent(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(CREATED)
    client.create_agent("bot", idempotency_key="x" * 255)
    assert keys(gateway) == ["x" * 255]
