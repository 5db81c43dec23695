"""Tries, deadlines and waits."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from meshguard import (
    GatewayError,
    GatewayUnavailableError,
    InvalidResponseError,
    MeshGuardError,
    RateLimitError,
    operations,
)
from meshguard.config import Config, secret
from meshguard.operations import Operation
from meshguard.transport import LONGEST_WAIT, AsyncTransport, SyncTransport

ALLOW = httpx.Response(200, json={"decision": "allow"})
CREATED = httpx.Response(201, json={"id": "a", "token": "t"})
Outcome = httpx.Response | type[httpx.HTTPError]


class Clock:
    """Time that passes only in sleeps and, by `per_try`, in tries."""

    def __init__(self, per_try: float = 0.0) -> None:
        self.now = 1000.0
        self.per_try = per_try
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Script:
    """Gives outcomes in turn, the last one for ever, and remembers the requests."""

    def __init__(self, clock: Clock, *outcomes: Outcome) -> None:
        self._clock = clock
        self._outcomes = list(outcomes)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self._clock.now += self._clock.per_try
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, httpx.Response):
            return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)
        raise outcome("as the script says")

    @property
    def timeouts(self) -> list[float]:
        return [request.extensions["timeout"]["read"] for request in self.requests]


def config(**changes: Any) -> Config:
    settings: dict[str, Any] = {
        "gateway_url": "http://gateway.test",
        "agent_token": secret("agent"),
        "admin_token": secret("admin"),
        "timeout": 30.0,
        "trace_id": "trace-1",
        "max_retries": 2,
        "on_unavailable": "raise",
    }
    return Config(**{**settings, **changes})


def send_sync(operation: Operation[Any], script: Script, clock: Clock, **settings: Any) -> Any:
    with httpx.Client(transport=httpx.MockTransport(script)) as http_client:
        transport = SyncTransport(config(**settings), http_client, clock=clock, sleep=clock.sleep)
        return transport.send(operation)


def send_async(operation: Operation[Any], script: Script, clock: Clock, **settings: Any) -> Any:
    async def scenario() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(script)) as http_client:
            transport = AsyncTransport(config(**settings), http_client, clock=clock, sleep=clock.asleep)
            return await transport.send(operation)

    return asyncio.run(scenario())


Send = Callable[..., Any]
both = pytest.mark.parametrize("send", [send_sync, send_async])

REPEATABLE: list[Callable[[], Operation[Any]]] = [
    lambda: operations.check("read:a"),
    lambda: operations.check("read:a", context={"b": 1}),
]
ONCE: list[Callable[[], Operation[Any]]] = [
    lambda: operations.create_agent("a"),
    lambda: operations.issue_token("a"),
    lambda: operations.delete_policy("a"),
    lambda: operations.request("POST", "/a", "write:a", options={}),
    lambda: operations.request("PUT", "/a", "write:a", options={}),
    lambda: operations.request("DELETE", "/a", "write:a", options={}),
    lambda: operations.request("PATCH", "/a", "write:a", options={"content": "x"}),
]
BROKEN_OFF = [httpx.ReadError, httpx.WriteError, httpx.ReadTimeout, httpx.CloseError]


@both
@pytest.mark.parametrize("operation", REPEATABLE)
@pytest.mark.parametrize(
    "failure", [*BROKEN_OFF, httpx.ConnectError, *(httpx.Response(status) for status in (429, 502, 503, 504))]
)
def test_what_does_no_harm_is_repeated(
    send: Send, operation: Callable[[], Operation[Any]], failure: Outcome
) -> None:
    clock = Clock()
    script = Script(clock, failure, failure, ALLOW)
    assert send(operation(), script, clock).allowed
    assert len(script.requests) == 3
    assert len(clock.slept) == 2
    assert all(0 <= seconds <= 5 for seconds in clock.slept)


@both
@pytest.mark.parametrize("operation", ONCE)
@pytest.mark.parametrize("failure", [*BROKEN_OFF, httpx.Response(429), httpx.Response(503)])
def test_what_could_be_done_twice_is_not_repeated(
    send: Send, operation: Callable[[], Operation[Any]], failure: Outcome
) -> None:
    clock = Clock()
    script = Script(clock, failure, CREATED)
    with pytest.raises(MeshGuardError):
        send(operation(), script, clock)
    assert len(script.requests) == 1


@both
@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_anything_is_repeated_when_no_connection_came_about(send: Send, failure: Outcome) -> None:
    clock = Clock()
    script = Script(clock, failure, CREATED)
    assert send(operations.create_agent("a"), script, clock)["id"] == "a"


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 501, 520])
def test_other_statuses_are_not_repeated(send: Send, status: int) -> None:
    clock = Clock()
    script = Script(clock, httpx.Response(status), ALLOW)
    with pytest.raises(MeshGuardError):
        send(operations.check("read:a"), script, clock)
    assert len(script.requests) == 1


@both
def test_the_upstreams_own_statuses_are_passed_on_at_once(send: Send) -> None:
    clock = Clock()
    script = Script(clock, httpx.Response(503, headers={"X-MeshGuard-Decision": "allow"}))
    operation = operations.request("GET", "/a", "read:a", raise_for_status=False, options={})
    assert send(operation, script, clock).status_code == 503
    assert len(script.requests) == 1


@both
@pytest.mark.parametrize(("max_retries", "tries"), [(0, 1), (1, 2), (5, 6)])
def test_tries_are_counted(send: Send, max_retries: int, tries: int) -> None:
    clock = Clock()
    script = Script(clock, httpx.ConnectError)
    with pytest.raises(GatewayUnavailableError):
        send(operations.check("read:a"), script, clock, max_retries=max_retries)
    assert len(script.requests) == tries


@both
def test_the_last_answer_gives_the_error(send: Send) -> None:
    clock = Clock()
    script = Script(
        clock, httpx.ConnectError, httpx.Response(503, json={"error": "unavailable", "message": "m"})
    )
    with pytest.raises(GatewayError, match="m") as caught:
        send(operations.check("read:a"), script, clock)
    assert caught.value.status_code == 503


@both
def test_retry_after_is_heeded(send: Send) -> None:
    clock = Clock()
    script = Script(clock, httpx.Response(429, headers={"Retry-After": "7"}), ALLOW)
    assert send(operations.check("read:a"), script, clock).allowed
    assert clock.slept == [7.0]


@both
def test_a_wait_beyond_the_longest_is_left_to_the_caller(send: Send) -> None:
    clock = Clock()
    script = Script(clock, httpx.Response(429, headers={"Retry-After": str(LONGEST_WAIT + 1)}), ALLOW)
    with pytest.raises(RateLimitError) as caught:
        send(operations.check("read:a"), script, clock, timeout=600.0)
    assert caught.value.retry_after == LONGEST_WAIT + 1
    assert clock.slept == []


@both
def test_no_try_starts_after_the_deadline(send: Send) -> None:
    clock = Clock()
    script = Script(clock, httpx.Response(503, headers={"Retry-After": "4"}))
    with pytest.raises(GatewayError):
        send(operations.check("read:a"), script, clock, timeout=10.0, max_retries=10)
    assert clock.slept == [4.0, 4.0]
    assert len(script.requests) == 3


@both
def test_each_try_has_what_is_left_of_the_time(send: Send) -> None:
    clock = Clock(per_try=3.0)
    script = Script(clock, httpx.Response(503, headers={"Retry-After": "1"}), ALLOW)
    send(operations.check("read:a"), script, clock, timeout=10.0)
    assert script.requests[0] is script.requests[1]
    assert script.timeouts[-1] == pytest.approx(6.0)


@both
def test_a_timeout_given_for_one_request_is_kept(send: Send) -> None:
    clock = Clock()
    script = Script(clock, httpx.ConnectError, httpx.Response(200))
    send(operations.request("GET", "/a", "read:a", options={"timeout": 3}), script, clock)
    assert script.timeouts == [3, 3]


@both
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError, GatewayUnavailableError),
        (httpx.ReadTimeout, GatewayUnavailableError),
        (httpx.ProxyError, GatewayUnavailableError),
        (httpx.RemoteProtocolError, InvalidResponseError),
        (httpx.DecodingError, InvalidResponseError),
        (httpx.TooManyRedirects, InvalidResponseError),
        (httpx.LocalProtocolError, MeshGuardError),
        (httpx.UnsupportedProtocol, MeshGuardError),
    ],
)
def test_every_failure_of_httpx_becomes_an_error_of_ours(
    send: Send, failure: Outcome, error: type[MeshGuardError]
) -> None:
    clock = Clock()
    with pytest.raises(error) as caught:
        send(operations.check("read:a"), Script(clock, failure), clock, max_retries=0)
    assert type(caught.value.__cause__) is failure
