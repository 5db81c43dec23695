"""Every response repeats the ID of its request."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from meshguard.gateway.contract import load_contract
from tests.gateway.conftest import Lab
from tests.support import running_app

OPERATIONS = sorted((operation.method, operation.template) for operation in load_contract().operations)
ID = "request-of-the-test"


async def upstream(_: Request) -> StreamingResponse:
    return StreamingResponse(iter([b"a", b"b"]), headers={"X-Request-ID": "of-the-upstream"})


def _path(template: str) -> str:
    return template.replace("{path}", "x").replace("{agentId}", "agent_1").replace("{name}", "readers")


@pytest.mark.parametrize(("method", "template"), OPERATIONS)
def test_every_operation_repeats_it(lab: Lab, method: str, template: str) -> None:
    agent = lab.create()["token"]
    credentials: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {agent}"},
        {"Authorization": "Bearer wrong"},
        {"X-Admin-Token": lab.admin.headers["X-Admin-Token"]},
        {"X-MeshGuard-Trace-ID": "two words"},
    ]
    for number, headers in enumerate(credentials):
        given = f"{ID}-{number}"
        response = httpx.request(
            method, f"{lab.url}{_path(template)}", headers={**headers, "X-Request-ID": given}
        )
        assert response.headers.get_list("X-Request-ID") == [given], response.status_code


@pytest.mark.parametrize("path", ["/nope", "/api/v1", "/%2e"])
def test_an_unknown_path_repeats_it(lab: Lab, path: str) -> None:
    response = httpx.get(f"{lab.url}{path}", headers={"X-Request-ID": ID})
    assert (response.status_code, response.headers["X-Request-ID"]) == (404, ID)


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "é", "a\tb"])
def test_an_invalid_one_is_rejected(lab: Lab, value: str) -> None:
    response = httpx.get(lab.url, headers={b"X-Request-ID": value.encode()})
    assert response.status_code == 400
    assert response.json()["details"][0]["path"] == "/header/X-Request-ID"
    assert "X-Request-ID" not in response.headers


def test_two_of_them_are_rejected(lab: Lab) -> None:
    response = httpx.get(lab.url, headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert response.status_code == 400


@pytest.mark.parametrize("value", ["a", "x" * 128, "".join(map(chr, range(33, 127)))])
def test_every_valid_one_is_repeated(lab: Lab, value: str) -> None:
    assert httpx.get(lab.url, headers={"X-Request-ID": value}).headers["X-Request-ID"] == value


def test_without_one_there_is_none(lab: Lab) -> None:
    assert "X-Request-ID" not in httpx.get(lab.url).headers


def test_it_replaces_the_upstreams_own(open_lab: Callable[..., Lab]) -> None:
    with running_app(Starlette(routes=[Route("/{path:path}", upstream)])) as url:
        agent = open_lab(proxy_target=url).agent()
        headers: dict[str, Any] = {"X-MeshGuard-Action": "read:x"}
        with agent.stream("GET", "/proxy/x", headers={**headers, "X-Request-ID": ID}) as response:
            assert response.headers.get_list("X-Request-ID") == [ID]
            assert response.read() == b"ab"
        assert agent.get("/proxy/x", headers=headers).headers["X-Request-ID"] == "of-the-upstream"


def test_each_of_two_pipelined_requests_gets_its_own(lab: Lab) -> None:
    host, port = lab.url.removeprefix("http://").split(":")
    requests = [f"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {name}\r\n" for name in ("one", "two")]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join(requests).encode() + b"Connection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65_536), b"")).lower()
    assert received.index(b"x-request-id: one") < received.index(b"x-request-id: two")
