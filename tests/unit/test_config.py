"""Settings: arguments, environment, defaults, and what is refused."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from meshguard import AsyncMeshGuardClient, AuthenticationError, ConfigurationError, MeshGuardClient

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Gateway

URL = "http://gateway.test"
CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])


@CLIENTS
def test_without_anything_there_are_defaults(client_class: Any) -> None:
    client = client_class(URL)
    assert (client.agent_token, client.admin_token, client.timeout) == (None, None, 30.0)
    assert uuid.UUID(client.trace_id)
    assert client.trace_id != client_class(URL).trace_id


@CLIENTS
def test_without_a_url_nothing_is_sent_anywhere(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (None, ""):
        with pytest.raises(ConfigurationError, match="set MESHGUARD_GATEWAY_URL"):
            client_class(url, "agent")
    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", "")
    with pytest.raises(ConfigurationError, match="set MESHGUARD_GATEWAY_URL"):
        client_class(agent_token="agent")


@pytest.mark.parametrize("credential", ["agent", "admin"])
def test_without_a_token_nothing_is_sent(gateway: Gateway, credential: str) -> None:
    calls: dict[str, list[Callable[[MeshGuardClient], Any]]] = {
        "agent": [
            lambda client: client.check("read:a"),
            lambda client: client.check_many(["read:a"]),
            lambda client: client.enforce("read:a", context={"b": 1}),
            lambda client: client.get("/a", "read:a"),
            lambda client: client.api,
        ],
        "admin": [
            lambda client: client.list_agents(),
            lambda client: client.apply_policy({"name": "a", "rules": []}),
            lambda client: client.get_audit_log(),
            lambda client: client.admin_api,
        ],
    }
    with MeshGuardClient(gateway.url) as client:
        for call in calls[credential]:
            with pytest.raises(AuthenticationError, match=f"set MESHGUARD_{credential.upper()}_TOKEN"):
                call(client)
    assert gateway.received == []


@CLIENTS
def test_the_environment_fills_in(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", "http://gateway.test/")
    monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", "agent")
    monkeypatch.setenv("MESHGUARD_ADMIN_TOKEN", "admin")
    client = client_class()
    assert client.gateway_url == "http://gateway.test"
    assert (client.agent_token, client.admin_token) == ("agent", "admin")


@CLIENTS
def test_an_argument_beats_the_environment(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", "http://gateway.test")
    monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", "agent")
    client = client_class("http://other.test", "mine", "root", 5, "trace")
    assert client.gateway_url == "http://other.test"
    assert (client.agent_token, client.admin_token) == ("mine", "root")
    assert (client.timeout, client.trace_id) == (5, "trace")


@CLIENTS
def test_an_empty_value_counts_as_unset(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENT_TOKEN", "ADMIN_TOKEN"):
        monkeypatch.setenv(f"MESHGUARD_{name}", "")
    client = client_class(URL, "", "", trace_id="")
    assert (client.agent_token, client.admin_token) == (None, None)


@CLIENTS
@pytest.mark.parametrize(
    "setting",
    [
        {"gateway_url": "localhost:3100"},
        {"gateway_url": "ftp://gateway.test"},
        {"gateway_url": "http://"},
        {"gateway_url": "http://user:password@gateway.test"},
        {"gateway_url": "http://gateway.test?a=b"},
        {"gateway_url": "http://gateway.test/#a"},
        {"gateway_url": "http://gate\nway.test"},
        {"gateway_url": "http://\ud800"},
        {"gateway_url": 3100},
        {"agent_token": "a\nb"},
        {"agent_token": "token\n"},
        {"agent_token": " token"},
        {"agent_token": "tökn"},
        {"agent_token": 7},
        {"admin_token": "a\x00"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": None},
        {"timeout": "30"},
        {"timeout": True},
        {"trace_id": "a b"},
        {"trace_id": "x" * 129},
        {"trace_id": "é"},
        {"trace_id": "a\n"},
        {"trace_id": 1},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"on_unavailable": "ignore"},
        {"on_unavailable": None},
        {"http_client": "httpx"},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_refused(client_class: Any, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        client_class(**setting)


def test_each_client_takes_its_own_kind_of_http_client() -> None:
    with pytest.raises(ConfigurationError, match=r"httpx\.Client"):
        MeshGuardClient(URL, http_client=httpx.AsyncClient())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"httpx\.AsyncClient"):
        AsyncMeshGuardClient(URL, http_client=httpx.Client())  # type: ignore[arg-type]


def test_a_setting_can_be_changed_and_is_checked_again(gateway: Gateway) -> None:
    with MeshGuardClient("http://127.0.0.1:1", "old") as client:
        client.gateway_url = gateway.url + "/"
        client.agent_token = "new"
        client.admin_token = "root"
        client.trace_id = "trace-2"
        client.timeout = 5.0
        client.check("read:a")
        with pytest.raises(ConfigurationError):
            client.agent_token = "a\nb"
        with pytest.raises(ConfigurationError):
            client.timeout = -1
    assert gateway.received[0].headers["authorization"] == "Bearer new"
    assert gateway.received[0].headers["x-meshguard-trace-id"] == "trace-2"


def test_the_gateway_may_live_below_a_path(gateway: Gateway) -> None:
    with MeshGuardClient(f"{gateway.url}/mesh/", AGENT_TOKEN) as client:
        client.check("read:a")
        assert client.get("/x", action="read:a")
    assert [request.path for request in gateway.received] == ["/mesh/proxy/check", "/mesh/proxy/x"]


def test_an_own_http_client_is_used_and_left_open(gateway: Gateway) -> None:
    with httpx.Client(
        headers={"X-Corp": "1", "Authorization": "Basic x"},
        auth=("user", "password"),
        follow_redirects=True,
        base_url="http://elsewhere.test",
    ) as http_client:
        with MeshGuardClient(gateway.url, AGENT_TOKEN, ADMIN_TOKEN, http_client=http_client) as client:
            client.check("read:a")
        assert not http_client.is_closed
    headers = gateway.received[0].headers
    assert (headers["x-corp"], headers["authorization"]) == ("1", f"Bearer {AGENT_TOKEN}")


def test_a_closed_client_says_so(gateway: Gateway) -> None:
    client = MeshGuardClient(gateway.url, AGENT_TOKEN)
    client.close()
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.check("read:a")
    assert not client.is_healthy()
    with httpx.Client() as http_client:
        client = MeshGuardClient(gateway.url, AGENT_TOKEN, http_client=http_client)
    with pytest.raises(ConfigurationError, match="closed"):
        client.check("read:a")
    assert gateway.received == []
