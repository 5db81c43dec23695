"""Decisions, shown as they are recorded."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from rich.text import Text

from meshguard.cli.text import printable
from meshguard.exceptions import AuthenticationError, MeshGuardError

if TYPE_CHECKING:
    from rich.console import Console

    from meshguard.client import MeshGuardClient
    from meshguard.types import AuditEntry

_INTERVAL = 0.2  # seconds
_OVERLAP = timedelta(seconds=2)  # entries may appear in the log up to this much later than their time
_MAX_SHOWN = 200  # entries each time
_INDENT = " " * 10


class LiveView:
    """Prints the decisions of a gateway from its audit log, oldest first.

    Args:
        client: A client with the administrator's token; it is used by one thread at a time.
        console: Where to print.
    """

    def __init__(self, client: MeshGuardClient, console: Console) -> None:
        self._client = client
        self._console = console
        self._since = datetime.now(UTC)
        self._shown: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meshguard-live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show what is left, and stop."""
        self._stop.set()
        self._thread.join()

    def show_new(self) -> None:
        """Print the decisions that were recorded since the last call.

        Raises:
            MeshGuardError: The log can't be read.
        """
        entries = self._client.get_audit_log(limit=1_000, kind="decision", since=self._since)
        new = [entry for entry in reversed(entries) if entry["id"] not in self._shown]
        for entry in new:
            self._shown[entry["id"]] = datetime.fromisoformat(entry["timestamp"])
        if len(new) > _MAX_SHOWN:
            self._console.print(f"… and {len(new) - _MAX_SHOWN:,} more decisions", style="dim")
        for entry in new[-_MAX_SHOWN:]:
            show_entry(entry, self._console)
        self._forget()

    def _forget(self) -> None:
        if self._shown:
            self._since = max(self._since, max(self._shown.values()) - _OVERLAP)
            self._shown = {id_: time for id_, time in self._shown.items() if time >= self._since}

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL):
            if not self._try_to_show():
                return
        self._try_to_show()

    def _try_to_show(self) -> bool:
        try:
            self.show_new()
        except AuthenticationError:
            return False
        except MeshGuardError:
            pass  # the gateway is starting, busy or stopping; the next round tries again
        return True


def show_entry(entry: AuditEntry, console: Console) -> None:
    """Print a decision: time, decision, agent, action, resource and rule; why, if it denies."""
    denies = entry["decision"] != "allow" or bool(entry["wouldDeny"])
    color = "red" if denies else "green"
    line = Text()
    line.append(_local_time(entry["timestamp"]), "dim")
    line.append(f"  {'would deny' if entry['wouldDeny'] else entry['decision']:<5}  ", f"bold {color}")
    line.append(f"{printable(entry['agentName'] or '-')}  ")
    line.append(printable(entry["action"]), "bold")
    if resource := entry["resource"]:
        line.append(f"  {printable(resource)}")
    if rule := " / ".join(name for name in (entry["policy"], entry["rule"]) if name):
        line.append(f"  {printable(rule)}", "cyan")
    console.print(line, soft_wrap=True)
    if denies:
        # Where no rule decided, the hint says more than the reason.
        text = (None if entry["rule"] else entry["hint"]) or entry["reason"]
        console.print(Text(f"{_INDENT}{printable(text)}", color), soft_wrap=True)


def _local_time(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
