"""What operators rely on when gateways stand behind nginx or Caddy as docs/operations.md has it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.deployment.conftest import INSIDE, Site
from tests.gateway.conftest import check
from tests.gateway.test_proxy import headers_of
from tests.support import until

MIB = 1_048_576
OUTSIDE = "127.0.0.1"


@pytest.fixture
def agent(site: Site) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


def statuses_and_gateways(site: Site, agent: httpx.Client, times: int = 20) -> tuple[set[int], int]:
    """Ask a number of times; gives the statuses and how many gateways have answered."""
    trace_id = secrets.token_hex(8)
    headers = {"X-MeshGuard-Trace-ID": trace_id}
    found = {check(agent, "read:x", **headers).status_code for _ in range(times)}
    return found, len(site.cluster.streams(trace_id))


def target(site: Site, agent: httpx.Client, path: str) -> tuple[int, str]:
    """Return the status and the upstream's path of a request whose path is sent as it is."""
    site.service.seen.clear()
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = site.exchange(f"{head}Authorization: {agent.headers['Authorization']}\r\n\r\n".encode())
    return int(answer[9:12]), "".join(seen["target"] for seen in site.service.seen)


def test_decisions_are_spread_over_the_gateways(site: Site, agent: httpx.Client) -> None:
    assert statuses_and_gateways(site, agent) == ({200}, 2)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/proxy/a%2Fb", (200, "/base/a/b")),
        ("/proxy/a//b/", (200, "/base/a/b/")),
        ("/proxy/%61%3Fb", (200, "/base/a%3Fb")),
        ("/proxy/%C3%A9", (200, "/base/%C3%A9")),
        ("/proxy/../x", (400, "")),
        ("/proxy/a/../x", (400, "")),
        ("/proxy/%2e%2e/x", (400, "")),
        ("/proxy/a/..%2fx", (400, "")),
        ("/proxy/a/%252e%252e/x", (400, "")),
        ("/proxy/a%5Cb", (400, "")),
        ("//proxy/x", (404, "")),
    ],
)
def test_the_gateway_judges_the_path_as_it_was_sent(
    site: Site, agent: httpx.Client, path: str, expected: tuple[int, str]
) -> None:
    assert target(site, agent, path) == expected


def test_an_event_arrives_before_the_next_one_is_sent(site: Site, agent: httpx.Client) -> None:
    with agent.stream("GET", "/proxy/events") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: 1\n\n"
        site.service.proceed.set()
        assert next(pieces) == b"data: 2\n\n"


def test_a_client_that_leaves_ends_the_call_of_the_service(site: Site, agent: httpx.Client) -> None:
    site.service.ended.clear()
    with agent.stream("GET", "/proxy/endless") as answer:
        assert next(answer.iter_bytes()) == b"data: 1\n\n"
    assert site.service.ended.wait(20)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_may_have_what_the_gateway_permits_and_no_byte_more(site: Site, framing: str) -> None:
    def post(size: int) -> httpx.Response:
        body = b"x" * size
        with site.client() as agent:  # nginx closes a connection on which it left a part of a body
            return agent.post("/proxy/upload", content=body if framing == "length" else iter([body]))

    site.service.seen.clear()
    assert post(10 * MIB).status_code == 200
    assert site.service.seen[0]["size"] == 10 * MIB
    for _ in range(5):
        refusal = post(10 * MIB + 1)
        assert (refusal.status_code, refusal.json()["error"]) == (413, "payload_too_large")


def test_heads_of_the_size_that_the_gateway_permits_pass_both_ways(agent: httpx.Client) -> None:
    trace_id = "t" * 128
    answer = agent.get("/proxy/wordy", headers={"X-MeshGuard-Trace-ID": trace_id, "X-Long": "x" * 60_000})
    assert (answer.status_code, len(answer.headers["X-Long"])) == (200, 60_000)
    assert answer.headers["X-MeshGuard-Trace-ID"] == trace_id


def test_the_service_learns_what_the_gateway_vouches_for(site: Site, agent: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "10.1.1.1", "X_Forwarded_For": "10.1.1.2", "X_MeshGuard_Agent_Id": "other"}
    site.service.seen.clear()
    assert agent.get("/proxy/x", headers=forged).status_code == 200
    seen = headers_of(site.service.seen[0])
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert seen["x-forwarded-host"].partition(":")[0] == "localhost"
    assert not [name for name in seen if "_" in name or name == "authorization"]


@pytest.mark.parametrize(
    "path",
    [
        "/admin/agents",
        "/api/v1/admin/agents",
        "/admin/agents/..%2f..%2fproxy",
        "/api/v1/admin/agents/..%2f..%2f..%2f..%2fproxy",
        "/admin/agents/%2e%2e%2f%2e%2e%2fx/token",
        "/metrics",
        "/metrics?x",
        "http://localhost/admin/agents",
    ],
)
def test_no_administrators_operation_answers_outside(site: Site, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Admin-Token: wrong\r\nConnection: close\r\n\r\n"
    answer = site.exchange(head.encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"x-meshguard-trace-id" not in answer.lower()


def test_administrators_work_from_inside(site: Site) -> None:
    with site.administrator(OUTSIDE) as outside, site.administrator(INSIDE) as inside:
        assert outside.get("/admin/agents").status_code == 404
        assert inside.get("/admin/agents").status_code == 200
        too_much = inside.post("/admin/agents", json={"name": "x" * 2 * MIB})
        assert (too_much.status_code, too_much.json()["error"]) == (413, "payload_too_large")
        export = inside.get("/admin/audit/export")
        assert (export.status_code, export.http_version) == (200, "HTTP/1.1")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length : 3\r\n",
        b"Host: other\r\n",
    ],
)
def test_a_request_with_two_meanings_brings_no_second_one(
    site: Site, agent: httpx.Client, framing: bytes
) -> None:
    site.service.seen.clear()
    authorization = agent.headers["Authorization"].encode()
    head, hidden = (
        b"POST /proxy/%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n" % (name, authorization)
        for name in (b"x", b"hidden")
    )
    answer = site.exchange(head + framing + b"Connection: close\r\n\r\n0\r\n\r\n" + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [seen["target"] for seen in site.service.seen] in ([], ["/base/x"])


def test_a_gateway_that_is_killed_is_left_out_until_it_is_back(site: Site, agent: httpx.Client) -> None:
    site.cluster.stop(1)
    try:
        assert statuses_and_gateways(site, agent) == ({200}, 1)
    finally:
        site.cluster.start(1)
    assert until(lambda: statuses_and_gateways(site, agent) == ({200}, 2), 20)


def test_caddy_leaves_out_a_gateway_without_its_database_and_nginx_does_not(
    site: Site, agent: httpx.Client
) -> None:
    statuses = {"caddy": {200}, "nginx": {200, 503}}[site.balancer]
    site.cluster.cut_off(1)
    try:
        assert until(lambda: statuses_and_gateways(site, agent) == (statuses, 1), 20)
    finally:
        site.cluster.link(1)
    assert until(lambda: statuses_and_gateways(site, agent) == ({200}, 2), 20)
