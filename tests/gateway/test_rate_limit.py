from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from limits.aio.storage import RedisStorage

from meshguard.gateway import limits
from tests.gateway.conftest import Lab, check
from tests.servers import Redis, redis_server
from tests.support import until

READ = {"X-MeshGuard-Action": "read:x"}


@pytest.fixture
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture
def pair(open_lab: Callable[..., Lab], redis: Redis) -> tuple[Lab, Lab]:
    """Two gateways on one database and one Redis, which allow 10 decisions a minute."""
    settings = {"rate_limit_storage": redis.url, "rate_limit_rpm": 10}
    return open_lab(**settings), open_lab(**settings)


def agent_at_both(pair: tuple[Lab, Lab]) -> tuple[httpx.Client, httpx.Client]:
    token, later = (pair[0].create()["token"] for _ in range(2))
    here, there = pair[0].client(token), pair[1].client(token)
    assert until(lambda: check(pair[1].client(later), "read:x").status_code == 200)  # so both are known there
    return here, there


def evaluate(agent: httpx.Client, number: int) -> int:
    body = {"requests": [{"action": f"read:{index}"} for index in range(number)]}
    return agent.post("/api/v1/pdp/evaluate/batch", json=body).status_code


def rate_limit_of(lab: Lab) -> str:
    health = lab.admin.get("/health")
    assert health.status_code == 200
    found: str = health.json()["checks"]["rateLimit"]
    return found


def test_gateways_count_together(pair: tuple[Lab, Lab]) -> None:
    here, there = agent_at_both(pair)
    answers = [check(agent, "read:x").status_code for _ in range(6) for agent in (here, there)]
    assert answers == [200] * 10 + [429] * 2
    refusal = check(there, "read:x")
    assert 1 <= int(refusal.headers["Retry-After"]) <= 60
    assert refusal.json()["limit"] == 10
    assert [rate_limit_of(lab) for lab in pair] == ["ok", "ok"]


def test_a_batch_that_does_not_fit_is_not_counted(pair: tuple[Lab, Lab]) -> None:
    here, there = agent_at_both(pair)
    assert evaluate(here, 8) == 200
    assert evaluate(there, 3) == 429
    assert evaluate(there, 2) == 200
    assert evaluate(here, 1) == 429


def test_while_redis_is_gone_each_gateway_keeps_the_limit_and_says_so_once(
    pair: tuple[Lab, Lab], redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshguard.gateway")
    here, there = agent_at_both(pair)
    redis.stop()
    assert [check(here, "read:x").status_code for _ in range(12)] == [200] * 10 + [429] * 2
    assert rate_limit_of(pair[0]) == "Redis does not answer: the limit is kept locally"
    assert check(there, "read:x").status_code == 200
    redis.start()
    assert until(lambda: [rate_limit_of(lab) for lab in pair] == ["ok", "ok"])
    assert [check(here, "read:x").status_code for _ in range(11)] == [200] * 10 + [429]
    assert check(there, "read:x").status_code == 429
    said = [record.message for record in caplog.records if "Redis" in record.message]
    assert [line.partition(" (")[0] for line in sorted(said)] == [
        "Redis answers again: the rate limit is kept for all gateways together",
        "Redis answers again: the rate limit is kept for all gateways together",
        "Redis does not answer",
        "Redis does not answer",
    ]


def test_a_gateway_starts_without_redis(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = open_lab(tmp_path, rate_limit_storage="redis://:hunter2@127.0.0.1:1/0", rate_limit_rpm=2)
    agent = lab.agent()
    assert [check(agent, "read:x").status_code for _ in range(3)] == [200, 200, 429]


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a Redis that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_a_redis_that_never_answers_does_not_hold_up_decisions(
    open_lab: Callable[..., Lab], silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    lab = open_lab(rate_limit_storage=silent, rate_limit_rpm=2)
    agent = lab.agent()
    statuses = [agent.get("/proxy/check", headers=READ, timeout=30).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert rate_limit_of(lab) == "Redis does not answer: the limit is kept locally"
    assert "Redis does not answer (TimeoutError): the rate limit is kept locally" in caplog.messages


def test_a_redis_that_goes_on_being_silent_is_not_taken_back(
    open_lab: Callable[..., Lab], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try to return to it ends after its time, as a failure."""
    monkeypatch.setattr("meshguard.gateway.limits._RETRY", 0.01)
    monkeypatch.setattr("meshguard.gateway.limits._TIMEOUT", 0.05)
    tries: list[bool] = []
    answers = limits._Redis.answers

    async def hang(_: RedisStorage) -> bool:
        await asyncio.Event().wait()
        return True

    async def counted(redis: limits._Redis) -> bool:
        tries.append(await answers(redis))
        return tries[-1]

    monkeypatch.setattr(RedisStorage, "check", hang)
    monkeypatch.setattr(limits._Redis, "answers", counted)
    lab = open_lab(rate_limit_storage=silent, rate_limit_rpm=2)
    assert check(lab.agent(), "read:x").status_code == 200
    assert until(lambda: len(tries) >= 3, 20)
    assert tries == [False] * len(tries)
    assert rate_limit_of(lab) == "Redis does not answer: the limit is kept locally"


@pytest.mark.parametrize("error", [RuntimeError, ValueError, ConnectionError, KeyError])
def test_a_try_to_return_to_redis_survives_every_error(
    open_lab: Callable[..., Lab], redis: Redis, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr("meshguard.gateway.limits._RETRY", 0.01)
    failures: list[int] = []
    check_storage = RedisStorage.check

    async def fail_first(storage: RedisStorage) -> bool:
        failures.append(1)
        if len(failures) < 3:
            raise error
        return await check_storage(storage)

    monkeypatch.setattr(RedisStorage, "check", fail_first)
    lab = open_lab(rate_limit_storage=redis.url, rate_limit_rpm=10)
    agent = lab.agent()
    redis.stop()
    assert check(agent, "read:x").status_code == 200
    redis.start()
    assert until(lambda: rate_limit_of(lab) == "ok", 20)


def test_an_answer_of_redis_that_makes_no_sense_does_not_allow_without_a_limit(
    open_lab: Callable[..., Lab], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense(*_: object, **__: object) -> int:
        raise ValueError

    monkeypatch.setattr(RedisStorage, "incr", nonsense)
    agent = open_lab(rate_limit_storage=redis.url, rate_limit_rpm=2).agent()
    assert [check(agent, "read:x").status_code for _ in range(3)] == [200, 200, 429]


def test_counts_of_one_agent_do_not_touch_another(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=2)
    one, other = lab.agent(), lab.agent()
    assert [check(one, "read:x").status_code for _ in range(3)] == [200, 200, 429]
    assert [check(other, "read:x").status_code for _ in range(3)] == [200, 200, 429]


def test_a_batch_that_does_not_fit_is_not_counted_locally(open_lab: Callable[..., Lab]) -> None:
    agent = open_lab(rate_limit_rpm=10).agent()
    assert [evaluate(agent, number) for number in (8, 3, 2, 1)] == [200, 429, 200, 429]
