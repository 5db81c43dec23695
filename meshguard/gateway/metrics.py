"""Counting, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from meshguard.gateway.audit_retention import Retention
    from meshguard.gateway.background import Faults
    from meshguard.gateway.disk import Disk
    from meshguard.gateway.snapshot import Current


class Metrics:
    """The metrics of one gateway (openapi.yaml, `get_metrics`)."""

    def __init__(self, current: Current, faults: Faults) -> None:
        self._registry = CollectorRegistry()
        checks = Counter("meshguard_policy_checks", "Decisions made.", ["decision"], registry=self._registry)
        self._checks = {word: checks.labels(word) for word in ("allow", "deny")}
        self.duration = Histogram(
            "meshguard_request_duration_seconds", "Time to answer a request.", registry=self._registry
        )
        self._entries = Counter(
            "meshguard_audit_entries", "Audit entries of decisions written.", registry=self._registry
        )
        self._errors = Counter(
            "meshguard_condition_errors", "Tests that could not be evaluated.", registry=self._registry
        )
        guesses = Counter(
            "meshguard_admin_token_guesses",
            "Wrong admin tokens, and requests of addresses that are locked out for them.",
            ["outcome"],
            registry=self._registry,
        )
        self._guesses = {word: guesses.labels(word) for word in ("wrong", "locked_out")}
        self._invalid_tokens = Counter(
            "meshguard_agent_tokens_rejected", "Agent tokens that were not valid.", registry=self._registry
        )
        self._cut = Counter(
            "meshguard_exchanges_cut",
            "Proxied exchanges cut because the agent's credential ended.",
            registry=self._registry,
        )
        active = Gauge("meshguard_active_agents", "Agents that are not revoked.", registry=self._registry)
        failing = Gauge(
            "meshguard_background_faults",
            "Parts of the background work that fail at present.",
            registry=self._registry,
        )
        failing.set_function(lambda: len(faults))
        active.set_function(
            lambda: sum(agent.record.status == "active" for agent in current.snapshot.agents.values())
        )

    def watch_audit(self, retention: Retention, disk: Disk) -> None:
        """Show what is broken in the audit log, and the room for more of it."""
        broken = Gauge(
            "meshguard_audit_broken",
            "Chains of the audit log that retention or a verification found broken.",
            registry=self._registry,
        )
        broken.set_function(lambda: len(retention.problems))
        used, free = (
            Gauge(f"meshguard_database_{what}_bytes", text, registry=self._registry)
            for what, text in (
                ("size", "Bytes of SQLite's files; not a number with PostgreSQL."),
                ("disk_free", "Free bytes on the disk of SQLite's files; not a number with PostgreSQL."),
            )
        )
        used.set_function(lambda: _number(disk.used()))
        free.set_function(lambda: _number(disk.free()))

    def count_decision(self, decision: str, errors: int) -> None:
        """Count a decision that was recorded."""
        self._checks[decision].inc()
        self._entries.inc()
        if errors:
            self._errors.inc(errors)

    def count_guess(self, outcome: str) -> None:
        """Count a wrong admin token (`wrong`), or a request of an address that is locked out."""
        self._guesses[outcome].inc()

    def count_invalid_token(self) -> None:
        """Count an agent token that was not valid."""
        self._invalid_tokens.inc()

    def count_cut(self) -> None:
        """Count a proxied exchange that was cut."""
        self._cut.inc()

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


def _number(value: int | None) -> float:
    return float("nan") if value is None else float(value)
