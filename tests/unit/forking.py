"""A program that uses clients, forks, and uses them again in every process; `test_fork.py` runs it.

It prints how many answers there were and which of them were wrong.
"""

# ruff: noqa: T201

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from meshguard_api.api.decisions import evaluate
from meshguard_api.models import Decision, EvaluateRequest

from meshguard import AsyncMeshGuardClient, MeshGuardClient
from meshguard.guard import Guard, ToolCall

POLICY = {"name": "a", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
CHILDREN = 4
EACH = 60
Ask = Callable[[int], Any]
OWN: list[httpx.Client] = []


def action(number: int) -> str:
    return "read:secret" if number % 2 else "read:menu"


def is_right(number: int, allowed: Any) -> bool:
    return allowed is (number % 2 == 0)


def check(client: MeshGuardClient) -> Ask:
    return lambda number: is_right(number, client.check(action(number)).allowed)


def check_in_threads(client: MeshGuardClient) -> Ask:
    ask = check(client)

    def asked(number: int) -> bool:
        with ThreadPoolExecutor(3) as pool:
            return all(pool.map(ask, range(number, number + 3)))

    return asked


def copies(client: MeshGuardClient) -> Ask:
    copy = client.with_options(trace_id="the-copy")
    copy.check("read:menu")
    return lambda number: is_right(number, copy.check(action(number)).allowed)


def own_http_client(client: MeshGuardClient) -> Ask:
    own = httpx.Client(trust_env=False)
    mine = MeshGuardClient(client.gateway_url, client.agent_token, http_client=own, max_retries=0)
    mine.check("read:menu")
    OWN.append(own)
    return check(mine)


def low_level(client: MeshGuardClient) -> Ask:
    api = client.api

    def ask(number: int) -> bool:
        answer = evaluate.sync(client=api, body=EvaluateRequest(action=action(number)))
        return isinstance(answer, Decision) and is_right(number, answer.allowed)

    return ask


def guard(client: MeshGuardClient) -> Ask:
    guarding = Guard(client, action_map={"menu": "read:menu", "secret": "read:secret"}, on_error="raise")
    guarding.check(ToolCall("menu"))
    return lambda number: is_right(number, guarding.check(ToolCall(action(number)[5:])).allowed)


def batches(client: MeshGuardClient) -> Ask:
    def ask(number: int) -> bool:
        found = client.check_many([action(number), action(number + 1)])
        return is_right(number, found[0].allowed) and is_right(number + 1, found[1].allowed)

    return ask


def every_operation(client: MeshGuardClient) -> Ask:
    agents = {name: client.create_agent(name)["id"] for name in ("one", "two", "three")}
    names = list(agents)
    calls: list[Ask] = [
        lambda n: client.get_agent(agents[names[n % 3]]).name == names[n % 3],
        lambda n: client.update_agent(agents[names[n % 3]], tags=[f"t{n}"]).tags == [f"t{n}"],
        lambda n: client.issue_token(agents[names[n % 3]])["id"] == agents[names[n % 3]],
        lambda _: client.get_policy("readers")["name"] == "readers",
        lambda n: client.validate_policy(POLICY if n % 2 else {"x": 1})["valid"] is (n % 2 == 1),
        lambda n: client.audit_stats("7d" if n % 2 else "24h")["period"] == ("7d" if n % 2 else "24h"),
        lambda _: all(entry["decision"] == "deny" for entry in client.get_audit_log(5, "deny")),
        lambda _: client.health()["mode"] == "enforce" and client.is_healthy(),
        lambda _: {agent.name for agent in client.list_agents()} >= set(names),
        lambda _: [policy["name"] for policy in client.list_policies()] == ["readers"],
        lambda n: client.get(f"/echo/{os.getpid()}/{n}", "read:menu").text.endswith(
            f"/echo/{os.getpid()}/{n}"
        ),
        lambda n: is_right(n, client.check(action(n), context={"n": n}).allowed),
    ]
    return lambda number: calls[number % len(calls)](number // 2)


def ask_all(ask: Ask) -> tuple[int, list[str]]:
    wrong = []
    for number in range(EACH):
        try:
            if ask(number) is not True:
                wrong.append(f"{number}: wrong")
        except Exception as error:  # noqa: BLE001 - it is reported
            wrong.append(f"{number}: {error!r}")
    return EACH, wrong


def forked(
    ask: Callable[[], tuple[int, list[str]]], finish: Callable[[], None], *, quick: bool = False
) -> None:
    """Ask in several children and in the parent, all at once, and print what came of it."""
    reading, writing = os.pipe()
    for _ in range(CHILDREN):
        if os.fork() == 0:
            os.close(reading)
            os.write(writing, json.dumps(ask()).encode() + b"\n")
            os.close(writing)
            finish()
            if quick:
                os._exit(0)
            sys.exit(0)
    os.close(writing)
    found = [ask()]
    with os.fdopen(reading) as results:
        found += [json.loads(line) for line in results]
    for _ in range(CHILDREN):
        os.wait()
    found.append(ask())
    report(found)


def report(found: list[Any]) -> None:
    wrong = [line for _, lines in found for line in lines]
    print(json.dumps({"asked": sum(count for count, _ in found), "wrong": wrong, "processes": len(found)}))


SYNC: dict[str, Callable[[MeshGuardClient], Ask]] = {
    function.__name__: function
    for function in (
        check,
        check_in_threads,
        copies,
        own_http_client,
        low_level,
        guard,
        batches,
        every_operation,
    )
}


def synchronously(client: MeshGuardClient, mode: str) -> None:
    client.check("read:menu")
    ask = SYNC[mode](client)
    ask(0)

    def finish() -> None:
        client.close()
        for own in OWN:
            own.close()

    forked(lambda: ask_all(ask), finish)
    finish()


def asynchronously(client: AsyncMeshGuardClient) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.check("read:menu"))
    process = os.getpid()

    async def ask() -> tuple[int, list[str]]:
        async def one(number: int) -> bool:
            return is_right(number, (await client.check(action(number))).allowed)

        found = await asyncio.gather(*(one(number) for number in range(EACH)), return_exceptions=True)
        if os.getpid() != process:
            await client.aclose()
        return EACH, [repr(item) for item in found if item is not True]

    def run() -> tuple[int, list[str]]:
        return loop.run_until_complete(ask()) if os.getpid() == process else asyncio.run(ask())

    forked(run, lambda: None, quick=True)
    loop.run_until_complete(client.aclose())
    loop.close()


POOLED: Ask


def pooled_ask(_: int) -> tuple[int, list[str]]:
    return ask_all(POOLED)


def in_a_pool(client: MeshGuardClient) -> None:
    """As celery's prefork pool does."""
    global POOLED  # noqa: PLW0603 - it is inherited
    POOLED = check(client)
    POOLED(0)
    with multiprocessing.get_context("fork").Pool(CHILDREN) as pool:
        found = pool.map(pooled_ask, range(CHILDREN), chunksize=1)
        pool.close()
        pool.join()
    report([*found, ask_all(POOLED)])
    client.close()


def main() -> None:
    mode, url, agent_token, admin_token = sys.argv[1:]
    settings: dict[str, Any] = {"max_retries": 0, "timeout": 120.0}
    if mode == "asynchronously":
        asynchronously(AsyncMeshGuardClient(url, agent_token, **settings))
        return
    client = MeshGuardClient(url, agent_token, admin_token, **settings)
    if mode == "in_a_pool":
        in_a_pool(client)
    else:
        synchronously(client, mode)


if __name__ == "__main__":
    main()
