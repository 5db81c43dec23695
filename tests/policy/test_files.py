"""Whatever a path leads to, reading it ends soon and takes in little."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from meshguard.audit_verify import UnreadableError, read_anchors, read_heads, read_json_lines
from meshguard.cli.policy import app
from meshguard.gateway.policy_folder import PolicyFolder
from meshguard.policy import PolicyLoadError, load_policies
from meshguard.policy.regular_files import NotRegularError, read_regular

POLICY = "{name: readers, rules: [{effect: allow, actions: ['read:*']}]}"
DEADLINE = 20.0  # seconds


def fifo(path: Path) -> None:
    os.mkfifo(path)


def open_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def linked_fifo(path: Path) -> None:
    fifo(path.parent / "pipe")
    path.symlink_to("pipe")


def long_file(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**10)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


ODD: dict[str, Callable[[Path], None]] = {
    "a FIFO": fifo,
    "a link to a FIFO": linked_fifo,
    "a socket": open_socket,
    "a device without end": link_to("/dev/zero"),
    "a device": link_to("/dev/null"),
    "a terminal": link_to("/dev/tty"),
    "a directory": Path.mkdir,
    "a link to nothing": link_to("nothing"),
    "a link to itself": link_to("odd.yaml"),
    "10 GB": long_file,
}
KINDS = pytest.mark.parametrize("kind", ODD)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "policies").mkdir()
    monkeypatch.chdir(tmp_path / "policies")  # the path of a socket is short
    return Path()


def in_time(work: Callable[[], Any]) -> Any:
    """Return what the work returns or raises, if it does so in time."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            found.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert found, "it waits"
    return found[0]


@KINDS
@pytest.mark.parametrize("named", ["the folder", "the file"])
def test_loading_odd_files_ends(folder: Path, kind: str, named: str) -> None:
    (folder / "good.yaml").write_text(POLICY)
    odd = folder / "odd.yaml"
    ODD[kind](odd)
    if named == "the folder" or kind != "a directory":
        error = in_time(lambda: load_policies(folder if named == "the folder" else odd))
        assert isinstance(error, PolicyLoadError)
        assert [fault.file for fault in error.faults] == ["odd.yaml"]


@KINDS
@pytest.mark.parametrize("command", [["lint"], ["validate"], ["test", "--policies", ".", "--file"]])
def test_commands_on_odd_files_end(folder: Path, kind: str, command: list[str]) -> None:
    odd = folder / "odd.yaml"
    ODD[kind](odd)
    done = in_time(lambda: CliRunner().invoke(app, [*command, "odd.yaml"]))
    assert done.exit_code in {1, 2}, done.output
    assert done.output.strip()


@KINDS
def test_the_gateway_reads_odd_files_in_time(folder: Path, kind: str) -> None:
    ODD[kind](folder / "odd.yaml")
    contents = in_time(PolicyFolder(folder).read)
    read = contents.sources.get("odd.yaml", b"")
    assert contents.skipped or contents.faults or len(read) == 1_048_577


@KINDS
@pytest.mark.parametrize("read", [read_heads, read_anchors])
def test_heads_and_anchors_are_read_in_time(folder: Path, kind: str, read: Callable[[Path], Any]) -> None:
    odd = folder / "odd.yaml"
    ODD[kind](odd)
    error = in_time(lambda: read(odd))
    assert error == [] or isinstance(error, UnreadableError | OSError)
    assert error != [] or kind.startswith("a link to ")


def test_an_export_of_one_endless_line_is_unreadable(folder: Path) -> None:
    (folder / "export.jsonl").symlink_to("/dev/zero")
    error = in_time(lambda: list(read_json_lines(folder / "export.jsonl")))
    assert isinstance(error, UnreadableError)


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a directory"])
def test_the_error_names_the_kind(folder: Path, kind: str) -> None:
    ODD[kind](folder / "odd")
    with pytest.raises(NotRegularError) as caught:
        read_regular(folder / "odd", 10)
    assert (caught.value.kind, caught.value.strerror) == (kind, f"{kind}, not a regular file")


def test_a_regular_file_is_read_up_to_the_limit(folder: Path) -> None:
    (folder / "file").write_bytes(b"0123456789")
    (folder / "link").symlink_to("file")
    assert [read_regular(folder / "link", limit) for limit in (0, 4, 10, 11)] == [
        b"",
        b"0123",
        b"0123456789",
        b"0123456789",
    ]
