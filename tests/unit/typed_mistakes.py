"""Mistakes that the named type checkers must flag, such as forgotten awaits; checked by a test, never run."""
# mypy: enable-error-code="deprecated, truthy-bool"
# ruff: noqa: T201

from meshguard import AsyncMeshGuardClient, MeshGuardClient


@MeshGuardClient().govern("write:email")  # wrong for mypy
async def send(to: str) -> str:
    return to


async def conditions(client: AsyncMeshGuardClient) -> None:
    if client.check("read:a"):  # wrong for mypy and pyright
        print("allowed")
    while client.check("read:a"):  # wrong for mypy and pyright
        print("allowed")
    assert client.check("read:a")  # wrong for mypy and pyright
    print(1 if client.check("read:a") else 2)  # wrong for mypy and pyright
    print(not client.check("read:a"))  # wrong for mypy and pyright
    print(client.check("read:a") and 1)  # wrong for mypy
    if client.check_many(["read:a"]):  # wrong for mypy and pyright
        print("allowed")
    if client.is_healthy():  # wrong for mypy and pyright
        print("healthy")


async def attributes(client: AsyncMeshGuardClient) -> None:
    print(client.check("read:a").allowed)  # wrong for mypy and pyright
    print(client.enforce("read:a").decision)  # wrong for mypy and pyright
    print([decision.allowed for decision in client.check_many(["read:a"])])  # wrong for mypy and pyright
    print(client.check("read:a")["decision"])  # wrong for mypy and pyright


async def statements(client: AsyncMeshGuardClient) -> None:
    client.enforce("read:a")  # wrong for mypy and pyright
    client.revoke_agent("agent_1")  # wrong for mypy and pyright
    client.check("read:a")  # wrong for mypy


async def right(client: AsyncMeshGuardClient) -> None:
    if await client.check("read:a"):
        print(await client.is_healthy())
    await client.enforce("read:a")
