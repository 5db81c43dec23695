"""A corpus of hostile requests for every operation of the contract, and a bound on the work of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.gateway import http as gateway_http
from meshguard.gateway.contract import load_contract
from meshguard.gateway.http import MAX_BODY
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.gateway.json_size import has_more_values
from meshguard.gateway.problems import Detail, invalid
from meshguard.gateway.work import MAX_ERRORS, MAX_VALUES, Work
from tests.gateway.conftest import Lab
from tests.support import ADMIN_TOKEN, ALLOW_READS, gateway_client

# What one request may cause at most, whatever it is.
MAX_LOOKED_AT = 60_000
MAX_WRITTEN = 150_000  # the contract itself has 120 kB

OPERATIONS = load_contract().operations
PROXIED = "/proxy/{path}"


def bodies() -> dict[str, bytes]:
    many = b",".join(b'"%d":0' % number for number in range(40_000))
    zeros = b"[" + b"0," * 500_000 + b"0]"
    wide = b"{" + b",".join(b'"k%d":0' % number for number in range(60_000)) + b"}"
    return {
        "empty": b"",
        "not JSON": b"{",
        "not UTF-8": b'"\xff"',
        "a scalar": b"0",
        "zeros": zeros,
        "zeros in a batch": b'{"requests":' + zeros + b"}",
        "empty objects in a batch": b'{"requests":[' + b"{}," * 300_000 + b"{}]}",
        "a thousand wrong": json.dumps({"requests": [{f"k{n}": 0 for n in range(40)}] * 1000}).encode(),
        "the last one wrong": json.dumps(
            {"requests": [{"action": "read:x"}] * 999 + [{"acton": 1}]}
        ).encode(),
        "unknown fields": b"{" + many + b"}",
        "more values than allowed": wide,
        "the first key twice": b"{" + many + b',"0":1}',
        "the last key twice": b"{" + many + b',"39999":1}',
        "a key twice inside": b'{"action":"read:x","context":{' + many + b',"0":1}}',
        "deep lists": b"[" * 40_000 + b"]" * 40_000,
        "deep objects": b'{"a":' * 20_000 + b"0" + b"}" * 20_000,
        "deep metadata": b'{"name":"x","metadata":' + b'{"a":' * 60 + b"0" + b"}" * 61,
        "a long text": b'{"name":"' + b"a" * 1_000_000 + b'"}',
        "a long action": b'{"action":"' + b"a" * 1_000_000 + b'"}',
        "a long key": b'{"' + b"a" * 1_000_000 + b'":0}',
        "long unknown keys": json.dumps({f"{n}{'é' * 5_000}": 0 for n in range(30)}).encode(),
        "long enum": b'{"name":"x","trustTier":"' + b"\\u0000" * 100_000 + b'"}',
        "a huge number": b'{"action":"a","context":{"n":' + b"9" * 900_000 + b"}}",
        "a huge exponent": b'{"action":"a","context":{"n":1e999999999}}',
        "many huge numbers": b'{"action":"a","context":{"n":['
        + b"9" * 4_000
        + (b"," + b"9" * 4_000) * 200
        + b"]}}",
        "many fractions": b'{"action":"a","context":{"n":[' + b"1.5," * 200_000 + b"1]}}",
        "NaN": b'{"action":"a","context":{"n":NaN}}',
        "half a surrogate": b'{"name":"\\ud800"}',
        "many tags": json.dumps({"name": "x", "tags": ["t"] * 100_000}).encode(),
        "much metadata": json.dumps({"name": "x", "metadata": {f"k{n}": n for n in range(20_000)}}).encode(),
        "many rules": json.dumps({"name": "x", "rules": [{"effect": "maybe"}] * 5_000}).encode(),
        "a wrong candidate": json.dumps(
            {"agent": {"trustTier": "x"}, "action": "a", "candidate": {"name": "x", "rules": [0] * 30_000}}
        ).encode(),
        "one byte too many": b'"' + b"a" * MAX_BODY + b'"',
    }


YAML = {
    "aliases": b"a: &a [" + b"x," * 50 + b"]\nb: &b [" + b"*a," * 50 + b"]\nc: [" + b"*b," * 50 + b"]\n",
    "deep flow": b"[" * 5_000,
    "deep blocks": b"".join(b" " * n + b"a:\n" for n in range(300)),
    "keys twice": b"name: x\n" * 2_000,
    "many keys": b"".join(b"k%d: 0\n" % n for n in range(2_000)),
    "many rules": b"name: x\nrules:\n" + b"  - {effect: maybe}\n" * 500,
    "tags": b"name: !!python/object/apply:os.system [x]\n",
    "a long scalar": b"name: " + b"a" * 500_000,
    "not UTF-8": b"name: \xff\n",
}
QUERIES = {
    "unknown parameters": "&".join(f"p{n}=1" for n in range(7_000)),
    "one parameter often": "&".join(["limit=1"] * 7_500),
    "a long value": "agent=" + "a" * 60_000,
    "a long name": "a" * 60_000 + "=1",
    "separators": "&" * 60_000,
    "not UTF-8": "agent=%ff",
    "a huge limit": "limit=" + "9" * 10_000,
    "wildcards": "action=" + "*a" * 1_000,
}
HEADERS = {
    "many": [(f"X-{n}", "a") for n in range(101)],
    "large": [("X-Large", "a" * 66_000)],
    "a long trace": [("X-MeshGuard-Trace-ID", "a" * 60_000)],
    "a long action": [("X-MeshGuard-Action", "a" * 60_000)],
    "spaces in an action": [("X-MeshGuard-Action", "a" + " " * 60_000 + "\x01")],
    "both framings": [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
    "a length that is none": [("Content-Length", "9" * 1_000)],
}


def url_of(template: str) -> str:
    names = {"{path}": "x", "{agentId}": "agent_nobody", "{name}": "nobody"}
    for name, value in names.items():
        template = template.replace(name, value)
    return template


def corpus() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield a label, the method, the path, and the other arguments of each request."""
    for operation in OPERATIONS:
        path = url_of(operation.template)
        if operation.media_types and operation.template != PROXIED:
            for media_type in operation.media_types:
                for name, body in (bodies() if media_type.endswith("json") else YAML).items():
                    headers = [("Content-Type", media_type)]
                    yield (
                        f"{operation.id} {name}",
                        operation.method,
                        path,
                        {"content": body, "headers": headers},
                    )
        for name, query in QUERIES.items():
            yield f"{operation.id} ?{name}", operation.method, f"{path}?{query}", {}
        for name, headers in HEADERS.items():
            yield f"{operation.id} {name} header", operation.method, path, {"headers": headers}


