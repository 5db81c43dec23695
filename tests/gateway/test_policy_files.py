from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard.gateway import policy_folder
from meshguard.gateway.files import PolicyFiles
from meshguard.gateway.policy_folder import PolicyFolder
from meshguard.gateway.snapshot import Current
from meshguard.policy import Agent, PolicyLoadError, Request
from meshguard.policy.regular_files import read_regular
from tests.gateway.conftest import Lab, check
from tests.gateway.policy_changes import ALLOW, DENY, WAYS, Way, folder, make_socket
from tests.support import Clock, until

_AGENT = Agent("agent_1", "bot", "verified")
_PATIENCE = 20.0  # seconds; the machine may be busy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Watched:
    """A folder that is watched."""

    def __init__(self, directory: Path) -> None:
        self._current = Current(1.0)
        self.files = PolicyFiles(directory, self._current)
        self.files.load()

    @property
    def allows(self) -> bool:
        decision = self._current.snapshot.engine.decide(_AGENT, Request("read:x"), now=datetime.now(UTC))
        return decision.decision == "allow"

    @asynccontextmanager
    async def watching(self) -> Any:
        stop = asyncio.Event()
        task = asyncio.create_task(self.files.watch(stop))
        yield self
        stop.set()
        await task


async def settled(condition: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(until, condition, _PATIENCE)


@pytest.mark.anyio
async def test_no_change_on_disk_goes_stale_unsaid(tmp_path: Path) -> None:
    """Each way turns an allow into a deny: it takes effect, or health says that it has not."""
    async with AsyncExitStack() as stack:
        watched: dict[str, Watched] = {}
        for each in WAYS:
            root = tmp_path / each.name
            root.mkdir()
            watched[each.name] = await stack.enter_async_context(Watched(each.make(root)).watching())
        assert all(one.allows for one in watched.values())
        for each in WAYS:
            each.change(tmp_path / each.name)

        def stale() -> list[str]:
            return [name for name, one in watched.items() if one.allows and not one.files.problems()]

        await settled(lambda: not stale())
        assert stale() == []
        assert len(watched) == len(WAYS) >= 40


KEPT = {  # the set on disk can't take effect, and health says so
    "folder_removed",
    "folder_replaced_by_a_file",
    "file_made_unreadable",
    "file_broken",
    "file_grown_too_large",
    "file_truncated",
    "name_taken_twice",
}


@pytest.mark.parametrize("each", WAYS, ids=lambda each: each.name)
def test_a_change_is_read_at_the_next_look(tmp_path: Path, each: Way) -> None:
    watched = Watched(each.make(tmp_path))
    each.change(tmp_path)
    watched.files.reload()
    assert watched.allows == (each.name in KEPT)
    assert watched.files.problems() or not watched.allows


@pytest.mark.parametrize(
    "name",
    [
        "linked_folder_swapped",
        "linked_file_swapped",
        "folder_renamed_and_replaced",
        "config_map_updated",
        "fifo_added_beside_a_change",
    ],
)
def test_a_running_gateway_follows(open_lab: Callable[..., Lab], tmp_path: Path, name: str) -> None:
    (each,) = [each for each in WAYS if each.name == name]
    root = tmp_path / "root"
    root.mkdir()
    agent = open_lab(policies_dir=each.make(root)).agent()
    assert check(agent, "read:x").status_code == 200
    each.change(root)
    assert until(lambda: check(agent, "read:x").status_code == 403, _PATIENCE)


def test_a_folder_that_was_gone_is_watched_again(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lab = open_lab(policies_dir=folder(root))
    agent = lab.agent()
    (root / "policies").rename(root / "old")

    def said() -> str:
        return str(lab.admin.get("/health").json()["checks"]["policies"])

    assert until(lambda: "can't be read" in said(), _PATIENCE)
    assert check(agent, "read:x").status_code == 200
    folder(root, text=DENY)
    assert until(lambda: check(agent, "read:x").status_code == 403, _PATIENCE)
    assert until(lambda: said() == "ok", _PATIENCE)


def _strange(root: Path) -> Path:
    made = folder(root)
    os.mkfifo(made / "a-fifo.yaml")
    make_socket(made / "a-socket.yml")
    (made / "a-folder.json").mkdir()
    (made / "a-device.yaml").symlink_to("/dev/zero")
    (made / "dangling.yaml").symlink_to("nowhere")
    (made / "loop.yaml").symlink_to("loop.yaml")
    (made / "notes.txt").write_text("no policy")
    (made / ".hidden.yaml").write_text("no policy")
    (made / "below").mkdir()
    (made / "below" / "inner.yaml").write_text("no policy")
    return made


def test_what_is_not_a_file_is_skipped_and_named(
    open_lab: Callable[..., Lab], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lab = open_lab(policies_dir=_strange(root))
    assert check(lab.agent(), "read:x").status_code == 200
    said = lab.admin.get("/health").json()["checks"]["policies"]
    assert said == (
        "skipped, because only regular files are read: a-device.yaml (a device), a-fifo.yaml (a FIFO), "
        "a-folder.json (a directory), a-socket.yml (a socket), dangling.yaml (a link to nothing) and 1 more"
    )
    logged = [message for message in caplog.messages if message.startswith("skipped")]
    assert len(logged) == 1
    assert "a-fifo.yaml (a FIFO)" in logged[0]


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "second.yaml").symlink_to("/proc/self/mem")
    with pytest.raises(PolicyLoadError, match=r"second\.yaml: can't be read"):
        Watched(made)


def test_a_file_that_turns_into_a_fifo_before_it_is_opened_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(tmp_path)
    regular = (made / "desk.yaml").stat()
    (made / "desk.yaml").unlink()
    os.mkfifo(made / "desk.yaml")
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)
    found: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: found.append(PolicyFolder(made).read().skipped), daemon=True)
    thread.start()
    thread.join(5)
    monkeypatch.undo()
    os.close(os.open(made / "desk.yaml", os.O_RDWR | os.O_NONBLOCK))  # ends the wait of one that hangs
    assert found == [("desk.yaml (a FIFO)",)]


