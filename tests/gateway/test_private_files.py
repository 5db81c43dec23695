"""Only the user who runs the gateway may read its files, whatever the umask."""

from __future__ import annotations

import logging
import re
import stat
import subprocess
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from meshguard.gateway.private_files import PrivateDatabase
from meshguard.gateway.store import migrate, open_database
from tests.gateway.conftest import check
from tests.gateway.test_serve import COMMAND, SECRETS, agent_of, environment


def modes(folder: Path) -> dict[str, str]:
    return {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in folder.iterdir() if file.is_file()}


def test_no_file_of_the_gateway_or_its_commands_is_open_to_others(tmp_path: Path) -> None:
    """With a umask of 0, each file that is made."""

    def run(*arguments: str, **settings: str) -> None:
        subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(**SECRETS, **settings),
            check=True,
            timeout=120,
            umask=0,
        )

    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment(**SECRETS),
        stdout=subprocess.PIPE,
        text=True,
        umask=0,
    ) as process:
        try:
            assert process.stdout
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            with agent_of(found[0]) as agent:
                assert check(agent, "read:x").status_code == 200
            client = {"MESHGUARD_GATEWAY_URL": found[0]}
            run("audit", "export", "export.jsonl", **client)
            run("audit", "verify", "--anchor", "anchors.jsonl", **client)
            run("backup", "backup.db")
            made = modes(tmp_path)
            assert httpx.get(f"{found[0]}/health").status_code == 200
        finally:
            process.terminate()
            process.wait(20)
    run("restore", "backup.db", "--database-url", "sqlite:///restored.db")
    run("db", "upgrade", "--database-url", "sqlite:///new.db")
    made |= modes(tmp_path)
    assert made.keys() >= {
        *("meshguard.db", "meshguard.db-wal", "meshguard.db-shm", "backup.db", "restored.db", "new.db"),
        *("export.jsonl", "export.jsonl.heads", "anchors.jsonl"),
    }
    assert {name: mode for name, mode in made.items() if mode != "0o600"} == {}


@pytest.mark.parametrize("kind", ["path", "link", "uri"])
def test_a_database_is_private_before_sqlite_opens_it(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "x.db"
    url = {
        "path": f"sqlite:///{file}",
        "link": f"sqlite:///{tmp_path}/link.db",
        "uri": f"sqlite:///file:{file}?uri=true",
    }[kind]
    if kind == "link":
        (tmp_path / "link.db").symlink_to(file)
    engine = open_database(url)
    seen: list[int] = []
    event.listen(engine, "do_connect", lambda *_: seen.append(stat.S_IMODE(file.stat().st_mode)))
    migrate(engine)
    engine.dispose()
    assert set(seen) == {0o600}
    assert caplog.messages == []  # it never had another mode that had to be tightened


def test_a_database_of_an_earlier_version_is_tightened_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshguard.gateway")
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"x.db{suffix}").touch()
        (tmp_path / f"x.db{suffix}").chmod(0o644)
    database = PrivateDatabase(f"{tmp_path}/x.db")
    database.protect()
    database.protect()
    assert set(modes(tmp_path).values()) == {"0o600"}
    assert caplog.messages == [
        f"x.db{suffix} was open to other users (644): only its owner may read it now"
        for suffix in ("", "-wal", "-shm")
    ]


def test_a_database_of_another_user_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "x.db").touch()
    (tmp_path / "x.db").chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    database = PrivateDatabase(f"{tmp_path}/x.db")
    database.protect()
    database.protect()
    monkeypatch.undo()
    assert caplog.messages == [
        "x.db is open to other users: its mode can't be changed (Operation not permitted)"
    ]


def test_a_folder_that_is_missing_is_left_to_sqlite_to_report(tmp_path: Path) -> None:
    PrivateDatabase(f"{tmp_path}/none/x.db").protect()
    assert list(tmp_path.iterdir()) == []
