"""`govern`, as a block and as a decorator."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from meshguard import AsyncMeshGuardClient, MeshGuardClient, PolicyDeniedError

from .conftest import AGENT_TOKEN, Answer, Gateway

ALLOW = {"decision": "allow"}
DENY = Answer({"error": "forbidden", "message": "no", "policy": "p"}, 403)


def test_a_block_runs_only_when_allowed(gateway: Gateway, client: MeshGuardClient) -> None:
    governed = client.govern("write:email", "inbox")
    with governed as decision:
        assert decision.allowed
    assert governed.decision == decision
    gateway.answers(DENY)
    with pytest.raises(PolicyDeniedError), governed:
        pytest.fail("the block ran")


def test_errors_in_a_block_pass_unchanged(client: MeshGuardClient) -> None:
    with pytest.raises(ZeroDivisionError), client.govern("write:email"):
        _ = 1 / 0


def test_a_function_is_decided_on_at_each_call(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(ALLOW, ALLOW, DENY)
    calls: list[int] = []

    @client.govern("write:email")
    def send(number: int, *, twice: bool = False) -> int:
        """Send."""
        calls.append(number)
        return number * (2 if twice else 1)

    assert gateway.received == []
    assert send(1) == 1
    assert send(2, twice=True) == 4
    with pytest.raises(PolicyDeniedError):
        send(3)
    assert calls == [1, 2]
    assert (send.__name__, send.__doc__) == ("send", "Send.")


def test_a_method_can_be_governed(client: MeshGuardClient) -> None:
    class Mailer:
        @client.govern("write:email")
        def send(self, to: str) -> str:
            return to

    assert Mailer().send("ada") == "ada"


def test_a_generator_is_decided_on_when_called(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(ALLOW, DENY)

    @client.govern("read:lines")
    def lines() -> Iterator[int]:
        yield from range(3)

    assert list(lines()) == [0, 1, 2]
    with pytest.raises(PolicyDeniedError):
        lines()


async def coroutine() -> int:
    return 1


async def generator() -> AsyncIterator[int]:
    yield 1
    yield 2


class Callable:
    async def __call__(self) -> int:
        return 1


@pytest.mark.parametrize("function", [coroutine, generator, functools.partial(coroutine), Callable()])
def test_the_sync_client_refuses_async_functions(client: MeshGuardClient, function: Any) -> None:
    with pytest.raises(TypeError, match="AsyncMeshGuardClient"):
        client.govern("read:a")(function)


def test_the_async_client_governs_blocks_and_async_functions(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, AGENT_TOKEN) as client:
            governed = client.govern("read:a")
            async with governed as decision:
                assert decision.allowed
            assert governed.decision == decision
            assert await client.govern("read:a")(coroutine)() == 1
            assert [item async for item in client.govern("read:a")(generator)()] == [1, 2]
            gateway.answers(DENY)
            with pytest.raises(PolicyDeniedError):
                async with governed:
                    pytest.fail("the block ran")
            with pytest.raises(PolicyDeniedError):
                await client.govern("read:a")(coroutine)()
            with pytest.raises(PolicyDeniedError):
                [item async for item in client.govern("read:a")(generator)()]

    asyncio.run(scenario())


def test_the_async_client_rejects_sync_use() -> None:
    client: Any = AsyncMeshGuardClient("http://gateway.test")
    with pytest.raises(TypeError, match=r"sync function\. Use MeshGuardClient"):
        client.govern("read:a")(len)
    with pytest.raises(TypeError, match="`async with`, not `with`"), client.govern("read:a"):
        pytest.fail("the block ran")


def test_the_sync_client_rejects_async_with(client: Any) -> None:
    async def scenario() -> None:
        with pytest.raises(TypeError, match="`with`, not `async with`"):
            async with client.govern("read:a"):
                pytest.fail("the block ran")

    asyncio.run(scenario())


@pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
def test_a_decorator_without_an_action_is_rejected(client_class: Any) -> None:
    client = client_class("http://gateway.test")
    with pytest.raises(TypeError, match=r'@client\.govern\("verb:object"\)'):
        client.govern(coroutine)


def test_closing_a_governed_generator_closes_it(gateway: Gateway) -> None:
    closed: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("items")

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, AGENT_TOKEN) as client:
            governed = client.govern("read:a")(items)()
            assert await anext(governed) == 1
            await governed.aclose()
            assert closed == ["items"]

    asyncio.run(scenario())


def test_one_async_client_serves_many_tasks(gateway: Gateway) -> None:
    async def scenario() -> list[str]:
        async with AsyncMeshGuardClient(gateway.url, AGENT_TOKEN) as client:
            decisions = await asyncio.gather(*(client.check(f"read:{number}") for number in range(50)))
            return [decision.action for decision in decisions]

    assert asyncio.run(scenario()) == [f"read:{number}" for number in range(50)]
