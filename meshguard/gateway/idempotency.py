"""Responses kept by `Idempotency-Key`, so that a repeated request creates nothing twice."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from meshguard.audit_verify import canonical
from meshguard.gateway import store
from meshguard.gateway.clock import milliseconds, timestamp
from meshguard.gateway.http import NO_STORE, Request, Response, json_response
from meshguard.gateway.problems import Problem
from meshguard.gateway.store import idempotency_keys, to_json
from meshguard.gateway.writer import Change
from meshguard.policy.json_text import exact_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from meshguard.gateway.auth import IssuedToken, Tokens
    from meshguard.gateway.gateway import Gateway

LIFETIME = 86_400_000  # milliseconds
_FORGOTTEN_AT_ONCE = 1_000
_LABEL = b"meshguard idempotency 1"
_OTHER_REQUEST = "The Idempotency-Key belongs to another path or body; repeat that request, or use a new key."
_NOT_SIGNED_AGAIN = (
    "The first response's token can't be shown again: the gateway no longer has the secret that signed it."
    " Issue a new token with POST /admin/agents/{agentId}/token."
)
_key = idempotency_keys.c


@dataclass(frozen=True, slots=True)
class Created:
    """A response with a token, which is not kept with it.

    Args:
        status: The HTTP status.
        body: The other fields of the response.
        issued: The token.
        is_replayed: Whether it is the response to an earlier request.
    """

    status: int
    body: dict[str, Any]
    issued: IssuedToken
    is_replayed: bool = False

    def response(self) -> Response:
        """Return it as the response of an operation."""
        expires_at = timestamp(self.issued.expires_at * 1000)
        body = {**self.body, "token": self.issued.token, "expiresAt": expires_at}
        replayed = ((b"idempotency-replayed", b"true"),) if self.is_replayed else ()
        return json_response(body, self.status, (*replayed, *NO_STORE))


async def create_once(
    gateway: Gateway,
    request: Request,
    body: object,
    create: Callable[[Connection, int], Change[Created]],
) -> Response:
    """Perform a change, unless a request with the same key did; return its response, or the earlier one.

    Args:
        gateway: The gateway.
        request: Has the key, if there is one.
        body: What the request sent.
        create: Makes the change, given the transaction and its revision.

    Raises:
        Problem: 409, when the key belongs to another request, or the earlier token can't be shown again.
    """
    key = _IdempotencyKey.of(gateway, request, body)
    now = milliseconds(gateway.clock())

    def perform(connection: Connection) -> Change[Created]:
        # Other gateways wait here, so that of simultaneous requests the second one sees the first one's key.
        number = store.begin_change(connection)
        earlier = key.recall(connection, now, gateway.tokens) if key else None
        if earlier:
            # Another gateway may have made the change: this one must know of it before it responds.
            return Change(earlier, applied=gateway.sync.refresh, is_undone=True)
        change = create(connection, number)
        if key:
            key.remember(connection, now, change.result)
        return change

    created = await gateway.writer.change(perform)
    return created.response()


async def forget_old_keys(gateway: Gateway) -> None:
    """Remove the keys that are older than `LIFETIME`.

    Raises:
        Problem: 503, when the database can't be written.
    """
    before = milliseconds(gateway.clock()) - LIFETIME

    def perform(connection: Connection) -> Change[int]:
        old = select(_key.id).where(_key.created_at <= before).limit(_FORGOTTEN_AT_ONCE)
        removed = connection.execute(delete(idempotency_keys).where(_key.id.in_(old))).rowcount
        return Change(removed, is_undone=not removed)

    while await gateway.writer.change(perform) == _FORGOTTEN_AT_ONCE:
        pass


@dataclass(frozen=True, slots=True)
class _IdempotencyKey:
    """A caller's key and what it was sent with, as hashes that are keyed with the caller's credential."""

    id: str
    request: str

    @classmethod
    def of(cls, gateway: Gateway, request: Request, body: object) -> _IdempotencyKey | None:
        text = request.headers.get("Idempotency-Key")
        if text is None:
            return None
        credential = gateway.settings.admin_token.get_secret_value().encode()
        return cls(
            _hash(credential, ["key", text]),
            _hash(credential, ["request", request.operation.id, request.path, body]),
        )

    def recall(self, connection: Connection, now: int, tokens: Tokens) -> Created | None:
        row = connection.execute(select(idempotency_keys).where(_key.id == self.id)).one_or_none()
        if row is None or row.created_at <= now - LIFETIME:
            return None
        if not hmac.compare_digest(row.request, self.request):
            raise Problem(409, _OTHER_REQUEST)
        issued = tokens.issue_again(json.loads(row.claims), row.token_hash)
        if issued is None:
            raise Problem(409, _NOT_SIGNED_AGAIN)
        return Created(row.status, exact_json(row.body), issued, is_replayed=True)

    def remember(self, connection: Connection, now: int, created: Created) -> None:
        connection.execute(delete(idempotency_keys).where(_key.id == self.id))
        connection.execute(
            insert(idempotency_keys).values(
                id=self.id,
                request=self.request,
                status=created.status,
                body=to_json(created.body),
                claims=to_json(created.issued.claims),
                token_hash=created.issued.hash,
                created_at=now,
            )
        )


def _hash(credential: bytes, value: object) -> str:
    return hmac.new(credential, _LABEL + canonical(value), "sha256").hexdigest()
