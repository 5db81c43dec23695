"""Requests carried to the upstream."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard import (
    AsyncMeshGuardClient,
    AuthenticationError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    MeshGuardClient,
    MeshGuardError,
    PolicyDeniedError,
    RateLimitError,
    UpstreamError,
    operations,
)

from .conftest import AGENT_TOKEN, Answer, Gateway

MARK = {"X-MeshGuard-Decision": "allow"}


def test_a_request_goes_below_proxy_with_its_action(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"a": 1}, headers=MARK))
    response = client.request(
        "put", "/api/records/1", "write:records", json={"b": 2}, params={"c": "d"}, resource="/r"
    )
    assert isinstance(response, httpx.Response)
    assert response.json() == {"a": 1}
    request = gateway.received[0]
    assert (request.method, request.path, request.json) == ("PUT", "/proxy/api/records/1?c=d", {"b": 2})
    assert request.headers["x-meshguard-action"] == "write:records"
    assert request.headers["x-meshguard-resource"] == "/r"
    assert request.headers["authorization"] == f"Bearer {AGENT_TOKEN}"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_each_verb_has_its_method(gateway: Gateway, client: MeshGuardClient, method: str) -> None:
    gateway.answers(Answer("", headers=MARK))
    getattr(client, method)("api/contacts", action="read:contacts")
    assert gateway.received[0].method == method.upper()


@pytest.mark.parametrize("kind", [dict, httpx.Headers, lambda headers: list(headers.items())])
def test_the_callers_headers_survive_except_identity(
    gateway: Gateway, client: MeshGuardClient, kind: Any
) -> None:
    gateway.answers(Answer("", headers=MARK))
    given = {
        "Accept": "text/csv",
        "User-Agent": "mine",
        "X-Api-Version": "2",
        "AUTHORIZATION": "Bearer stolen",
        "x-admin-token": "stolen",
        "X-MeshGuard-Agent-Id": "agent_other",
        "x-meshguard-ACTION": "read:harmless",
        "X-MeshGuard-Trace-Id": "other",
    }
    headers = kind(given)
    before = pickle.dumps(headers)
    client.get("/a", "read:a", headers=headers)
    sent = gateway.received[0].headers
    assert (sent["accept"], sent["user-agent"], sent["x-api-version"]) == ("text/csv", "mine", "2")
    assert (sent["authorization"], sent["x-meshguard-action"]) == (f"Bearer {AGENT_TOKEN}", "read:a")
    assert sent["x-meshguard-trace-id"] == "trace-1"
    assert not {"x-admin-token", "x-meshguard-agent-id"} & sent.keys()
    assert pickle.dumps(headers) == before


def test_a_query_in_the_path_is_passed_on(gateway: Gateway, client: MeshGuardClient) -> None:
    client.get("/search?q=a%20b&page=../2", "read:search")
    assert gateway.received[0].path == "/proxy/search?q=a%20b&page=../2"


@pytest.mark.parametrize(
    "path",
    ["..", "../admin/agents", "a/../../admin", "a/./b", "%2e%2e/admin", "a/%2E./b", "a/..%2fb",
     "%252e%252e/a", "a\\..\\b", "a%5c..%5cb", "http://evil.test/a", "HTTPS://evil.test", "a%0d%0ab",
     "a\nb", "a#b", "", "\ud800", None],
)  # fmt: skip
def test_a_path_cannot_leave_the_proxy(gateway: Gateway, client: MeshGuardClient, path: Any) -> None:
    with pytest.raises(InvalidRequestError):
        client.get(path, "read:a")
    assert gateway.received == []


@given(st.text(max_size=30) | st.text("./%2eE5c\\?#ab:", max_size=15))
def test_whatever_the_path_the_url_stays_below_proxy(path: str) -> None:
    try:
        operation = operations.request("GET", path, "read:a", options={})
        url = httpx.URL("http://gateway.test" + operation.request["url"])
    except (InvalidRequestError, httpx.InvalidURL):
        return
    assert url.raw_path.startswith(b"/proxy/")
    assert url.host == "gateway.test"


def test_the_upstreams_error_is_not_the_gateways(gateway: Gateway, client: MeshGuardClient) -> None:
    for status in (400, 401, 403, 404, 429, 500, 503):
        gateway.answers(Answer({"error": "forbidden", "message": "m", "policy": "p"}, status, MARK))
        with pytest.raises(UpstreamError) as caught:
            client.get("/a", "read:a")
        assert caught.value.status_code == caught.value.response.status_code == status
        assert caught.value.response.json()["message"] == "m"
        assert client.get("/a", "read:a", raise_for_status=False).status_code == status


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer({"error": "forbidden", "message": "no", "policy": "p"}, 403), PolicyDeniedError),
        (Answer("", 403, {"X-MeshGuard-Decision": "deny"}), PolicyDeniedError),
        (Answer("", 200, {"X-MeshGuard-Decision": "deny"}), PolicyDeniedError),
        (Answer("", 200, {"X-MeshGuard-Decision": "maybe"}), PolicyDeniedError),
        (Answer("<html>", 403), MeshGuardError),
        (Answer({"error": "unauthorized", "message": "m"}, 401), AuthenticationError),
        (Answer({"error": "rate_limited", "message": "m"}, 429), RateLimitError),
        (Answer({"error": "bad_gateway", "message": "m"}, 502), GatewayError),
    ],
)
@pytest.mark.parametrize("raise_for_status", [True, False])
def test_the_gateways_own_refusals_always_raise(
    gateway: Gateway,
    client: MeshGuardClient,
    answer: Answer,
    error: type[MeshGuardError],
    raise_for_status: bool,
) -> None:
    gateway.answers(answer)
    with pytest.raises(error) as caught:
        client.get("/a", "read:a", raise_for_status=raise_for_status)
    assert type(caught.value) is error
    with (
        pytest.raises(error),
        client.stream("GET", "/a", "read:a", raise_for_status=raise_for_status),
    ):
        pytest.fail("the block ran")


def test_a_denied_request_names_the_action(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"error": "forbidden", "message": "no", "rule": "r"}, 403))
    with pytest.raises(PolicyDeniedError) as caught:
        client.delete("/a", "delete:a")
    assert (caught.value.action, caught.value.rule, caught.value.reason) == ("delete:a", "r", "no")


def test_an_answer_without_the_mark_of_an_older_gateway_is_returned(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    gateway.answers(Answer("plain text"))
    assert client.get("/a", "read:a").text == "plain text"


def test_redirects_are_returned_and_never_followed(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("", 302, {"Location": "http://evil.test/", **MARK}))
    assert client.get("/a", "read:a").headers["Location"] == "http://evil.test/"
    with pytest.raises(InvalidRequestError):
        client.get("/a", "read:a", follow_redirects=True)
    assert len(gateway.received) == 1


def test_no_other_credential_can_be_given(gateway: Gateway, client: MeshGuardClient) -> None:
    with pytest.raises(InvalidRequestError, match="auth"):
        client.get("/a", "read:a", auth=httpx.BasicAuth("user", "password"))
    assert gateway.received == []


@pytest.mark.parametrize(
    "options",
    [{"json": {"a": object()}}, {"json": float("nan")}, {"headers": {"a": "é"}}, {"headers": 5},
     {"headers": {"a": "b\nc"}}, {"content": 5}, {"params": 5}],
)  # fmt: skip
def test_options_that_cannot_be_sent_are_refused(
    gateway: Gateway, client: MeshGuardClient, options: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.post("/a", "write:a", **options)
    assert gateway.received == []


def test_a_misspelt_option_is_a_type_error(client: MeshGuardClient) -> None:
    with pytest.raises(TypeError, match="jsn"):
        client.post("/a", "write:a", jsn={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "GÉT", None])
def test_a_method_that_is_none_is_refused(client: MeshGuardClient, method: Any) -> None:
    with pytest.raises(InvalidRequestError):
        client.request(method, "/a", "read:a")


def test_cookies_of_the_upstream_are_not_kept(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("", headers={"Set-Cookie": "session=1; Path=/", **MARK}))
    assert client.get("/a", "read:a").cookies["session"] == "1"
    client.get("/a", "read:a", cookies={"mine": "2"})
    client.check("read:a")
    assert [request.headers.get("cookie") for request in gateway.received] == [None, "mine=2", None]


def test_an_upstream_error_can_be_pickled_without_the_token(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    gateway.answers(Answer("gone", 410, MARK))
    with pytest.raises(UpstreamError) as caught:
        client.get("/a", "read:a")
    pickled = pickle.dumps(caught.value)
    assert pickle.loads(pickled).response.text == "gone"
    assert AGENT_TOKEN.encode() not in pickled


def test_a_stream_is_read_piece_by_piece_and_closed(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("x" * 100_000, headers=MARK))
    with client.stream("GET", "/a", "read:a") as response:
        assert not response.is_stream_consumed
        assert sum(len(piece) for piece in response.iter_bytes()) == 100_000
    assert response.is_closed


def test_an_error_in_a_stream_has_its_body(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("broken", 500, MARK))
    with pytest.raises(UpstreamError) as caught, client.stream("GET", "/a", "read:a"):
        pytest.fail("the block ran")
    assert caught.value.response.text == "broken"
    with client.stream("GET", "/a", "read:a", raise_for_status=False) as response:
        assert response.read() == b"broken"


class CutOff(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that ends in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"
        raise httpx.ReadError("cut off")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx.ReadError("cut off")


def _cut_off(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers=MARK, stream=CutOff())


def test_a_stream_that_breaks_off_is_an_error_of_ours() -> None:
    with httpx.Client(transport=httpx.MockTransport(_cut_off)) as http_client:
        client = MeshGuardClient("http://gateway.test", "t", http_client=http_client)
        with pytest.raises(GatewayUnavailableError), client.stream("GET", "/a", "read:a") as response:
            response.read()
        with pytest.raises(httpx.ReadError), client.stream("GET", "/a", "read:a"):
            http_client.get("http://elsewhere.test")


def test_an_async_stream_that_breaks_off_is_an_error_of_ours() -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(_cut_off)) as http_client:
            client = AsyncMeshGuardClient("http://gateway.test", "t", http_client=http_client)
            with pytest.raises(GatewayUnavailableError):
                async with client.stream("GET", "/a", "read:a") as response:
                    await response.aread()

    asyncio.run(scenario())


def test_an_unmarked_400_is_the_gateways_own(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"error": "invalid_request", "message": "m"}, 400))
    with pytest.raises(InvalidRequestError, match="m"):
        client.get("/a", "read:a", raise_for_status=False)
