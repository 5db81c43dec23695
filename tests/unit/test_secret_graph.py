"""Nothing that leads away from an error, a decision or a response leads to a token."""

import asyncio
import gc
import types
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from meshguard_api.api.agents import list_agents
from meshguard_api.api.decisions import evaluate
from meshguard_api.models import EvaluateRequest

from meshguard import AsyncMeshGuardClient, MeshGuardClient, MeshGuardError
from meshguard.config import Secret

from .conftest import Answer, Gateway
from .raw_server import afinish, finish
from .test_any_answer import CALLS

SECRET = "s3cret"
MARK = {"X-MeshGuard-Decision": "allow"}
ANSWERS: dict[str, Answer | None] = {
    "unreachable": None,
    "hang up": Answer(None),
    "html": Answer("<html>"),
    "denied": Answer({"error": "forbidden", "message": "m"}, 403),
    "unauthorized": Answer("", 401),
    "limited": Answer("", 429),
    "failed": Answer("", 500),
    "upstream": Answer("no", 500, MARK),
    "allowed": Answer({"decision": "allow", "status": "healthy"}, 200, MARK),
    "bad header": Answer("", headers={"Bad Header": "x"}),
    "bad gzip": Answer("no", headers={"Content-Encoding": "gzip"}),
    "brotli": Answer("no", headers={"Content-Encoding": "br"}),
    "another request": Answer("no", headers={"X-Request-ID": "another"}),
    "too large": Answer("x" * 10_000),
}
_PASSED_OVER = (
    types.ModuleType,
    type,
    types.BuiltinFunctionType,
    types.CodeType,
    asyncio.AbstractEventLoop,  # which leads to everything in the program
)


def leaks(start: object) -> list[str]:
    """The strings and bytes with the secret that can be reached, other than a `Secret`."""
    seen: set[int] = set()
    found: list[str] = []
    queue: list[tuple[object, str]] = [(start, type(start).__name__)]
    while queue:
        thing, path = queue.pop()
        if id(thing) in seen or isinstance(thing, _PASSED_OVER):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes | bytearray):
            shown = thing if isinstance(thing, str) else bytes(thing).decode("latin-1")
            if SECRET in shown and not isinstance(thing, Secret):
                found.append(path)
            continue
        queue.extend((part, f"{path} > {type(part).__name__}") for part in _parts(thing))
    return found


def _parts(thing: object) -> list[object]:
    if isinstance(thing, types.FunctionType):
        return [cell.cell_contents for cell in thing.__closure__ or ()]
    if isinstance(thing, types.TracebackType):
        ours = "/tests/" not in thing.tb_frame.f_code.co_filename
        return [thing.tb_next, *(thing.tb_frame.f_locals.values() if ours else ())]
    if isinstance(thing, types.FrameType):
        return []
    if isinstance(thing, BaseException):
        return [thing.args, vars(thing), thing.__cause__, thing.__context__, thing.__traceback__]
    return [part for part in gc.get_referents(thing) if not isinstance(part, types.FrameType)]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (MeshGuardError, httpx.HTTPError, ValueError, KeyError) as error:
        return error


def prepared(gateway: Gateway, answer: str) -> None:
    given = ANSWERS[answer]
    if given is None:
        gateway.close()
    else:
        gateway.answers(given)


SETTINGS: dict[str, Any] = {"max_retries": 0, "max_response_bytes": 5000}
TOKENS = (f"agent-{SECRET}-token", f"admin-{SECRET}-token")


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_outcome_of_the_client_leads_to_a_token(gateway: Gateway, answer: str) -> None:
    prepared(gateway, answer)
    with MeshGuardClient(gateway.url, *TOKENS, **SETTINGS) as client:
        for name, (call, _) in CALLS.items():
            found = outcome(lambda call=call: finish(call(client)))  # type: ignore[misc]
            assert leaks(found) == [], name
            assert SECRET not in repr(found)


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_outcome_of_the_async_client_leads_to_a_token(gateway: Gateway, answer: str) -> None:
    prepared(gateway, answer)

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, *TOKENS, **SETTINGS) as client:
            for name, (call, _) in CALLS.items():
                found: Any
                try:
                    found = await afinish(call(client))
                except MeshGuardError as error:
                    found = error
                assert leaks(found) == [], name

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_outcome_of_the_low_level_client_shows_a_token(gateway: Gateway, answer: str) -> None:
    prepared(gateway, answer)
    with MeshGuardClient(gateway.url, *TOKENS, **SETTINGS) as client:
        asked = EvaluateRequest(action="read:a")
        for call in (
            lambda: evaluate.sync_detailed(client=client.api, body=asked),
            lambda: list_agents.sync_detailed(client=client.admin_api),
        ):
            found = outcome(call)
            assert leaks(found) == []
            request = getattr(found, "_request", None)
            assert request is None or SECRET not in repr(request.headers) + repr(request.headers.raw)


def test_a_response_and_its_request_show_no_token(gateway: Gateway) -> None:
    gateway.answers(Answer("a", headers=MARK))
    with MeshGuardClient(gateway.url, *TOKENS) as client:
        response = client.get("/a", "read:a")
        assert leaks(response) == []
        assert SECRET not in repr(response.request.headers.raw)
        with client.stream("GET", "/a", "read:a") as response:
            assert SECRET not in repr(response.request.headers.raw)
        assert leaks(response) == []


def test_headers_in_flight_hide_both_tokens(gateway: Gateway) -> None:
    shown: list[str] = []

    def look(request: httpx.Request) -> None:
        shown.extend([repr(request), repr(request.headers), str(request.headers)])

    with httpx.Client(event_hooks={"request": [look]}, trust_env=False) as http_client:
        client = MeshGuardClient(gateway.url, *TOKENS, http_client=http_client, max_retries=0)
        for name in ("check", "list_agents", "get", "create_agent"):
            outcome(lambda name=name: finish(CALLS[name][0](client)))  # type: ignore[misc]
    assert len(shown) == 12
    assert SECRET not in "".join(shown)
    assert gateway.received[1].headers["x-admin-token"] == TOKENS[1]


def test_a_cancelled_call_keeps_no_token(gateway: Gateway) -> None:
    async def scenario() -> BaseException:
        async with AsyncMeshGuardClient(gateway.url, *TOKENS, **SETTINGS) as client:
            task = asyncio.create_task(client.check("read:a"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    assert leaks(asyncio.run(scenario())) == []
