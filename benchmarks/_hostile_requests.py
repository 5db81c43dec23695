"""Requests that an attacker sends: bytes, and whether a 2xx would be a breach."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jwt

EVALUATE = "/api/v1/pdp/evaluate"
BATCH = "/api/v1/pdp/evaluate/batch"


@dataclass(frozen=True)
class Attack:
    """A request, and whether it gets through when it is answered with success."""

    content: bytes
    breach_if_accepted: bool = True
    waits: bool = True


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request; its length is declared."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: gateway", "Connection: close", *headers, *length])
    return f"{head}\r\n\r\n".encode() + body


def post(token: str, path: str, body: bytes) -> bytes:
    """Return a request of an agent with a JSON body."""
    return request(
        f"POST {path}", f"Authorization: Bearer {token}", "Content-Type: application/json", body=body
    )


def hostile_json(token: str) -> Iterator[Attack]:
    """Bodies that cost more to read than to send, or that mean two things."""
    keys = b'{"action":"read:x","context":{%s}}' % b",".join(b'"k%d":0' % n for n in range(16_000))
    yield Attack(post(token, EVALUATE, keys), breach_if_accepted=False)
    bodies = [
        b'{"action":"read:x","context":{%s}}' % b",".join(b'"k":0' for _ in range(16_000)),
        b'{"action":"read:x","context":%s}' % (b'{"a":' * 5_000 + b"0" + b"}" * 5_000),
        b'{"action":"read:x","context":{"a":%s}}' % (b"[" * 20_000),
        b'{"action":"read:x","context":{"a":1e999,"b":NaN}}',
        b'{"action":"read:x","context":{"a":%s}}' % (b"9" * 100_000),
        b'{"action":"read:x","context":{"a":"\\ud800"}}',
        b'{"action":"read:x","action":"pay:x"}',
        b'{"action":"\xff\xfe"}',
        b"[" + b"0," * 50_000 + b"0]",
    ]
    for body in bodies:
        yield Attack(post(token, EVALUATE, body))


def huge_batches(token: str) -> Iterator[Attack]:
    """Batches of far too many questions, or of none that is one."""
    yield Attack(post(token, BATCH, b'{"requests":[%s0]}' % (b"0," * 500_000)))
    yield Attack(post(token, BATCH, b'{"requests":[%s{}]}' % (b"{}," * 100_000)))
    questions = [{"action": "read:x", "context": {"n": n}} for n in range(1_000)]
    yield Attack(post(token, BATCH, json.dumps({"requests": questions}).encode()), breach_if_accepted=False)


def explain_batches(token: str) -> Iterator[Attack]:
    """Batches of 60 that ask for explanations over all policies."""
    question = {"action": "team1:item1:write", "resource": "/a/b", "explain": True, "context": {"n": 1}}
    body = json.dumps({"requests": [question] * 60}).encode()
    yield Attack(post(token, BATCH, body), breach_if_accepted=False)


def deep_contexts(token: str) -> Iterator[Attack]:
    """Contexts of as many values, levels and characters as the limits permit, and beyond."""
    nested: dict[str, object] = {"amount": 5_000}
    for _ in range(30):
        nested = {"args": nested, "list": [0] * 300}
    text = "/".join(["..", "a" * 250] * 400)
    for context in (nested, {"amount": text}, {"path": text, "amount": [[0] * 100] * 99}):
        body = json.dumps({"action": "pay:x", "resource": text[:900], "context": context}).encode()
        yield Attack(post(token, EVALUATE, body), breach_if_accepted=False)


def forged_tokens(token: str) -> Iterator[Attack]:
    """Tokens that the gateway did not issue."""
    head, claims, signature = token.split(".")
    known = jwt.decode(token, options={"verify_signature": False})
    tokens = [
        jwt.encode(known, "", algorithm="none"),
        jwt.encode(known, "another-4Rt6Yu8Io0Pa2Sd4Fg6Hj8Kl1Zx3", algorithm="HS256"),
        jwt.encode(known, "another-4Rt6Yu8Io0Pa2Sd4Fg6Hj8Kl1Zx3" * 2, algorithm="HS512"),
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{claims}.{signature}.{signature}",
        "a." * 20_000,
        f"{head}.{'A' * 6_000}.{signature}",
    ]
    for forged in tokens:
        yield Attack(
            request("GET /proxy/check", f"Authorization: Bearer {forged}", "X-MeshGuard-Action: read:x")
        )


def admin_guesses(token: str) -> Iterator[Attack]:
    """Guesses at the admin token, and an agent's token in its place."""
    guess = f"{random.getrandbits(256):064x}"
    yaml = b"name: open\nrules: [{effect: allow, actions: ['*']}]\n"
    yield Attack(request("GET /admin/agents", f"X-Admin-Token: {guess}"))
    yield Attack(
        request(
            "PUT /admin/policies/open", f"X-Admin-Token: {token}", "Content-Type: application/yaml", body=yaml
        )
    )
    yield Attack(request("DELETE /admin/agents/agent_1", f"Authorization: Bearer {token}"))
    yield Attack(request("GET /admin/audit/verify", f"X-Admin-Token: {guess}"))


def odd_http(token: str) -> Iterator[Attack]:
    """Requests that two servers could read differently."""
    credential = f"Authorization: Bearer {token}"
    smuggled = request("GET /proxy/check", credential, "X-MeshGuard-Action: pay:x")
    both = request("POST /proxy/x", credential, "Content-Length: 4", "Transfer-Encoding: chunked")
    yield Attack(both + b"0\r\n\r\n" + smuggled)
    yield Attack(request("GET /proxy/%2e%2e/%2e%2e/admin", credential, "X-MeshGuard-Action: read:x"))
    yield Attack(request("GET /" + "a" * 60_000, credential))
    yield Attack(request("GET /proxy/check", credential, *(f"X-{n}: {'a' * 500}" for n in range(300))))
    yield Attack(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500)


def proxied(token: str) -> Iterator[Attack]:
    """Proxied requests to an upstream that misbehaves, some of which the policies deny."""
    credential = f"Authorization: Bearer {token}"
    for path in ("short", "forged", "garbage", "endless", "unasked"):
        allowed = request(f"GET /proxy/{path}", credential, "X-MeshGuard-Action: read:x")
        yield Attack(allowed, breach_if_accepted=False)
    override = request(
        "GET /proxy/ok", credential, "X-MeshGuard-Action: pay:x", "X-HTTP-Method-Override: DELETE"
    )
    yield Attack(override)


def abandoned(token: str) -> Iterator[Attack]:
    """Requests that nobody waits for the answer of."""
    body = json.dumps({"action": "read:x", "context": {"n": 1}}).encode()
    yield Attack(post(token, EVALUATE, body), breach_if_accepted=False, waits=False)


REQUESTS: dict[str, Callable[[str], Iterator[Attack]]] = {
    "hostile JSON": hostile_json,
    "huge batches": huge_batches,
    "explain batches": explain_batches,
    "deep contexts": deep_contexts,
    "forged tokens": forged_tokens,
    "guesses of the admin token": admin_guesses,
    "odd HTTP": odd_http,
    "proxied to a hostile upstream": proxied,
    "abandoned requests": abandoned,
}
