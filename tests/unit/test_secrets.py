"""No token shows in a repr, a log record or the text of a traceback."""

import asyncio
import io
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx
import pytest

from meshguard import (
    AsyncMeshGuardClient,
    ConfigurationError,
    GatewayUnavailableError,
    MeshGuardClient,
    MeshGuardError,
)
from meshguard.config import Config, secret

from .conftest import Answer, Gateway

AGENT_SECRET = "agent-s3cret-token"
ADMIN_SECRET = "admin-s3cret-token"
NEW_SECRET = "new-s3cret-token"


@pytest.fixture
def client(gateway: Gateway) -> Iterator[MeshGuardClient]:
    with MeshGuardClient(gateway.url, AGENT_SECRET, ADMIN_SECRET, max_retries=0) as client:
        yield client


CALLS: list[Callable[[MeshGuardClient], Any]] = [
    lambda client: client.check("read:a"),
    lambda client: client.enforce("read:a"),
    lambda client: client.check_many(["read:a"]),
    lambda client: client.post("/a", "write:a", json={}),
    lambda client: client.stream("GET", "/a", "read:a").__enter__(),
    lambda client: client.list_agents(),
    lambda client: client.create_agent("a"),
    lambda client: client.issue_token("a"),
    lambda client: client.revoke_agent("a"),
    lambda client: next(client.iter_audit_log()),
    lambda client: client.export_audit_log(io.BytesIO()),
    lambda client: client.verify_audit_log([]),
]
FAILURES: list[Answer | None] = [
    None,
    Answer(None),
    Answer("<html>"),
    Answer({"error": "forbidden", "message": "m"}, 403),
    Answer("", 401),
    Answer("", 500),
    Answer("", headers={"Bad Header": "x"}),
    Answer("no gzip", headers={"Content-Encoding": "gzip"}),
    Answer({"token": NEW_SECRET}),
    Answer({"id": 1, "token": NEW_SECRET}),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_traceback_shows_a_token_even_with_local_variables(
    gateway: Gateway, client: MeshGuardClient, call: Callable[[MeshGuardClient], Any], failure: Answer | None
) -> None:
    if failure is None:
        gateway.close()
    else:
        gateway.answers(failure)
    try:
        call(client)
    except MeshGuardError as error:
        leaks = _leaks(error)
        assert not leaks


class Stuck(httpcore.MockStream):
    """A connection on which nothing can be written."""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        raise httpcore.WriteTimeout


class StuckBackend(httpcore.MockBackend):
    """Opens connections on which nothing can be written."""

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return Stuck([])


@pytest.mark.parametrize("call", CALLS)
def test_no_traceback_shows_the_frames_that_held_the_headers(
    call: Callable[[MeshGuardClient], Any],
) -> None:
    with httpx.HTTPTransport() as transport, httpx.Client(transport=transport) as http_client:
        transport._pool = httpcore.ConnectionPool(network_backend=StuckBackend([]))
        client = MeshGuardClient(
            "http://gateway.test", AGENT_SECRET, ADMIN_SECRET, max_retries=0, http_client=http_client
        )
        with pytest.raises(GatewayUnavailableError) as caught:
            call(client)
    leaks = _leaks(caught.value)
    assert not leaks


def test_no_traceback_of_the_async_client_shows_a_token(gateway: Gateway) -> None:
    gateway.answers(Answer(None))

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, AGENT_SECRET, ADMIN_SECRET, max_retries=1) as client:
            await client.list_agents()

    with pytest.raises(GatewayUnavailableError) as caught:
        asyncio.run(scenario())
    leaks = _leaks(caught.value)
    assert not leaks


@pytest.mark.parametrize(
    "setting", [{"timeout": -1}, {"gateway_url": "x"}, {"trace_id": "a b"}, {"admin_token": "s3cret\n"}]
)
def test_no_traceback_of_a_refused_setting_shows_a_token(setting: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MeshGuardClient(**{"agent_token": AGENT_SECRET, **setting})
    leaks = _leaks(caught.value)
    assert not leaks


def _leaks(error: BaseException) -> bool:
    """Whether a traceback with local variables, less the test's own frame, shows a token."""
    assert error.__traceback__
    error.__traceback__ = error.__traceback__.tb_next
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return "s3cret" in shown


def test_no_repr_shows_a_token(client: MeshGuardClient) -> None:
    config = client._transport.config
    assert isinstance(config, Config)
    generated = (client.api, client.admin_api, client.api.with_headers({"a": "b"}))
    shown = [client, config, client._transport, client.agent_token, secret("s3cret"), client.govern("a")]
    for thing in (*shown, *generated, vars(client), vars(client._transport)):
        assert "s3cret" not in repr(thing)


def test_a_token_reads_as_what_it_is(client: MeshGuardClient) -> None:
    assert client.agent_token == AGENT_SECRET
    assert f"{client.agent_token}" == AGENT_SECRET


@pytest.mark.parametrize("call", CALLS)
def test_no_log_record_shows_a_token(
    gateway: Gateway,
    client: MeshGuardClient,
    call: Callable[[MeshGuardClient], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway.answers(Answer({"decision": "allow", "agents": [], "id": "a", "token": NEW_SECRET}))
    for name in (None, "httpx", "httpcore", "meshguard"):
        caplog.set_level(logging.DEBUG, logger=name)
    try:
        call(client)
    except Exception:
        logging.getLogger("meshguard").exception("it failed")
    assert {record.name.partition(".")[0] for record in caplog.records} >= {"httpcore", "meshguard"}
    for record in caplog.records:
        assert "s3cret" not in record.getMessage()
        assert "s3cret" not in repr(record.args)
    assert "s3cret" not in caplog.text
