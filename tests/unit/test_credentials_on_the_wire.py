"""Where a token may travel: TLS, redirects, plain HTTP, and the proxies of the environment.

`tls/` holds a certificate for localhost and gateway.test that signs itself and protects nothing.
"""

import asyncio
import inspect
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard import (
    AsyncMeshGuardClient,
    ConfigurationError,
    GatewayUnavailableError,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
    UpstreamError,
)

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Answer, Gateway

TLS = Path(__file__).parent / "tls"
CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
PLAIN = "http://gateway.test"


def call(client_class: Any, operation: Callable[[Any], Any], *arguments: Any, **settings: Any) -> Any:
    """Return what an operation of a new client gives; `options` are those of an `httpx` client for it."""
    options = settings.pop("options", None)
    settings = {"max_retries": 0, **settings}
    if client_class is MeshGuardClient:
        with ExitStack() as stack:
            if options is not None:
                settings["http_client"] = stack.enter_context(httpx.Client(**options))
            return operation(stack.enter_context(MeshGuardClient(*arguments, **settings)))

    async def scenario() -> Any:
        async with AsyncExitStack() as stack:
            if options is not None:
                settings["http_client"] = await stack.enter_async_context(httpx.AsyncClient(**options))
            client = await stack.enter_async_context(AsyncMeshGuardClient(*arguments, **settings))
            result = operation(client)
            return await result if inspect.isawaitable(result) else result

    return asyncio.run(scenario())


def check(client: Any) -> Any:
    return client.check("read:a")


@pytest.fixture
def secure_gateway(gateway: Gateway) -> Gateway:
    """The gateway behind a certificate that signs itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    server = gateway._server
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    gateway.url = f"https://localhost:{server.server_port}"
    return gateway


@CLIENTS
def test_a_certificate_that_nobody_vouches_for_is_refused(client_class: Any, secure_gateway: Gateway) -> None:
    with pytest.raises(GatewayUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        call(client_class, check, secure_gateway.url, AGENT_TOKEN)
    assert secure_gateway.received == []


@CLIENTS
def test_a_certificate_for_another_name_is_refused(client_class: Any, secure_gateway: Gateway) -> None:
    context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
    url = secure_gateway.url.replace("localhost", "127.0.0.1")
    with pytest.raises(GatewayUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        call(client_class, check, url, AGENT_TOKEN, options={"verify": context})
    assert secure_gateway.received == []


@CLIENTS
def test_a_client_that_trusts_the_certificate_is_let_through(
    client_class: Any, secure_gateway: Gateway
) -> None:
    context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
    decision = call(client_class, check, secure_gateway.url, AGENT_TOKEN, options={"verify": context})
    assert decision.allowed


@CLIENTS
def test_the_certificates_of_the_environment_are_heeded_unless_switched_off(
    client_class: Any, secure_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    assert call(client_class, check, secure_gateway.url, AGENT_TOKEN, require_tls=True).allowed
    with pytest.raises(GatewayUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        call(client_class, check, secure_gateway.url, AGENT_TOKEN, trust_env=False)


@CLIENTS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("brings_client", [False, True])
def test_no_redirect_carries_a_token_elsewhere(
    client_class: Any, gateway: Gateway, status: int, brings_client: bool
) -> None:
    elsewhere = Gateway()
    gateway.answers(Answer("", status, {"Location": f"{elsewhere.url}/proxy/check"}))
    own = {"options": {"follow_redirects": True}} if brings_client else {}
    operations: list[Callable[[Any], Any]] = [
        check,
        lambda client: client.list_agents(),
        lambda client: client.get("/a", "read:a"),
        lambda client: client.post("/a", "write:a", json={}),
    ]
    for operation in operations:
        with suppress(MeshGuardError):
            call(client_class, operation, gateway.url, AGENT_TOKEN, ADMIN_TOKEN, **own)
    elsewhere.close()
    assert len(gateway.received) == len(operations)
    assert elsewhere.received == []


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "meshguard"]


def _answering(client_class: Any) -> dict[str, Any]:
    """A client of `httpx` that answers each request itself."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"decision": "allow"}))
    kind = httpx.Client if client_class is MeshGuardClient else httpx.AsyncClient
    return {"http_client": kind(transport=transport)}


