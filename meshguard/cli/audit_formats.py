"""Entries of the audit log as JSON objects and as CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshguard.cli.options import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard.types import AuditRecord, BinaryWriter

FIELDS = (
    "timestamp", "decision", "wouldDeny", "agentName", "agentId", "trustTier", "action", "resource", "policy",
    "rule", "reason", "kind", "method", "path", "status", "latencyMs", "context", "changes", "id", "traceId",
    "stream", "sequence", "prevHash", "hash",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without its absent fields."""
    return {name: value for name, value in entry.items() if value is not None}


def entry_of(record: AuditRecord) -> dict[str, Any]:
    """Return a record by its names on the wire."""
    fields = {_wire_name(name): value for name, value in asdict(record).items()}
    return plain({**fields, "timestamp": format_time(record.timestamp)})


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


class CsvWriter:
    """Writes entries as CSV, with a line of titles.

    A text that a spreadsheet would run as a formula has an apostrophe in front.

    Args:
        file: Where to write, in UTF-8.
    """

    def __init__(self, file: BinaryWriter) -> None:
        self._file = file
        self._rest = b""
        self._write_row(FIELDS)

    def write(self, data: bytes, /) -> int:
        """Take a piece of an export: entries as JSON, one a line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.add(json.loads(line))
        return len(data)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Write one entry."""
        self._write_row([_cell(entry.get(name)) for name in FIELDS])

    def _write_row(self, cells: Any) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(cells)
        self._file.write(text.getvalue().encode("utf-8", "replace"))


def _cell(value: object) -> object:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
