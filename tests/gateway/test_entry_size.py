"""How large an entry can be, and what it says of what it has no room for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from meshguard.gateway.audit import MAX_ENTRY, entry_of, new_row, truncated
from meshguard.gateway.audit_context import MAX_CONTEXT, ContextKeeper
from tests.gateway.conftest import Lab
from tests.support import gateway_settings

CHARACTERS = {
    "one byte": "a",
    "two bytes": "ä",
    "three bytes": "\u4e00",
    "four bytes": "\U0001f600",
    "quoted": '"',
}


def size(row: dict[str, Any]) -> int:
    return sum(len(str(value).encode()) for value in row.values() if value is not None)


@pytest.mark.parametrize("char", CHARACTERS.values(), ids=CHARACTERS)
def test_no_decision_takes_more_than_the_limit(open_lab: Callable[..., Lab], char: str) -> None:
    keys = [f"k{number}" for number in range(32)]
    lab = open_lab(audit_context_keys=",".join(keys))
    agent = lab.agent(name=char * 128)
    context = dict.fromkeys(keys, char * 120) | {char * 60 + f"{number:03}": 1 for number in range(100)}
    body = {"action": char * 2_048, "resource": char * 8_192, "context": context}
    headers = {"X-MeshGuard-Trace-ID": "t" * 128}
    assert agent.post("/api/v1/pdp/evaluate", json=body, headers=headers).status_code == 200
    entry = lab.entries(limit=1)[0]
    row = {name: value for name, value in entry.items() if name != "context"}
    assert size(row) + MAX_CONTEXT <= MAX_ENTRY
    assert len(entry["action"].encode()) <= 2_048
    digest = hashlib.sha256((char * 8_192).encode()).hexdigest()[:32]
    assert entry["resource"].endswith(f"… [truncated: 8192 characters, sha256 {digest}]")
    assert entry["context"]["truncated"] is True
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


@pytest.mark.parametrize("char", CHARACTERS.values(), ids=CHARACTERS)
def test_every_column_together_fits(char: str) -> None:
    texts = ("action", "resource", "agent_name", "rule", "reason", "hint", "path")
    fixed = {"trace_id": "t" * 128, "agent_id": "a" * 128, "policy": "p" * 128, "method": "M" * 16}
    row = new_row(
        **dict.fromkeys(texts, char * 100_000),
        **fixed,
        timestamp=1,
        kind="decision",
        decision="allow",
        latency_ms=0.123,
        context="c" * MAX_CONTEXT,
    )
    row |= {"stream": "gw-0123456789abcdef", "sequence": 10**12, "prev_hash": "0" * 64, "hash": "0" * 64}
    assert size(row) <= MAX_ENTRY
    assert all("… [truncated: 100000 characters" in row[name] for name in texts)
    assert entry_of({**row, "context": None})["action"] == row["action"]


@pytest.mark.parametrize("char", CHARACTERS.values(), ids=CHARACTERS)
def test_a_text_is_cut_only_when_it_has_no_room(char: str) -> None:
    fits = char * (300 // len(char.encode()))
    assert truncated(fits, 300) == fits
    cut = truncated(fits + char, 300)
    assert cut != fits + char
    assert len(cut.encode()) <= 300
    assert f"{len(fits) + 1} characters" in cut


@pytest.mark.parametrize("char", [*CHARACTERS.values(), "\x01"], ids=[*CHARACTERS, "escaped"])
@pytest.mark.parametrize("keys", [0, 1, 8, 32, 33, 500])
@pytest.mark.parametrize("named", [0, 8, 32])
def test_a_context_keeps_to_its_budget(tmp_path: Any, char: str, keys: int, named: int) -> None:
    names = [f"n{number}" for number in range(named)]
    keeper = ContextKeeper(gateway_settings(tmp_path, audit_context_keys=",".join(names)))
    context: dict[str, Any] = {f"{char * 60}{number:03}": 1 for number in range(keys)}
    context |= dict.fromkeys(names, char * 40)
    text = keeper.keep(context)
    assert (text is None) is (not context)
    if text is not None:
        assert len(text.encode()) <= MAX_CONTEXT


def test_a_context_that_fits_is_not_said_to_be_truncated(tmp_path: Any) -> None:
    keeper = ContextKeeper(gateway_settings(tmp_path, audit_context_keys="a,b"))
    assert "truncated" not in str(keeper.keep({"a": 1, "c": 2}))
    assert '"truncated":true' in str(keeper.keep({"a": "x" * 300}))
    assert '"truncated":true' in str(keeper.keep({f"k{number}": 1 for number in range(33)}))