@CLIENTS
def test_a_token_that_leaves_without_encryption_is_warned_about_once(
    client_class: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if client_class is MeshGuardClient:
        client = MeshGuardClient(PLAIN, AGENT_TOKEN, **_answering(client_class))
        assert warnings_in(caplog) == []
        for _ in range(3):
            client.check("read:a")
    else:

        async def scenario() -> None:
            client = AsyncMeshGuardClient(PLAIN, AGENT_TOKEN, **_answering(client_class))
            for _ in range(3):
                await client.check("read:a")

        asyncio.run(scenario())
    assert warnings_in(caplog) == [
        "The token goes to gateway.test without encryption: use https://, or set require_tls to refuse this."
    ]
    assert AGENT_TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://192.0.2.1:3100", True),
        ("http://0.0.0.0:3100", True),
        ("http://[2001:db8::1]", True),
        ("http://localhost.evil.test", True),
        ("http://127.0.0.1.evil.test", True),
        ("http://localhost", False),
        ("http://LOCALHOST:3100", False),
        ("http://gateway.localhost", False),
        ("http://127.8.7.6:1", False),
        ("http://[::1]:1", False),
        ("https://gateway.test", False),
        ("HTTPS://gateway.test", False),
    ],
)
def test_only_plain_http_to_another_machine_is_warned_about(
    url: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    MeshGuardClient(url, AGENT_TOKEN, **_answering(MeshGuardClient)).check("read:a")
    assert bool(warnings_in(caplog)) == warned
    for client_class in (MeshGuardClient, AsyncMeshGuardClient):
        if warned:
            with pytest.raises(ConfigurationError, match="require_tls"):
                client_class(url, AGENT_TOKEN, require_tls=True)
        else:
            client_class(url, AGENT_TOKEN, require_tls=True)


def test_without_a_token_there_is_nothing_to_warn_about(caplog: pytest.LogCaptureFixture) -> None:
    client = MeshGuardClient(PLAIN, **_answering(MeshGuardClient))
    client.check("read:a")
    assert warnings_in(caplog) == []


def test_a_url_that_is_set_later_is_held_to_the_same_rule(caplog: pytest.LogCaptureFixture) -> None:
    strict = MeshGuardClient("https://gateway.test", AGENT_TOKEN, require_tls=True)
    with pytest.raises(ConfigurationError, match="require_tls"):
        strict.gateway_url = PLAIN
    assert strict.gateway_url == "https://gateway.test"
    lenient = MeshGuardClient("https://gateway.test", AGENT_TOKEN, **_answering(MeshGuardClient))
    lenient.check("read:a")
    lenient.gateway_url = PLAIN
    lenient.check("read:a")
    assert len(warnings_in(caplog)) == 1


def test_the_low_level_client_warns_as_well(caplog: pytest.LogCaptureFixture) -> None:
    client = MeshGuardClient(PLAIN, AGENT_TOKEN, **_answering(MeshGuardClient))
    client.api.get_httpx_client().get("/health")
    assert len(warnings_in(caplog)) == 1


class Proxy:
    """A tiny HTTP proxy that remembers request lines; it forwards to one gateway, whatever is asked."""

    def __init__(self, target: int) -> None:
        self.asked: list[bytes] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = connection.recv(65_536)
            self.asked.append(received.partition(b"\r\n")[0])
            with socket.create_connection(("127.0.0.1", self._target)) as onward:
                if received.startswith(b"CONNECT "):
                    connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    onward.sendall(received)
                back = threading.Thread(target=self._copy, args=(onward, connection), daemon=True)
                back.start()
                self._copy(connection, onward)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[Proxy]:
    proxy = Proxy(gateway._server.server_port)
    yield proxy
    proxy.close()


@CLIENTS
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used_unless_switched_off(
    client_class: Any, variable: str, gateway: Gateway, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    assert call(client_class, check, PLAIN, AGENT_TOKEN).allowed
    assert proxy.asked == [b"GET http://gateway.test/proxy/check HTTP/1.1"]
    assert call(client_class, check, gateway.url, AGENT_TOKEN, trust_env=False).allowed
    assert len(proxy.asked) == 1


@CLIENTS
def test_hosts_in_no_proxy_are_reached_directly(
    client_class: Any, gateway: Gateway, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "gateway.invalid")
    with pytest.raises(GatewayUnavailableError):
        call(client_class, check, "http://gateway.invalid", AGENT_TOKEN)
    assert proxy.asked == []
    assert gateway.received == []


@pytest.mark.usefixtures("secure_gateway")
@CLIENTS
def test_a_proxy_for_https_sees_neither_token_nor_path(
    client_class: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    assert call(client_class, check, "https://gateway.test", AGENT_TOKEN).allowed
    assert proxy.asked == [b"CONNECT gateway.test:443 HTTP/1.1"]


@CLIENTS
def test_a_proxy_that_answers_for_the_gateway_allows_nothing(
    client_class: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answers(Answer("<html>Please log in</html>"))
    monkeypatch.setenv("HTTP_PROXY", gateway.url)
    with pytest.raises((InvalidResponseError, UpstreamError)):
        call(client_class, check, PLAIN, AGENT_TOKEN)


def test_the_warning_goes_to_the_log_named_in_the_documentation() -> None:
    assert logging.getLogger("meshguard").isEnabledFor(logging.WARNING)
