"""A request that takes long delays no other for long."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from meshguard.gateway import http, store, writer
from meshguard.gateway.gateway import Gateway
from meshguard.gateway.sync import Sync
from meshguard.gateway.writer import Change, Writer
from tests.gateway.conftest import Lab, check
from tests.gateway.test_isolation import ODD, PATIENCE, health, in_loop
from tests.support import until

EVALUATE = "/api/v1/pdp/evaluate"


@pytest.mark.parametrize(("values", "where"), [(10, "run_quietly"), (2_000, "long bodies")])
def test_a_long_body_is_read_beside_the_event_loop(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, values: int, where: str
) -> None:
    seen: list[str] = []
    read = http.json_value

    def note(body: bytes) -> Any:
        seen.append(threading.current_thread().name)
        return read(body)

    agent = lab.agent()
    monkeypatch.setattr(http, "json_value", note)
    context = {f"key{number}": 0 for number in range(values)}
    assert agent.post(EVALUATE, json={"action": "read:x", "context": context}).json()["allowed"] is True
    assert agent.post(EVALUATE, json={"action": 5, "context": context}).status_code == 400
    twice = json.dumps({"action": "read:x", "context": context}).replace("{", '{"action":"x",', 1)
    content_type = {"Content-Type": "application/json"}
    assert agent.post(EVALUATE, content=twice, headers=content_type).status_code == 400
    assert len(seen) == 3
    assert all(where in name for name in seen)


def test_a_batch_shares_its_transactions(
    open_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = open_lab(rate_limit_rpm=0)
    seen: list[int] = []
    take = Writer._take

    def note(self: Writer, jobs: Any) -> None:
        take(self, jobs)
        seen.append(sum(job.weight for job in jobs if job.weight > 1))

    monkeypatch.setattr(Writer, "_take", note)
    agent = lab.agent()
    agent.timeout = httpx.Timeout(PATIENCE)
    batch = {"requests": [{"action": f"read:{number}"} for number in range(333)]}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(agent.post, "/api/v1/pdp/evaluate/batch", json=batch) for _ in range(4)]
        assert {answer.result().status_code for answer in asked} == {200}
    assert max(seen) <= 100
    assert sum(seen) == 4 * 333
    assert lab.admin.get("/admin/audit/stats").json()["total"] == 4 * 333


def test_a_batch_fails_with_the_first_part_that_fails(
    gateways: list[Gateway], open_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = open_lab(rate_limit_rpm=0)
    begun = [0]
    insert = store.insert_entries

    def fail(connection: Connection, rows: list[Any]) -> None:
        begun[0] += 1
        if begun[0] > 1:
            raise OSError("no room")
        insert(connection, rows)

    agent = lab.agent()
    batch = {"requests": [{"action": "read:x"}] * 333}
    with monkeypatch.context() as broken:
        broken.setattr(writer, "insert_entries", fail)
        assert agent.post("/api/v1/pdp/evaluate/batch", json=batch).status_code == 503
    assert until(lambda: gateways[0].writer._pending == 0)
    assert until(lambda: check(agent, "read:x").status_code == 200)
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


def test_applying_a_change_delays_no_decision(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, gate, begun = lab.agent(), threading.Event(), threading.Event()
    refresh = Sync.refresh

    def slow(self: Sync) -> None:
        begun.set()
        gate.wait(PATIENCE)
        refresh(self)

    monkeypatch.setattr(Sync, "refresh", slow)
    policy = {"name": "other", "rules": [{"effect": "allow", "actions": ["other"]}]}
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(lab.admin.put, "/admin/policies/other", json=policy, timeout=PATIENCE)
        assert begun.wait(PATIENCE)
        assert {check(agent, f"read:{number}").status_code for number in range(5)} == {200}
        assert not applied.done()
        gate.set()
        assert applied.result().status_code == 201
    assert check(agent, "other").status_code == 200


def test_a_change_that_cannot_be_applied_is_answered(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = lab.agent()
    for make in ODD:

        def fail(_: Sync, make: Callable[[], BaseException] = make) -> None:
            raise make()

        with monkeypatch.context() as broken:
            broken.setattr(Sync, "refresh", fail)
            assert lab.admin.post("/admin/agents", json={"name": "x"}).status_code == 201
            assert "applying changes" in health(lab)["background"]
        assert check(agent, "read:x").status_code == 200
        assert lab.admin.post("/admin/agents", json={"name": "x"}).status_code == 201
        assert until(lambda: health(lab)["background"] == "ok")


@pytest.mark.usefixtures("gateways", "lab")
def test_changes_that_wait_are_applied_once(gateways: list[Gateway]) -> None:
    started, made, gate = gateways[0], [], threading.Event()

    def apply() -> None:
        made.append(1)
        gate.wait(PATIENCE)

    async def change() -> None:
        jobs = [
            asyncio.ensure_future(started.writer.change(lambda _: Change(None, applied=apply)))
            for _ in range(30)
        ]
        await asyncio.sleep(0)
        stop = asyncio.ensure_future(started.writer.stop())
        gate.set()
        await asyncio.gather(stop, *jobs)

    in_loop(started, change())
    assert 1 <= len(made) < 30
