from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import check
from tests.support import ADMIN_TOKEN, ALLOW_READS, SECRET, admin_client

COMMAND = [sys.executable, "-m", "meshguard.cli"]
SECRETS = {"MESHGUARD_JWT_SECRET": SECRET, "MESHGUARD_ADMIN_TOKEN": ADMIN_TOKEN}


def environment(**settings: str) -> dict[str, str]:
    names = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"DATABASE_URL": "sqlite:///meshguard.db"} | settings


def served(
    folder: Path, *flags: str, **settings: str
) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """Run `meshguard serve` in a process group of its own; gives the process and the URL."""
    return serving(folder, flags, settings)


@contextmanager
def serving(
    folder: Path, flags: Iterable[str], settings: dict[str, str], stderr: int | None = subprocess.PIPE
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `meshguard serve` with its log in a pipe, or, with None, where this process has its own."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *flags],
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, process.stderr.read() if process.stderr else ""
        yield process, found[0]
    finally:
        with suppress(ProcessLookupError):  # workers may be left, even without the main process
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run(*arguments: str, folder: Any = None, **settings: str) -> Any:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def agent_of(url: str) -> httpx.Client:
    with admin_client(url) as admin:
        admin.put(
            "/admin/policies/readers", content=ALLOW_READS, headers={"Content-Type": "application/yaml"}
        )
        token = admin.post("/admin/agents", json={"name": "bot"}).json()["token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def test_what_was_answered_is_in_the_log_after_a_kill(tmp_path: Path) -> None:
    with served(tmp_path, **SECRETS) as (process, url), agent_of(url) as agent:
        answered = [check(agent, f"read:{number}").json()["auditId"] for number in range(20)]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    with served(tmp_path, **SECRETS) as (_, url), admin_client(url) as admin:
        entries = admin.get("/admin/audit", params={"kind": "decision"}).json()["entries"]
        assert [entry["id"] for entry in entries] == answered[::-1]
        assert admin.get("/admin/audit/verify").json()["valid"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path, **SECRETS) as (process, url):
        with agent_of(url) as agent:
            assert check(agent, "read:x").status_code == 200
        os.kill(process.pid, number)
        _, complaints = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Traceback" not in complaints


def test_dev_never_listens_beyond_loopback(tmp_path: Path) -> None:
    outcome = run("serve", "--dev", "--host", "0.0.0.0", folder=tmp_path)
    assert outcome.returncode == 2
    assert "loopback" in outcome.stderr


def test_weak_settings_are_listed_without_a_traceback() -> None:
    outcome = run("serve", "--mode", "off", JWT_SECRET="changeme")
    assert outcome.returncode == 2
    lines = outcome.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["MODE", "JWT_SECRET", "ADMIN_TOKEN"]
    assert "changeme" not in outcome.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = run("serve", "--dev", "--port", str(taken.getsockname()[1]), folder=tmp_path)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("Error: Cannot listen on 127.0.0.1, port ")


def test_a_database_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/x.db"
    outcome = run("serve", "--dev", "--port", "0", "--database-url", url, folder=tmp_path)
    assert outcome.returncode == 3
    assert "DATABASE_URL: the database can't be opened" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_two_processes_may_share_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    settings = {**SECRETS, "MESHGUARD_DATABASE_URL": url}
    with served(tmp_path, **settings) as (_, one), served(tmp_path, **settings) as (_, other):
        assert httpx.get(f"{one}/health").status_code == httpx.get(f"{other}/health").status_code == 200


def test_the_version_is_shown() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version").stdout)


def test_without_the_extra_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no typer', name='typer')")
    for arguments in (("serve",), ("--help",)):
        outcome = run(*arguments, PYTHONPATH=str(tmp_path))
        assert outcome.returncode == 3
        expected = "Error: The command line needs more packages. Run: pip install 'meshguard[cli]'\n"
        assert outcome.stderr == expected
