"""A second evaluator, straight from the language page: no index, no compilation, no short cuts.

It reads the wire form of policies, and takes nothing from the package but ``Agent`` and ``Request``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

from meshguard.policy import Agent, Request

Value: TypeAlias = bool | Literal["error"]
Check: TypeAlias = Callable[[Any, Any], Value]

ERROR: Final = "error"
TIERS = {"unverified", "verified", "trusted", "privileged"}
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    policy: str | None
    rule: str | None


def decide(policies: list[dict[str, Any]], agent: Agent | None, request: Request, now: datetime) -> Verdict:
    if agent is None or agent.status == "revoked" or agent.trust_tier not in TIERS:
        return Verdict(False, None, None)
    applying = [policy for policy in sorted(policies, key=lambda p: p["name"]) if applies(policy, agent)]
    for effect in ("deny", "allow"):
        for policy in applying:
            for number, rule in enumerate(policy["rules"], 1):
                if rule["effect"] == effect and rule_matches(rule, agent, request, now):
                    return Verdict(effect == "allow", policy["name"], rule.get("name", f"rule {number}"))
    by_default = bool(applying) and all(p.get("defaultEffect", "deny") == "allow" for p in applying)
    return Verdict(by_default, None, None)


def applies(policy: dict[str, Any], agent: Agent) -> bool:
    keys = policy.get("appliesTo", {})
    tiers = ["unverified" if tier == "untrusted" else tier for tier in keys.get("trustTiers", [])]
    return (
        ("trustTiers" not in keys or agent.trust_tier in tiers)
        and ("tags" not in keys or any(tag in keys["tags"] for tag in agent.tags))
        and ("agentIds" not in keys or agent.id in keys["agentIds"])
    )


def rule_matches(rule: dict[str, Any], agent: Agent, request: Request, now: datetime) -> bool:
    if not any(action_matches(pattern, request.action) for pattern in rule["actions"]):
        return False
    if "conditions" not in rule:
        return True
    value = conditions_value(rule["conditions"], agent, request, now)
    return value is True or (rule["effect"] == "deny" and value == ERROR)


def action_matches(pattern: str, action: str) -> bool:
    return wildcard_regex(pattern, {r"\*+": ".*"}).fullmatch(action) is not None


def wildcard_regex(pattern: str, wildcards: dict[str, str]) -> re.Pattern[str]:
    parts = re.split(r"(\*+)", pattern)
    out = ""
    for part in parts:
        if part.startswith("*"):
            out += next(to for wildcard, to in wildcards.items() if re.fullmatch(wildcard, part))
        else:
            out += re.escape(part)
    return re.compile(out, re.DOTALL)


def glob_matches(pattern: str, text: str) -> bool:
    return wildcard_regex(pattern, {r"\*": "[^/]*", r"\*\*+": ".*"}).fullmatch(text) is not None


def all_of(values: Iterable[Value]) -> Value:
    values = list(values)
    if any(value is False for value in values):
        return False
    return ERROR if ERROR in values else True


def any_of(values: Iterable[Value]) -> Value:
    values = list(values)
    if any(value is True for value in values):
        return True
    return ERROR if ERROR in values else False


def opposite(value: Value) -> Value:
    return ERROR if value == ERROR else not value


def conditions_value(conditions: dict[str, Any], agent: Agent, request: Request, now: datetime) -> Value:
    values = []
    for subject, tests in conditions.items():
        if subject == "all":
            values.append(all_of(conditions_value(part, agent, request, now) for part in tests))
        elif subject == "any":
            values.append(any_of(conditions_value(part, agent, request, now) for part in tests))
        else:
            values.append(tests_value(subject, tests, agent, request, now))
    return all_of(values)


def tests_value(subject: str, tests: Any, agent: Agent, request: Request, now: datetime) -> Value:
    if isinstance(tests, list):
        tests = {"in": tests}
    if not isinstance(tests, dict):
        tests = {"equals": tests}
    values = []
    for name, operand in tests.items():
        if name == "not":
            values.append(opposite(tests_value(subject, operand, agent, request, now)))
        else:
            values.append(test_value(subject, name, operand, agent, request, now))
    return all_of(values)


def test_value(subject: str, name: str, operand: Any, agent: Agent, request: Request, now: datetime) -> Value:  # noqa: PLR0911, PLR0917
    if subject == "time":
        return time_value(name, operand, now)
    found = candidates(subject, agent, request)
    if name == "exists":
        return bool(found) is operand
    if subject.startswith("context.") and outsized(request.context):
        return ERROR
    if subject.startswith("metadata.") and outsized(agent.metadata):
        return ERROR
    if len(found) != 1:
        return ERROR
    operands = operand if isinstance(operand, list) else [operand]
    if subject == "trustTier":
        operands = ["unverified" if tier == "untrusted" else tier for tier in operands]
    if subject == "tags":
        return any(tag in operands for tag in agent.tags)
    return any_of(TESTS[name](found[0], one) for one in operands)


def candidates(subject: str, agent: Agent, request: Request) -> list[Any]:
    plain = {
        "action": request.action,
        "tags": agent.tags,
        "trustTier": agent.trust_tier,
        "agentId": agent.id,
        "agentName": agent.name,
    }
    if subject in plain:
        return [plain[subject]]
    if subject == "resource":
        return [] if request.resource is None else [request.resource]
    root, path = subject.split(".", 1)
    return along(request.context if root == "context" else agent.metadata, path)


def along(value: Any, path: str) -> list[Any]:
    """Every value a dotted path can mean; a key may contain dots."""
    if not isinstance(value, dict):
        return []
    found = [value[path]] if path in value else []
    for key, inner in value.items():
        if path.startswith(key + "."):
            found += along(inner, path[len(key) + 1 :])
    return found


def outsized(value: Any, deepest: int = 32) -> bool:
    def size(value: Any, depth: int) -> tuple[int, int]:
        if depth > deepest:
            raise OverflowError
        if isinstance(value, str):
            return 0, len(value)
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        text = sum(len(key) for key in value) if isinstance(value, dict) else 0
        sizes = [size(item, depth + 1) for item in inner]
        return len(inner) + sum(count for count, _ in sizes), text + sum(length for _, length in sizes)

    try:
        count, text = size(value, 0)
    except OverflowError:
        return True
    return count > 10_000 or text > 1_048_576


def json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    names: dict[type, str] = {str: "text", list: "list", dict: "object"}
    return names.get(type(value), "?")


def number(value: float | Decimal) -> Fraction | None:
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    return Fraction(value)


def compared(value: Any, operand: Any, compare: Callable[[Any, Any], bool]) -> Value:
    if json_type(value) != json_type(operand) or json_type(value) not in {"text", "number", "boolean"}:
        return ERROR
    if json_type(value) == "number":
        value, operand = number(value), number(operand)
        if value is None or operand is None:
            return ERROR
    return compare(value, operand)


def code_points(text: Any) -> Any:
    return [ord(char) for char in text] if isinstance(text, str) else text


def equals(value: Any, operand: Any) -> Value:
    return compared(value, operand, lambda a, b: code_points(a) == code_points(b))


def order(compare: Callable[[Any, Any], bool]) -> Check:
    return lambda value, operand: compared(
        value, operand, lambda a, b: compare(code_points(a), code_points(b))
    )


def on_text(check: Callable[[str, str], Value]) -> Check:
    return lambda value, operand: check(value, operand) if isinstance(value, str) else ERROR


def contains(value: Any, operand: Any) -> Value:
    if isinstance(value, str):
        return operand in value if isinstance(operand, str) else ERROR
    if isinstance(value, list):
        return any_of(equals(item, operand) for item in value)
    return ERROR


def resolved(path: str) -> list[str] | None:
    out: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not out:
                return None
            out.pop()
        elif part not in ("", "."):
            out.append(part)
    return out


def as_text(path: str, parts: list[str]) -> str:
    if "//" not in path and not any(part in (".", "..") for part in path.split("/")):
        return path
    return (
        ("/" if path.startswith("/") else "")
        + "/".join(parts)
        + ("/" if path.endswith("/") and parts else "")
    )


def matches(path: str, pattern: str) -> Value:
    if len(path) > 8192:
        return ERROR
    if "/" not in pattern:
        return glob_matches(pattern, path)
    parts = resolved(path)
    if parts is None:
        return ERROR
    as_sent, as_resolved = glob_matches(pattern, path), glob_matches(pattern, as_text(path, parts))
    return as_sent if as_sent == as_resolved else ERROR


def within(path: str, folder: str) -> Value:
    if len(path) > 8192:
        return ERROR
    parts, root = resolved(path), resolved(folder)
    if parts is None:
        return ERROR
    assert root is not None
    return path.startswith("/") == folder.startswith("/") and parts[: len(root)] == root


def time_value(name: str, operand: Any, now: datetime) -> bool:
    now = now.astimezone(UTC)
    if name == "weekdays":
        return DAYS[now.weekday()] in operand
    if "T" in operand:
        reached = now >= datetime.fromisoformat(operand).astimezone(UTC)
    else:
        clock = [int(part) for part in operand.split(":")] + [0]
        bound = Fraction(clock[0] * 3600 + clock[1] * 60 + clock[2])
        seen = now.hour * 3600 + now.minute * 60 + now.second + Fraction(now.microsecond, 1_000_000)
        reached = seen >= bound
    return reached if name == "after" else not reached


TESTS: dict[str, Check] = {
    "equals": equals,
    "in": equals,
    "startsWith": on_text(lambda value, operand: value[: len(operand)] == operand),
    "endsWith": on_text(
        lambda value, operand: (
            value[len(value) - len(operand) :] == operand if len(value) >= len(operand) else False
        )
    ),
    "contains": contains,
    "matches": on_text(matches),
    "within": on_text(within),
    "gt": order(lambda a, b: a > b),
    "gte": order(lambda a, b: a >= b),
    "lt": order(lambda a, b: a < b),
    "lte": order(lambda a, b: a <= b),
}
