"""Who asks: agent tokens and the admin token."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from meshguard.gateway.guesses import Guesses
from meshguard.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.gateway.clock import Clock
    from meshguard.gateway.guesses import GuessReports
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
_MAX_ID = 128  # characters of `sub` and `jti`
_MAX_TIME = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class _Claims:
    agent_id: str
    token_id: str
    valid_from: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and its claims. The store keeps its id, never the token."""

    token: str
    claims: dict[str, Any]

    @property
    def token_id(self) -> str:
        """The claim `jti`."""
        return str(self.claims["jti"])

    @property
    def expires_at(self) -> int:
        """The claim `exp`, in seconds since 1970."""
        return int(self.claims["exp"])

    @property
    def hash(self) -> str:
        """What recognizes the token without being one."""
        return _digest(self.token).hex()

    def __repr__(self) -> str:
        """Return the token's id alone."""
        return f"IssuedToken(token_id={self.token_id!r})"


class Tokens:
    """Makes and checks agent tokens (openapi.yaml, "Credentials").

    Args:
        settings: Has the secrets and the lifetime.
        clock: Seconds since 1970.
        on_invalid: Called for each token that is not valid.
    """

    def __init__(
        self, settings: Settings, clock: Clock, on_invalid: Callable[[], None] = lambda: None
    ) -> None:
        self._secret = settings.jwt_secret.get_secret_value().encode()
        self._old = [secret.get_secret_value().encode() for secret in settings.jwt_secrets_old]
        self._lifetime = settings.agent_token_ttl
        self._clock = clock
        self._on_invalid = on_invalid
        self._verified: OrderedDict[bytes, _Claims] = OrderedDict()

    def issue(self, agent: AgentRecord) -> IssuedToken:
        """Return a new token for an agent; it works once the store has its id as the agent's."""
        now = int(self._clock())
        claims = {
            "sub": agent.id,
            "name": agent.name,
            "tier": agent.trust_tier,
            "tags": _fitting(agent.tags),
            "iat": now,
            "exp": now + self._lifetime,
            "iss": ISSUER,
            "jti": secrets.token_hex(16),
        }
        return IssuedToken(jwt.encode(claims, self._secret, _ALGORITHM), claims)

    def issue_again(self, claims: dict[str, Any], token_hash: str) -> IssuedToken | None:
        """Return a token that was issued before, or None if none of the secrets signs the same one.

        Args:
            claims: Its claims, in their order.
            token_hash: Its hash.
        """
        for secret in (self._secret, *self._old):
            again = IssuedToken(jwt.encode(claims, secret, _ALGORITHM), claims)
            if hmac.compare_digest(again.hash, token_hash):
                return again
        return None

    def agent(self, authorization: str | None, snapshot: Snapshot) -> Agent:
        """Return the agent whose token an `Authorization` header carries.

        Raises:
            Problem: 401, whatever is wrong with it.
        """
        try:
            return self._agent(authorization, snapshot)
        except Problem:
            if authorization:
                self._on_invalid()
            raise

    def _agent(self, authorization: str | None, snapshot: Snapshot) -> Agent:
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
        if claims.expires_at <= now or claims.valid_from > now + _LEEWAY:
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
            except Exception:  # noqa: BLE001, S112 - a token that can't be read is not valid, whatever the cause
                continue
        raise unauthorized()


def _decode(token: str, secret: bytes) -> dict[str, Any]:
    """Check all but the times, which are held against the gateway's own clock at each use."""
    if not jwt.get_unverified_header(token).keys() <= _HEADER:
        raise jwt.InvalidTokenError
    options: Any = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    return jwt.decode(token, secret, algorithms=[_ALGORITHM], issuer=ISSUER, options=options)


def _checked(claims: dict[str, Any]) -> _Claims:
    """Return the claims that decisions need; each has to be as `Tokens.issue` writes it.

    `nbf` is not issued, but honored.
    """
    sub, jti, iat, exp = (claims[name] for name in ("sub", "jti", "iat", "exp"))
    nbf = claims.get("nbf", iat)
    if not (_is_id(sub) and _is_id(jti) and all(map(_is_time, (iat, exp, nbf)))):
        raise jwt.InvalidTokenError
    if not (
        isinstance(claims["name"], str) and isinstance(claims["tier"], str) and _are_tags(claims["tags"])
    ):
        raise jwt.InvalidTokenError
    return _Claims(sub, jti, max(iat, nbf), exp)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= _MAX_ID


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TIME


def _are_tags(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


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
    """Checks the administrator's token in constant time, and slows down clients that guess.

    Args:
        settings: Has the token.
        monotonic: Seconds of a clock that nobody sets.
        reports: Gets each wrong token.
    """

    def __init__(self, settings: Settings, monotonic: Clock, reports: GuessReports | None = None) -> None:
        self._digest = _digest(settings.admin_token.get_secret_value())
        self._guesses = Guesses(monotonic)
        self._reports = reports

    def check(self, token: str | None, address: str) -> None:
        """Do nothing if this is the admin token.

        An address that is locked out gets 429 for the right token too: otherwise it could go on guessing.

        Args:
            token: The token that was sent.
            address: The client's; others are not affected by what comes from it.

        Raises:
            Problem: 401, or 429 when too many wrong tokens came from this address.
        """
        try:
            self._guesses.check(address)
        except Problem:
            if token and self._reports:
                self._reports.count_locked_out()
            raise
        digest = _digest(token or "")
        if not hmac.compare_digest(self._digest, digest):
            if token:
                self._count(address, digest)
            raise Problem(
                401,
                "Send the gateway's admin token in the header X-Admin-Token.",
                headers=(("WWW-Authenticate", "X-Admin-Token"),),
            )

    def accepts(self, token: str | None, address: str) -> bool:
        """Return whether this is the admin token; a wrong one counts as in `check`."""
        try:
            self.check(token, address)
        except Problem:
            return False
        return True

    def _count(self, address: str, digest: bytes) -> None:
        number, is_new = self._guesses.add(address, digest)
        if self._reports:
            self._reports.count(address, number if is_new else 0)


def _digest(token: str) -> bytes:
    """Return what is compared: its length says nothing about the token's."""
    return hashlib.sha256(token.encode()).digest()
