"""A response is taken only for the request whose ID it repeats."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from meshguard_api.api.decisions import evaluate
from meshguard_api.api.system import get_health
from meshguard_api.models import EvaluateRequest

from meshguard import (
    AsyncMeshGuardClient,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
)

from .conftest import Answer, Gateway
from .raw_server import RawServer, response, run
from .test_any_answer import CALLS, SOUND

CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
ALLOW = json.dumps({"decision": "allow", "allowed": True}).encode()
EVERYTHING = json.dumps({name: value for body in SOUND[:-1] for name, value in body.items()}).encode()
MARK = "X-MeshGuard-Decision: allow"
FOREIGN = ["another", "", "{own}x", "{own},{own}", "{own} another", "{OWN}", "é"]


@CLIENTS
@pytest.mark.parametrize("name", [name for name in CALLS if name != "is_healthy"])
@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "503 Unavailable"])
def test_no_operation_takes_a_response_to_another_request(
    client_class: Any, name: str, foreign: str, status: str
) -> None:
    def reply(headers: dict[str, str]) -> Iterator[bytes]:
        own = headers["x-request-id"]
        value = foreign.replace("{own}", own).replace("{OWN}", own.upper() + "A")
        yield response(EVERYTHING, MARK, f"X-Request-ID: {value}", status=status)

    with RawServer(reply) as server, pytest.raises(InvalidResponseError, match="another request"):
        run(client_class, CALLS[name][0], server.url, on_unavailable="allow")


@CLIENTS
def test_is_healthy_is_false_for_it(client_class: Any) -> None:
    body = b'{"status": "healthy"}'
    with RawServer(lambda _: [response(body, "X-Request-ID: another")]) as server:
        assert run(client_class, lambda client: client.is_healthy(), server.url) is False


@CLIENTS
@pytest.mark.parametrize("name", CALLS)
def test_every_operation_sends_an_id_of_its_own(client_class: Any, name: str) -> None:
    def reply(headers: dict[str, str]) -> Iterator[bytes]:
        yield response(EVERYTHING, MARK, f"X-Request-ID: {headers['x-request-id']}")

    with RawServer(reply) as server:
        for _ in range(3):
            try:
                run(client_class, CALLS[name][0], server.url)
            except MeshGuardError as error:
                assert "another request" not in str(error)  # noqa: PT017
    ids = [headers["x-request-id"] for headers in server.requests]
    assert len(ids) >= 3
    assert len(set(ids)) == len(ids)
    assert all(len(text) == 32 for text in ids)


@CLIENTS
def test_a_response_without_an_id_is_taken(client_class: Any) -> None:
    with RawServer(lambda _: [response(ALLOW)]) as server:
        assert run(client_class, lambda client: client.check("read:a"), server.url).allowed


@CLIENTS
def test_each_try_has_an_id_of_its_own(client_class: Any) -> None:
    ids: list[str] = []

    def reply(headers: dict[str, str]) -> Iterator[bytes]:
        ids.append(headers["x-request-id"])
        late = f"X-Request-ID: {ids[0]}"
        if len(ids) == 1:
            yield response(b"", late, "Retry-After: 0", status="503 Unavailable")
        else:
            yield response(ALLOW, late)

    with RawServer(reply) as server, pytest.raises(InvalidResponseError, match="another request"):
        run(client_class, lambda client: client.check("read:a"), server.url, max_retries=1)
    assert len(set(ids)) == 2


def test_the_connection_is_not_used_again() -> None:
    def reply(headers: dict[str, str]) -> Iterator[bytes]:
        own = headers["x-request-id"]
        yield response(ALLOW, f"X-Request-ID: {'another' if len(server.requests) == 1 else own}")

    with (
        RawServer(reply) as server,
        MeshGuardClient(server.url, "t", max_retries=0) as client,
    ):
        with pytest.raises(InvalidResponseError):
            client.check("read:a")
        assert client.check("read:a").allowed
        assert server.connections == 2


def test_an_unsolicited_response_is_taken_for_no_request() -> None:
    """A stale allow waits in the connection when the next request is sent."""

    def reply(headers: dict[str, str]) -> Iterator[bytes]:
        own = response(b'{"decision": "deny"}', f"X-Request-ID: {headers['x-request-id']}")
        yield own + response(ALLOW, f"X-Request-ID: {headers['x-request-id']}")

    with RawServer(reply) as server, MeshGuardClient(server.url, "t", max_retries=0) as client:
        for _ in range(5):
            try:
                assert not client.check("read:a").allowed
            except MeshGuardError:
                continue


@CLIENTS
def test_the_callers_own_id_does_not_replace_it(client_class: Any) -> None:
    with RawServer(lambda headers: [response(b"", f"X-Request-ID: {headers['x-request-id']}")]) as server:
        run(client_class, lambda c: c.get("/a", "read:a", headers={"X-Request-ID": "mine"}), server.url)
    assert server.requests[0]["x-request-id"] != "mine"


def test_the_low_level_client_is_bound_too(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"decision": "allow"}, headers={"X-Request-ID": "another"}))
    with pytest.raises(InvalidResponseError, match="another request"):
        evaluate.sync_detailed(client=client.api, body=EvaluateRequest(action="read:a"))
    with pytest.raises(InvalidResponseError, match="another request"):
        get_health.sync_detailed(client=client.admin_api, x_request_id="mine")


def test_copies_and_given_http_clients_are_bound_too(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"decision": "allow"}, headers={"X-Request-ID": "another"}))
    with httpx.Client(trust_env=False) as own:
        given = MeshGuardClient(gateway.url, "t", http_client=own)
        for asking in (client.with_options(trace_id="b"), given, given.with_options(trace_id="c")):
            with pytest.raises(InvalidResponseError, match="another request"):
                asking.check("read:a")
