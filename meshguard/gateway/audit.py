"""Audit entries and the chains that hold them together."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from meshguard.gateway.clock import timestamp
from meshguard.gateway.ids import random_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

Row: TypeAlias = dict[str, Any]

NO_HASH = "0" * 64

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
    "method": "method",
    "path": "path",
    "status": "status",
    "latencyMs": "latency_ms",
    "stream": "stream",
    "sequence": "sequence",
    "prevHash": "prev_hash",
    "hash": "hash",
}
_OPTIONAL = ("agent_id", "agent_name", "trust_tier", "resource", "would_deny", "policy", "rule")
_OPTIONAL_HTTP = ("method", "path", "status", "changes")
_ABSENT: Row = dict.fromkeys((*_OPTIONAL, *_OPTIONAL_HTTP))


def new_row(**values: Any) -> Row:
    """Return the table row of a new entry, with an id, not yet part of a chain.

    Args:
        **values: The row's values by column; what is left out is absent.
    """
    return {**_ABSENT, "id": f"aud_{random_hex(24)}", **values}


def entry_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a row, `AuditEntry` of openapi.yaml; what is absent is left out."""
    entry = {name: row[column] for name, column in _FIELDS.items() if row[column] is not None}
    entry["timestamp"] = timestamp(row["timestamp"])
    if row["would_deny"] is not None:
        entry["wouldDeny"] = bool(row["would_deny"])
    if row["changes"] is not None:
        entry["changes"] = json.loads(row["changes"])
    return entry


def entry_hash(entry: Mapping[Any, Any]) -> str:
    """Return the SHA-256 of an entry, in hexadecimal.

    It is taken over the entry's canonical form: the JSON object of `AuditEntry` without `hash`, keys sorted
    by code point, no white space, non-ASCII characters as they are, in UTF-8. `prevHash` is part of it, so
    that each hash vouches for all entries before.
    """
    hashed = {name: value for name, value in entry.items() if name != "hash"}
    canonical = json.dumps(hashed, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Chain:
    """The end of the chain that this process writes: how many entries it has, and the last one's hash."""

    stream: str
    count: int = 0
    hash: str = NO_HASH

    @classmethod
    def new(cls) -> Chain:
        """Return a chain that nobody has begun yet."""
        return cls(f"gw-{secrets.token_hex(8)}")

    def append(self, row: Row) -> Chain:
        """Give the row its place at the end, and return the longer chain."""
        row.update(stream=self.stream, sequence=self.count + 1, prev_hash=self.hash, hash=None)
        row["hash"] = entry_hash(entry_of(row))
        return replace(self, count=self.count + 1, hash=row["hash"])
