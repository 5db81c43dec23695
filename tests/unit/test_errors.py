"""The error tree: which answer gives which error, and what errors carry."""

import copy
import inspect
import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshguard
from meshguard import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
    NotFoundError,
    PolicyDecision,
    PolicyDeniedError,
    RateLimitError,
    UpstreamError,
    exceptions,
)
from meshguard._wire.errors import retry_after

from .conftest import Answer, Gateway

RESPONSE = httpx.Response(502, text="broken", request=httpx.Request("GET", "http://gateway.test/proxy/a"))
ABOUT: dict[str, Any] = {"status_code": 418, "trace_id": "t", "code": "c"}
EVERY_ERROR: list[MeshGuardError] = [
    MeshGuardError("m", **ABOUT),
    ConfigurationError("m", **ABOUT),
    AuthenticationError("m", **ABOUT),
    PolicyDeniedError(
        "a", "p", "r", "why", resource="x", decision=PolicyDecision(False, "a", "deny"), **ABOUT
    ),
    NotFoundError("m", **ABOUT),
    ConflictError("m", **ABOUT),
    InvalidRequestError("m", details=[{"path": "/a", "message": "b"}], **ABOUT),
    RateLimitError("m", retry_after=1.5, **ABOUT),
    GatewayError("m", **ABOUT),
    GatewayUnavailableError("m", **ABOUT),
    InvalidResponseError("m", **ABOUT),
    UpstreamError("m", response=RESPONSE, **ABOUT),
]


def test_every_error_is_in_the_list_above() -> None:
    classes = {member for _, member in inspect.getmembers(exceptions, inspect.isclass)}
    assert {type(error) for error in EVERY_ERROR} == {item for item in classes if issubclass(item, Exception)}


def test_the_docstring_draws_every_error() -> None:
    assert all(type(error).__name__ in str(exceptions.__doc__) for error in EVERY_ERROR)


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "twin",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda error, p=p: pickle.loads(pickle.dumps(error, p)) for p in range(2, 6)),
    ],
)
def test_pickling_and_copying_keep_everything(error: MeshGuardError, twin: Any) -> None:
    other = twin(error)
    assert type(other) is type(error)
    assert (str(other), other.args) == (str(error), error.args)
    assert _comparable(other) == _comparable(error)


def _comparable(error: MeshGuardError) -> dict[str, Any]:
    fields = dict(vars(error))
    if isinstance(error, UpstreamError):
        fields["response"] = (error.response.status_code, error.response.text, str(error.response.url))
    return fields


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, MeshGuardError),
        (404, NotFoundError),
        (405, MeshGuardError),
        (409, ConflictError),
        (413, InvalidRequestError),
        (418, MeshGuardError),
        (429, RateLimitError),
        (500, GatewayError),
        (502, GatewayError),
        (503, GatewayError),
        (520, GatewayError),
        (301, InvalidResponseError),
        (700, InvalidResponseError),
    ],
)
def test_a_status_gives_its_error(
    gateway: Gateway, client: MeshGuardClient, status: int, error: type[MeshGuardError]
) -> None:
    gateway.answers(Answer({"error": "some_code", "message": "Do this.", "traceId": "trace-9"}, status))
    with pytest.raises(MeshGuardError) as caught:
        client.get_agent("agent_1")
    assert type(caught.value) is error
    assert caught.value.status_code == status
    if error is not InvalidResponseError:
        expected = "check MESHGUARD_ADMIN_TOKEN." if status == 401 else "Do this."
        assert str(caught.value).endswith(expected)
        assert (caught.value.code, caught.value.trace_id) == ("some_code", "trace-9")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 520])
def test_an_error_page_gives_the_same_error_as_a_proper_body(
    gateway: Gateway, client: MeshGuardClient, status: int
) -> None:
    gateway.answers(Answer("<html>nginx</html>", status))
    with pytest.raises(
        MeshGuardError, match="rejected the admin token" if status == 401 else str(status)
    ) as caught:
        client.get_agent("agent_1")
    assert type(caught.value) is not InvalidResponseError
    assert (caught.value.code, caught.value.trace_id) == (None, "trace-1")
    assert "nginx" not in str(caught.value)


def test_an_invalid_request_lists_its_faults(gateway: Gateway, client: MeshGuardClient) -> None:
    details = [{"path": "/trustTier", "message": "not a tier"}]
    gateway.answers(
        Answer({"error": "invalid_request", "message": "m", "details": [*details, "odd", {"path": 1}]}, 400)
    )
    with pytest.raises(InvalidRequestError) as caught:
        client.create_agent("a", trust_tier="vip")  # type: ignore[arg-type]
    assert caught.value.details == details


def test_a_gateway_that_is_not_there_is_unavailable(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.close()
    with pytest.raises(GatewayUnavailableError) as caught:
        client.check("read:a")
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert caught.value.status_code is None


def test_a_server_that_is_no_http_server_is_no_gateway(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("", headers={"Bad Header": "x"}))
    with pytest.raises(InvalidResponseError):
        client.check("read:a")


NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("12", None, 12.0),
        ("0", None, 0.0),
        ("1.5", None, 1.5),
        (None, {"retryAfter": 7}, 7.0),
        ("3", {"retryAfter": 7}, 3.0),
        ("Sun, 22 Nov 2026 09:30:20 GMT", None, 20.0),
        ("Sun, 22 Nov 2026 09:29:00 GMT", None, 0.0),
        ("soon", None, None),
        ("-5", None, None),
        ("nan", None, None),
        ("inf", None, None),
        (None, {"retryAfter": True}, None),
        (None, {"retryAfter": 10**400}, None),
        (None, None, None),
    ],
)
def test_retry_after_is_read_as_seconds(header: str | None, body: Any, seconds: float | None) -> None:
    response = httpx.Response(429, headers={"Retry-After": header} if header else {})
    assert retry_after(response, body, NOW) == seconds


@given(
    st.text(), st.none() | st.integers() | st.floats() | st.text() | st.booleans() | st.lists(st.integers())
)
def test_retry_after_is_a_finite_number_or_none(header: str, in_body: Any) -> None:
    response = httpx.Response(429, headers=[(b"Retry-After", header.encode("utf-8", "replace"))])
    seconds = retry_after(response, {"retryAfter": in_body}, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_rate_limit_says_how_long_to_wait(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"error": "rate_limited", "message": "Wait."}, 429, {"Retry-After": "12"}))
    with pytest.raises(RateLimitError) as caught:
        client.check("read:a")
    assert caught.value.retry_after == 12.0


def test_the_package_exports_what_it_documents() -> None:
    assert sorted(meshguard.__all__) == meshguard.__all__
    assert set(meshguard.__all__) == {type(error).__name__ for error in EVERY_ERROR} | {
        "Agent",
        "AsyncMeshGuardClient",
        "MeshGuardClient",
        "PolicyDecision",
        "__version__",
    }
    assert all(hasattr(meshguard, name) for name in meshguard.__all__)
