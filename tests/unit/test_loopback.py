"""A gateway on this machine is reached directly, and nothing else is taken for this machine."""

from typing import Any

import httpx
import pytest

from meshguard import AsyncMeshGuardClient, ConfigurationError, MeshGuardClient
from meshguard._wire.connections import is_proxied
from meshguard.config import is_loopback
from meshguard.guard import Guard, ToolCall

from .conftest import AGENT_TOKEN, Answer, Gateway
from .raw_server import run

CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
VARIABLES = pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
HERE = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.255.255.254", "[::1]",
        "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]  # fmt: skip
ELSEWHERE = ["notlocalhost", "localhost.evil.com", "127.0.0.1.evil.com", "localhost-evil.com", "mylocalhost",
             "evil.com", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "0.0.0.0",
             "[::]", "[::2]", "[::ffff:128.0.0.1]", "[::127.0.0.1]", "128.0.0.1", "126.255.255.255",
             "localhost..",
             "localhost.localdomain", "local", "localhos", "ip6-localhost", "[fe80::1]", "10.0.0.1",
             "127-0-0-1.evil.com", "localhost%2eevil.com"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HERE)
def test_these_are_this_machine(scheme: str, host: str) -> None:
    assert is_loopback(f"{scheme}://{host}:3100")
    MeshGuardClient(f"{scheme}://{host}:3100", require_tls=True).close()


@pytest.mark.parametrize("host", ELSEWHERE)
def test_these_are_not(host: str) -> None:
    try:
        url = str(httpx.URL(f"http://{host}"))
    except httpx.InvalidURL:
        url = ""
    assert not url or not is_loopback(url)
    with pytest.raises(ConfigurationError):
        MeshGuardClient(f"http://{host}", require_tls=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [*HERE, "127.0.0.2", "evil.com", "notlocalhost"])
@VARIABLES
def test_only_other_machines_are_reached_through_a_proxy(
    scheme: str, host: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = variable.replace("HTTP", scheme.upper()).replace("http", scheme)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = f"{scheme}://{host}"
    for client in (MeshGuardClient(url), AsyncMeshGuardClient(url)):
        assert is_proxied(client._transport._client().raw, httpx.URL(url)) is not is_loopback(url)


@CLIENTS
@VARIABLES
@pytest.mark.parametrize("no_proxy", ["", "evil.com"])
def test_a_proxy_of_the_environment_sees_no_token(
    client_class: Any, variable: str, no_proxy: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Gateway()
    monkeypatch.setenv(variable, proxy.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert run(client_class, lambda client: client.check("read:a"), gateway.url, require_tls=True).allowed
    with MeshGuardClient(gateway.url, AGENT_TOKEN) as client:
        assert client.with_options(trace_id="a").check("read:a").allowed
        client.api.get_httpx_client().get("/health")
        assert Guard(client).check(ToolCall("a")).degraded is False
    client = MeshGuardClient("http://evil.invalid", AGENT_TOKEN)
    client.gateway_url = gateway.url
    client.check("read:a")
    client.close()
    proxy.close()
    assert proxy.received == []
    assert len(gateway.received) == 5


@CLIENTS
@pytest.mark.parametrize("kind", ["environment", "proxy", "mounts"])
def test_a_given_client_that_uses_a_proxy_counts_as_plain_text(
    client_class: Any, kind: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    if kind == "environment":
        monkeypatch.setenv("HTTP_PROXY", gateway.url)
    sync = client_class is MeshGuardClient
    make = httpx.Client if sync else httpx.AsyncClient
    transport = httpx.HTTPTransport if sync else httpx.AsyncHTTPTransport
    kinds: dict[str, dict[str, Any]] = {
        "environment": {},
        "proxy": {"proxy": gateway.url},
        "mounts": {"mounts": {"http://": transport(proxy=gateway.url)}},
    }
    options = kinds[kind]
    url = "http://127.0.0.1:9"
    given = make(**options)
    with pytest.raises(ConfigurationError, match="proxy"):
        run(client_class, lambda c: c.check("a:b"), url, require_tls=True, http_client=given)
    assert gateway.received == []
    if isinstance(given, httpx.Client):
        run(client_class, lambda c: c.check("a:b"), url, http_client=given)
        given.close()
        assert "unencrypted" in caplog.text


@CLIENTS
@pytest.mark.parametrize("value", ["ftp://a", "socks9://a"])
def test_a_proxy_that_cannot_be_used_is_a_configuration_error(
    client_class: Any, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(ConfigurationError, match="trust_env=False"):
        client_class("http://gateway.test")
    client_class("http://localhost")


def test_the_low_level_client_goes_to_the_gateway_only(gateway: Gateway) -> None:
    elsewhere = Gateway()
    gateway.answers(Answer("", 307, {"Location": f"{elsewhere.url}/stolen"}))
    with MeshGuardClient(gateway.url, "agent", "admin") as client:
        for api in (client.api, client.admin_api):
            http = api.get_httpx_client()
            assert http.get("/admin/agents").status_code == 307
            with pytest.raises(Exception, match="its host is not that of gateway_url"):
                http.get("/admin/agents", follow_redirects=True)
            with pytest.raises(Exception, match="its host is not that of gateway_url"):
                http.get(f"{elsewhere.url}/stolen")
    elsewhere.close()
    assert elsewhere.received == []
