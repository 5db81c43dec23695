"""Whatever text comes in: an answer or a refusal, never a crash.

The normal run is bounded by the profile's examples; with `--hypothesis-profile nightly` each test goes on for
a minute.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import httpx
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshguard.gateway.auth import Tokens, _decode
from meshguard.gateway.contract import parse_query
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.gateway.problems import Problem
from meshguard.gateway.upstream_path import encode, normalise
from meshguard.policy import PolicyLoadError, load_policy
from tests.gateway.conftest import Lab
from tests.support import SECRET, Clock, gateway_settings

MINUTE = 60.0


def for_a_minute(check: Callable[[], None]) -> None:
    """Run a property once, or in the nightly profile for a minute."""
    ends = monotonic() + (MINUTE if settings.get_current_profile_name() == "nightly" else 0)
    check()
    while monotonic() < ends:
        check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("sub", "name", "tier", "tags", "iat", "exp", "iss", "jti")
CLAIMS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))
COMPLETE = st.fixed_dictionaries(dict.fromkeys(NAMES, JSON) | {"iss": st.just("meshguard")})
SEGMENTS = st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
SIGNED = (CLAIMS | COMPLETE).map(lambda claims: jwt.api_jws.encode(json.dumps(claims).encode(), SECRET))
TOKENS = (
    st.text(max_size=80)
    | st.lists(SEGMENTS, max_size=5).map(".".join)
    | SIGNED
    | st.tuples(SIGNED, st.integers(0, 200), st.characters()).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
)


def test_no_token_crashes_its_reader(tmp_path: Path) -> None:
    tokens = Tokens(gateway_settings(tmp_path), Clock())

    @given(TOKENS)
    def check(token: str) -> None:
        try:
            claims = tokens._claims(token)
        except Problem as problem:
            assert problem.status == 401  # noqa: PT017
            return
        assert _decode(token, SECRET.encode())["iss"] == "meshguard"
        assert isinstance(claims.agent_id, str)
        assert claims.expires_at == claims.expires_at  # it is no NaN

    for_a_minute(check)


def test_no_path_crashes_its_normal_form_or_escapes_from_below_the_upstream() -> None:
    pieces = st.sampled_from(
        [".", "..", "/", "//", "%", "%2e", "%2F", "%5c", "\\", ";", "a", ":", "http:", " "]
    )
    encoded = st.binary(max_size=8).map(quote_from_bytes)

    @given(st.lists(pieces | encoded | st.text(max_size=5), max_size=12).map("".join))
    def check(path: str) -> None:
        try:
            normal = normalise(path)
        except Problem as problem:
            assert problem.status == 400  # noqa: PT017
            return
        sent = encode(normal)
        assert urlsplit(f"http://upstream/base/{sent}").netloc == "upstream"
        assert sent.isascii()
        assert sent.isprintable()
        assert not {"..", "."} & set(sent.lower().replace("%2e", ".").split("/"))

    for_a_minute(check)


def test_no_cursor_or_filter_crashes_a_listing(lab: Lab) -> None:
    lab.create()
    lab.create()
    real = lab.admin.get("/admin/agents", params={"limit": 1}).json()["nextCursor"]
    changed = st.tuples(st.integers(0, len(real)), st.text(max_size=3)).map(
        lambda parts: real[: parts[0]] + parts[1] + real[parts[0] + 1 :]
    )
    structured = JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode())

    @settings(max_examples=50)
    @given(st.sampled_from(["/admin/agents", "/admin/audit"]), changed | structured | SEGMENTS | st.text())
    def check(path: str, cursor: str) -> None:
        query = {"cursor": cursor.encode("utf-8", "replace").decode("utf-8", "replace")}
        assert lab.admin.get(path, params=query).status_code in {200, 400}

    for_a_minute(check)


def test_no_query_crashes_its_reader() -> None:
    @given(st.binary(max_size=60))
    def check(raw: bytes) -> None:
        try:
            pairs = parse_query(raw)
        except UnicodeDecodeError:
            return
        assert all(isinstance(text, str) for pair in pairs for text in pair)

    for_a_minute(check)


WORDS = st.sampled_from(
    ["name", "rules", "effect", "allow", "deny", "actions", "when", "appliesTo", "trustTiers", "read:*", "**"]
)
POLICY_LIKE = st.recursive(
    WORDS | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)
YAML_PIECES = st.sampled_from(
    [
        "name: a\n",
        "rules:\n",
        "  - ",
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "<<: *a\n",
        "{",
        "}",
        "[",
        "]",
    ]
)
POLICY_TEXTS = (
    POLICY_LIKE.map(json.dumps)
    | st.lists(YAML_PIECES | WORDS | st.text(max_size=6), max_size=20).map("".join)
    | st.text(max_size=100)
)


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
def test_no_policy_body_crashes_the_gateway(lab: Lab, media_type: str) -> None:
    @settings(max_examples=40)
    @given(POLICY_TEXTS)
    def check(text: str) -> None:
        body = text.encode("utf-8", "surrogatepass")
        headers = {"Content-Type": media_type}
        answer: httpx.Response = lab.admin.post("/admin/policies/validate", content=body, headers=headers)
        assert answer.status_code in {200, 400}

    for_a_minute(check)


def test_no_policy_text_crashes_the_loader() -> None:
    @given(POLICY_TEXTS)
    def check(text: str) -> None:
        try:
            load_policy(text)
        except PolicyLoadError as error:
            assert str(error)  # noqa: PT017

    for_a_minute(check)


def test_no_json_crashes_its_reader() -> None:
    @given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
    def check(body: bytes) -> None:
        try:
            value: Any = parse_json(body)
        except JsonError:
            return
        json.dumps(value, allow_nan=False).encode()

    for_a_minute(check)
