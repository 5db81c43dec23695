from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from meshguard import audit_verify
from meshguard._sync.audit import Audit
from meshguard.cli.commands import app
from meshguard.gateway.audit_proof import Cut
from meshguard.gateway.audit_retention import remove
from meshguard.gateway.audit_seals import Seals
from meshguard.gateway.store import audit_entries, open_database
from tests.gateway.conftest import Lab, check
from tests.gateway.test_serve import COMMAND, environment
from tests.servers import PostgreSQL
from tests.support import ADMIN_TOKEN, OLD_SECRET, SECRET, until

Run = Callable[..., Result]


@pytest.fixture
def run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", lab.url)
    monkeypatch.setenv("MESHGUARD_ADMIN_TOKEN", ADMIN_TOKEN)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, ["audit", *map(str, arguments)])


@pytest.fixture
def asked(lab: Lab) -> list[str]:
    """The trace ids of five reads and a denied write."""
    agent = lab.agent(name="ada")
    for number in range(5):
        check(agent, f"read:{number}", **{"X-MeshGuard-Trace-ID": f"t-{number}"})
    check(agent, "write:x", **{"X-MeshGuard-Trace-ID": "t-denied"})
    return [*(f"t-{number}" for number in range(5)), "t-denied"]


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def tamper(tmp_path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.usefixtures("asked")
def test_list_shows_the_newest_first(run: Run) -> None:
    shown = run("list", "--limit", 3)
    assert shown.exit_code == 0
    assert [line.split()[3] for line in shown.stdout.splitlines()[1:]] == ["write:x", "read:4", "read:3"]
    assert [entry["action"] for entry in lines(run("list", "--json", "--decision", "deny"))] == ["write:x"]
    filters = ("--agent", "ada", "--action", "read:*", "--kind", "decision", "--policy", "readers")
    assert len(lines(run("list", "--json", *filters, "--since", "1h"))) == 5
    assert lines(run("list", "--json", "--until", "2020-01-01T00:00:00Z")) == []


@pytest.mark.usefixtures("asked")
def test_tail_shows_the_oldest_first(run: Run) -> None:
    assert [entry["action"] for entry in lines(run("tail", "-n", 2, "--json"))] == ["read:4", "write:x"]
    assert "read:4" in run("tail", "-n", 2).stdout.splitlines()[0]


def following(lab: Lab) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "audit", "tail", "-f", "-n", "1", "--interval", "0.1"],
        env=environment(MESHGUARD_GATEWAY_URL=lab.url, MESHGUARD_ADMIN_TOKEN=ADMIN_TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores it, and so would all that pytest starts then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def test_tail_neither_skips_nor_repeats_what_another_gateway_commits_late(
    open_lab: Callable[..., Lab], postgres: PostgreSQL
) -> None:
    database = postgres.new_database()
    one, other = (open_lab(database_url=database, rate_limit_rpm=0) for _ in range(2))
    token = one.create()["token"]
    agent, late = one.client(token), other.client(token)
    many = {"requests": [{"action": "read:many"}] * 300}
    assert agent.post("/api/v1/pdp/evaluate/batch", json=many).status_code == 200
    assert until(lambda: check(late, "read:early").status_code == 200)
    with (
        following(one) as tail,
        ThreadPoolExecutor(1) as pool,
        closing(psycopg.connect(database)) as blocker,
    ):
        ended = Timer(30, tail.kill)  # lest a line that is missing is waited for without end
        ended.start()
        assert tail.stdout is not None
        assert "read:early" in tail.stdout.readline()
        blocker.execute(
            "SELECT 1 FROM audit_heads NATURAL JOIN (SELECT stream FROM audit_entries"
            " WHERE action = 'read:early') AS late FOR UPDATE OF audit_heads"
        )
        answer = pool.submit(check, late, "read:late")
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert until(lambda: postgres.execute(waits))
        assert agent.post("/api/v1/pdp/evaluate/batch", json=many).status_code == 200
        assert all("read:many" in tail.stdout.readline() for _ in range(300))
        blocker.rollback()
        assert answer.result().status_code == 200
        assert "read:late" in tail.stdout.readline()
        assert check(agent, "read:last").status_code == 200
        assert "read:last" in tail.stdout.readline()
        ended.cancel()
        tail.kill()


def test_tail_follows_what_arrives_until_it_is_interrupted(lab: Lab) -> None:
    agent = lab.agent()
    check(agent, "read:before")
    process = following(lab)
    assert process.stdout is not None
    assert "read:before" in process.stdout.readline()
    for number in range(3):
        check(agent, f"read:{number}")
        assert f"read:{number}" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")


def test_trace_shows_what_belongs_together(run: Run, asked: list[str]) -> None:
    assert [entry["action"] for entry in lines(run("trace", asked[-1], "--json"))] == ["write:x"]
    nothing = run("trace", "unknown")
    assert nothing.exit_code == 1
    assert nothing.stderr.startswith('Error: No audit entry has the trace ID "unknown". ')


@pytest.mark.usefixtures("asked")
def test_stats_count(run: Run) -> None:
    assert "6 decisions in 24h: 5 allowed, 1 denied" in run("stats").stdout
    assert lines(run("stats", "--period", "7d", "--json"))[0]["topDenied"] == [
        {"action": "write:x", "count": 1}
    ]


def test_what_an_agent_wrote_does_not_steer_the_terminal(lab: Lab, run: Run) -> None:
    body = {"action": "read:[bold]\u202e", "resource": "\u2066x"}
    lab.agent(name="bot").post("/api/v1/pdp/evaluate", json=body)
    for command in (("list",), ("tail",)):
        shown = run(*command).stdout
        assert "read:[bold]\ufffd" in shown
        assert "\u202e" not in shown


@pytest.mark.usefixtures("asked")
def test_an_export_is_verified_without_the_gateway(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert run("export", file).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert len(file.read_text().splitlines()) == 8
    alone = Path(audit_verify.__file__)
    for extra in (
        {},
        {"MESHGUARD_JWT_SECRET": SECRET},
        {"JWT_SECRET": "x", "JWT_SECRETS_OLD": f"y,{SECRET}"},
    ):
        # -I -S: no site-packages, no environment; what is left is the standard library.
        command = [sys.executable, "-I", "-S", str(alone), str(file)]
        done = subprocess.run(command, env=extra, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("not checked" in done.stdout) is not bool(extra)
    assert run("verify", file).exit_code == 0


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:3], *lines[4:]], "entry 4: the entry is missing"),
        (lambda lines: lines[:-1], "entry 8: the entry is missing, and all after it"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "entry 4: the entry is missing or not"),
        (
            lambda lines: [line.replace("read:2", "read:9") for line in lines],
            "the entry's content does not give its hash",
        ),
        (lambda lines: [*lines, lines[-1]], "entry 8 stands in its place"),
    ],
)
def test_a_change_of_an_export_is_found(
    run: Run, tmp_path: Path, change: Callable[[list[str]], list[str]], said: str
) -> None:
    file = tmp_path / "audit.jsonl"
    run("export", file)
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")
    found = run("verify", file)
    assert found.exit_code == 1
    assert said in found.output


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1, "id": 2}', "\u0000", '{"a": NaN'])
def test_an_export_that_is_none_is_refused(run: Run, tmp_path: Path, line: str) -> None:
    file = tmp_path / "audit.jsonl"
    run("export", file)
    with file.open("a") as out:
        out.write(line + "\n")
    found = run("verify", file)
    assert found.exit_code == 2
    assert "line 9" in found.output


@pytest.mark.usefixtures("asked")
def test_heads_that_somebody_else_signed_fail_an_export(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("export", tmp_path / "audit.jsonl")
    monkeypatch.setenv("MESHGUARD_JWT_SECRET", OLD_SECRET)
    found = run("verify", tmp_path / "audit.jsonl")
    assert found.exit_code == 1
    assert "not signed" in found.output


@pytest.mark.usefixtures("asked")
def test_a_filtered_export_has_no_heads_and_a_file_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "denied.jsonl"
    assert run("export", file, "--decision", "deny").exit_code == 0
    assert json.loads(file.read_text())["action"] == "write:x"
    assert not Path(f"{file}.heads").exists()
    assert run("export", file).exit_code == 2
    assert run("export", file, "--force").exit_code == 0
    assert len(run("export", "-").stdout.splitlines()) == 8


@pytest.mark.usefixtures("asked")
def test_verify_names_the_first_broken_entry(run: Run, tmp_path: Path) -> None:
    assert "8 entries in 1 chains" in run("verify").stdout
    tamper(tmp_path, "UPDATE audit_entries SET reason = 'x' WHERE sequence = 4")
    found = run("verify")
    assert found.exit_code == 1
    assert "entry 4 (aud_" in found.stderr
    assert json.loads(run("verify", "--json").stdout)["firstBroken"]["sequence"] == 4
    assert run("export", tmp_path / "audit.jsonl").exit_code == 1


@pytest.mark.usefixtures("asked")
def test_an_anchor_finds_a_cut_of_entries_and_heads_together(lab: Lab, run: Run, tmp_path: Path) -> None:
    anchors = tmp_path / "elsewhere.jsonl"
    database = tmp_path / "gateway.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        old_head = connection.execute("SELECT count, hash, signature FROM audit_heads").fetchone()
        check(lab.agent(), "read:later")
        assert run("verify", "--anchor", anchors).exit_code == 0
        assert run("verify", "--anchor", anchors).exit_code == 0
        assert len(anchors.read_text().splitlines()) == 1
        connection.execute("DELETE FROM audit_entries WHERE sequence > ?", old_head[:1])
        connection.execute("UPDATE audit_heads SET count = ?, hash = ?, signature = ?", old_head)
    assert run("verify").exit_code == 0
    found = run("verify", "--anchor", anchors)
    assert found.exit_code == 1
    assert "entry 9: the entry is missing" in found.stderr
    assert len(anchors.read_text().splitlines()) == 1
    assert run("export", tmp_path / "audit.jsonl").exit_code == 0
    assert run("verify", tmp_path / "audit.jsonl").exit_code == 0
    assert run("verify", tmp_path / "audit.jsonl", "--anchor", anchors).exit_code == 1


def test_retention_during_an_export_is_no_removal(
    lab: Lab, run: Run, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that leave between the heads and the export are not missing: the command begins again."""
    receive = Audit._receive
    left = iter([3, None, 5])

    def remove_first(client: Any, *arguments: Any) -> None:
        count = next(left, None)
        if count:
            engine = open_database(f"sqlite:///{tmp_path}/gateway.db")
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                here = audit_entries.c.sequence == count
                row = connection.execute(select(audit_entries).where(here)).mappings().one()
                cut = Cut(row["stream"], count, row["hash"])
                assert remove(connection, cut, 1_795_340_000_000, Seals(lab.settings)) is None
            engine.dispose()
        receive(client, *arguments)

    monkeypatch.setattr(Audit, "_receive", remove_first)
    anchor, file = tmp_path / "anchors.jsonl", tmp_path / "audit.jsonl"
    assert run("verify", "--anchor", anchor).exit_code == 0
    assert anchor.exists()
    assert run("export", file).exit_code == 0
    assert next(left, "none left") == "none left"
    assert run("verify", file).exit_code == 0
    numbers = [json.loads(line)["sequence"] for line in file.read_text().splitlines()]
    assert numbers == list(range(6, len(asked) + 3))


@pytest.mark.usefixtures("asked")
def test_an_anchor_finds_a_chain_that_was_written_anew_or_is_gone(run: Run, tmp_path: Path) -> None:
    anchors = tmp_path / "elsewhere.jsonl"
    run("verify", "--anchor", anchors)
    anchor = json.loads(anchors.read_text())
    anchors.write_text(json.dumps({**anchor, "hash": "0" * 64}) + "\n")
    found = run("verify", "--anchor", anchors)
    assert found.exit_code == 1
    assert "another hash than its anchor" in found.stderr
    anchors.write_text(json.dumps({**anchor, "stream": "gw-gone"}) + "\n")
    assert "gw-gone, entry 1: the chain is anchored and missing" in run("verify", "--anchor", anchors).stderr
    anchors.write_text("nonsense\n")
    assert run("verify", "--anchor", anchors).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("tail",), ("trace", "x"), ("stats",), ("verify",), ("export", "-")],
    ids=lambda arguments: arguments[0],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name, value, code in (
        ("ADMIN_TOKEN", "wrong", 3),
        ("ADMIN_TOKEN", "", 2),
        ("GATEWAY_URL", "http://127.0.0.1:9", 3),
        ("GATEWAY_URL", "127.0.0.1:9", 2),
        ("GATEWAY_URL", "", 2),
    ):
        with monkeypatch.context() as context:
            context.setenv(f"MESHGUARD_{name}", value)
            failed = run(*arguments)
        assert failed.exit_code == code
        assert failed.stderr.startswith("Error: ")
        assert "Traceback" not in failed.output
        assert len(failed.stderr.strip().splitlines()) == 1
        assert ADMIN_TOKEN not in failed.output


def test_usage_errors_exit_with_2(run: Run) -> None:
    for arguments in (("list", "--since", "yesterday"), ("list", "--limit", "0"), ("nonsense",)):
        assert run(*arguments).exit_code == 2
    assert run("verify", "/nowhere.jsonl").exit_code == 2


def backed_up(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.usefixtures("asked")
def test_a_backup_of_a_running_gateway_is_restored_whole(
    open_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    copy = tmp_path / "copy.db"
    assert backed_up("backup", copy, "--database-url", url).exit_code == 0
    assert copy.stat().st_mode & 0o077 == 0
    assert backed_up("backup", copy, "--database-url", url).exit_code == 2
    assert backed_up("backup", copy, "--force", "--database-url", url).exit_code == 0
    (tmp_path / "new").mkdir()
    new = f"sqlite:///{tmp_path}/new/gateway.db"
    assert backed_up("restore", copy, "--database-url", new).exit_code == 0
    restored = open_lab(tmp_path / "new", policies_dir=tmp_path)
    found = restored.admin.get("/admin/audit/verify").json()
    assert (found["valid"], found["entries"]) == (True, 8)
    assert [agent["name"] for agent in restored.admin.get("/admin/agents").json()["agents"]] == ["ada"]
    restored.create()
    assert restored.admin.get("/admin/audit/verify").json()["valid"] is True


@pytest.mark.usefixtures("asked")
def test_restore_refuses_what_a_gateway_runs_on_and_what_would_be_lost(lab: Lab, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    copy = tmp_path / "copy.db"
    backed_up("backup", copy, "--database-url", url)
    refused = backed_up("restore", copy, "--database-url", url)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    lab.create(name="made-after-the-backup")
    in_use = backed_up("restore", copy, "--force", "--database-url", url)
    assert in_use.exit_code == 2
    assert "in use" in in_use.stderr
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        names = {name for (name,) in database.execute("SELECT name FROM agents")}
    assert "made-after-the-backup" in names


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(4_000)])
def test_what_is_no_backup_is_not_restored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy.db").write_bytes(content)
    url = f"sqlite:///{tmp_path}/gateway.db"
    assert backed_up("restore", tmp_path / "copy.db", "--database-url", url).exit_code == 2
    assert not (tmp_path / "gateway.db").exists()
    assert backed_up("backup", tmp_path / "x", "--database-url", "postgresql://x/y").exit_code == 2
    assert backed_up("backup", tmp_path / "x", "--database-url", url).exit_code == 2


def test_a_backup_under_load_is_of_one_moment(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent()
    asked: list[int] = []

    def ask() -> bool:
        asked.append(check(agent, "read:x").status_code)
        return len(asked) >= 30

    url = f"sqlite:///{tmp_path}/gateway.db"
    assert until(ask, 60)
    assert backed_up("backup", tmp_path / "copy.db", "--database-url", url).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        entries, count = copy.execute(
            "SELECT (SELECT count(*) FROM audit_entries), count FROM audit_heads"
        ).fetchone()
    assert entries == count
