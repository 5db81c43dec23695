"""Test cases for policies, and the commands that need no gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from meshguard.cli.policy import app
from meshguard.policy import Agent, PolicyEngine, PolicyLoadError, load_policy
from meshguard.policy.testing import RuleName, load_cases, run_cases

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
POLICY = """
name: readers
rules:
  - {name: read, effect: allow, actions: ["read:*"]}
  - {name: no-mail, effect: deny, actions: ["read:mail"], reason: private}
"""
CASES = """
policies: readers.yaml
agents:
  ada: {trustTier: trusted, tags: [support], metadata: {team: blue}}
cases:
  - {name: reading files, agent: ada, action: "read:file", expect: allow, policy: readers, rule: read}
  - {name: reading mail, agent: {tags: [x]}, action: "read:mail", expect: deny, rule: no-mail}
  - {name: nobody, agent: null, action: "read:file", expect: deny, at: 2026-01-05T12:00:00+01:00}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "readers.yaml").write_text(POLICY)
    (tmp_path / "cases.txt").write_text(CASES)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(PolicyLoadError) as refused:
        load_cases(text)
    return [(fault.path, fault.message) for fault in refused.value.faults]


def test_cases_say_who_asks_for_what_and_what_should_come_of_it() -> None:
    first, second, third = load_cases(CASES).cases
    assert first.agent == Agent("agent_ada", "ada", "trusted", ["support"], metadata={"team": "blue"})
    assert second.agent == Agent("agent_test", "test", "verified", ["x"])
    assert (third.agent, third.at) == (None, datetime(2026, 1, 5, 11, tzinfo=UTC))
    assert load_cases(CASES).policies == "readers.yaml"


def test_a_bare_list_of_cases_is_a_file_of_cases() -> None:
    text = '[{"name": "n", "agent": {"status": "revoked", "tags": []}, "action": "a", "expect": "deny"}]'
    agent = load_cases(text, file="cases.json").cases[0].agent
    assert agent is not None
    assert agent.status == "revoked"


def test_a_context_is_any_json_object() -> None:
    text = "- {name: n, agent: {}, action: a, expect: deny, context: {a: [1, {b: null}], c: 0.5}}"
    assert load_cases(text).cases[0].request.context == {"a": [1, {"b": None}], "c": 0.5}


def test_a_file_of_cases_may_be_longer_than_a_policy() -> None:
    text = "- {name: n, agent: {tags: [a]}, action: a, expect: deny}\n" * 1_000
    assert len(load_cases(text).cases) == 1_000


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("{}", "/cases", "missing"),
        ("cases: []", "/cases", "empty"),
        ("- {agent: {}, action: a, expect: allow}", "/0/name", "missing"),
        ("- {name: n, action: a, expect: allow}", "/0/agent", "missing"),
        ("- {name: n, agent: {}, expect: allow}", "/0/action", "missing"),
        ("- {name: n, agent: {}, action: a}", "/0/expect", "missing"),
        ("- {name: n, agent: {}, action: a, expect: alow}", "/0/expect", "did you mean `allow`?"),
        ("- {name: n, agent: {}, action: a, expct: allow}", "/0/expct", "did you mean `expect`?"),
        ("- {name: n, agent: bob, action: a, expect: allow}", "/0/agent", "not one of the `agents`"),
        ("- {name: n, agent: 1, action: a, expect: allow}", "/0/agent", "the name of an agent"),
        ("- {name: n, agent: {tier: trusted}, action: a, expect: allow}", "/0/agent/tier", "did you mean"),
        (
            "- {name: n, agent: {trustTier: root}, action: a, expect: allow}",
            "/0/agent/trustTier",
            "trust tier",
        ),
        ('- {name: n, agent: {}, action: "a\\0", expect: allow}', "/0/action", "control character"),
        ("- {name: n, agent: {}, action: 1, expect: allow}", "/0/action", "send a text"),
        ("- {name: n, agent: {}, action: a, context: x, expect: allow}", "/0/context", "an object is wanted"),
        ("- {name: n, agent: {}, action: a, context: {x: 017}, expect: allow}", "/0/context/x", "octal"),
        ('- {name: n, agent: {}, action: a, at: "12:00", expect: allow}', "/0/at", "a moment such as"),
        ("- {name: n, agent: {}, agent: {}, action: a, expect: allow}", "/0/agent", "twice"),
        ("x: [", "", "not YAML"),
    ],
)
def test_broken_cases_are_refused_with_a_path(text: str, path: str, message: str) -> None:
    assert any(found == path and message in said for found, said in faults(text))


