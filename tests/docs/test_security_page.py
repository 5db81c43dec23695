"""docs/security.md promises nothing that no test proves."""

from __future__ import annotations

import ast
import re
from collections.abc import Sized
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
LABELS = ("Promised", "Not promised", "What you do")
THREATS = (
    "An agent lies about its action",
    "A stolen agent token",
    "A stolen database",
    "A malicious upstream",
    "A malicious policy author",
    "A curious operator",
    "A network attacker",
    "Resource exhaustion",
)
# A module that sweeps a class of hostile inputs has its corpus, or their number, in a constant.
# Each row of "What was tried" is the sum of some.
TRIED: dict[str, tuple[str, ...]] = {
    "hostile policies and contexts": (
        "tests/policy/test_hostile_input.py REFUSED",
        "tests/policy/test_hostile_input.py HOSTILE_CONTEXTS",
    ),
    "values of an argument without exact JSON": ("tests/python_values.py INEXACT",),
    "ambiguous URLs and hosts": ("tests/policy/test_hosts.py AMBIGUOUS",),
    "hosts that are not this machine": ("tests/unit/test_loopback.py ELSEWHERE",),
    "hostile requests": ("tests/gateway/test_hostile_requests.py TRIED",),
    "header names that claim something": ("tests/gateway/test_forwarded_headers.py NEVER",),
    "odd values of a token's claim": ("tests/gateway/test_claims.py ODD",),
    "connection attacks": ("tests/gateway/test_connection_attacks.py ATTACKS",),
    "ways to change policies on disk": ("tests/gateway/policy_changes.py WAYS",),
    "tampering with the audit log": (
        "tests/gateway/test_audit_tampering.py ATTACKS",
        "tests/gateway/tampering.py ATTACKS",
    ),
    "kinds of attack at once": ("benchmarks/_attackers.py KINDS",),
}
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def sections() -> dict[str, dict[str, str]]:
    """The parts of each section, by the label above them; what comes first has none."""
    found: dict[str, dict[str, str]] = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        parts = re.split(r"^\*\*([^*\n]+)\*\*$", text, flags=re.MULTILINE)
        found[title] = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return found


def items(text: str) -> list[str]:
    return [" ".join(item.split()) for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:]]


PROMISES = [promise for parts in sections().values() for promise in items(parts.get("Promised", ""))]


@cache
def names_of(path: str) -> set[str]:
    """The tests of a module, as its syntax tree has them; a name in a comment or a string is none."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_threat_says_what_is_promised_what_is_not_and_what_is_left_to_do() -> None:
    found = sections()
    assert tuple(title for title, parts in found.items() if len(parts) > 2) == THREATS
    for threat in THREATS:
        assert tuple(found[threat]) == ("", *LABELS)
        assert all(text.strip() for text in found[threat].values()), threat


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[:60])
def test_every_promise_names_tests_that_exist(promise: str) -> None:
    named = _TEST.findall(promise)
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in names_of(path)] == []


def test_every_name_of_a_test_belongs_to_a_promise() -> None:
    assert PAGE.count("::") == sum(len(_TEST.findall(promise)) for promise in PROMISES)
    assert len(PROMISES) > 40


def number_of(constant: str) -> int:
    """Return a constant that is a number, or the size of one that is a corpus."""
    file, _, name = constant.partition(" ")
    value: int | Sized = getattr(import_module(file.removesuffix(".py").replace("/", ".")), name)
    return value if isinstance(value, int) else len(value)


def rows_of_tried() -> list[list[str]]:
    lines = sections()["What was tried"][""].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]


def test_the_page_has_the_numbers_of_what_was_tried() -> None:
    def row(what: str, constants: tuple[str, ...]) -> list[str]:
        modules = dict.fromkeys(f"`{constant.partition(' ')[0]}`" for constant in constants)
        return [what, f"{sum(map(number_of, constants)):,}", "0", ", ".join(modules)]

    assert rows_of_tried() == [row(*tried) for tried in TRIED.items()]