TRIED = sum(1 for _ in corpus())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    made: list[Work] = []

    class Watched(Work):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    original = gateway_http.Request.__init__

    def watched(self: Any, *arguments: Any, **options: Any) -> None:
        options["work"] = Watched()
        original(self, *arguments, **options)

    monkeypatch.setattr(gateway_http.Request, "__init__", watched)
    return made


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(tmp_path, rate_limit_rpm=0, proxy_target="http://127.0.0.1:9") as made:
        admin = {"X-Admin-Token": ADMIN_TOKEN}
        created = await made.post("/admin/agents", json={"name": "bot"}, headers=admin)
        yaml = {**admin, "Content-Type": "application/yaml"}
        await made.put("/admin/policies/readers", content=ALLOW_READS, headers=yaml)
        made.headers = httpx.Headers({**admin, "Authorization": f"Bearer {created.json()['token']}"})
        yield made


@pytest.mark.anyio
async def test_no_request_causes_more_than_a_bounded_amount_of_work(
    client: httpx.AsyncClient, works: list[Work]
) -> None:
    beyond, number = [], 0
    for label, method, path, arguments in corpus():
        headers = [*client.headers.items(), *arguments.pop("headers", ())]
        works.clear()
        response = await client.request(method, path, headers=headers, **arguments)
        number += 1
        looked = sum(work.values + work.listed for work in works)
        details = (
            response.json().get("details", ()) if response.status_code == 400 and response.content else ()
        )
        if (
            looked > MAX_LOOKED_AT
            or len(response.content) > MAX_WRITTEN
            or (response.status_code >= 400 and len(response.content) > 65_536)
            or len(details) > MAX_ERRORS
            or response.status_code in {500, 503, 504}
        ):
            beyond.append((label, response.status_code, looked, len(response.content), len(details)))
    assert beyond == []
    assert number == TRIED > 500


