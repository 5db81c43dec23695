from __future__ import annotations

import asyncio
import gzip
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.gateway.conftest import Lab, check
from tests.support import ADMIN_TOKEN, gateway_client, running_app, until

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


class Signal:
    """An event of the upstream's loop that the test may set, from its own thread, before it is awaited."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_set = False

    async def wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self._is_set:
            await self._event.wait()

    def set(self) -> None:
        self._is_set = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._event.set)


class Upstream:
    """A real service that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self.proceed = Signal()
        names = ("moved", "forged", "zipped", "events", "slow", "cut")
        routes = [Route(f"/base/{name}", getattr(self, name), methods=METHODS) for name in names]
        self.app = Starlette(routes=[*routes, Route("/{path:path}", self.echo, methods=METHODS)])

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        seen = {
            "method": request.method,
            "target": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": [(name.decode(), value.decode()) for name, value in request.headers.raw],
            "body": body.decode(errors="replace"),
            "size": len(body),
        }
        self.seen.append(seen)
        status = int(request.query_params.get("status", 200))
        response = JSONResponse(seen, status)
        response.headers.append("Set-Cookie", "a=1")
        response.headers.append("Set-Cookie", "b=2")
        return response

    async def moved(self, _request: Request) -> Response:
        return RedirectResponse("http://169.254.169.254/latest", 302)

    async def forged(self, _request: Request) -> Response:
        headers = {
            "X-MeshGuard-Decision": "deny",
            "X-MeshGuard-Agent-Id": "agent_forged",
            "X-MeshGuard-Extra": "1",
            "Connection": "x-secret",
            "X-Secret": "1",
            "X-Kept": "1",
        }
        return Response(b"x", headers=headers)

    async def zipped(self, _request: Request) -> Response:
        return Response(gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    async def events(self, _request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            try:
                await self.proceed.wait()
            finally:
                self.ended.set()
            yield b"data: 2\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def slow(self, request: Request) -> Response:
        await request.body()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.ended.set()
        return Response(b"late")

    async def cut(self, _request: Request) -> Response:
        return Response(b"short", headers={"Content-Length": "100"})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    with running_app(service.app) as url:
        service.url = url  # type: ignore[attr-defined]
        yield service
        service.proceed.set()


@pytest.fixture
def open_proxy(open_lab: Callable[..., Lab], upstream: Any) -> Callable[..., httpx.Client]:
    def start(**settings: Any) -> httpx.Client:
        lab = open_lab(**{"proxy_target": f"{upstream.url}/base/", **settings})
        lab.apply("{name: all, rules: [{effect: allow, actions: ['*']}]}", "all")
        client = lab.agent()
        client.lab = lab  # type: ignore[attr-defined]
        return client

    return start


@pytest.fixture
def agent(open_proxy: Callable[..., httpx.Client]) -> httpx.Client:
    return open_proxy()


def headers_of(seen: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in seen["headers"]}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_carried_with_its_body(agent: httpx.Client, upstream: Upstream, method: str) -> None:
    response = agent.request(method, "/proxy/api/users?a=1&b=%20%zz|", content=b"hello")
    assert response.status_code == 200
    assert response.headers["X-MeshGuard-Decision"] == "allow"
    seen = upstream.seen[0]
    assert (seen["method"], seen["target"]) == (method, "/base/api/users")
    assert (seen["query"], seen["body"]) == ("a=1&b=%20%zz|", "hello")


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("a%2Fb", "/base/a/b"),
        ("a//b", "/base/a/b"),
        ("%61", "/base/a"),
        ("a%20b", "/base/a%20b"),
        ("a%3Fb", "/base/a%3Fb"),
        ("x/", "/base/x/"),
        ("%C3%A9", "/base/%C3%A9"),
    ],
)
def test_the_path_is_forwarded_normalised(
    agent: httpx.Client, upstream: Upstream, sent: str, forwarded: str
) -> None:
    assert agent.get(f"/proxy/{sent}").status_code == 200
    assert upstream.seen[0]["target"] == forwarded


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/x",
        "a/%2E%2E/b",
        "a/%252e%252e/b",
        "a%5Cb",
        "a%00b",
        "a%0d%0ab",
        "%ff",
        "http:%2F%2Fevil",
        "..%2fx",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(
    agent: httpx.Client, upstream: Upstream, path: str
) -> None:
    assert agent.get(f"/proxy/{path}").status_code == 400
    assert upstream.seen == []


