"""All tests of one gateway, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard.contract.cases import ALL
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.report import Finding, Report, Verdict
from meshguard.contract.subject import Skipped, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.contract.cases.case import Case


def examine(
    url: str,
    admin_token: str,
    *,
    examples: int = 100,
    settle: float = 0.0,
    only: str = "",
    quick: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Test whether a running gateway keeps the contract.

    Args:
        url: Where it answers.
        admin_token: Its admin token.
        examples: How many requests are made up for each operation; with 0 none.
        settle: Seconds to wait after a change, where several gateways answer at this URL.
        only: Only the sentences in which this text occurs, and no made-up requests.
        quick: Whether to leave out the boundary values of each parameter and field.
        progress: Is told what is being tested.

    Returns:
        What was found. What the tests put into the gateway is taken away again.

    Raises:
        UnusableError: The gateway can't be reached, is none, or refuses the admin token.

    Example:
        ```python
        from meshguard.contract.run import examine

        report = examine("http://127.0.0.1:3100", admin_token, examples=10)
        print(report.to_text())
        ```
    """
    with Subject(url, admin_token, settle) as gateway:
        gateway.connect()
        report = Report(gateway.url, gateway.mode, str(gateway.health.get("version", "unknown")))
        try:
            _run(gateway, report, [case for case in ALL if only in case.name], progress)
            if examples and not only:
                from meshguard.contract.made_up import try_made_up  # noqa: PLC0415 - slow to import

                report.findings += try_made_up(gateway, report, examples, progress, quick=quick)
        finally:
            progress("cleaning up")
            report.left_behind = gateway.clean_up()
            report.requests = gateway.requests
    return report


def _run(gateway: Subject, report: Report, cases: list[Case], progress: Callable[[str], None]) -> None:
    for case in cases:
        progress(case.name)
        report.findings.append(_finding(case, gateway))
    report.findings += [_misfit(*fault, exchange) for fault, exchange in gateway.faults.items()]


def _finding(case: Case, gateway: Subject) -> Finding:
    about = (case.rule, case.reference)
    try:
        case.run(gateway)
    except Skipped as reason:
        return Finding(case.name, Verdict.SKIPPED, *about, str(reason))
    except Violation as violation:
        exchange = violation.exchange
        shown = (exchange.sent, exchange.came) if exchange else ("", "")
        return Finding(case.name, Verdict.BROKEN, *about, violation.wrong, *shown)
    return Finding(case.name, Verdict.HOLDS, *about)


def _misfit(operation: str, status: int, fault: str, exchange: Exchange) -> Finding:
    return Finding(
        f"the answers of {operation} fit their schema",
        Verdict.BROKEN,
        "Each answer has a declared status, its headers, its content type and a body of its schema.",
        f"{operation}, response {status}",
        fault,
        exchange.sent,
        exchange.came,
    )
