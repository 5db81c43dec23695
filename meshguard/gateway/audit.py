"""Audit entries and the chains that hold them together."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from meshguard.audit_verify import NO_HASH, entry_hash
from meshguard.gateway.clock import timestamp
from meshguard.gateway.ids import new_id
from meshguard.policy.json_text import exact_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row: TypeAlias = dict[str, Any]

_FIELDS = {
    "id": "id",
    "traceId": "trace_id",
    "kind": "kind",
    "agentId": "agent_id",
    "agentName": "agent_name",
    "trustTier": "trust_tier",
    "action": "action",
    "resource": "resource",
    "decision": "decision",
    "policy": "policy",
    "rule": "rule",
    "reason": "reason",
    "hint": "hint",
    "method": "method",
    "path": "path",
    "status": "status",
    "latencyMs": "latency_ms",
    "stream": "stream",
    "sequence": "sequence",
    "prevHash": "prev_hash",
    "hash": "hash",
}
_JSON = ("context", "changes")
_OPTIONAL = ("agent_id", "agent_name", "trust_tier", "resource", "would_deny", "policy", "rule", "context")
_OPTIONAL_TOO = ("method", "path", "status", "changes", "hint")
_ABSENT: Row = dict.fromkeys((*_OPTIONAL, *_OPTIONAL_TOO))
MAX_ENTRY = 16_384  # bytes of all text of a decision's entry
# Bytes in UTF-8; the context has a budget of its own, and the contract bounds the others.
_ROOM = {
    "action": 2_048,
    "resource": 2_560,
    "agent_name": 512,
    "rule": 512,
    "reason": 2_048,
    "hint": 1_024,
    "path": 2_560,
}
_WIDEST = 4  # bytes of a character


def new_row(**values: Any) -> Row:
    """Return the table row of a new entry, with an id, not yet part of a chain.

    Args:
        **values: The row's values by column; what is left out is absent, and what is too long is truncated.
    """
    row = {**_ABSENT, "id": f"aud_{new_id()}", **values}
    for column, room in _ROOM.items():
        text = row[column]
        if text is not None and len(text) * _WIDEST > room:
            row[column] = truncated(text, room)
    return row


def truncated(text: str, room: int) -> str:
    """Return a text that fits; one that was too long says so, and how to recognize the whole.

    Args:
        text: Any text.
        room: Bytes in UTF-8 that it may take.
    """
    encoded = text.encode(errors="replace")
    if len(encoded) <= room:
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    mark = f"… [truncated: {len(text)} characters, sha256 {digest}]"
    return encoded[: room - len(mark.encode())].decode(errors="ignore") + mark


def entry_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a row, `AuditEntry` of openapi.yaml; what is absent is left out.

    Raises:
        ValueError: The row is not as the gateway wrote it.
        TypeError: The same.
        OverflowError: The same.
    """
    entry = {name: value for name, column in _FIELDS.items() if (value := row[column]) is not None}
    entry["timestamp"] = timestamp(row["timestamp"])
    if row["would_deny"] is not None:
        entry["wouldDeny"] = bool(row["would_deny"])
    for name in _JSON:
        if row[name] is not None:
            entry[name] = exact_json(row[name])
    return entry


@dataclass(frozen=True, slots=True)
class Chain:
    """The end of the chain that this process writes: how many entries it has, and the last one's hash.

    Args:
        stream: The chain's name.
        number: Its place among all chains of the log, from 1; None until it is begun.
        count: How many entries it has.
        hash: The last one's hash.
    """

    stream: str
    number: int | None = None
    count: int = 0
    hash: str = NO_HASH

    @classmethod
    def new(cls) -> Chain:
        """Return a chain that nobody has begun yet."""
        return cls(f"gw-{secrets.token_hex(8)}")

    def extend(self, rows: Iterable[Row], number: int) -> Chain:
        """Give the rows their places at the end, and return the longer chain.

        Args:
            rows: New entries.
            number: The chain's place among all chains.
        """
        count, last = self.count, self.hash
        for row in rows:
            count += 1
            row.update(stream=self.stream, sequence=count, prev_hash=last, hash=None)
            row["hash"] = last = entry_hash(entry_of(row))
        return Chain(self.stream, number, count, last)
