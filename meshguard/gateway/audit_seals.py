"""The signatures of chains' heads and tombstones, which nobody makes who has the database alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from meshguard.audit_verify import head_fields, is_signed, seal_key, sign, tombstone_fields
from meshguard.gateway.clock import timestamp
from meshguard.gateway.store import audit_heads, audit_tombstones, put_state, state, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshguard.gateway.audit import Chain
    from meshguard.gateway.settings import Settings


class Seals:
    """Signs with the key of `JWT_SECRET`; takes the keys of `JWT_SECRETS_OLD` for good too."""

    def __init__(self, settings: Settings) -> None:
        secrets = (settings.jwt_secret, *settings.jwt_secrets_old)
        self.keys = [seal_key(secret.get_secret_value().encode()) for secret in secrets]

    def sign_head(self, chain: Chain) -> str:
        """Return the signature of a chain's head."""
        return self._sign_head(
            {"stream": chain.stream, "number": chain.number, "count": chain.count, "hash": chain.hash}
        )

    def _sign_head(self, head: Mapping[str, Any]) -> str:
        return sign(self.keys[0], "head", head_fields(head))

    def signed_by_gateway(self, heads: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the heads that carry a signature of the gateway."""
        return [
            dict(head) for head in heads if is_signed(self.keys, "head", head_fields(head), head["signature"])
        ]

    def leave_tombstone(
        self, connection: Connection, stream: str, count: int, last_hash: str, now: int
    ) -> None:
        """Vouch for the entries of a chain up to this one, which are removed in this transaction."""
        tombstone = {"stream": stream, "count": count, "hash": last_hash, "pruned_at": now}
        connection.execute(delete(audit_tombstones).where(audit_tombstones.c.stream == stream))
        signature = self.sign_tombstone(tombstone)
        connection.execute(insert(audit_tombstones).values(**tombstone, signature=signature))
        remove_milestones(connection, stream, count)

    def sign_tombstone(self, tombstone: Mapping[Any, Any]) -> str:
        """Return the signature of a row of `audit_tombstones`."""
        head = {"stream": tombstone["stream"], "pruned": _pruned(tombstone)}
        return sign(self.keys[0], "tombstone", tombstone_fields(head))

    def renew(self, connection: Connection) -> None:
        """Sign anew what an old key signed, so that the old secret can be taken out of the settings.

        What none of the keys signed stays as it is, to be found by `verify`.
        """
        for head in read_heads(connection):
            if self._is_old("head", head_fields(head), head["signature"]):
                _replace(connection, audit_heads, head["stream"], head["signature"], self._sign_head(head))
            pruned = head.get("pruned")
            if pruned and self._is_old("tombstone", tombstone_fields(head), pruned["signature"]):
                signature = sign(self.keys[0], "tombstone", tombstone_fields(head))
                _replace(connection, audit_tombstones, head["stream"], pruned["signature"], signature)

    def _is_old(self, purpose: str, fields: Mapping[str, Any], signature: str) -> bool:
        return is_signed(self.keys[1:], purpose, fields, signature)


def _replace(connection: Connection, table: Any, stream: str, old: str, new: str) -> None:
    """Leave a head alone that its own gateway has moved in the meantime."""
    here = (table.c.stream == stream, table.c.signature == old)
    connection.execute(update(table).where(*here).values(signature=new))


_MILESTONE = "milestone"
_NUMBERS = 1_000_000_000_000_000_000  # so many digits that names are in the order of the counts


def put_milestone(connection: Connection, head: Mapping[str, Any]) -> None:
    """Keep a copy of a chain's head: a signed place within the chain once the head has moved on."""
    name = f"{_MILESTONE} {head['stream']} {head['count'] + _NUMBERS}"
    put_state(connection, name, to_json({key: head[key] for key in ("number", "count", "hash", "signature")}))


def read_milestones(connection: Connection, stream: str = "") -> list[dict[str, Any]]:
    """Return the milestones of a chain, or of all; their signatures are still to be checked."""
    begins = f"{_MILESTONE} {stream} " if stream else f"{_MILESTONE} "
    rows = connection.execute(
        select(state.c.name, state.c.value).where(state.c.name.startswith(begins, autoescape=True))
    )
    found = (_milestone(name, value) for name, value in rows)
    return sorted((mark for mark in found if mark), key=lambda mark: (mark["stream"], mark["count"]))


def _milestone(name: str, value: str) -> dict[str, Any] | None:
    try:
        mark = json.loads(value)
        return {
            "stream": name.split(" ")[1],
            **{key: int(mark[key]) for key in ("number", "count")},
            **{key: str(mark[key]).encode().decode() for key in ("hash", "signature")},
        }
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None


def remove_milestones(connection: Connection, stream: str, upto: int) -> None:
    """Remove the milestones of a chain whose entries are removed."""
    first, last = (f"{_MILESTONE} {stream} {count + _NUMBERS}" for count in (0, upto))
    connection.execute(delete(state).where(state.c.name >= first, state.c.name <= last))


def count_chains(connection: Connection) -> int | None:
    """Return how many chains were begun; None when the count can't be read."""
    value = connection.execute(select(state.c.value).where(state.c.name == "chains")).scalar()
    return int(value) if value is not None and str(value).isdecimal() else None


def read_heads(connection: Connection, stream: str | None = None) -> list[dict[str, Any]]:
    """Return the heads of all chains, or of one, in the form of `AuditHead`, oldest chain first."""
    of_heads, of_tombstones = select(audit_heads).order_by(audit_heads.c.number), select(audit_tombstones)
    if stream is not None:
        of_heads = of_heads.where(audit_heads.c.stream == stream)
        of_tombstones = of_tombstones.where(audit_tombstones.c.stream == stream)
    tombstones = {row["stream"]: row for row in connection.execute(of_tombstones).mappings()}
    heads: list[dict[str, Any]] = []
    for row in connection.execute(of_heads).mappings():
        head = dict(row)
        if row["stream"] in tombstones:
            tombstone = tombstones[row["stream"]]
            head["pruned"] = {**_pruned(tombstone), "signature": tombstone["signature"]}
        heads.append(head)
    return heads


def _pruned(tombstone: Mapping[Any, Any]) -> dict[str, Any]:
    try:
        moment = timestamp(tombstone["pruned_at"])
    except (TypeError, ValueError, OverflowError, OSError):
        moment = timestamp(0)  # somebody wrote what is no time: no signature fits
    return {"count": tombstone["count"], "hash": tombstone["hash"], "prunedAt": moment}
