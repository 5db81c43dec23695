"""The systemd unit of docs/operations.md, on machines without systemd as their init too.

`strace` shows what a gateway asks of the system, and that is held against what the unit permits.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deployment.conftest import block, filled, require
from tests.gateway.conftest import check
from tests.gateway.test_serve import COMMAND, SECRETS, agent_of, environment
from tests.servers import postgresql
from tests.support import until


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the command of the environment that the tests run in."""
    require("systemd-analyze", "systemd")
    command = {"/opt/meshguard/bin/meshguard": str(Path(sys.executable).with_name("meshguard"))}
    file = tmp_path / "meshguard.service"
    file.write_text(filled(block("ini", "ExecStart"), command))
    return file


def analyze(*arguments: str) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def setting(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.+)$", unit.read_text(), re.MULTILINE)


def calls_of(name: str) -> set[str]:
    """Return the system calls of a set such as @system-service, with those of the sets in it."""
    if not name.startswith("@"):
        return {name}
    lines = [line.strip() for line in analyze("syscall-filter", name).splitlines()[1:]]
    return {call for line in lines if line and not line.startswith("#") for call in calls_of(line)}


def permitted_calls(unit: Path) -> set[str]:
    permitted, forbidden = setting(unit, "SystemCallFilter")
    assert forbidden.startswith("~")
    return calls_of(permitted).difference(*map(calls_of, forbidden[1:].split()))


@contextmanager
def traced(folder: Path, **settings: str) -> Iterator[tuple[str, Path]]:
    """Run a gateway until the block ends; gives its URL, and the file that has all its system calls then."""
    require("strace", "strace")
    trace = folder / "trace"
    trace.touch()
    process = subprocess.Popen(
        ["strace", "-D", "-f", "-q", "-s", "1000", "-o", trace, *COMMAND, "serve"],
        cwd=folder,
        env=environment(PYTHONDONTWRITEBYTECODE="1", PORT="0", **SECRETS, **settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0], trace
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert until(lambda: re.search(rf"^{process.pid} +\+\+\+ exited", trace.read_text(), re.MULTILINE), 20)


def test_systemd_finds_no_mistake_in_the_unit(unit: Path) -> None:
    analyze("verify", str(unit))


def test_the_unit_leaves_little_exposed(unit: Path) -> None:
    analyze("security", "--offline=true", "--no-pager", "--threshold=20", str(unit))


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_the_unit_permits_all_that_a_gateway_does(unit: Path, tmp_path: Path, store: str) -> None:
    home = tmp_path / "home"
    (home / "policies").mkdir(parents=True)
    with postgresql() as server:
        database = "sqlite:///meshguard.db" if store == "sqlite" else server.new_database()
        with traced(home, DATABASE_URL=database, POLICIES_DIR="policies") as (url, trace):
            policy = "{name: all, rules: [{effect: allow, actions: ['*']}]}"
            with agent_of(url) as agent:
                assert check(agent, "write:x").status_code == 403
                (home / "policies" / "all.yaml").write_text(policy)
                assert until(lambda: check(agent, "write:x").status_code == 200, 20)
    calls = trace.read_text()
    made = set(re.findall(r"^\d+ +(\w+)\(", calls, re.MULTILINE))
    by_root = {"fchown"} if os.geteuid() == 0 else set()  # SQLite's; the unit's user is another
    assert made - permitted_calls(unit) <= by_root
    families = set(re.findall(r"socket(?:pair)?\((\w+)", calls))
    assert families <= set(setting(unit, "RestrictAddressFamilies")[0].split())
    assert not re.findall(r"mmap.*PROT_WRITE\|PROT_EXEC|mprotect.*PROT_EXEC", calls)
    written = re.findall(r'openat\(AT_FDCWD, "([^"]+)", [^)]*(?:O_WRONLY|O_RDWR|O_CREAT)', calls)
    assert bool(written) == (store == "sqlite")
    assert all((home / file).is_relative_to(home) for file in written)