def test_more_files_than_the_limit_are_rejected_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder(tmp_path))
    monkeypatch.setattr(policy_folder, "MAX_FILES", 1)
    (tmp_path / "policies/second.yaml").write_text(DENY.replace("desk", "second"))
    watched.files.reload()
    assert "more than 1 policy files" in watched.files.problems()[0]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read; every folder counts as large."""
    found: list[Path] = []

    def counted(path: Path, limit: int) -> bytes:
        found.append(path)
        return read_regular(path, limit)

    monkeypatch.setattr(policy_folder, "_ALWAYS_READ", 0)
    monkeypatch.setattr(policy_folder, "read_regular", counted)
    return found


def test_of_many_files_only_unsettled_ones_are_read_again(tmp_path: Path, reads: list[Path]) -> None:
    clock = Clock()
    large = PolicyFolder(folder(tmp_path), clock)
    for seconds in (0, 1, 1, 1):  # within the granularity of a file's times
        clock.seconds += seconds
        large.read()
    assert len(reads) == 4
    clock.seconds += 1
    large.read()
    large.read()
    assert len(reads) == 4
    (tmp_path / "policies/desk.yaml").write_text(DENY)
    assert list(large.read().sources.values()) == [DENY.encode()]
    assert len(reads) == 5


@pytest.mark.usefixtures("reads")
def test_of_many_files_one_that_keeps_its_signature_is_read_while_unsettled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    large = PolicyFolder(folder(tmp_path), clock)
    monkeypatch.setattr(policy_folder, "_signature", lambda _: (0, 0, 0, 0, 0))
    large.read()
    clock.seconds += 2
    (tmp_path / "policies/desk.yaml").write_text(DENY)
    assert list(large.read().sources.values()) == [DENY.encode()]


def test_a_file_that_is_half_written_does_not_take_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two looks in a row have to agree."""
    whole = "{name: desk, rules: [{effect: allow, actions: ['*']}, {effect: deny, actions: ['read:*']}]}\n"
    file = folder(tmp_path, text=DENY) / "desk.yaml"
    watched = Watched(file.parent)
    file.write_text(ALLOW)
    read, looks = watched.files._folder.read, []

    def interrupted() -> Any:
        looks.append(read())
        file.write_text(whole)
        return looks[-1]

    monkeypatch.setattr(watched.files._folder, "read", interrupted)
    watched.files.reload()
    assert len(looks) == 3
    assert not watched.allows