def test_a_query_with_raw_bytes_is_refused_before_anything_is_recorded(agent: Any) -> None:
    with socket.create_connection((str(agent.base_url.host), agent.base_url.port)) as connection:
        authorization = agent.headers["Authorization"].encode()
        request = b"GET /proxy/a?x=\xff HTTP/1.1\r\nHost: a\r\nAuthorization: " + authorization + b"\r\n\r\n"
        connection.sendall(request)
        assert b" 400 " in connection.recv(100)
    assert agent.lab.entries(kind="decision") == []


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_header_that_http_has_no_form_for_is_refused(tmp_path: Path) -> None:
    settings = {"proxy_target": "http://127.0.0.1:9", "mode": "audit"}
    async with gateway_client(tmp_path, **settings) as client:
        created = await client.post(
            "/admin/agents", json={"name": "bot"}, headers={"X-Admin-Token": ADMIN_TOKEN}
        )
        headers = {"Authorization": f"Bearer {created.json()['token']}", "X-Odd": "a\x0bb"}
        response = await client.get("/proxy/x", headers=headers)
    assert (response.status_code, response.json()["details"][0]["path"]) == (400, "/header")


def test_raw_dot_segments_are_refused(agent: httpx.Client, upstream: Upstream) -> None:
    host, port = str(agent.base_url.host), agent.base_url.port
    with socket.create_connection((host, port)) as connection:
        authorization = agent.headers["Authorization"]
        connection.sendall(
            f"GET /proxy/a/../../x HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n".encode()
        )
        assert b" 400 " in connection.recv(100)
    assert upstream.seen == []


def test_what_identifies_the_agent_to_the_gateway_never_reaches_the_upstream(
    agent: httpx.Client, upstream: Upstream
) -> None:
    agent.get(
        "/proxy/x",
        headers={
            "X-Admin-Token": "t",
            "X-MeshGuard-Agent-Id": "agent_forged",
            "X_MeshGuard_Agent_Id": "agent_forged",
            "X-MeshGuard-Action": "read:x",
            "X-Forwarded-For": "1.2.3.4",
            "X-MeshGuard-Trace-ID": "t-1",
            "Connection": "keep-alive, x-hop",
            "X-Hop": "1",
            "TE": "trailers",
            "X-Mine": "1",
        },
    )
    headers = headers_of(upstream.seen[0])
    assert not headers.keys() & {"authorization", "x-admin-token", "x-meshguard-action", "x-hop", "te"}
    assert "x_meshguard_agent_id" not in headers
    assert headers["x-meshguard-agent-id"].startswith("agent_")
    assert headers["x-meshguard-agent-id"] != "agent_forged"
    assert headers["x-meshguard-trace-id"] == "t-1"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{agent.base_url.port}"
    assert headers["traceparent"].startswith("00-")
    assert headers["x-mine"] == "1"


def test_a_traceparent_is_passed_on(agent: httpx.Client, upstream: Upstream) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    agent.get("/proxy/x", headers={"traceparent": given})
    assert headers_of(upstream.seen[0])["traceparent"] == given


def test_the_upstreams_own_credential_is_added(
    open_proxy: Callable[..., httpx.Client], upstream: Upstream
) -> None:
    open_proxy(proxy_authorization="Bearer upstreams-own").get("/proxy/x")
    assert headers_of(upstream.seen[0])["authorization"] == "Bearer upstreams-own"


def test_what_the_upstream_claims_about_the_decision_is_dropped(agent: httpx.Client) -> None:
    response = agent.get("/proxy/forged")
    assert response.headers.get_list("X-MeshGuard-Decision") == ["allow"]
    assert response.headers["X-MeshGuard-Agent-Id"] != "agent_forged"
    assert not {"x-meshguard-extra", "x-secret"} & response.headers.keys()
    assert response.headers["X-Kept"] == "1"
    assert response.headers["X-MeshGuard-Policy"] == "all"


@pytest.mark.parametrize("status", [201, 204, 401, 403, 404, 429, 500, 503])
def test_the_upstreams_status_is_passed_back_marked_as_its_own(agent: httpx.Client, status: int) -> None:
    response = agent.get("/proxy/x", params={"status": status})
    assert response.status_code == status
    assert response.headers["X-MeshGuard-Decision"] == "allow"
    assert response.headers.get_list("Set-Cookie") == ["a=1", "b=2"]


def test_redirects_are_passed_back(agent: httpx.Client) -> None:
    response = agent.get("/proxy/moved")
    assert response.status_code == 302
    assert response.headers["Location"] == "http://169.254.169.254/latest"


def test_compressed_bodies_pass_untouched(agent: httpx.Client) -> None:
    with agent.stream("GET", "/proxy/zipped") as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(raw) == b"hello"


def test_events_arrive_as_they_are_sent(agent: httpx.Client, upstream: Upstream) -> None:
    with agent.stream("GET", "/proxy/events") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 1\n\n"
        upstream.proceed.set()
        assert b"".join(chunks) == b"data: 2\n\n"


def test_a_client_that_goes_away_ends_the_upstream_call(agent: httpx.Client, upstream: Upstream) -> None:
    with agent.stream("GET", "/proxy/events") as response:
        next(response.iter_raw())
    assert upstream.ended.wait(5)


