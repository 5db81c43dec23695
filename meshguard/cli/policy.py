"""``meshguard policy``: policies tested, validated and looked over, without a gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from meshguard.policy import PolicyEngine, PolicyLoadError, load_policies, render_explanation
from meshguard.policy.lint import LintWarning
from meshguard.policy.lint import lint as lint_policies
from meshguard.policy.regular_files import read_regular
from meshguard.policy.source import MAX_BYTES
from meshguard.policy.testing import CaseFile, CaseResult, Report, load_cases, run_cases

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(no_args_is_help=True, help="Write, test and apply policies.")

FAILED = 1
BROKEN = 2

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyPath = Annotated[Path, typer.Argument(help="A policy file, or a directory of them.")]


@app.command("test")
def run_tests(
    file: Annotated[Path, typer.Option("--file", "-f", help="The file of cases.")],
    policies: Annotated[
        Path | None,
        typer.Option(help="The policies; otherwise those that the file of cases names."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run test cases. Exit code 0: all passed; 1: a case failed; 2: broken input."""
    cases = _loaded(lambda: _read_cases(file, as_json=as_json), as_json=as_json)
    path = policies or _policies_of(file, cases, as_json=as_json)
    engine = PolicyEngine(_loaded(lambda: load_policies(path), as_json=as_json))
    report = run_cases(engine, cases.cases, now=datetime.now(UTC))
    if as_json:
        _print_json(_report_json(report))
    else:
        typer.echo("\n".join(_report_lines(report)))
    raise typer.Exit(0 if report.passed else FAILED)


@app.command()
def validate(path: PolicyPath, as_json: AsJson = False) -> None:
    """Check that policies load. Exit code 0: they do; 1: they are refused; 2: there are none."""
    found = _loaded(lambda: load_policies(path), as_json=as_json, code=FAILED)
    if as_json:
        _print_json({"valid": True, "errors": [], "policies": [policy.name for policy in found]})
    for policy in [] if as_json else found:
        typer.echo(f"✓ {policy.name}: {_counted(len(policy.rules), 'rule')}")


@app.command()
def lint(path: PolicyPath, as_json: AsJson = False) -> None:
    """Look for what may not be meant. Exit code 0: nothing; 1: warnings; 2: the policies are refused."""
    warnings = lint_policies(_loaded(lambda: load_policies(path), as_json=as_json))
    if as_json:
        _print_json({"warnings": [_warning_json(warning) for warning in warnings]})
    for warning in [] if as_json else warnings:
        where = " ".join(part for part in (warning.policy, warning.rule) if part)
        typer.echo(f"⚠ {where}: {warning.message} ({warning.path})")
    raise typer.Exit(FAILED if warnings else 0)


def _read_cases(file: Path, *, as_json: bool) -> CaseFile:
    try:
        return load_cases(read_regular(file, MAX_BYTES + 1), str(file))
    except OSError as error:
        _refuse(f"{file}: can't be read: {error.strerror}", as_json=as_json)


def _policies_of(file: Path, cases: CaseFile, *, as_json: bool) -> Path:
    if cases.policies is None:
        _refuse(f"{file}: names no `policies`: add the key, or pass --policies", as_json=as_json)
    return file.parent / cases.policies


def _loaded(load: Callable[[], T], *, as_json: bool, code: int = BROKEN) -> T:
    try:
        found = load()
    except PolicyLoadError as error:
        if as_json:
            _print_json({"valid": False, "errors": [_fault_json(fault) for fault in error.faults]})
        else:
            typer.echo("\n".join(f"✗ {fault}" for fault in error.faults), err=True)
        raise typer.Exit(_code_of(error, code)) from None
    if found == ():
        _refuse("no *.yaml, *.yml or *.json file there", as_json=as_json)
    return found


def _code_of(error: PolicyLoadError, code: int) -> int:
    unreadable = all(fault.message.startswith("can't be read") for fault in error.faults)
    return BROKEN if unreadable else code


def _refuse(message: str, *, as_json: bool = False) -> NoReturn:
    if as_json:
        _print_json({"valid": False, "errors": [{"path": "", "message": message}]})
    else:
        typer.echo(f"✗ {message}", err=True)
    raise typer.Exit(BROKEN)


def _report_lines(report: Report) -> list[str]:
    width = max((len(result.case.name) for result in report.results), default=0)
    lines = [line for result in report.results for line in _result_lines(result, width)]
    failed = sum(not result.passed for result in report.results)
    covered = report.rules - len(report.undecided)
    cases = _counted(len(report.results), "case")
    lines.append(f"{cases}, {failed} failed; {covered} of {report.rules} rules decided one")
    lines.extend(f"· no case is decided by {name.policy} / {name.rule}" for name in report.undecided)
    return lines


def _result_lines(result: CaseResult, width: int) -> list[str]:
    decision = result.decision
    by = " / ".join(name for name in (decision.policy, decision.rule) if name) or "no rule"
    mark = "✓" if result.passed else "✗"
    line = f"{mark} {result.case.name.ljust(width)}  {decision.decision.ljust(5)}  {by}"
    if result.passed:
        return [line]
    story = render_explanation(decision.explanation or {}).splitlines()
    return [line, *(f"    {text}" for text in (*result.problems, *story))]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "passed": report.passed,
        "cases": [_result_json(result) for result in report.results],
        "coverage": {
            "rules": report.rules,
            "undecided": [{"policy": name.policy, "rule": name.rule} for name in report.undecided],
        },
    }


def _result_json(result: CaseResult) -> dict[str, Any]:
    decision = result.decision
    return {
        "name": result.case.name,
        "passed": result.passed,
        "expect": result.case.expect,
        "decision": decision.decision,
        "policy": decision.policy,
        "rule": decision.rule,
        "reason": decision.reason,
        "problems": list(result.problems),
        "explanation": decision.explanation,
    }


def _fault_json(fault: Any) -> dict[str, Any]:
    names = ("path", "message", "file", "line", "column")
    return {name: value for name in names if (value := getattr(fault, name)) is not None}


def _warning_json(warning: LintWarning) -> dict[str, Any]:
    names = ("path", "message", "policy", "rule")
    return {name: value for name in names if (value := getattr(warning, name)) is not None}


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
