"""Default headers and tokens that rotate."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

import pytest
from meshguard_api import AuthenticatedClient

from meshguard import (
    AsyncMeshGuardClient,
    ConfigurationError,
    GatewayUnavailableError,
    MeshGuardClient,
    MeshGuardError,
)
from meshguard.guard import Guard, ToolCall

from .conftest import AGENT_TOKEN, Answer, Gateway
from .test_secret_graph import leaks

RESERVED = [
    *["Authorization", "X-Admin-Token", "x-request-id", "X-MeshGuard-Action", "x-meshguard-anything"],
    *["Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "User-Agent"],
]


def verify(api: AuthenticatedClient) -> None:
    assert api.get_httpx_client().get("/health").is_success


class Tokens:
    """Returns another token on each call."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> str:
        self.number += 1
        return f"token-{self.number}"

    async def later(self) -> str:
        await asyncio.sleep(0)
        return self()


def authorizations(gateway: Gateway) -> list[str]:
    return [request.headers["authorization"] for request in gateway.received]


def test_default_headers_are_sent_with_every_call(gateway: Gateway) -> None:
    gateway.answers(Answer({"decision": "allow", "agents": []}, headers={"X-MeshGuard-Decision": "allow"}))
    with MeshGuardClient(gateway.url, "t", "a", default_headers={"X-Team": "crm"}) as client:
        client.check("read:a")
        client.check("read:a", context={"b": 1})
        client.list_agents()
        client.get("/a", "read:a")
        verify(client.api)
        client.post("/a", "write:a", headers={"x-team": "own"})
        client.with_options(default_headers={"X-Other": "b"}).check("read:a")
        client.with_options(default_headers={}).check("read:a")
        assert client.with_options(timeout=1).default_headers == {"X-Team": "crm"}
    assert [request.headers.get("x-team") for request in gateway.received] == [
        *["crm"] * 5,
        "own",
        None,
        None,
    ]
    assert gateway.received[6].headers["x-other"] == "b"


def test_values_of_default_headers_are_not_shown(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "meshguard")
    gateway.answers(Answer("", 500))
    headers = {"X-Gate": "s3cret"}
    with MeshGuardClient(gateway.url, "t", max_retries=0, default_headers=headers) as client:
        with pytest.raises(MeshGuardError) as caught:
            client.check("read:a")
        assert leaks(caught.value) == []
        shown = repr([client, client.default_headers, vars(client), vars(client._transport)])
        assert "s3cret" not in shown + caplog.text + repr(vars(client._transport.config))
        assert pickle.loads(pickle.dumps(caught.value)).response.request.headers.get("x-gate") is None
    assert gateway.received[0].headers["x-gate"] == "s3cret"


@pytest.mark.parametrize("name", [*RESERVED, *(name.upper() for name in RESERVED)])
@pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
def test_a_header_of_the_client_is_rejected(client_class: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the client sets {name} itself") as caught:
        client_class("http://gateway.test", "t", default_headers={name: "s3cret"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    ["X-A: b", [("X-A", "b")], {"X A": "b"}, {"": "b"}, {1: "b"}, {"X-A": 1}, {"X-A": "é"}, {"X-A": "b\n"}],
)
def test_headers_that_cannot_be_sent_are_rejected(client: MeshGuardClient, headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="default_headers"):
        client.with_options(default_headers=headers)


def test_a_callable_returns_the_token_of_each_call(gateway: Gateway) -> None:
    tokens = Tokens()
    with MeshGuardClient(gateway.url, tokens) as client:
        assert tokens.number == 0
        client.check("read:a")
        client.with_options(trace_id="b").check("read:a")
        verify(client.api)
        assert client.agent_token is tokens
        client.agent_token = "fixed"
        client.check("read:a")
        client.with_options(agent_token=lambda: "other").check("read:a")
    expected = ["Bearer token-1", "Bearer token-2", "Bearer token-3", "Bearer fixed", "Bearer other"]
    assert authorizations(gateway) == expected


def test_a_retry_sends_the_same_token(gateway: Gateway) -> None:
    gateway.answers(Answer({}, 503, {"Retry-After": "0"}), {"decision": "allow"})
    with MeshGuardClient(gateway.url, Tokens()) as client:
        client.check("read:a")
    assert authorizations(gateway) == ["Bearer token-1"] * 2


def test_the_async_client_takes_both_kinds(gateway: Gateway) -> None:
    tokens = Tokens()

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, tokens) as client:
            await client.check("read:a")
            await client.with_options(agent_token=tokens.later).check("read:a")
            copy = client.with_options(agent_token=tokens.later)
            await copy.api.get_async_httpx_client().get("/health")

    asyncio.run(scenario())
    assert authorizations(gateway) == [f"Bearer token-{number}" for number in (1, 2, 3)]


def test_the_sync_client_rejects_an_async_callable(gateway: Gateway) -> None:
    client = MeshGuardClient(gateway.url, Tokens().later)  # type: ignore[arg-type]
    with client, pytest.raises(ConfigurationError, match="AsyncMeshGuardClient"):
        client.check("read:a")
    assert gateway.received == []


@pytest.mark.parametrize("token", [None, "", 1, b"token", ["token"], "a\nb", " a", "é"])
@pytest.mark.parametrize("on_unavailable", ["raise", "allow"])
def test_what_is_not_a_token_is_rejected(gateway: Gateway, token: Any, on_unavailable: Any) -> None:
    with MeshGuardClient(gateway.url, lambda: token, on_unavailable=on_unavailable) as client:
        with pytest.raises(ConfigurationError, match="Invalid token from agent_token") as caught:
            client.check("read:a")
        assert not token or repr(token) not in str(caught.value)
    assert gateway.received == []


@pytest.mark.parametrize(
    "error", [OSError("vault"), ValueError("vault"), GatewayUnavailableError("vault"), KeyError("vault")]
)
def test_an_error_of_the_callable_is_raised_as_it_is(gateway: Gateway, error: Exception) -> None:
    """Even one that `on_unavailable` would cover if it came from the gateway."""

    def fail() -> str:
        raise error

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, fail, on_unavailable="allow") as client:
            await client.check("read:a")

    with MeshGuardClient(gateway.url, fail, on_unavailable="allow") as client:
        for call in (lambda: client.check("read:a"), lambda: asyncio.run(scenario())):
            with pytest.raises(type(error)) as caught:
                call()
            assert caught.value is error
    assert gateway.received == []


def test_a_callable_is_not_shown(gateway: Gateway) -> None:
    class Shown:
        def __call__(self) -> str:
            return AGENT_TOKEN

        def __repr__(self) -> str:
            return "s3cret"

    with MeshGuardClient(gateway.url, Shown()) as client:
        config = client._transport.config
        assert "s3cret" not in repr([client, config, vars(config), vars(client), vars(client._transport)])


def test_the_guard_uses_both_options(gateway: Gateway) -> None:
    with MeshGuardClient(gateway.url, Tokens(), default_headers={"X-Team": "crm"}) as client:
        guard = Guard(client)

        async def scenario() -> None:
            await guard.acheck(ToolCall("lookup", {}))
            await guard.aclose()

        asyncio.run(scenario())
    received = gateway.received[0].headers
    assert (received["authorization"], received["x-team"]) == ("Bearer token-1", "crm")