@pytest.mark.parametrize("twice", [0, 39_999])
def test_duplicate_keys_are_found_in_one_pass(twice: int) -> None:
    class Counted(str):
        __slots__ = ()
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            assert Counted.compared < 1_000
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    from meshguard.gateway.json_body import _unique  # noqa: PLC0415

    pairs = [(Counted(f"key {number}"), 0) for number in range(40_000)]
    with pytest.raises(JsonError, match=f'"key {twice}" is given twice'):
        _unique([*pairs, (Counted(f"key {twice}"), 1)])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(alphabet='a,:[{"\\'),
        lambda inner: (
            st.lists(inner, max_size=5) | st.dictionaries(st.text(alphabet='a,:"\\'), inner, max_size=5)
        ),
    )
)
def test_values_are_counted_exactly_whatever_the_texts_hold(value: Any) -> None:
    def separators(item: Any) -> int:
        if isinstance(item, list):
            return 1 + max(0, len(item) - 1) + sum(map(separators, item))
        if isinstance(item, dict):
            return 1 + len(item) + max(0, len(item) - 1) + sum(map(separators, item.values()))
        return 0

    body, count = json.dumps(value).encode(), separators(value)
    assert not has_more_values(body, count)
    if count > 0 and len(body) > count - 1:
        assert has_more_values(body, count - 1)


def test_a_text_full_of_separators_is_one_value() -> None:
    body = json.dumps({"action": "read:x", "context": {"csv": "1,2:{[" * 100_000}}).encode()
    assert not has_more_values(body, MAX_VALUES)
    assert parse_json(body)["context"]["csv"]


def test_a_response_lists_the_first_errors_shortened() -> None:
    problem = invalid(*[Detail("/" + "a" * 9_000, "b" * 9_000)] * 50)
    assert len(problem.details) == MAX_ERRORS
    assert {len(text) for detail in problem.details for text in (detail.path, detail.message)} == {512}
    assert problem.message.endswith("there may be more.")
    assert len(invalid(Detail("", "x")).details) == 1


def test_invalid_requests_count_against_the_agents_limit(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=10)
    agent, other = lab.agent(), lab.agent()
    statuses = [agent.post("/api/v1/pdp/evaluate", content=b"{").status_code for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2
    headers = {"X-MeshGuard-Action": "read:x"}
    assert agent.get("/proxy/check", headers=headers).status_code == 429
    assert other.get("/proxy/check", headers=headers).status_code == 200


def test_a_used_up_limit_is_found_before_the_body_is_read(
    open_lab: Callable[..., Lab], works: list[Work]
) -> None:
    lab = open_lab(rate_limit_rpm=3)
    agent = lab.agent()
    body = json.dumps({"action": "read:x", "context": {"x": "y" * 10_000}})
    headers = {"Content-Type": "application/json"}
    statuses = []
    for _ in range(6):
        works.clear()
        statuses.append(agent.post("/api/v1/pdp/evaluate", content=body, headers=headers).status_code)
    assert statuses == [200] * 3 + [429] * 3
    assert [work.read for work in works] == [0]


def test_a_large_body_is_charged_by_its_size(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=20)
    agent = lab.agent()
    body = {"action": "read:x", "context": {"x": "y" * 900_000}}
    assert agent.post("/api/v1/pdp/evaluate", json=body).status_code == 200  # 13 and the decision
    assert agent.post("/api/v1/pdp/evaluate", json=body).status_code == 429
    assert agent.post("/api/v1/pdp/evaluate", json={"action": "read:x"}).status_code == 200


def test_a_listing_of_all_agents_gives_others_their_turn(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshguard.gateway import agents  # noqa: PLC0415

    monkeypatch.setattr(agents, "_SCANNED_AT_ONCE", 4)
    monkeypatch.setattr(agents, "_WRITTEN_AT_ONCE", 2)
    ids = [lab.create(tags=["even"] if number % 2 == 0 else [])["id"] for number in range(9)]
    turns = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        turns.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", counted)
    listed = lab.admin.get("/admin/agents").json()
    assert [agent["id"] for agent in listed["agents"]] == ids
    assert "nextCursor" not in listed
    assert len(turns) >= 6
    page = lab.admin.get("/admin/agents", params={"tag": "even", "limit": 5}).json()
    assert [agent["id"] for agent in page["agents"]] == ids[::2]
    assert "nextCursor" not in page