def test_a_folder_that_never_rests_takes_effect_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder(tmp_path))
    clock = Clock()
    watched.files._monotonic = clock
    read = watched.files._folder.read

    def busy() -> Any:
        clock.seconds += 0.3
        assert clock.seconds - Clock.seconds < 5
        (tmp_path / "policies/desk.yaml").write_text(f"{DENY}# {clock.seconds}")
        return read()

    monkeypatch.setattr(watched.files._folder, "read", busy)
    watched.files.reload()
    assert not watched.allows
    assert clock.seconds - Clock.seconds < 2


RAISED = [RuntimeError, OSError, MemoryError, RecursionError, SystemExit, KeyboardInterrupt, GeneratorExit]


@pytest.mark.anyio
@pytest.mark.parametrize("error", RAISED)
async def test_the_watcher_survives_every_exception(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
) -> None:
    caplog.set_level(logging.INFO, "meshguard.gateway")
    watched = Watched(folder(tmp_path))
    read, broken = watched.files._folder.read, threading.Event()
    broken.set()

    def fail() -> Any:
        if broken.is_set():
            raise error("s3cret")
        return read()

    monkeypatch.setattr(watched.files._folder, "read", fail)
    async with watched.watching():
        expected = f"watching the files failed ({error.__name__}) and is tried again"
        assert await settled(lambda: expected in watched.files.problems())
        (tmp_path / "policies/desk.yaml").write_text(DENY)
        broken.clear()
        assert await settled(lambda: not watched.allows)
        assert await settled(lambda: watched.files.problems() == [])
    assert (
        caplog.messages.count(f"watching the policy files failed ({error.__name__}); the next try follows")
        == 1
    )
    assert "the policy files are watched again" in caplog.messages
    assert "s3cret" not in caplog.text


@pytest.mark.anyio
async def test_a_watcher_that_dies_is_reported_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(folder(tmp_path))
    run = watched.files._run
    deaths: list[int] = []

    def die_first(ended: threading.Event) -> None:
        if deaths:
            run(ended)
        deaths.append(1)

    monkeypatch.setattr(watched.files, "_run", die_first)
    async with watched.watching():
        (tmp_path / "policies/desk.yaml").write_text(DENY)
        assert await settled(lambda: not watched.allows)
    assert "the watcher of the policy files died and is started again" in caplog.messages


@pytest.mark.anyio
async def test_a_thread_that_cannot_start_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder(tmp_path))
    start = threading.Thread.start
    refusals: list[list[str]] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "meshguard-policies" and len(refusals) < 2:
            refusals.append(watched.files.problems())
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    async with watched.watching():
        (tmp_path / "policies/desk.yaml").write_text(DENY)
        assert await settled(lambda: not watched.allows)
    assert refusals == [[], ["watching the files failed (RuntimeError) and is tried again"]]


def test_a_look_that_hangs_is_said_in_health(tmp_path: Path) -> None:
    clock = Clock()
    files = PolicyFiles(folder(tmp_path), Current(1.0), clock)
    files.load()
    clock.seconds += 2
    assert files.problems() == []
    clock.seconds += 5
    assert files.problems() == ["the files have not been read for 7 s, so changes may be missing"]


def test_health_answers_while_a_look_hangs(
    open_lab: Callable[..., Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system whose server is gone."""
    root = tmp_path / "root"
    root.mkdir()
    lab = open_lab(policies_dir=folder(root))
    gone = threading.Event()
    monkeypatch.setattr(PolicyFolder, "read", lambda _: gone.wait(_PATIENCE))
    try:
        assert until(lambda: "have not been read" in lab.admin.get("/health").text, _PATIENCE)
        assert httpx.get(f"{lab.url}/health").status_code == 200
        assert check(lab.agent(), "read:x").status_code == 200
    finally:
        monkeypatch.undo()
        gone.set()


@pytest.mark.anyio
async def test_the_watcher_ends_with_the_gateway(tmp_path: Path) -> None:
    watched = Watched(folder(tmp_path))
    async with watched.watching():
        pass
    assert watched.files._ended.is_set()
