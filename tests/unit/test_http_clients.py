"""The caller's own client, of `httpx` or `httpx2`, and our own beside it."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import httpx
import httpx2
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
from meshguard.client import Governed
from tests.environments import clean_environ

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Answer, Gateway
from .raw_server import RawServer, response
from .test_any_answer import CALLS
from .test_secret_graph import ANSWERS, SETTINGS, TOKENS, leaks, outcome, prepared

MARK = {"X-MeshGuard-Decision": "allow"}
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])
CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])


async def finish(result: Any) -> Any:
    """Await, enter or iterate a result of either client."""
    if hasattr(result, "__aenter__") and not isinstance(result, Governed):
        async with result as entered:
            return b"".join([piece async for piece in entered.aiter_bytes()])
    if hasattr(result, "__enter__"):
        with result as entered:
            return b"".join(entered.iter_bytes()) if isinstance(entered, httpx.Response) else entered
    if isinstance(result, AsyncIterator):
        return [item async for item in result]
    if inspect.isgenerator(result):
        return list(result)
    return await result if inspect.isawaitable(result) else result


def call(
    client_class: Any,
    library: Any,
    operation: Callable[[Any], Any],
    url: str,
    *,
    options: Any = None,
    **settings: Any,
) -> Any:
    """Return what an operation of a client with an own HTTP client gives."""
    options = {"trust_env": False, **(options or {})}
    settings = {"agent_token": AGENT_TOKEN, "admin_token": ADMIN_TOKEN, "max_retries": 0, **settings}

    async def scenario() -> Any:
        async with AsyncExitStack() as stack:
            if client_class is MeshGuardClient:
                given = stack.enter_context(library.Client(**options))
                client: Any = stack.enter_context(MeshGuardClient(url, http_client=given, **settings))
            else:
                given = await stack.enter_async_context(library.AsyncClient(**options))
                client = await stack.enter_async_context(
                    AsyncMeshGuardClient(url, http_client=given, **settings)
                )
            return await finish(operation(client))

    return asyncio.run(scenario())


@CLIENTS
@LIBRARIES
def test_a_given_client_decides(client_class: Any, library: Any, gateway: Gateway) -> None:
    options = {"headers": {"X-Team": "a"}, "cookies": {"c": "1"}}
    decision = call(
        client_class, library, lambda c: c.check("read:a", context={"b": 1}), gateway.url, options=options
    )
    assert decision.allowed
    received = gateway.received[0]
    assert received.json == {"action": "read:a", "context": {"b": 1}}
    assert received.headers["authorization"] == f"Bearer {AGENT_TOKEN}"
    assert (received.headers["x-team"], received.headers["cookie"]) == ("a", "c=1")
    assert received.headers["user-agent"].startswith(f"python-{library.__name__}/")


@CLIENTS
@LIBRARIES
def test_a_proxied_response_is_one_of_httpx(client_class: Any, library: Any, gateway: Gateway) -> None:
    gateway.answers(Answer("hello", headers=MARK))
    options: dict[str, Any] = {
        "params": httpx.QueryParams([("q", "1"), ("q", "2")]),
        "headers": httpx.Headers({"X-Own": "y"}),
        "cookies": httpx.Cookies({"c": "1"}),
        "timeout": httpx.Timeout(5),
        "json": {"a": 1},
    }
    found = call(client_class, library, lambda c: c.post("/a", "write:a", **options), gateway.url)
    received = gateway.received[0]
    assert isinstance(found, httpx.Response)
    assert (found.text, found.request.url.path) == ("hello", "/proxy/a")
    assert found.elapsed.total_seconds() > 0
    assert (received.path, received.json) == ("/proxy/a?q=1&q=2", {"a": 1})
    assert (received.headers["x-own"], received.headers["cookie"]) == ("y", "c=1")
    assert "authorization" not in found.request.headers


@CLIENTS
@LIBRARIES
@pytest.mark.parametrize("body", [{"data": {"a": "b"}}, {"files": {"a": b"bcd"}}, {"content": b"bcd"}])
def test_every_kind_of_body_is_sent(client_class: Any, library: Any, body: Any, gateway: Gateway) -> None:
    gateway.answers(Answer("", headers=MARK))
    call(client_class, library, lambda c: c.post("/a", "write:a", **body), gateway.url)
    assert b"b" in gateway.received[0].body


@CLIENTS
@LIBRARIES
def test_a_stream_is_read_to_its_end(client_class: Any, library: Any, gateway: Gateway) -> None:
    gateway.answers(Answer(b"x" * 100_000, headers=MARK))
    found = call(client_class, library, lambda c: c.stream("GET", "/a", "read:a"), gateway.url)
    assert found == b"x" * 100_000


@CLIENTS
@LIBRARIES
def test_a_stream_that_breaks_off_is_our_error(client_class: Any, library: Any) -> None:
    def reply(_: dict[str, str]) -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-MeshGuard-Decision: allow\r\n\r\nabc"
        raise OSError

    with RawServer(reply) as server, pytest.raises(GatewayUnavailableError):
        call(client_class, library, lambda c: c.stream("GET", "/a", "read:a"), server.url)


@CLIENTS
@LIBRARIES
@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_an_upstream_error_is_ours(client_class: Any, library: Any, status: int, gateway: Gateway) -> None:
    gateway.answers(Answer("no", status, MARK))
    with pytest.raises(UpstreamError) as caught:
        call(client_class, library, lambda c: c.get("/a", "read:a"), gateway.url)
    assert caught.value.response.text == "no"


@CLIENTS
@LIBRARIES
@pytest.mark.parametrize("answer", ANSWERS)
def test_every_failure_is_one_of_our_errors(
    client_class: Any, library: Any, answer: str, gateway: Gateway
) -> None:
    prepared(gateway, answer)
    for name in ("check", "list_agents", "get", "stream"):
        cause: BaseException | None = None
        try:
            call(client_class, library, CALLS[name][0], gateway.url, max_response_bytes=5000)
        except MeshGuardError as error:
            cause = error.__cause__
        assert "httpx2" not in type(cause).__module__, name


@pytest.mark.parametrize("name", [name for name in dir(httpx2) if inspect.isclass(getattr(httpx2, name))])
def test_every_exception_of_httpx2_becomes_ours(name: str, gateway: Gateway) -> None:
    kind = getattr(httpx2, name)
    if not issubclass(kind, Exception):
        return

    def fail(request: httpx2.Request) -> None:
        about = (
            {"request": request, "response": httpx2.Response(500)} if kind is httpx2.HTTPStatusError else {}
        )
        raise (
            kind(**about)
            if issubclass(kind, httpx2.StreamError) and kind is not httpx2.StreamError
            else kind("m", **about)
        )

    options = {"event_hooks": {"request": [fail]}}
    with pytest.raises(MeshGuardError):
        call(MeshGuardClient, httpx2, lambda c: c.check("read:a"), gateway.url, options=options)


@CLIENTS
@LIBRARIES
def test_a_hook_may_read_the_response(client_class: Any, library: Any, gateway: Gateway) -> None:
    read: list[bytes] = []

    def look(found: Any) -> None:
        read.append(found.read())

    async def alook(found: Any) -> None:
        read.append(await found.aread())

    hooks = {"response": [look if client_class is MeshGuardClient else alook]}
    assert call(
        client_class, library, lambda c: c.check("read:a"), gateway.url, options={"event_hooks": hooks}
    ).allowed
    assert read == [b'{"decision": "allow", "allowed": true}']


@LIBRARIES
def test_headers_in_flight_hide_every_secret(library: Any, gateway: Gateway) -> None:
    shown: list[str] = []
    hooks = {"request": [lambda request: shown.extend([repr(request), repr(request.headers)])]}
    for operation in (lambda c: c.check("read:a"), lambda c: c.health()):
        outcome(
            lambda operation=operation: call(  # type: ignore[misc]
                MeshGuardClient,
                library,
                operation,
                gateway.url,
                options={"event_hooks": hooks},
                default_headers={"X-Gate": "hunter2"},
            )
        )
    assert len(shown) == 4
    for secret in (AGENT_TOKEN, ADMIN_TOKEN, "hunter2"):
        assert secret not in "".join(shown)
    assert {request.headers["x-gate"] for request in gateway.received} == {"hunter2"}


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_outcome_with_httpx2_leads_to_a_token(gateway: Gateway, answer: str) -> None:
    prepared(gateway, answer)
    settings = {**SETTINGS, "default_headers": {"X-Gate": "s3cret"}}
    with httpx2.Client(trust_env=False) as given:
        client = MeshGuardClient(gateway.url, *TOKENS, **settings, http_client=given)
        for name, (operation, _) in CALLS.items():
            found = outcome(lambda operation=operation: asyncio.run(finish(operation(client))))  # type: ignore[misc]
            assert leaks(found) == [], name


@pytest.mark.parametrize("library", [None, httpx, httpx2])
def test_a_redirect_that_is_returned_has_no_token(library: Any, gateway: Gateway) -> None:
    gateway.answers(Answer("", 302, {"Location": "/elsewhere", **MARK}))
    with ExitStack() as stack:
        given = None if library is None else stack.enter_context(library.Client(trust_env=False))
        client = stack.enter_context(MeshGuardClient(gateway.url, *TOKENS, http_client=given))
        found = client.get("/a", "read:a")
    assert found.status_code == 302
    assert leaks(found) == []


@CLIENTS
@LIBRARIES
def test_the_response_must_be_to_the_request(client_class: Any, library: Any) -> None:
    with (
        RawServer(lambda _: [response(b'{"decision": "allow"}', "X-Request-ID: another")]) as server,
        pytest.raises(InvalidResponseError, match="another request"),
    ):
        call(client_class, library, lambda c: c.check("read:a"), server.url)


@LIBRARIES
def test_a_given_client_that_uses_a_proxy_is_recognized(library: Any) -> None:
    with library.Client(proxy="http://127.0.0.1:9", trust_env=False) as given:
        client = MeshGuardClient("http://127.0.0.1:9", AGENT_TOKEN, http_client=given, require_tls=True)
        with pytest.raises(ConfigurationError, match="trust_env=False"):
            client.check("read:a")


@LIBRARIES
def test_a_closed_client_is_reported(library: Any, gateway: Gateway) -> None:
    given = library.Client(trust_env=False)
    client = MeshGuardClient(gateway.url, AGENT_TOKEN, http_client=given)
    given.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.check("read:a")


@CLIENTS
@pytest.mark.parametrize("given", [object(), httpx, httpx.Timeout(1), "client"])
def test_anything_else_is_rejected(client_class: Any, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid http_client: "):
        client_class("http://gateway.test", AGENT_TOKEN, http_client=given)


@pytest.mark.parametrize(
    ("client_class", "kind"), [(MeshGuardClient, "AsyncClient"), (AsyncMeshGuardClient, "Client")]
)
@LIBRARIES
def test_a_client_of_the_other_kind_is_rejected(client_class: Any, kind: str, library: Any) -> None:
    with pytest.raises(ConfigurationError, match="http_client"):
        client_class("http://gateway.test", AGENT_TOKEN, http_client=getattr(library, kind)(trust_env=False))


FORK = """
import os, sys, httpx2
from meshguard import MeshGuardClient
with httpx2.Client(trust_env=False) as given:
    client = MeshGuardClient(sys.argv[1], "token", http_client=given)
    client.check("read:a")
    child = os.fork()
    allowed = all(client.check("read:a") for _ in range(20))
    if child == 0:
        os._exit(not allowed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and allowed
"""
ALIASED = """
import sys, httpx2
httpx2.alias_httpx()
import httpx
from meshguard import MeshGuardClient
assert httpx is httpx2
for given in (None, httpx2.Client(trust_env=False)):
    assert MeshGuardClient(sys.argv[1], "token", http_client=given).check("read:a")
"""
NOT_IMPORTED = """
import sys, httpx
from meshguard import MeshGuardClient
assert MeshGuardClient(sys.argv[1], "token", http_client=httpx.Client(trust_env=False)).check("read:a")
assert "httpx2" not in sys.modules
"""


@pytest.mark.parametrize("program", [FORK, ALIASED, NOT_IMPORTED], ids=["fork", "alias", "not imported"])
def test_a_program_with_httpx2_runs(program: str, gateway: Gateway) -> None:
    environ = clean_environ(PYTHONPATH=os.pathsep.join(sys.path))
    subprocess.run([sys.executable, "-W", "error", "-c", program, gateway.url], env=environ, check=True)
