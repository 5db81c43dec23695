"""Policies in files: loaded, validated, linted and tested without a gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.output import write, write_json, write_note, write_tree
from meshguard.policy import PolicyEngine, PolicyLoadError, load_policies, render_explanation
from meshguard.policy.lint import LintWarning
from meshguard.policy.lint import lint as lint_policies
from meshguard.policy.regular_files import read_regular
from meshguard.policy.source import MAX_BYTES
from meshguard.policy.testing import CaseFile, CaseResult, Report, load_cases, run_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")


class _Rejected(Exception):  # noqa: N818 - ends a command whose output is written
    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


def load_all(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the policies of files and folders by name.

    Args:
        paths: Files and folders.

    Raises:
        CommandError: A policy is invalid, two have the same name, or a folder has none.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            policies = load_policies(path)
        except PolicyLoadError as error:
            for fault in error.faults:
                write_note(f"✗ {fault}")
            code = _code_of(error, ExitCode.NO)
            raise CommandError(f"Cannot use the policies of {path}. Nothing was changed.", code) from None
        if not policies:
            raise CommandError(f"No policies in {path}: there is no *.yaml, *.yml or *.json file.")
        for policy in policies:
            if policy.name in found:
                raise CommandError(
                    f"Two policies are named {policy.name}; the second is in {path}. Rename one."
                )
            found[policy.name] = policy.to_dict()
    return found


def run_tests(file: Path, policies: Path | None, *, as_json: bool) -> ExitCode:
    """Run `meshguard policy test`."""
    try:
        cases = _loaded(lambda: _read_cases(file, as_json=as_json), as_json=as_json)
        path = policies or _policies_of(file, cases, as_json=as_json)
        engine = PolicyEngine(_loaded(lambda: load_policies(path), as_json=as_json))
    except _Rejected as rejected:
        return rejected.code
    report = run_cases(engine, cases.cases, now=datetime.now(UTC))
    if as_json:
        write_json(_report_json(report))
    else:
        _write_report(report)
    return ExitCode.OK if report.passed else ExitCode.NO


def run_validation(path: Path, *, as_json: bool) -> ExitCode:
    """Run `meshguard policy validate`."""
    try:
        found = _loaded(lambda: load_policies(path), as_json=as_json, code=ExitCode.NO)
    except _Rejected as rejected:
        return rejected.code
    if as_json:
        write_json({"valid": True, "errors": [], "policies": [policy.name for policy in found]})
    for policy in [] if as_json else found:
        write(f"✓ {policy.name}: {_counted(len(policy.rules), 'rule')}")
    return ExitCode.OK


def run_lint(path: Path, *, as_json: bool) -> ExitCode:
    """Run `meshguard policy lint`."""
    try:
        warnings = lint_policies(_loaded(lambda: load_policies(path), as_json=as_json))
    except _Rejected as rejected:
        return rejected.code
    if as_json:
        write_json({"warnings": [_warning_json(warning) for warning in warnings]})
    for warning in [] if as_json else warnings:
        where = " ".join(part for part in (warning.policy, warning.rule) if part)
        write_tree(f"⚠ {where}: {warning.message} ({warning.path})")
    return ExitCode.NO if warnings else ExitCode.OK


def _read_cases(file: Path, *, as_json: bool) -> CaseFile:
    try:
        return load_cases(read_regular(file, MAX_BYTES + 1), str(file))
    except OSError as error:
        raise _rejected(f"{file}: can't be read: {error.strerror}", as_json=as_json) from None


def _policies_of(file: Path, cases: CaseFile, *, as_json: bool) -> Path:
    if cases.policies is None:
        raise _rejected(f"{file}: names no `policies`: add the key, or pass --policies", as_json=as_json)
    return file.parent / cases.policies


def _loaded(load: Callable[[], T], *, as_json: bool, code: ExitCode = ExitCode.USAGE) -> T:
    try:
        found = load()
    except PolicyLoadError as error:
        if as_json:
            write_json({"valid": False, "errors": [_fault_json(fault) for fault in error.faults]})
        for fault in () if as_json else error.faults:
            write_note(f"✗ {fault}")
        raise _Rejected(_code_of(error, code)) from None
    if found == ():
        raise _rejected("no *.yaml, *.yml or *.json file there", as_json=as_json)
    return found


def _code_of(error: PolicyLoadError, code: ExitCode) -> ExitCode:
    unreadable = all(fault.message.startswith("can't be read") for fault in error.faults)
    return ExitCode.USAGE if unreadable else code


def _rejected(message: str, *, as_json: bool) -> _Rejected:
    if as_json:
        write_json({"valid": False, "errors": [{"path": "", "message": message}]})
    else:
        write_note(f"✗ {message}")
    return _Rejected(ExitCode.USAGE)


def _write_report(report: Report) -> None:
    width = max((len(result.case.name) for result in report.results), default=0)
    for result in report.results:
        _write_result(result, width)
    failed = sum(not result.passed for result in report.results)
    covered = report.rules - len(report.undecided)
    cases = _counted(len(report.results), "case")
    write(f"{cases}, {failed} failed; {covered} of {report.rules} rules decided one")
    for name in report.undecided:
        write(f"· no case is decided by {name.policy} / {name.rule}")


def _write_result(result: CaseResult, width: int) -> None:
    decision = result.decision
    by = " / ".join(name for name in (decision.policy, decision.rule) if name) or "no rule"
    mark = "✓" if result.passed else "✗"
    write(
        f"{mark} {result.case.name.ljust(width)}  {decision.decision.ljust(5)}  {by}",
        "" if result.passed else "red",
    )
    if not result.passed:
        story = render_explanation(decision.explanation or {}).splitlines()
        write_tree("\n".join(f"    {text}" for text in (*result.problems, *story)))


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