def test_a_client_that_goes_away_before_the_answer_ends_the_upstream_call(
    agent: httpx.Client, upstream: Upstream
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        agent.post("/proxy/slow", content=b"x", timeout=0.3)
    assert upstream.ended.wait(5)


def test_a_large_body_is_streamed_up_to_the_limit(open_proxy: Callable[..., httpx.Client]) -> None:
    client = open_proxy(proxy_max_body=3_000_000)
    chunks = [b"x" * 100_000] * 30
    assert client.post("/proxy/x", content=iter(chunks)).json()["size"] == 3_000_000
    assert client.post("/proxy/x", content=b"".join(chunks)).json()["size"] == 3_000_000


def test_a_body_over_the_limit_is_refused_declared_or_not(
    open_proxy: Callable[..., httpx.Client], upstream: Upstream
) -> None:
    client = open_proxy(proxy_max_body=1000)
    assert client.post("/proxy/x", content=b"x" * 1001).status_code == 413
    assert client.post("/proxy/x", content=iter([b"x" * 600] * 2)).status_code == 413
    assert upstream.seen == []


def test_an_upstream_that_cannot_be_reached_is_a_502(open_proxy: Callable[..., httpx.Client]) -> None:
    response = open_proxy(proxy_target="http://127.0.0.1:9").get("/proxy/x")
    assert (response.status_code, response.json()["error"]) == (502, "bad_gateway")
    assert "X-MeshGuard-Decision" not in response.headers


def test_without_an_upstream_the_proxy_answers_502(open_proxy: Callable[..., httpx.Client]) -> None:
    assert open_proxy(proxy_target=None).get("/proxy/x").status_code == 502


def test_an_upstream_that_does_not_answer_in_time_is_a_504(open_proxy: Callable[..., httpx.Client]) -> None:
    response = open_proxy(proxy_timeout=0.1).get("/proxy/slow")
    assert (response.status_code, response.json()["error"]) == (504, "gateway_timeout")


def test_an_answer_that_breaks_off_does_not_look_whole(agent: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        agent.get("/proxy/cut")


def test_a_denied_request_never_reaches_the_upstream(open_lab: Callable[..., Lab], upstream: Any) -> None:
    agent = open_lab(proxy_target=upstream.url).agent()
    response = agent.delete("/proxy/api/users")
    assert response.status_code == 403
    assert (response.json()["action"], response.json()["resource"]) == ("delete:api/users", "/api/users")
    assert response.headers["X-MeshGuard-Decision"] == "deny"
    head = agent.head("/proxy/secret", headers={"X-MeshGuard-Action": "write:x"})
    assert (head.status_code, head.content) == (403, b"")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("method", "verb"),
    [
        ("GET", "read"),
        ("HEAD", "read"),
        ("OPTIONS", "read"),
        ("POST", "write"),
        ("PUT", "write"),
        ("PATCH", "write"),
        ("DELETE", "delete"),
    ],
)
def test_the_action_is_derived_from_method_and_path(agent: Any, method: str, verb: str) -> None:
    agent.request(method, "/proxy/api/users")
    entry = agent.lab.entries(kind="decision")[0]
    assert (entry["action"], entry["resource"]) == (f"{verb}:api/users", "/api/users")
    assert (entry["method"], entry["path"]) == (method, "/api/users")
    assert "status" not in entry


def test_the_setting_says_which_action_is_evaluated(open_lab: Callable[..., Lab], upstream: Any) -> None:
    lied = {"X-MeshGuard-Action": "read:harmless"}

    def outcome(setting: str) -> list[int]:
        agent = open_lab(proxy_target=upstream.url, proxy_action=setting).agent()
        honest = {"X-MeshGuard-Action": "write:declared"}
        return [
            agent.delete("/proxy/x", headers=lied).status_code,
            agent.get("/proxy/x", headers=honest).status_code,
            agent.get("/proxy/x", headers=lied).status_code,
        ]

    assert outcome("declared") == [200, 403, 200]
    assert outcome("derived") == [403, 200, 200]
    assert outcome("both") == [403, 403, 200]


def test_the_proxy_needs_an_agents_token(open_lab: Callable[..., Lab], upstream: Any) -> None:
    lab = open_lab(proxy_target=upstream.url)
    assert httpx.get(f"{lab.url}/proxy/x").status_code == 401
    assert lab.admin.get("/proxy/x").status_code == 401


def test_nothing_is_forwarded_before_its_entry_is_durable(
    open_lab: Callable[..., Lab], upstream: Any, tmp_path: Path
) -> None:
    agent = open_lab(proxy_target=upstream.url).agent()
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE audit_entries RENAME TO hidden")
        assert agent.get("/proxy/x").status_code == 503
        connection.execute("ALTER TABLE hidden RENAME TO audit_entries")
    assert upstream.seen == []


def test_an_upstreams_check_is_hidden_by_the_gateways(agent: httpx.Client, upstream: Upstream) -> None:
    check(agent, "read:x")
    assert upstream.seen == []


def test_forwarded_requests_share_a_whole_chain(agent: Any) -> None:
    for number in range(5):
        agent.get(f"/proxy/{number}")
    assert until(lambda: agent.lab.admin.get("/admin/audit/verify").json()["valid"], 1)
