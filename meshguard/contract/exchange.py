"""A request and its response, as both were on the wire."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")
_BEARER = re.compile(r"(?i)(authorization: bearer )[^\s'\"]+")
_ADMIN = re.compile(r"(?i)(x-admin-token: )[^\s'\"]+")
_OWN = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}
_LONG = 2_000  # characters of a body that are shown


class Violation(Exception):  # noqa: N818 - it is a finding, not a failure of ours
    """The gateway did something that the contract rules out.

    Args:
        wrong: What, in one sentence.
        exchange: Where it shows.
    """

    def __init__(self, wrong: str, exchange: Exchange | None = None) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.exchange = exchange


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response; names of headers are in lower case.

    Args:
        method: The method, in capitals.
        url: The whole URL.
        request_headers: Names and values.
        request_body: The bytes.
        status: The response's status.
        headers: Names and values of the response's headers.
        body: The bytes of the response, decoded where they were compressed.
    """

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, response: httpx.Response) -> Exchange:
        """Return the exchange that a response of httpx ended."""
        request = response.request
        return cls(
            request.method,
            str(request.url),
            _lowered(request.headers.multi_items()),
            request.read(),
            response.status_code,
            _lowered(response.headers.multi_items()),
            response.content,
        )

    def header(self, name: str) -> str | None:
        """Return a header of the response, None when it is absent."""
        return dict(self.headers).get(name.lower())

    def json(self) -> Any:
        """Return what the response's body means.

        Raises:
            Violation: It is no JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise Violation("the body is no JSON", self) from None

    def object(self) -> dict[str, Any]:
        """Return the JSON object in the response.

        Raises:
            Violation: There is none.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise Violation("the body is no JSON object", self)
        return value

    @property
    def sent(self) -> str:
        """The request as a curl command, with the credentials left out."""
        words = ["curl", "-i"]
        words += ["-X", self.method] if self.method != "GET" else []
        words += [shlex.quote(self.url)]
        for name, value in self.request_headers:
            if name not in _OWN:
                words += ["-H", shlex.quote(f"{name}: {value}")]
        if self.request_body:
            words += ["--data-binary", shlex.quote(_text(self.request_body))]
        return without_secrets(" ".join(words))

    @property
    def came(self) -> str:
        """The response as text, with the credentials left out."""
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        lines = [f"{self.status} {phrase}".strip(), *(f"{name}: {value}" for name, value in self.headers)]
        return without_secrets("\n".join([*lines, "", _text(self.body)]).rstrip())


def without_secrets(text: str) -> str:
    """Return a text with variables in place of tokens."""
    text = _ADMIN.sub(r"\1$ADMIN_TOKEN", _BEARER.sub(r"\1$AGENT_TOKEN", text))
    return _JWT.sub("$AGENT_TOKEN", text)


def _lowered(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers)


def _text(body: bytes) -> str:
    text = body.decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(body)} bytes)"
