"""Who asks: agent tokens and the admin token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import math
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from meshguard.gateway.problems import Problem

if TYPE_CHECKING:
    from meshguard.gateway.clock import Clock
    from meshguard.gateway.settings import Settings
    from meshguard.gateway.snapshot import Agent, Snapshot
    from meshguard.gateway.store import AgentRecord

ISSUER = "meshguard"
_ALGORITHM = "HS256"
_CLAIMS = ("sub", "name", "tier", "tags", "iat", "exp", "iss", "jti")
_MAX_TOKEN = 16_384  # characters
_MAX_TAGS = 4_096  # characters of JSON that tags may take in a token
_MAX_CACHED = 10_000
_LEEWAY = 5.0  # seconds that another gateway's clock may be ahead
_HEADER = frozenset({"alg", "typ"})  # a key that is named or brought along is none of ours
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_GUESSES = 10  # wrong admin tokens that one address may try in a minute
_MINUTE = 60.0
_MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class _Claims:
    agent_id: str
    token_id: str
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and what the store keeps of it; `expires_at` in seconds since 1970."""

    token: str
    token_id: str
    expires_at: int

    def __repr__(self) -> str:
        """Return the token's id alone."""
        return f"IssuedToken(token_id={self.token_id!r})"


class Tokens:
    """Makes and checks agent tokens (openapi.yaml, "Credentials")."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._secret = settings.jwt_secret.get_secret_value().encode()
        self._old = [secret.get_secret_value().encode() for secret in settings.jwt_secrets_old]
        self._lifetime = settings.agent_token_ttl
        self._clock = clock
        self._verified: OrderedDict[bytes, _Claims] = OrderedDict()

    def issue(self, agent: AgentRecord) -> IssuedToken:
        """Return a new token for an agent; it works once the store has its id as the agent's."""
        now = int(self._clock())
        token_id = secrets.token_hex(16)
        claims = {
            "sub": agent.id,
            "name": agent.name,
            "tier": agent.trust_tier,
            "tags": _fitting(agent.tags),
            "iat": now,
            "exp": now + self._lifetime,
            "iss": ISSUER,
            "jti": token_id,
        }
        return IssuedToken(jwt.encode(claims, self._secret, _ALGORITHM), token_id, now + self._lifetime)

    def agent(self, authorization: str | None, snapshot: Snapshot) -> Agent:
        """Return the agent whose token an `Authorization` header carries.

        Raises:
            Problem: 401, whatever is wrong with it.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        claims = self._claims(token.strip())
        agent = snapshot.agents.get(claims.agent_id)
        now = self._clock()
        if agent is None or agent.record.status != "active" or agent.record.token_id is None:
            raise unauthorized()
        if not hmac.compare_digest(agent.record.token_id.encode(), claims.token_id.encode()):
            raise unauthorized()
        if claims.expires_at <= now or claims.issued_at > now + _LEEWAY:
            raise unauthorized()
        return agent

    def _claims(self, token: str) -> _Claims:
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise unauthorized()
        key = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(key)
        if claims is None:
            claims = self._verified[key] = self._verify(token)
            if len(self._verified) > _MAX_CACHED:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(key)
        return claims

    def _verify(self, token: str) -> _Claims:
        if not _FORM.fullmatch(token):
            raise unauthorized()
        for secret in (self._secret, *self._old):
            try:
                return _checked(_decode(token, secret))
            except (jwt.InvalidTokenError, RecursionError, UnicodeError):
                continue
        raise unauthorized()


def _decode(token: str, secret: bytes) -> dict[str, Any]:
    """Check all but the times, which are held against the gateway's own clock at each use."""
    if not jwt.get_unverified_header(token).keys() <= _HEADER:
        raise jwt.InvalidTokenError
    options: Any = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    return jwt.decode(token, secret, algorithms=[_ALGORITHM], issuer=ISSUER, options=options)


def _checked(claims: dict[str, Any]) -> _Claims:
    sub, jti, iat, exp = (claims[name] for name in ("sub", "jti", "iat", "exp"))
    if not (isinstance(sub, str) and isinstance(jti, str) and _is_time(iat) and _is_time(exp)):
        raise jwt.InvalidTokenError
    return _Claims(sub, jti, iat, exp)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _fitting(tags: tuple[str, ...]) -> list[str]:
    """Return the first tags, as many as a header carries; they are there for people to read."""
    fitting = list(tags)
    while len(json.dumps(fitting)) > _MAX_TAGS:
        fitting.pop()
    return fitting


def unauthorized() -> Problem:
    """Return the 401 of an agent token that is not valid, whatever the reason."""
    return Problem(
        401,
        'Send a valid agent token as "Authorization: Bearer <token>".',
        headers=(("WWW-Authenticate", "Bearer"),),
    )


class AdminToken:
    """Checks the administrator's token in constant time, and slows down who guesses.

    Args:
        settings: Has the token.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, settings: Settings, monotonic: Clock) -> None:
        self._digest = _digest(settings.admin_token.get_secret_value())
        self._guesses = _Guesses(monotonic)

    def check(self, token: str | None, address: str) -> None:
        """Do nothing if this is the admin token.

        Args:
            token: What was sent.
            address: The client's; others are not concerned by what comes from it.

        Raises:
            Problem: 401, or 429 when too many wrong tokens came from this address.
        """
        self._guesses.refuse_more(address)
        digest = _digest(token or "")
        if not hmac.compare_digest(self._digest, digest):
            if token:
                self._guesses.add(address, digest)
            raise Problem(
                401,
                "Send the gateway's admin token in the header X-Admin-Token.",
                headers=(("WWW-Authenticate", "X-Admin-Token"),),
            )


class _Guesses:
    """The wrong admin tokens of the last minute, by address; the same one again is no new guess."""

    def __init__(self, monotonic: Clock) -> None:
        self._monotonic = monotonic
        self._made: OrderedDict[str, tuple[float, set[bytes]]] = OrderedDict()

    def refuse_more(self, address: str) -> None:
        """Do nothing if the address may guess.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        ends, digests = self._made.get(_network(address), (0.0, ()))
        wait = math.ceil(ends - self._monotonic())
        if wait <= 0 or len(digests) < _GUESSES:
            return
        raise Problem(
            429,
            f"Wait {wait} s; this address sent {_GUESSES} wrong admin tokens within a minute.",
            headers=(("Retry-After", str(wait)),),
            fields={"retryAfter": wait, "limit": _GUESSES},
        )

    def add(self, address: str, digest: bytes) -> None:
        """Remember a guess."""
        network, now = _network(address), self._monotonic()
        ends, digests = self._made.pop(network, (0.0, set()))
        self._made[network] = (ends, digests | {digest}) if ends > now else (now + _MINUTE, {digest})
        if len(self._made) > _MAX_ADDRESSES:
            self._made.popitem(last=False)


def _network(address: str) -> str:
    """Return whose an address is: with IPv6 everybody has 2^64 of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004
        return address
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _digest(token: str) -> bytes:
    """Return what is compared: its length says nothing about the token's."""
    return hashlib.sha256(token.encode()).digest()
