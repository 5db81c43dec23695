"""The signatures of chains' heads and tombstones, which nobody makes who has the database alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from meshguard.audit_verify import head_fields, is_signed, seal_key, sign, tombstone_fields
from meshguard.gateway.clock import timestamp
from meshguard.gateway.store import audit_heads, audit_tombstones

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def read_heads(connection: Connection) -> list[dict[str, Any]]:
    """Return the heads of all chains in the form of `AuditHead` in openapi.yaml, oldest chain first."""
    tombstones = {row["stream"]: row for row in connection.execute(select(audit_tombstones)).mappings()}
    heads: list[dict[str, Any]] = []
    for row in connection.execute(select(audit_heads).order_by(audit_heads.c.number)).mappings():
        head = dict(row)
        if row["stream"] in tombstones:
            tombstone = tombstones[row["stream"]]
            head["pruned"] = {**_pruned(tombstone), "signature": tombstone["signature"]}
        heads.append(head)
    return heads


def _pruned(tombstone: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "count": tombstone["count"],
        "hash": tombstone["hash"],
        "prunedAt": timestamp(tombstone["pruned_at"]),
    }
