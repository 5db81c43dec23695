"""The published test vectors are what the code computes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from meshguard.audit_verify import (
    Verifier,
    canonical,
    entry_hash,
    head_fields,
    seal_key,
    sign,
    tombstone_fields,
)

PAGE = (Path(__file__).parents[2] / "docs" / "audit-log.md").read_text(encoding="utf-8")
VECTORS = PAGE.partition("### Test vectors")[2].partition("\n## ")[0]
SECRET = re.findall(r"The secret `(.+)`", VECTORS)[0].encode()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.+?)\n```", VECTORS, re.DOTALL)


ENTRIES: list[dict[str, Any]] = [json.loads(line) for line in blocks("jsonl")[0].splitlines()]
HEAD: dict[str, Any] = json.loads(blocks("json")[0])
KEY, CANONICAL = blocks("text")


def test_the_key_is_derived_as_published() -> None:
    assert seal_key(SECRET).hex() == KEY


def test_the_canonical_form_and_the_hashes_are_as_published() -> None:
    assert [entry_hash(entry) for entry in ENTRIES] == [entry["hash"] for entry in ENTRIES]
    hashed = {name: value for name, value in ENTRIES[1].items() if name != "hash"}
    assert canonical(hashed).decode() == CANONICAL


def test_the_signatures_are_as_published() -> None:
    assert sign(seal_key(SECRET), "head", head_fields(HEAD)) == HEAD["signature"]
    assert sign(seal_key(SECRET), "tombstone", tombstone_fields(HEAD)) == HEAD["pruned"]["signature"]


@pytest.mark.parametrize("is_pruned", [False, True])
def test_the_published_log_verifies_with_and_without_its_tombstone(is_pruned: bool) -> None:
    head = HEAD if is_pruned else {name: value for name, value in HEAD.items() if name != "pruned"}
    verifier = Verifier([head], keys=[seal_key(SECRET)])
    for entry in ENTRIES[is_pruned:]:
        verifier.add(entry)
    assert verifier.finish() is None
    assert verifier.entries == 2 - is_pruned
