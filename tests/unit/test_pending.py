"""What an async method returns is no permission until it is awaited."""

import asyncio
import collections.abc
import gc
import inspect
import operator
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from meshguard import AsyncMeshGuardClient, MeshGuardClient
from meshguard.guard import Guard, ToolCall

from .test_any_answer import CALLS

METHODS = sorted(
    name
    for name, method in inspect.getmembers(AsyncMeshGuardClient, inspect.isfunction)
    if inspect.iscoroutinefunction(inspect.unwrap(method)) and name[0] != "_" and name != "aclose"
)
USES: dict[str, Callable[[Any], Any]] = {
    "if": lambda call: 1 if call else 2,
    "not": operator.not_,
    "and": lambda call: call and 1,
    "or": lambda call: call or 1,
    "bool": bool,
    "all": lambda call: all([call]),
    "any": lambda call: any([call]),
    "filter": lambda call: list(filter(None, [call])),
    "==": lambda call: call == "allow",
    "== True": lambda call: call == True,  # noqa: E712
    "!=": lambda call: call != "deny",
    "!= False": lambda call: call != False,  # noqa: E712
    "<": lambda call: call < 1,
    ">=": lambda call: call >= 1,
    "in": lambda call: call in ["allow", "deny"],
    "contains": lambda call: "allow" in call,
    "iteration": list,
    "unpacking": lambda call: [*call],
    "length": len,
    "item": lambda call: call["decision"],
    "index": lambda call: call[0],
    **{
        f".{name}": operator.attrgetter(name)
        for name in ("allowed", "decision", "reason", "items", "status_code", "get", "policy")
    },
}


@asynccontextmanager
async def open_client() -> AsyncIterator[AsyncMeshGuardClient]:
    body = {
        "decision": "allow",
        "allowed": True,
        "decisions": [{"decision": "allow"}] * 2,
        "status": "healthy",
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    async with httpx.AsyncClient(transport=transport) as http_client:
        yield AsyncMeshGuardClient("http://localhost", "agent", "admin", http_client=http_client)


def run(scenario: Callable[[AsyncMeshGuardClient], Awaitable[Any]]) -> Any:
    async def opened() -> Any:
        async with open_client() as client:
            return await scenario(client)

    return asyncio.run(opened())


def started(client: AsyncMeshGuardClient, method: str) -> Any:
    return next(call(client) for name, (call, _) in CALLS.items() if name.split()[0] == method)


def test_every_async_method_is_among_them() -> None:
    assert {"check", "check_many", "enforce", "is_healthy", "health", "get", "get_agent"} < set(METHODS)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("method", METHODS)
def test_it_reads_as_nothing_and_says_what_was_forgotten(method: str, use: str) -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        call = started(client, method)
        expected = AttributeError if use[0] == "." else TypeError
        with pytest.raises(
            expected, match=rf"AsyncMeshGuardClient\.{method}\(.*`await client\.{method}\(…\)`"
        ):
            USES[use](call)
        assert "not awaited" in repr(call)
        call.close()

    run(scenario)


def test_a_guards_decision_reads_as_nothing_either() -> None:
    with MeshGuardClient("http://localhost:1", "t", max_retries=0) as client:
        call = Guard(client).acheck(ToolCall("pay"))
        with pytest.raises(TypeError, match=r"`await guard\.acheck\(…\)`"):
            bool(call)
        call.close()


WAYS: dict[str, Callable[[Any], Awaitable[Any]]] = {}


def way(function: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    WAYS[function.__name__] = function
    return function


@way
async def plain_await(call: Any) -> Any:
    return await call


@way
async def create_task(call: Any) -> Any:
    return await asyncio.create_task(call, name="a")


@way
async def loop_create_task(call: Any) -> Any:
    return await asyncio.get_running_loop().create_task(call)


@way
async def gather(call: Any) -> Any:
    return (await asyncio.gather(call))[0]


@way
async def task_group(call: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call)
    return task.result()


@way
async def wait_for(call: Any) -> Any:
    return await asyncio.wait_for(call, 60)


@way
async def ensure_future(call: Any) -> Any:
    return await asyncio.ensure_future(call)


@way
async def as_completed(call: Any) -> Any:
    return await next(iter(asyncio.as_completed([call])))


@way
async def shield(call: Any) -> Any:
    return await asyncio.shield(call)


@way
async def wait(call: Any) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(call)])
    return done.pop().result()


@way
async def another_thread(call: Any) -> Any:
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(call, loop).result())


@way
async def as_a_key(call: Any) -> Any:
    return await {call: call}[call]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("debug", [False, True])
def test_it_works_wherever_a_coroutine_does(name: str, debug: bool) -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        asyncio.get_running_loop().set_debug(debug)
        assert (await WAYS[name](client.check("read:a"))).allowed
        assert (await WAYS[name](client.enforce("read:a"))).allowed
        assert [bool(found) for found in await WAYS[name](client.check_many(["a:b", "a:c"]))] == [True, True]
        assert await WAYS[name](client.is_healthy()) is True

    run(scenario)


def test_asyncio_run_takes_it() -> None:
    client = AsyncMeshGuardClient("http://localhost:1", "t", max_retries=0)
    assert asyncio.run(client.is_healthy()) is False


def test_it_is_a_coroutine_to_whoever_asks() -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        call = client.check("read:a")
        assert isinstance(call, Coroutine)
        assert isinstance(call, collections.abc.Awaitable)
        assert asyncio.iscoroutine(call)
        assert inspect.isawaitable(call)
        assert call.__qualname__ == "AsyncMeshGuardClient.check"  # type: ignore[attr-defined]
        assert "AsyncMeshGuardClient.check" in repr(asyncio.ensure_future(call))
        assert asyncio.iscoroutinefunction(client.check)

    run(scenario)


def test_it_is_awaited_once() -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        call = client.check("read:a")
        await call
        with pytest.raises(RuntimeError, match="already awaited"):
            await call

    run(scenario)


@pytest.mark.parametrize("method", METHODS)
def test_dropping_it_still_warns(method: str) -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            started(client, method)
            gc.collect()
        assert [str(warning.message) for warning in caught] == [
            f"coroutine 'AsyncMeshGuardClient.{method}' was never awaited"
        ]

    run(scenario)


def test_cancelling_reaches_the_request() -> None:
    async def scenario(client: AsyncMeshGuardClient) -> None:
        task = asyncio.create_task(client.check("read:a"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario)
