"""Memory of a gateway with 10,000 agents and 1,000 policies over 1,000,000 decisions, as a Markdown table.

The ASGI application is driven in this process, without a socket, by 200 requests at a time, each of another
agent.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from meshguard.gateway import app, load_settings

ADMIN_TOKEN = "bench-8Zx6Cv4Bn2Mq0We8Rt6Yu4Io2Pa0Sd"
AT_ONCE = 200


def resident() -> float:
    """MiB that this process holds in memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def policy(number: int) -> dict[str, Any]:
    return {
        "name": f"policy-{number}",
        "appliesTo": {"tags": [f"team-{number}"]},
        "rules": [{"name": "reads", "effect": "allow", "actions": [f"read:{number}:*"]}],
    }


class Lifespan:
    """Keeps the application started."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._to: asyncio.Queue[Any] = asyncio.Queue()
        self._from: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> None:
        scope = {"type": "lifespan", "state": {}}
        self._task = asyncio.create_task(self._application(scope, self._to.get, self._from.put))
        await self._to.put({"type": "lifespan.startup"})
        await self._from.get()

    async def __aexit__(self, *_error: object) -> None:
        await self._to.put({"type": "lifespan.shutdown"})
        await self._task


async def set_up(application: Any, agents: int, policies: int) -> list[bytes]:
    headers = {"X-Admin-Token": ADMIN_TOKEN}
    transport = httpx.ASGITransport(application)
    tokens = []
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as admin:
        for number in range(policies):
            (await admin.put(f"/admin/policies/policy-{number}", json=policy(number))).raise_for_status()
        for number in range(agents):
            agent = {"name": f"agent {number}", "tags": [f"team-{number % policies}"]}
            answer = await admin.post("/admin/agents", json=agent)
            tokens.append(answer.raise_for_status().json()["token"].encode())
    return tokens


async def ask(application: Any, token: bytes, number: int) -> None:
    body = json.dumps({"action": f"read:{number % 1000}:x{number}", "context": {"amount": number}}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004
            raise RuntimeError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/pdp/evaluate",
        "raw_path": b"/api/v1/pdp/evaluate",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")],
    }
    await application(scope, receive, send)


async def measure(folder: Path, decisions: int, agents: int, policies: int) -> None:
    settings = load_settings(
        _env_file=None,
        jwt_secret="bench-3Vb5Nn7Mm9Kk1Jj3Hh5Gg7Ff9Dd1Ss",
        admin_token=ADMIN_TOKEN,
        database_url=f"sqlite:///{folder}/gateway.db",
        rate_limit_rpm=10_000_000,
    )
    application = app(settings)
    async with Lifespan(application):
        tokens = await set_up(application, agents, policies)
        print("| decisions | resident | seconds |\n|---:|---:|---:|")
        started, done = perf_counter(), 0
        while done < decisions:
            turns = range(done, done + AT_ONCE)
            await asyncio.gather(*(ask(application, tokens[n % agents], n) for n in turns))
            done += AT_ONCE
            if done % (decisions // 10) == 0:
                print(f"| {done:,} | {resident():.0f} MiB | {perf_counter() - started:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--policies", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), given.decisions, given.agents, given.policies))


if __name__ == "__main__":
    main()
