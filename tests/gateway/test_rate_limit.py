from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.conftest import Lab, check
from tests.servers import Redis, redis_server
from tests.support import until


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
    token = pair[0].create()["token"]
    here, there = pair[0].client(token), pair[1].client(token)
    assert until(lambda: evaluate(there, 0) == 400)  # known there, and nothing counted yet
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
