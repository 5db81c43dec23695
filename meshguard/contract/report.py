"""What was found, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from textwrap import indent
from typing import Any

from meshguard.contract.exchange import without_secrets


class Verdict(StrEnum):
    """What came of a case."""

    HOLDS = "holds"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one case, or one violation that a made-up request showed.

    Args:
        name: The sentence, or the check of schemathesis and the operation.
        verdict: What came of it.
        rule: What the contract says.
        reference: Where in openapi.yaml it says so.
        wrong: What is wrong, or why it was skipped.
        sent: The request as a curl command, without credentials.
        came: The response.
    """

    name: str
    verdict: Verdict
    rule: str
    reference: str
    wrong: str = ""
    sent: str = ""
    came: str = ""


@dataclass(slots=True)
class Report:
    """Everything that was found at one gateway.

    Args:
        url: The gateway.
        mode: Its mode.
        version: What it says its version is.
        findings: What came of the cases, and what made-up requests showed.
        requests: How many requests were sent.
        operations: How many operations made-up requests were sent to.
        left_behind: Paths of what could not be taken away again.
    """

    url: str
    mode: str
    version: str
    findings: list[Finding] = field(default_factory=list)
    requests: int = 0
    operations: int = 0
    left_behind: list[str] = field(default_factory=list)

    def having(self, verdict: Verdict) -> list[Finding]:
        """Return the findings with a verdict."""
        return [finding for finding in self.findings if finding.verdict is verdict]

    @property
    def conforms(self) -> bool:
        """Whether nothing was found broken."""
        return not self.having(Verdict.BROKEN)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "url": self.url,
            "mode": self.mode,
            "version": self.version,
            "conforms": self.conforms,
            "totals": {
                **{verdict.value: len(self.having(verdict)) for verdict in Verdict},
                "requests": self.requests,
                "operations": self.operations,
            },
            "findings": [
                {name: text for name, text in asdict(finding).items() if text} for finding in self.findings
            ],
            "leftBehind": self.left_behind,
        }

    def to_text(self) -> str:
        """Return the report for people: what is broken, what was skipped, and the totals."""
        parts = [_broken(finding) for finding in self.having(Verdict.BROKEN)]
        parts += ["\n".join(f"- skipped: {f.name}: {f.wrong}" for f in self.having(Verdict.SKIPPED))]
        if self.left_behind:
            parts += ["left behind, delete by hand:\n" + indent("\n".join(self.left_behind), "  ")]
        return without_secrets("\n\n".join([*filter(None, parts), self._totals()]))

    def _totals(self) -> str:
        counts = {verdict: len(self.having(verdict)) for verdict in Verdict}
        sign, word = ("✓", "keeps") if self.conforms else ("✗", "breaks")
        return (
            f"{sign} {self.url} (version {self.version}, mode {self.mode}) {word} the contract: "
            f"{counts[Verdict.HOLDS]} sentences hold, {counts[Verdict.BROKEN]} broken, "
            f"{counts[Verdict.SKIPPED]} skipped; {self.requests} requests, "
            f"made-up ones to {self.operations} operations"
        )


def _broken(finding: Finding) -> str:
    said = f"{finding.rule}\n(openapi.yaml, {finding.reference})"
    lines = [f"✗ {finding.name}"]
    fields = (("wrong", finding.wrong), ("contract", said), ("sent", finding.sent), ("came", finding.came))
    for title, text in fields:
        if text:
            lines += [f"  {title}:", indent(_printable(text), "    ")]
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Keep what the gateway sent from steering the terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
