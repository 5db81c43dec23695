"""What `GET /health` says, and to whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard import MeshGuardClient
from meshguard.gateway import store
from meshguard.gateway.guesses import MAX_GUESSES
from meshguard.gateway.system import Probe
from tests.gateway.conftest import Lab
from tests.gateway.policy_changes import folder
from tests.support import ADMIN_TOKEN, Clock, gateway_client, until

BRIEF = {"status", "version", "mode"}
FULL = BRIEF | {"timestamp", "uptime", "checks"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


OTHERS = [{}, {"X-Admin-Token": ""}, {"X-Admin-Token": "wrong"}, {"Authorization": f"Bearer {ADMIN_TOKEN}"}]


@pytest.mark.parametrize("headers", OTHERS)
def test_without_the_admin_token_health_is_brief(lab: Lab, headers: dict[str, str]) -> None:
    for path in ("/health", "/api/v1/health"):
        response = httpx.get(f"{lab.url}{path}", headers=headers)
        assert response.status_code == 200
        assert response.json().keys() == BRIEF
    assert lab.agent().get("/health").json().keys() == BRIEF
    assert lab.admin.get("/health").json().keys() == FULL


def test_health_tells_paths_and_errors_to_the_administrator_only(
    open_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    made = folder(tmp_path / "root")
    lab = open_lab(policies_dir=made)
    (made / "desk.yaml").write_text("{name: desk}")
    assert until(lambda: "desk.yaml" in lab.admin.get("/health").text)
    brief = httpx.get(f"{lab.url}/health")
    assert brief.json().keys() == BRIEF
    assert [word for word in (str(tmp_path), "desk", "yaml", "broken") if word in brief.text] == []


def test_a_wrong_token_counts_as_a_guess_and_health_goes_on(
    open_lab: Callable[..., Lab], clock: Clock
) -> None:
    lab = open_lab(monotonic=clock)
    for number in range(MAX_GUESSES):
        response = httpx.get(f"{lab.url}/health", headers={"X-Admin-Token": f"wrong-{number}"})
        assert (response.status_code, response.json().keys()) == (200, BRIEF)
    assert lab.admin.get("/admin/agents").status_code == 429
    locked_out = lab.admin.get("/health")
    assert (locked_out.status_code, locked_out.json().keys()) == (200, BRIEF)
    clock.seconds += 60
    assert lab.admin.get("/admin/agents").status_code == 200
    assert lab.admin.get("/health").json().keys() == FULL


def test_the_sdk_is_told_what_its_token_permits(lab: Lab) -> None:
    with MeshGuardClient(lab.url, admin_token=ADMIN_TOKEN, trust_env=False) as admin:
        assert admin.health().keys() == FULL
        assert admin.is_healthy()
    with MeshGuardClient(lab.url, lab.create()["token"], trust_env=False) as agent:
        assert agent.health().keys() == BRIEF
        assert agent.is_healthy()
    with MeshGuardClient(lab.url, admin_token="wrong", trust_env=False) as stranger:
        assert stranger.health().keys() == BRIEF


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each attempt to write."""
    made: list[int] = []
    write = Probe._write

    async def counted(probe: Probe) -> None:
        made.append(1)
        await write(probe)

    monkeypatch.setattr(Probe, "_write", counted)
    return made


@pytest.mark.anyio
async def test_asking_very_often_costs_one_attempt(tmp_path: Path, attempts: list[int]) -> None:
    async with gateway_client(tmp_path) as client:
        answers = await asyncio.gather(*(client.get("/health") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= len(attempts) <= 10  # one a second, however slow this machine is


@pytest.mark.anyio
async def test_health_does_not_wait_for_what_it_need_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway_client(tmp_path) as client:
        assert (await client.get("/health")).status_code == 200
        released, tried = asyncio.Event(), asyncio.Event()

        async def hang(_: Probe) -> None:
            tried.set()
            await released.wait()

        monkeypatch.setattr(Probe, "_read", hang)
        monkeypatch.setattr("meshguard.gateway.system._CHECKED_FOR", 0.0)
        brief = await client.get("/health")
        assert brief.json()["status"] == "healthy"
        await tried.wait()
        assert (await client.get("/health")).status_code == 200
        released.set()


@pytest.mark.anyio
@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, MemoryError])
async def test_an_attempt_that_fails_in_any_way_is_unhealthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: Any) -> None:
        raise error("s3cret")

    async with gateway_client(tmp_path) as client:
        monkeypatch.setattr(Probe, "_select", fail)
        brief = await client.get("/health")
        full = await client.get("/health", headers={"X-Admin-Token": ADMIN_TOKEN})
    assert (brief.status_code, brief.json()["status"]) == (503, "unhealthy")
    assert full.json()["checks"]["database"] == "failed: the database does not answer"
    assert "s3cret" not in brief.text + full.text


def test_long_reads_do_not_make_health_fail(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight verifications took all threads, and health a false 503."""
    read, done, waiting = store.read, threading.Event(), threading.Semaphore(0)

    def slow(engine: Any, query: Any, *more: Any) -> Any:
        if threading.current_thread().name == "meshguard-reading the database":
            waiting.release()
            done.wait(20)
        return read(engine, query, *more)

    monkeypatch.setattr("meshguard.gateway.store.read", slow)

    def long_read() -> None:
        lab.admin.get("/admin/audit", timeout=30)

    threads = [threading.Thread(target=long_read) for _ in range(40)]
    try:
        for thread in threads:
            thread.start()
        assert all(waiting.acquire(timeout=20) for _ in range(4))  # every thread for reads
        full = httpx.get(f"{lab.url}/health", headers={"X-Admin-Token": ADMIN_TOKEN}, timeout=30)
        assert (full.status_code, full.json()["checks"]["database"]) == (200, "ok")
    finally:
        done.set()
        for thread in threads:
            thread.join(30)


def test_health_is_unhealthy_at_once_while_nothing_can_be_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left")

    assert httpx.get(f"{lab.url}/health").status_code == 200
    with monkeypatch.context() as broken:
        broken.setattr("meshguard.gateway.writer.insert_entries", fail)
        assert lab.admin.post("/admin/agents", json={"name": "x"}).status_code == 503
        assert httpx.get(f"{lab.url}/health").status_code == 503
    assert until(lambda: httpx.get(f"{lab.url}/health").status_code == 200)