def test_a_report_says_what_failed_and_which_rules_decided_nothing() -> None:
    engine = PolicyEngine([load_policy(POLICY)])
    wrong = "- {name: n, agent: {}, action: read:mail, expect: allow, policy: other, rule: read}"
    report = run_cases(engine, load_cases(wrong).cases, now=NOW)
    assert not report.passed
    assert report.results[0].problems == (
        "expected allow, got deny",
        "expected policy other, got readers",
        "expected rule read, got no-mail",
    )
    assert report.undecided == (RuleName("readers", "read"),)


def test_the_command_test_exits_with_0_when_all_passed(folder: Path) -> None:
    done = run("test", "--file", folder / "cases.txt")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "✓ reading files  allow  readers / read",
        "✓ reading mail   deny   readers / no-mail",
        "✓ nobody         deny   no rule",
        "3 cases, 0 failed; 2 of 2 rules decided one",
    ]


def test_the_command_test_exits_with_1_when_a_case_failed(folder: Path) -> None:
    (folder / "cases.txt").write_text("- {name: mail, agent: {}, action: read:mail, expect: allow}")
    done = run("test", "--file", folder / "cases.txt", "--policies", folder)
    assert done.exit_code == 1
    assert "✗ mail" in done.stdout
    assert "expected allow, got deny" in done.stdout
    assert "Decision: DENY because private" in done.stdout
    assert "no case is decided by readers / read" in done.stdout


def test_the_command_test_exits_with_2_when_the_input_is_broken(folder: Path) -> None:
    (folder / "broken.txt").write_text("cases: 1")
    inputs: list[list[str | Path]] = [
        ["--file", folder / "broken.txt"],
        ["--file", folder / "nowhere.txt"],
        ["--file", folder / "cases.txt", "--policies", folder / "nowhere"],
        ["--file", folder / "cases.txt", "--policies", folder / "cases.txt"],
    ]
    for arguments in inputs:
        for options in ([], ["--json"]):
            assert run("test", *arguments, *options).exit_code == 2
    (folder / "bare.txt").write_text("- {name: mail, agent: {}, action: read:mail, expect: allow}")
    assert run("test", "--file", folder / "bare.txt").exit_code == 2
    assert run("test").exit_code == 2


def test_the_command_test_prints_json(folder: Path) -> None:
    printed = json.loads(run("test", "--file", folder / "cases.txt", "--json").stdout)
    assert printed["passed"] is True
    assert [case["decision"] for case in printed["cases"]] == ["allow", "deny", "deny"]
    assert printed["coverage"] == {"rules": 2, "undecided": []}


def test_the_command_validate_exits_with_0_1_or_2(folder: Path) -> None:
    done = run("validate", folder)
    assert (done.exit_code, done.stdout) == (0, "✓ readers: 2 rules\n")
    assert json.loads(run("validate", folder, "--json").stdout) == {
        "valid": True,
        "errors": [],
        "policies": ["readers"],
    }
    (folder / "other.yaml").write_text("name: other\nrules: []\n")
    done = run("validate", folder)
    assert done.exit_code == 1
    assert "other.yaml:2:8: /rules: the list is empty" in done.stderr
    errors = json.loads(run("validate", folder, "--json").stdout)["errors"]
    assert [(error["path"], error["line"]) for error in errors] == [("/rules", 2)]
    assert run("validate", folder / "nowhere").exit_code == 2
    (folder / "empty").mkdir()
    assert run("validate", folder / "empty").exit_code == 2


@pytest.mark.parametrize("text", ["null", "", "# empty", "[]"])
def test_only_an_object_is_a_policy_file(folder: Path, text: str) -> None:
    (folder / "null.yaml").write_text(text)
    done = run("validate", folder)
    assert done.exit_code == 1
    assert "null.yaml:1:1: an object is wanted here" in done.stderr
    assert run("lint", folder).exit_code == 2
    assert run("test", "--file", folder / "cases.txt", "--policies", folder).exit_code == 2


def test_the_command_lint_exits_with_0_1_or_2(folder: Path) -> None:
    assert run("lint", folder).exit_code == 0
    (folder / "wide.yaml").write_text("name: wide\nrules: [{effect: allow, actions: ['*']}]\n")
    done = run("lint", folder)
    assert done.exit_code == 1
    assert "⚠ wide rule 1: allows every action without conditions" in done.stdout
    warnings = json.loads(run("lint", folder, "--json").stdout)["warnings"]
    assert {warning["path"] for warning in warnings} == {"/rules/0"}
    (folder / "broken.yaml").write_text("name: [")
    assert run("lint", folder).exit_code == 2
