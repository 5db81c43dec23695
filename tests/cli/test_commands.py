"""What all commands have in common: exit codes, errors, colors, help."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from meshguard.cli import completion, main
from meshguard.cli.commands import COMMANDS
from meshguard.cli.exit_codes import ExitCode
from tests.cli.command_line import CommandLine
from tests.environments import ROOT, clean_environ
from tests.support import ADMIN_TOKEN, ALLOW_READS, RunningGateway, admin_client, running_gateway

PROGRAM = [sys.executable, "-m", "meshguard.cli"]
HEAVY = ("httpx", "rich", "ruamel", "sqlalchemy", "granian", "fastmcp", "schemathesis", "platformdirs")
WITHOUT_EXTRAS = f"""
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
from meshguard.cli import main
main()
"""
HOSTILE = "read:\x9b31m\u202ename"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as found:
        yield found


@pytest.fixture(scope="module")
def env(gateway: RunningGateway) -> dict[str, str]:
    with admin_client(gateway.url, timeout=60) as admin:
        headers = {"Content-Type": "application/yaml"}
        admin.put("/admin/policies/readers", content=ALLOW_READS, headers=headers).raise_for_status()
        bot = admin.post("/admin/agents", json={"name": "bot"}).json()
    return {
        "MESHGUARD_GATEWAY_URL": gateway.url,
        "MESHGUARD_ADMIN_TOKEN": ADMIN_TOKEN,
        "MESHGUARD_AGENT_TOKEN": bot["token"],
    }


@pytest.mark.parametrize("command", ["check", "explain"])
@pytest.mark.parametrize("options", [(), ("--agent", "bot"), ("--json",)])
def test_a_denial_exits_with_1(
    mesh: CommandLine, env: dict[str, str], command: str, options: tuple[str, ...]
) -> None:
    assert mesh(command, "read:x", *options, env=env).code == ExitCode.OK
    assert mesh(command, "write:x", *options, env=env).code == ExitCode.NO


def test_an_audit_id_is_explained(mesh: CommandLine, env: dict[str, str]) -> None:
    checked = json.loads(mesh("check", "write:y", "--json", env=env).stdout)
    found = mesh("explain", checked["auditId"], "--json", env=env)
    explained = json.loads(found.stdout)
    assert (found.code, explained["action"], explained["agentName"]) == (1, "write:y", "bot")
    assert explained["now"]["explanation"]["summary"].startswith("Decision: DENY")
    for unknown in ("aud_x", f"{checked['auditId'][:-8]}{'0' * 8}"):
        assert mesh("explain", unknown, env=env).code == ExitCode.NO


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("agent", "show", "nope"), 1),
        (("agent", "revoke", "nope", "--yes"), 1),
        (("agent", "update", "bot"), 2),
        (("agent", "create", ""), 2),
        (("agent", "create", "x", "--tier", "root"), 2),
        (("audit", "trace", "nope"), 1),
        (("audit", "list", "--since", "yesterday"), 2),
        (("audit", "verify", "nowhere.jsonl"), 2),
        (("audit", "query", "--cursor", "nonsense"), 2),
        (("policy", "show", "nope"), 1),
        (("policy", "delete", "nope", "--yes"), 1),
        (("policy", "validate", "nowhere"), 2),
        (("check", "read:x", "--context", "[]"), 2),
        (("check", ""), 2),
        (("check",), 2),
        (("nonsense",), 2),
        (("agent", "nonsense"), 2),
        (("agent", "list", "--nonsense"), 2),
    ],
)
def test_errors_are_one_line_and_have_an_exit_code(
    mesh: CommandLine, env: dict[str, str], arguments: tuple[str, ...], code: int
) -> None:
    done = mesh(*arguments, env=env)
    assert (done.code, done.stdout) == (code, "")
    assert re.fullmatch(r"(Error: .+[.?]|✗ .+)\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (("polcy",), "policy"),
        (("agent", "creat", "x"), "create"),
        (("agent", "list", "--jsn"), "--json"),
        (("agent", "show", "bto"), "bot"),
        (("policy", "show", "reader"), "readers"),
        (("config", "set", "admin-tokn", "x"), "admin-token"),
    ],
)
def test_typing_errors_get_a_suggestion(
    mesh: CommandLine, env: dict[str, str], arguments: tuple[str, ...], suggestion: str
) -> None:
    assert f'Did you mean "{suggestion}"?' in mesh(*arguments, env=env).stderr


def test_a_rejected_token_is_no_denial(mesh: CommandLine, env: dict[str, str]) -> None:
    for name, code in (("wrong", 3), ("", 2)):
        wrong = {**env, "MESHGUARD_AGENT_TOKEN": name, "MESHGUARD_ADMIN_TOKEN": name}
        for arguments in (("check", "read:x"), ("agent", "list"), ("policy", "list"), ("audit", "stats")):
            assert mesh(*arguments, env=wrong).code == code


def test_agents_are_found_by_name(mesh: CommandLine, env: dict[str, str]) -> None:
    created = [json.loads(mesh("agent", "create", "twin", "--json", env=env).stdout) for _ in range(2)]
    assert all(agent["token"].startswith("eyJ") for agent in created)
    ambiguous = mesh("agent", "show", "twin", env=env)
    assert ambiguous.code == ExitCode.USAGE
    assert all(agent["id"] in ambiguous.stderr for agent in created)
    assert mesh("agent", "revoke", created[0]["id"], env=env).code == ExitCode.OK
    assert json.loads(mesh("agent", "show", "twin", "--json", env=env).stdout)["id"] == created[1]["id"]
    assert "token" not in mesh("agent", "show", "twin", "--json", env=env).stdout
    kept = mesh("agent", "revoke", "twin", terminal=True, prompt="[y/N]", answer="n\n", env=env)
    assert kept.code == ExitCode.NO
    assert created[1]["id"] in mesh("agent", "list", "--json", env=env).stdout


@pytest.mark.parametrize(
    "options", [("list",), ("list", "--json"), ("tail",), ("query", "--json"), ("query", "--format", "jsonl")]
)
def test_what_an_agent_wrote_cannot_control_a_terminal(
    mesh: CommandLine, gateway: RunningGateway, env: dict[str, str], options: tuple[str, ...]
) -> None:
    body = {"action": "read:[bold]\u202e\u2066", "resource": "\u2067x"}
    with admin_client(gateway.url, timeout=60) as client:
        authorization = {"Authorization": f"Bearer {env['MESHGUARD_AGENT_TOKEN']}"}
        assert client.post("/api/v1/pdp/evaluate", json=body, headers=authorization).is_success
    for terminal in (False, True):
        shown = mesh("audit", *options, terminal=terminal, columns=200, env=env)
        assert "read:[bold]" in shown.plain
        assert all(char.isprintable() or char == "\n" for char in shown.plain)


@pytest.mark.parametrize(
    "arguments",
    [
        ("agent", "show", HOSTILE),
        ("audit", "trace", HOSTILE),
        (HOSTILE,),
        ("policy", "validate", HOSTILE),
        ("agent", "list", "--profile", HOSTILE),
    ],
)
def test_arguments_cannot_control_a_terminal(
    mesh: CommandLine, env: dict[str, str], arguments: tuple[str, ...]
) -> None:
    shown = mesh(*arguments, terminal=True, env=env)
    assert shown.code in {1, 2}
    assert all(char.isprintable() or char == "\n" for char in shown.plain)


def test_colors_are_for_terminals_that_want_them(mesh: CommandLine, env: dict[str, str]) -> None:
    for arguments, color in ((("check", "read:x"), "\x1b[32m"), (("check", "write:x"), "\x1b[31m")):
        assert color in mesh(*arguments, terminal=True, env=env).stdout
        plain = mesh(*arguments, terminal=True, env={**env, "NO_COLOR": "1"}).stdout
        assert not re.search(r"\x1b\[[0-9;]*3\d", plain)
        assert "\x1b" not in mesh(*arguments, env=env).stdout
    for option in ("-h", "--nonsense"):
        assert "\x1b" in mesh("check", option, terminal=True, env=env).stdout
        assert "\x1b" not in mesh("check", option, terminal=True, env={**env, "NO_COLOR": "1"}).stdout


def test_progress_is_shown_on_a_terminal_only(mesh: CommandLine, env: dict[str, str]) -> None:
    for command in (("audit", "verify"), ("audit", "export", "progress.jsonl", "--force")):
        shown = mesh(*command, terminal=True, progress_after=0, env=env).plain
        assert re.search(r"(Verifying|Exporting)\s+0:00:0\d", shown)
        assert not re.search("Verifying|Exporting", mesh(*command, terminal=True, env=env).plain)
        piped = mesh(*command, progress_after=0, env=env)
        assert not re.search("Verifying|Exporting", piped.plain)


def test_csv_has_no_formulas(mesh: CommandLine, gateway: RunningGateway, env: dict[str, str]) -> None:
    with admin_client(gateway.url, timeout=60) as client:
        authorization = {"Authorization": f"Bearer {env['MESHGUARD_AGENT_TOKEN']}"}
        for action in ("=cmd()", "@x", "+1", "-1", 'read:"a,b"\u2028c'):
            body = {"action": action, "context": {"n": 1}}
            assert client.post("/api/v1/pdp/evaluate", json=body, headers=authorization).status_code < 404

    assert mesh("audit", "export", "all.csv", "--format", "csv", "--force", env=env).code == 0
    assert mesh("audit", "export", "all.jsonl", "--force", env=env).code == 0
    with (mesh.folder / "all.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    entries = [json.loads(line) for line in (mesh.folder / "all.jsonl").read_text().split("\n")[:-1]]
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries]
    assert [row["action"].removeprefix("'") for row in rows] == [entry["action"] for entry in entries]
    assert {row["action"] for row in rows} >= {"'=cmd()", "'@x", "'+1", "'-1", 'read:"a,b"\u2028c'}
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
    shown = mesh("audit", "query", "--format", "csv", "-n", "2", env=env).stdout
    assert [row["id"] for row in csv.DictReader(shown.splitlines())] == [
        entry["id"] for entry in entries[::-1][:2]
    ]


def test_a_cursor_continues_below_a_page(mesh: CommandLine, env: dict[str, str]) -> None:
    query = ("audit", "query", "-n", "1", "--json")
    first = json.loads(mesh(*query, env=env).stdout)
    second = json.loads(mesh(*query, "--cursor", first["cursor"], env=env).stdout)
    lines = mesh("audit", "list", "-n", "2", "--json", env=env).stdout.splitlines()
    listed = [json.loads(line)["id"] for line in lines]
    assert [first["entries"][0]["id"], second["entries"][0]["id"]] == listed


def test_a_reader_that_leaves_gets_no_traceback(env: dict[str, str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, "audit", "list", "--json"],
        env=clean_environ(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == ExitCode.BROKEN_PIPE


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_needs_no_extra_and_little_time(name: str) -> None:
    """The CPU time is in docs/performance.md; without these modules it cannot become much longer."""
    if name in {"demo", "init", "run"} and not (ROOT / "meshguard" / "cli" / f"{name}.py").exists():
        return
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *([name] if name else []), "--help"]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: meshguard {name}".rstrip())


def test_unexpected_errors_show_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(completion, "write_json", fail)
    monkeypatch.setattr(sys, "argv", ["meshguard", "completion", "bash", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert end.value.code == ExitCode.CANNOT_TELL
    assert shown.err.startswith("Error: Internal error: ZeroDivisionError.")
    assert "secret" not in shown.err
    monkeypatch.setenv("MESHGUARD_LOG", "debug")
    with pytest.raises(SystemExit):
        main()
    assert "Traceback" in capsys.readouterr().err
