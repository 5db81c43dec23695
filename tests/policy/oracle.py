"""A second evaluator, straight from the language page: no index, no compilation, no short cuts.

It reads the wire form of policies, and takes nothing from the package but ``Agent`` and ``Request``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import idna

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
    pattern_parts = resolved(pattern)
    assert pattern_parts is not None
    pattern = as_text(pattern, pattern_parts)
    as_sent = glob_matches(pattern, path)
    if "/" not in pattern and set(pattern) <= {"*"} and len(pattern) > 1:
        return True
    if "/" in pattern or "**" in pattern:
        parts = resolved(path)
        if parts is None:
            return ERROR
        if as_sent != glob_matches(pattern, as_text(path, parts)):
            return ERROR
    if as_sent or "/" in pattern or "/" not in path:
        return as_sent
    return ERROR if may_mean(pattern, path) else False


def may_mean(pattern: str, path: str) -> bool:
    """Whether a pattern without a slash says something about a value with one."""
    if wildcard_regex(pattern, {r"\*+": ".*"}).fullmatch(path):
        return True
    if "*" in re.split(r"[^*]|\*\*+", pattern) and any(
        part and glob_matches(pattern, part) for part in path.split("/")
    ):
        return True
    if "://" not in path:
        return False
    found = url_of(path)
    return found is None or glob_matches(pattern.lower(), found[1])


def url_of(text: str) -> tuple[str | None, str] | None:  # noqa: PLR0911
    """The scheme and the host, when every parser finds the same; from what the standard library reads."""
    if len(text) > 8192 or any(char <= " " or char == "\\" or char.isspace() for char in text):
        return None
    if re.search("[\x7f-\x9f]", text):
        return None
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        if re.match("(?i)(https?|ftp|file|wss?):", text):
            return None
        scheme, rest = "", text
        if re.search("[/?#@]", text):
            return None
    elif not re.fullmatch("[a-zA-Z][a-zA-Z0-9+.-]*", scheme):
        return None
    up_to_slash = rest.split("/")[0]
    authority = re.split("[?#]", up_to_slash)[0]
    if "@" in up_to_slash[len(authority) :] or authority.count("@") > 1:
        return None
    user, _, place = authority.rpartition("@")
    if not re.fullmatch(r"([\w.~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*", user, re.ASCII):
        return None
    host = host_of(place)
    if scheme and place.count(":") > 1 and "[" not in place:
        return None
    return None if host is None else (scheme.lower() or None, host)


def host_of(place: str) -> str | None:
    bracketed = re.fullmatch(r"\[([^\]%]*)(%[^\]]+)?\](:[0-9]{0,5})?", place)
    if bracketed:
        return None if too_far(bracketed[3]) else ipv6_of(bracketed[1])
    if place.count(":") > 1:
        front, _, last = place.rpartition(":")
        return None if last.isdecimal() and ipv6_of(front) else ipv6_of(re.sub("%.+", "", place))
    found = re.fullmatch(r"([^:\[\]]+)(:[0-9]{0,5})?", place)
    return None if found is None or too_far(found[2]) else name_of(found[1])


def too_far(port: str | None) -> bool:
    return port is not None and int(port[1:] or 0) > 65_535


def ipv6_of(text: str) -> str | None:
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return str(ipaddress.ip_address(packed))


def name_of(text: str) -> str | None:
    try:
        name = idna.uts46_remap(text, False, False) if not text.isascii() else text.lower()
        name = name.removesuffix(".")
        if re.search("[\u00df\u03c2\u200c\u200d]", name):
            return None
        labels = [one_label(label) for label in name.split(".")]
    except UnicodeError:
        return None
    if re.fullmatch("[0-9]+|0x[0-9a-f]*", labels[-1] or ""):
        try:
            fits = all(re.fullmatch("0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*", label or "") for label in labels)
            return socket.inet_ntop(socket.AF_INET, socket.inet_aton(name)) if fits else None
        except OSError:
            return None
    name = ".".join(label or "" for label in labels)
    return None if None in labels or len(name) > 253 else name


def one_label(label: str) -> str | None:
    if not label.isascii() or label.startswith("xn--"):
        new = idna.alabel(label).decode()
        if not label.isascii() and label.encode("idna").decode() != new:
            return None
        label = new
    fits = re.fullmatch("[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label)
    return label if fits else None


def host(value: str, pattern: str) -> Value:
    found = url_of(value)
    if found is None:
        return ERROR
    if pattern.startswith("*."):
        below = name_of(pattern[2:])
        assert below is not None
        return found[1].endswith("." + below)
    return found[1] == host_of(pattern if pattern.count(":") < 2 or "[" in pattern else f"[{pattern}]")


def scheme(value: str, operand: str) -> Value:
    found = url_of(value)
    return ERROR if found is None or found[0] is None else found[0] == operand.lower()


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
    "host": on_text(host),
    "scheme": on_text(scheme),
    "gt": order(lambda a, b: a > b),
    "gte": order(lambda a, b: a >= b),
    "lt": order(lambda a, b: a < b),
    "lte": order(lambda a, b: a <= b),
}
