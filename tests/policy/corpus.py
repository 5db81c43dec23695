"""One policy with everything in it, and what can be put in the place of each of its values."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from meshguard.policy import Fault, Policy, PolicyLoadError, SubjectTests, Test, load_policy

Place: TypeAlias = tuple[str | int, ...]

WHOLE: dict[str, Any] = {
    "name": "whole",
    "version": "1.0",
    "description": "Everything there is",
    "appliesTo": {"trustTiers": ["verified", "untrusted"], "tags": ["support"], "agentIds": ["agent_1"]},
    "rules": [
        {"effect": "allow", "actions": ["read:*", "*:mail"]},
        {
            "name": "all-subjects",
            "description": "Every subject",
            "effect": "deny",
            "actions": ["write:*"],
            "reason": "because",
            "conditions": {
                "resource": {
                    "equals": "a",
                    "in": ["a"],
                    "startsWith": "a",
                    "endsWith": ["a"],
                    "contains": "a",
                    "matches": ["**/a", "*"],
                    "gt": "a",
                    "gte": "a",
                    "lt": "a",
                    "lte": "a",
                    "exists": True,
                    "within": ["/srv"],
                    "host": ["*.example.com", "[::1]"],
                    "scheme": ["https", "wss"],
                    "not": {"equals": "b", "not": {"in": ["c"]}},
                },
                "action": "write:a",
                "tags": {"equals": "a", "in": ["a"], "contains": ["a"], "exists": True, "not": {"in": ["b"]}},
                "trustTier": {
                    "equals": "trusted",
                    "in": ["trusted"],
                    "exists": True,
                    "not": {"equals": "verified"},
                },
                "agentId": ["agent_1"],
                "agentName": "helper",
                "time": {
                    "after": "09:00",
                    "before": "17:30:15",
                    "weekdays": ["mon"],
                    "not": {"weekdays": ["tue"]},
                },
                "context.amount": {
                    "equals": 1,
                    "in": ["a", 1, True],
                    "startsWith": ["a"],
                    "endsWith": "a",
                    "contains": [1, "a"],
                    "matches": "/a/**",
                    "gt": 0,
                    "gte": 0.5,
                    "lt": 10,
                    "lte": "b",
                    "exists": False,
                    "within": "/srv",
                    "host": "api.example.com",
                    "scheme": "https",
                    "not": {"exists": True, "contains": True},
                },
                "metadata.team.name": ["a", 2],
                "any": [{"tags": ["a"]}, {"all": [{"context.a": True}, {"tags": "b"}]}],
            },
        },
    ],
    "defaultEffect": "deny",
    "delegation": {"maxDepth": 2, "permissionCeiling": ["read:*"]},
}

LONG = "a" * 5_000
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2.0,
    1.5,
    101,
    10**30,
    "",
    "x",
    "allow",
    "allwo",
    "trusted",
    "Trusted",
    "mon",
    "monday",
    "23:59",
    "24:00",
    "9:00",
    "12:30:61",
    "2026-01-05T12:00:00Z",
    "2026-01-05T12:00:00",
    "2026-01-05",
    "a b",
    "a\nb",
    "a\x00b",
    "a\x85b",
    "é",
    "\u202ea",
    "a" * 128,
    "a" * 129,
    "a" * 512,
    "a" * 513,
    "a" * 1_024,
    "a" * 1_025,
    LONG,
    "*" * 300,
    "*a" * 16,
    "*a" * 17,
    "no",
    "on",
    "1:20",
    "017",
    [],
    [None],
    [[]],
    [[["a"]]],
    [{}],
    ["x"],
    ["x", "x"],
    ["x", 1],
    ["trusted"],
    ["mon", "sun"],
    ["mon"] * 8,
    [""],
    ["x"] * 1_001,
    [True],
    [1.5],
    {},
    {"x": "x"},
    {"equals": "x"},
    {"equals": ["x"]},
    {"in": "x"},
    {"in": []},
    {"regex": "x"},
    {"exists": "true"},
    {"gt": True},
    {"gt": 1},
    {"gt": "x"},
    {"within": "x"},
    {"weekdays": ["mon"]},
    {"after": "10:00"},
    {"not": "x"},
    {"not": {}},
    {"not": {"equals": "x"}},
    {"tags": "a"},
    {"context": 1},
    {"context.": 1},
    {"context.a": 1},
    {"context.a.": 1},
    {"context..a": 1},
    {"context.a.b.c.d.e.f.g.h": 1},
    {"context.a.b.c.d.e.f.g.h.i": 1},
    {"context.a\nb": 1},
    {"context." + "a" * 248: 1},
    {"context." + "a" * 249: 1},
    {"any": []},
    {"any": [{"tags": "a"}]},
    {"any": {"tags": "a"}},
    {"all": [{}]},
    {"constructor": "x", "__proto__": "x"},
    [{"effect": "allow", "actions": ["a"]}],
    [{"effect": "allow", "actions": ["a"], "conditions": {}}],
]
UNKNOWN_KEYS = ["x", "", "Name", "rule", "regex", "$ref", "__class__", "context", "a\x00b"]


def variants() -> Iterator[tuple[dict[str, Any], tuple[object, ...]]]:
    """The whole policy with one value replaced, left out, or put in where it does not belong."""
    for path in places(WHOLE):
        for junk in JUNK:
            yield replaced(WHOLE, path, junk), (path, junk)
    for path in places(WHOLE):
        yield without(WHOLE, path), (path, "left out")
        if isinstance(at(WHOLE, path), dict):
            for key in UNKNOWN_KEYS:
                yield replaced(WHOLE, (*path, key), "x"), (path, "added", key)


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    if path:
        yield path
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in members:
        yield from places(item, (*path, key))


def at(value: Any, path: Place) -> Any:
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Place, new: Any) -> Any:
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = new
    return changed


def without(value: Any, path: Place) -> Any:
    changed = copy.deepcopy(value)
    del at(changed, path[:-1])[path[-1]]
    return changed


def first_test(policy: Policy) -> Test:
    """The first test of the first rule of a policy."""
    conditions = policy.rules[0].conditions
    assert conditions is not None
    part = conditions.parts[0]
    assert isinstance(part, SubjectTests)
    return part.tests[0]


def faults_of(source: str | bytes | Mapping[str, object]) -> tuple[Fault, ...] | None:
    """What is wrong with a policy; None when it loads."""
    try:
        load_policy(source)
    except PolicyLoadError as error:
        return error.faults
    return None
