"""Numbers through the whole gateway: sent, compared, stored, recorded and verified as they were written."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from meshguard.audit_verify import entry_hash, exact_number
from tests.gateway.conftest import Lab

EVALUATE = "/api/v1/pdp/evaluate"
JSON = {"Content-Type": "application/json"}
PAIRS = [
    ("9007199254740992.9", "9007199254740992"),
    ("100.000000000000001", "100"),
    ("1e400", "1.7976931348623157e308"),
    ("0.1000000000000000000001", "0.1"),
    ("9007199254740993", "9007199254740992.5"),
    ("-1e-400", "-2e-400"),
]


def policy_of(bound: str) -> str:
    return (
        '{"name": "limit", "rules": [{"effect": "allow", "actions": ["pay"], '
        f'"conditions": {{"context.amount": {{"lte": {bound}}}}}}}, '
        '{"effect": "allow", "actions": ["keep"], '
        f'"conditions": {{"metadata.limit": {{"lte": {bound}}}}}}}]}}'
    )


@pytest.mark.parametrize(("larger", "smaller"), PAIRS)
def test_a_number_a_little_larger_is_not_allowed(lab: Lab, larger: str, smaller: str) -> None:
    for bound, allowed in ((smaller, False), (larger, True)):
        assert lab.admin.put("/admin/policies/limit", content=policy_of(bound), headers=JSON).is_success
        agent = lab.agent()
        body = f'{{"action": "pay", "context": {{"amount": {larger}}}}}'
        answer = agent.post(EVALUATE, content=body, headers=JSON).json()
        assert answer["allowed"] is allowed
        test = f'{{"agent": {{"trustTier": "verified", "tags": []}}, {body[1:]}'
        assert lab.admin.post("/admin/policies/test", content=test, headers=JSON).json()["allowed"] is allowed
        stored = lab.admin.get("/admin/policies/limit").text
        assert [Decimal(part.split("}")[0]) for part in stored.split('"lte":')[1:]] == [Decimal(bound)] * 2


@pytest.mark.parametrize(("larger", "smaller"), PAIRS)
def test_metadata_is_stored_and_compared_exactly(
    open_lab: Callable[..., Lab], tmp_path: Path, larger: str, smaller: str
) -> None:
    lab = open_lab(tmp_path)
    assert lab.admin.put("/admin/policies/limit", content=policy_of(smaller), headers=JSON).is_success
    created = lab.admin.post(
        "/admin/agents", content=f'{{"name": "a", "metadata": {{"limit": {larger}}}}}', headers=JSON
    )
    agent: dict[str, Any] = created.json()
    again = open_lab(tmp_path)  # another gateway reads it from the database
    for one in (lab, again):
        text = one.admin.get(f"/admin/agents/{agent['id']}").text
        assert Decimal(text.split('"limit":')[1].split("}")[0]) == Decimal(larger)
        assert not one.client(agent["token"]).post(EVALUATE, json={"action": "keep"}).json()["allowed"]


def test_recorded_numbers_stay_apart_and_the_log_verifies(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(audit_context_keys=("amount",))
    agent = lab.agent()
    numbers = ["9007199254740992.9", "9007199254740992.8", "9007199254740993", "1e400", "1e-400", "0.5"]
    for number in numbers:
        body = f'{{"action": "pay", "context": {{"amount": {number}, "other": {number}}}}}'
        agent.post(EVALUATE, content=body, headers=JSON)
    lines = [line for line in lab.admin.get("/admin/audit/export").text.splitlines() if '"pay"' in line]
    entries = [json.loads(line, parse_float=exact_number) for line in lines]
    values = [entry["context"]["values"]["amount"] for entry in entries]
    assert [Decimal(str(value)) for value in values] == [Decimal(number) for number in numbers]
    assert len({entry["context"]["fingerprints"]["other"] for entry in entries}) == len(numbers)
    assert all(entry["hash"] == entry_hash(entry) for entry in entries)
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


@pytest.mark.parametrize("number", ["1e1001", "1e999999999", "9" * 1_001], ids=lambda text: text[:9])
def test_a_number_beyond_bounds_is_refused(lab: Lab, number: str) -> None:
    body = f'{{"action": "read:x", "context": {{"amount": {number}}}}}'
    assert lab.agent().post(EVALUATE, content=body, headers=JSON).status_code == 400
