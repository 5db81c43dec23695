"""One job, thread or reader that fails stops no other."""

from __future__ import annotations

import asyncio
import inspect
import json
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, event

from meshguard.gateway import (
    audit_log,
    audit_retention,
    background,
    checkpoints,
    gateway,
    partitions,
    store,
    system,
    writer,
)
from meshguard.gateway.audit_retention import Retention
from meshguard.gateway.audit_seals import Seals
from meshguard.gateway.checkpoints import Checkpoints
from meshguard.gateway.gateway import Gateway
from meshguard.gateway.problems import Problem
from meshguard.gateway.sync import Sync
from meshguard.gateway.writer import Change, Writer
from tests.gateway.conftest import Lab, check
from tests.support import Clock, until

PATIENCE = 20.0  # seconds; far more than any deadline of the gateway


class OddError(BaseException):
    """An error that no `except Exception` catches."""


ODD: list[Callable[[], BaseException]] = [
    lambda: KeyError("odd"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    lambda: RecursionError("odd"),
    lambda: MemoryError("odd"),
    lambda: StopIteration("odd"),
    lambda: SystemExit(3),
    lambda: asyncio.CancelledError("odd"),
    lambda: OddError("odd"),
]
ODD_IDS = [type(make()).__name__ for make in ODD]


class Fault:
    """Raises in place of a function, as long as it is on."""

    def __init__(self) -> None:
        self.raised = 0
        self.make: Callable[[], BaseException] | None = None

    def before(self, function: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            self.hit()
            return function(*arguments, **named)

        async def run_async(*arguments: Any, **named: Any) -> Any:
            self.hit()
            return await function(*arguments, **named)

        return run_async if inspect.iscoroutinefunction(function) else run

    def hit(self) -> None:
        if self.make:
            self.raised += 1
            raise self.make()


STEPS: dict[str, tuple[Any, str]] = {
    "writer takes": (Writer, "_take"),
    "writer commits": (Writer, "_commit"),
    "writer connects": (Writer, "_connected"),
    "writer inserts": (writer, "insert_entries"),
    "writer moves the head": (writer, "move_head"),
    "writer signs": (Seals, "sign_head"),
    "writer finds the head": (Writer, "_find_head"),
    "sync loads": (Sync, "load"),
    "sync reads the revision": (store, "read_revision"),
    "sync steps": (Sync, "_step"),
    "checkpoints": (Checkpoints, "_checkpoint"),
    "retention": (Retention, "_moved_heads"),
    "dropping partitions": (partitions, "drop_expired"),
    "finding what is old": (audit_retention, "_may_have_old_entries"),
    "supervision": (Gateway, "_revive"),
}
ONLY = {(Checkpoints, "_checkpoint"): "sqlite"}


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> tuple[Any, str]:
    return STEPS[request.param]


def health(lab: Lab) -> dict[str, Any]:
    checks: dict[str, Any] = lab.admin.get("/health", timeout=PATIENCE).json()["checks"]
    return checks


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_background_work_survives_every_error(
    request: pytest.FixtureRequest,
    step: tuple[Any, str],
    open_lab: Callable[..., Lab],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = Fault()
    owner, name = step
    kind = request.node.callspec.params["store"]
    if (owner, name) in ONLY and ONLY[owner, name] != kind:
        pytest.skip(f"there is no such step on {kind}")
    monkeypatch.setattr(owner, name, fault.before(getattr(owner, name)))
    monkeypatch.setattr(background, "_PAUSE", 0.02)
    monkeypatch.setattr(checkpoints, "_INTERVAL", 0.02)
    monkeypatch.setattr(gateway, "_MAINTENANCE_INTERVAL", 0.05)
    monkeypatch.setattr(gateway, "_MAINTENANCE_PAUSE", 0.05)
    monkeypatch.setattr(gateway, "_SUPERVISION_INTERVAL", 0.05)
    monkeypatch.setattr(system, "_CHECKED_FOR", 0.0)
    monkeypatch.setattr(system, "_CHECK_TIMEOUT", 0.5)
    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 0.5)
    lab = open_lab(rate_limit_rpm=0)
    agent = lab.agent()
    agent.timeout = httpx.Timeout(PATIENCE)
    for make in ODD:
        fault.raised, fault.make = 0, make
        assert {check(agent, "read:x").status_code for _ in range(3)} <= {200, 503}
        # A head is looked for only after another failure.
        assert name == "_find_head" or until(lambda: fault.raised > 0, PATIENCE)
        assert name == "_find_head" or until(lambda: {*health(lab).values()} != {"ok"}, PATIENCE)
        assert {check(agent, "read:x").status_code for _ in range(3)} <= {200, 503}
        fault.make = None
        assert until(lambda: check(agent, "read:x").status_code == 200, PATIENCE)
        assert until(lambda: {*health(lab).values()} == {"ok"}, PATIENCE)
    found = lab.admin.get("/admin/audit/verify").json()
    assert found["valid"] is True
    assert len(found["heads"]) == 1


@pytest.mark.parametrize("make", ODD, ids=ODD_IDS)
def test_a_change_that_raises_fails_alone(
    make: Callable[[], BaseException], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = lab.agent()

    def fail(*_: Any) -> Any:
        raise make()

    with monkeypatch.context() as broken, ThreadPoolExecutor(12) as pool:
        broken.setattr(store, "find_agent", fail)
        changes = [pool.submit(lab.admin.delete, "/admin/agents/agent_x") for _ in range(4)]
        checks = [pool.submit(check, agent, f"read:{number}") for number in range(40)]
        assert {answer.result().status_code for answer in changes} == {500}
        assert {answer.result().status_code for answer in checks} == {200}
    found = lab.admin.get("/admin/audit/verify").json()
    assert found["valid"] is True
    assert len(found["heads"]) == 1


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_an_action_of_any_length_disturbs_no_other(lab: Lab) -> None:
    long, short = lab.agent(), lab.agent()
    letters = "".join(chr(0x4E00 + number) for number in range(2_000))  # nothing to compress
    bodies = [{"action": f"read:{number}{letters}"} for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(long.post, "/api/v1/pdp/evaluate", json=body) for body in bodies]
        checks = [pool.submit(check, short, f"read:{number}") for number in range(60)]
        assert {answer.result().status_code for answer in [*asked, *checks]} == {200}
    found = lab.admin.get("/admin/audit/verify").json()
    assert found["valid"] is True
    assert len(found["heads"]) == 1
    alike = f"read:{letters[:600]}"  # for longer than the index tells them apart
    for number in range(3):
        assert long.post("/api/v1/pdp/evaluate", json={"action": f"{alike}{number}"}).is_success
    assert len(lab.entries(action=f"{alike}1")) == 1
    assert len(lab.entries(action=f"{alike}*2")) == 1
    assert len(lab.entries(action=f"{alike}*", limit=100)) == 3
    assert len(lab.entries(action=f"read:7{letters[:600]}*")) == 1
    assert len(lab.entries(action="read:*[truncated:*", limit=100)) == 20


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("text", ["\0", "\ud800", "a\0b", "￿", "\U0010ffff", "x" * 20_000])
def test_no_text_of_a_request_disturbs_others(lab: Lab, text: str) -> None:
    agent, other = lab.agent(), lab.agent()
    bodies = [
        {"action": text},
        {"action": "read:x", "resource": text},
        {"action": "read:x", "context": {text: text}},
    ]
    fields: list[dict[str, Any]] = [
        {"name": text},
        {"name": "x", "tags": [text]},
        {"name": "x", "metadata": {"x": text}},
    ]
    content = "application/json"

    def post(client: httpx.Client, path: str, body: Any) -> int:
        return client.post(path, content=json.dumps(body), headers={"Content-Type": content}).status_code

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(post, agent, "/api/v1/pdp/evaluate", body) for body in bodies]
        asked += [pool.submit(post, lab.admin, "/admin/agents", body) for body in fields]
        checks = [pool.submit(check, other, f"read:{number}") for number in range(20)]
        assert {answer.result().status_code for answer in checks} == {200}
        assert {answer.result() for answer in asked} <= {200, 201, 400, 413, 503}
    found = lab.admin.get("/admin/audit/verify").json()
    assert found["valid"] is True
    assert len(found["heads"]) == 1


def revision(started: Gateway) -> int:
    return store.read(started.engine, store.read_revision)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_a_change_of_nothing_commits_nothing(gateways: list[Gateway], lab: Lab) -> None:
    active, revoked = lab.create(name="a"), lab.create(name="b")
    lab.admin.delete(f"/admin/agents/{revoked['id']}")
    gone = f"/admin/agents/{revoked['id']}"
    policy = lab.admin.get("/admin/policies/readers").json()
    changes: list[tuple[str, str, Any, int]] = [
        ("DELETE", "/admin/agents/agent_none", None, 404),
        ("PATCH", "/admin/agents/agent_none", {"name": "x"}, 404),
        ("POST", "/admin/agents/agent_none/token", None, 404),
        ("DELETE", "/admin/policies/none", None, 404),
        ("PATCH", gone, {"name": "x"}, 409),
        ("POST", f"{gone}/token", None, 409),
        ("PUT", "/admin/policies/other", policy, 409),
        ("DELETE", gone, None, 204),
        ("PATCH", f"/admin/agents/{active['id']}", {"name": "a"}, 200),
        ("PUT", "/admin/policies/readers", policy, 200),
    ]
    before, entries = revision(gateways[0]), len(lab.entries(limit=100))
    for method, path, body, status in changes:
        assert lab.admin.request(method, path, json=body).status_code == status, path
        assert revision(gateways[0]) == before, path
    assert len(lab.entries(limit=100)) == entries


def test_a_chain_goes_on_after_a_failure(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
            connection.execute("ALTER TABLE audit_entries RENAME TO hidden")
            assert check(agent, f"read:{number}").status_code == 503
            connection.execute("ALTER TABLE hidden RENAME TO audit_entries")
        assert check(agent, f"read:{number}").status_code == 200
    found = lab.admin.get("/admin/audit/verify").json()
    assert (found["valid"], len(found["heads"])) == (True, 1)


class CommitLost:
    """Breaks a commit before or after it happened, whichever the test needs."""

    def __init__(self) -> None:
        self.mode = ""

    def __call__(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("writes"):
            return  # a read
        mode, self.mode = self.mode, ""
        if mode == "before":
            raise OSError("lost before")
        if mode == "after":
            driver: Any = connection.connection.driver_connection
            driver.commit()
            raise OSError("lost after")


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("mode", ["before", "after"])
def test_a_commit_of_unknown_result_is_looked_up(open_lab: Callable[..., Lab], mode: str) -> None:
    lab = open_lab(audit_retention_days=0)
    agent = lab.agent()
    check(agent, "read:before")
    lost = CommitLost()
    event.listen(Engine, "commit", lost)
    try:
        lost.mode = mode
        assert check(agent, "read:lost").status_code == (200 if mode == "after" else 503)
    finally:
        event.remove(Engine, "commit", lost)
    assert check(agent, "read:after").status_code == 200
    assert len(lab.entries(action="read:lost")) == (1 if mode == "after" else 0)
    found = lab.admin.get("/admin/audit/verify").json()
    assert (found["valid"], len(found["heads"])) == (True, 1)


class Broken:
    """Faults that can't even be reported."""

    def report(self, *_: object) -> None:
        raise SystemExit

    clear = report


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_started_again(
    gateways: list[Gateway], open_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_SUPERVISION_INTERVAL", 0.01)
    lab = open_lab()
    agent = lab.agent()
    started = gateways[0]
    for part in (started.sync, started.checkpoints, started.writer, started.writer._applying):
        repeating: Any = part._thread
        died = repeating._thread
        faults, repeating._faults = repeating._faults, Broken()
        lab.create()
        assert until(lambda died=died: check(agent, "read:x").is_success and not died.is_alive(), PATIENCE)
        repeating._faults = faults
        assert until(lambda repeating=repeating: repeating._thread.is_alive(), PATIENCE)
    assert until(lambda: check(agent, "read:x").is_success, PATIENCE)
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_lost_head_begins_one_new_chain(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent()
    check(agent, "read:x")
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        connection.execute("UPDATE audit_heads SET count = count - 1")
    assert [check(agent, "read:x").status_code for _ in range(3)] == [200] * 3
    found = lab.admin.get("/admin/audit/verify").json()
    assert (found["valid"], len(found["heads"])) == (False, 2)


def test_a_long_reader_of_sqlite_delays_no_decision(
    open_lab: Callable[..., Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_INTERVAL", 0.01)
    monkeypatch.setattr(checkpoints, "_LONG_LOG", 2)
    monkeypatch.setattr(checkpoints, "HUGE_LOG", 4096)
    made: list[tuple[str, int]] = []
    lab = open_lab(rate_limit_rpm=0)
    agent = lab.agent()
    checkpoint = Checkpoints._checkpoint

    def note(self: Checkpoints, driver: Any) -> None:
        timeout = driver.execute("PRAGMA busy_timeout").fetchone()[0]
        checkpoint(self, driver)
        made.append(("made", timeout))

    monkeypatch.setattr(Checkpoints, "_checkpoint", note)
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM audit_entries").fetchone()
        for number in range(30):
            count = len(made)
            assert check(agent, f"read:{number}").status_code == 200
            assert until(lambda count=count: len(made) > count)
        assert {timeout for _, timeout in made} == {0}
        assert "log from being emptied" in health(lab)["background"]
        reader.execute("COMMIT")
    size = tmp_path / "gateway.db-wal"
    assert until(lambda: check(agent, "read:x").is_success and size.stat().st_size < 4096)
    assert until(lambda: health(lab)["background"] == "ok")


def test_verifications_stop_neither_health_nor_reads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, gate, lock = [0], [0], threading.Event(), threading.Lock()
    verify = audit_log.verify

    def blocked(*arguments: Any) -> Any:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(PATIENCE)
        try:
            return verify(*arguments)
        finally:
            running[0] -= 1

    monkeypatch.setattr(audit_log, "verify", blocked)
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(lab.admin.get, "/admin/audit/verify", timeout=PATIENCE) for _ in range(8)]
        assert until(lambda: running[0] == 1)
        assert lab.admin.get("/health").status_code == 200
        assert check(lab.agent(), "read:x").status_code == 200
        assert lab.entries(kind="decision")
        gate.set()
        assert {answer.result().status_code for answer in asked} == {200}
    assert most == [1]


def test_blocked_reads_stop_neither_health_nor_names(
    gateways: list[Gateway], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), []
    read = audit_log.read_page

    def blocked(*arguments: Any) -> Any:
        begun.append(1)
        gate.wait(PATIENCE)
        return read(*arguments)

    monkeypatch.setattr(audit_log, "read_page", blocked)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(lab.admin.get, "/admin/audit", timeout=PATIENCE) for _ in range(10)]
        assert until(lambda: len(begun) >= 4)
        assert lab.admin.get("/health").status_code == 200
        assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
        names = asyncio.run_coroutine_threadsafe(
            gateways[0].pools.dns.run(lambda: threading.current_thread().name, 5), gateways[0].writer._loop
        )
        assert names.result(5) == "meshguard-resolving names"
        gate.set()
        assert {answer.result().status_code for answer in asked} == {200}


def in_loop(started: Gateway, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, started.writer._loop).result(PATIENCE)


def test_nothing_is_recorded_after_the_end(
    gateways: list[Gateway], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 2 * PATIENCE)
    started = gateways[0]
    in_loop(started, started.writer.stop())
    with pytest.raises(Problem) as refused:
        in_loop(started, started.writer.record([]))
    assert refused.value.status == 503
    assert lab.admin.post("/admin/agents", json={"name": "x"}).status_code == 503


def test_a_writer_that_hangs_is_waited_for_only_so_long(
    gateways: list[Gateway], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = lab.agent()
    gate = threading.Event()
    insert = store.insert_entries

    def hang(*arguments: Any) -> None:
        gate.wait(PATIENCE)
        insert(*arguments)

    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 0.3)
    monkeypatch.setattr(writer, "insert_entries", hang)
    assert check(agent, "read:x").status_code == 503
    assert check(agent, "read:y").status_code == 503
    assert gateways[0].writer._pending == 0
    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 10.0)
    gate.set()
    assert until(lambda: check(agent, "read:z").status_code == 200)
    assert [entry["action"] for entry in lab.entries(kind="decision", action="read:y")] == []
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_batch_weighs_what_it_holds(
    gateways: list[Gateway], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    take = Writer._take

    def note(self: Writer, jobs: Any) -> None:
        take(self, jobs)
        seen.extend(job.weight for job in jobs)

    monkeypatch.setattr(Writer, "_take", note)
    agent = lab.agent()
    agent.post("/api/v1/pdp/evaluate/batch", json={"requests": [{"action": "read:x"}] * 7})
    assert 7 in seen
    assert until(lambda: gateways[0].writer._pending == 0)


@pytest.mark.usefixtures("gateways", "lab")
def test_waiting_jobs_are_written_at_the_end(gateways: list[Gateway]) -> None:
    started = gateways[0]
    done: list[int] = []

    async def fill() -> None:
        def note(number: int, _: Connection) -> Change[None]:
            done.append(number)
            return Change(None)

        jobs = [started.writer.change(partial(note, n)) for n in range(50)]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        await asyncio.sleep(0)
        await started.writer.stop()
        await asyncio.gather(*tasks)

    in_loop(started, fill())
    assert sorted(done) == list(range(50))


@pytest.mark.usefixtures("gateways", "lab")
def test_a_caller_that_left_disturbs_no_other(gateways: list[Gateway]) -> None:
    started = gateways[0]

    async def leave() -> int:
        left = asyncio.ensure_future(started.writer.change(lambda _: Change(1)))
        stays = asyncio.ensure_future(started.writer.change(lambda _: Change(2)))
        await asyncio.sleep(0)
        left.cancel()
        return await stays

    assert in_loop(started, leave()) == 2
    assert started.writer._pending == 0


def test_a_change_that_cannot_be_read_back_is_doubted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    created = lab.create()
    agent = lab.client(created["token"])
    assert check(agent, "read:x").status_code == 200
    with monkeypatch.context() as broken:
        broken.setattr(store, "read_revision", lambda _: 1 // 0)
        assert lab.admin.delete(f"/admin/agents/{created['id']}").status_code == 204
        assert check(agent, "read:x").status_code == 503
    assert until(lambda: check(agent, "read:x").status_code == 401)


@pytest.mark.usefixtures("gateways", "lab")
def test_what_was_read_before_a_doubt_does_not_settle_it(gateways: list[Gateway]) -> None:
    current = gateways[0].current
    in_loop(gateways[0], gateways[0].sync.stop())
    seen = current.doubts
    current.doubt()
    current.confirm(current._monotonic(), seen)
    assert not current.is_confirmed
    current.confirm(current._monotonic(), current.doubts)
    assert current.is_confirmed


def test_a_snapshot_is_as_old_as_the_beginning_of_its_read(
    gateways: list[Gateway], open_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    lab = open_lab(monotonic=clock)
    agent = lab.agent()
    started = gateways[0]
    in_loop(started, started.sync.stop())
    read = store.read_revision

    def slow(connection: Connection) -> int:
        clock.seconds += 11
        return read(connection)

    monkeypatch.setattr(store, "read_revision", slow)
    started.sync.load()
    assert check(agent, "read:x").status_code == 503


@pytest.mark.parametrize("held", ["check", "evaluate", "batch"])
def test_nothing_is_answered_before_its_entry_is_durable(lab: Lab, tmp_path: Path, held: str) -> None:
    agent = lab.agent()
    agent.timeout = httpx.Timeout(PATIENCE)

    def ask() -> httpx.Response:
        if held == "check":
            return check(agent, "read:x")
        if held == "evaluate":
            return agent.post("/api/v1/pdp/evaluate", json={"action": "read:x"})
        return agent.post("/api/v1/pdp/evaluate/batch", json={"requests": [{"action": "read:x"}]})

    held_file = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    with closing(held_file) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("BEGIN IMMEDIATE")
        asked = pool.submit(ask)
        assert not until(asked.done, 0.5)
        holder.execute("ROLLBACK")
        assert asked.result().status_code == 200


@pytest.mark.parametrize("what", ["tier", "revoked", "stale"])
def test_a_decision_is_made_from_what_is_known_after_a_wait(
    gateways: list[Gateway], open_lab: Callable[..., Lab], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    lab = open_lab(monotonic=clock)
    policy = {
        "name": "top",
        "rules": [{"effect": "deny", "actions": ["*"]}],
        "appliesTo": {"trustTiers": ["trusted"]},
    }
    assert lab.admin.put("/admin/policies/top", json=policy).is_success
    created = lab.create()
    path = f"/admin/agents/{created['id']}"

    async def wait(*_: Any) -> None:
        if what == "stale":
            gateways[0].sync._thread.stop()
            clock.seconds += 60
        else:
            change = (
                (lambda: lab.admin.delete(path))
                if what == "revoked"
                else (lambda: lab.admin.patch(path, json={"trustTier": "trusted"}))
            )
            await asyncio.to_thread(change)

    monkeypatch.setattr(gateways[0].limit, "take", wait)
    status = check(lab.client(created["token"]), "read:x").status_code
    assert status == {"tier": 403, "revoked": 401, "stale": 503}[what]
