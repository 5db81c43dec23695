"""Policies, agents and requests that meet often: few words, all kinds of values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from meshguard.policy import Agent, Request
from meshguard.policy.model import Scalar

TAGS = ["support", "payments", "support-eu"]
TIERS = ["unverified", "verified", "trusted", "privileged", "untrusted"]
IDS = ["agent_1", "agent_2", "agent_3"]
NAMES = ["helper", "Helper", "crew/lead"]
ACTIONS = ["read:file", "read:mail", "write:file", "write:mail:draft", "Read:file", "read", "a/b:file", "*"]
PATTERNS = [
    *ACTIONS,
    "read:*",
    "write:*",
    "*:file",
    "*file",
    "*",
    "**",
    "r*:*l*",
    "*a*",
    "re*ad*",
    "*:*:*",
    "write:*:draft",
    "read*file",
    "read:filefile*",
    "read:*:file",
    "write:mail*mail:draft",
]
PATHS = [
    "/etc/passwd",
    "/etcetera",
    "/var/logs/x",
    "srv/ab",
    "/var/../etc/passwd",
    "/var/log/x.log",
    "/var/log/",
    "/var",
    "//var//log",
    "var/log",
    "./var/./log",
    "../etc",
    "/..",
    "",
    ".",
    "/",
    ".env",
    "/srv/.env",
    "srv/a/b/c.pem",
    "https://x.example/a",
    "a/../b",
    "/srv/..hidden/x",
    "/var/log/..",
]
URLS = [
    "http://abc.onion/market",
    "abc.onion/market",
    "http://api.example.com/a b",
    "http://api.example.com/a\\b",
    "http://[::1]x80/",
    "HTTPS://User:pw@API.example.com.:8443/v1?q=a@b",
    "https://api.example.com.evil.test/",
    "example.com:80",
    "api.example.com",
    "localhost",
    "//api.example.com/x",
    "http:/api.example.com/x",
    "http:api.example.com",
    "http:///api.example.com/",
    "https:443",
    "http://a@api.example.com@evil.test/",
    "http://evil.test#@api.example.com/",
    "http://evil.test?@api.example.com/",
    "http://evil.test/?@api.example.com/",
    "http://evil.test\\@api.example.com/",
    "http://evil.test\t.example.com/",
    "http://evil.test /",
    "http://evil%2etest/",
    "http://127.0.0.1:80/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0128.0.0.1/",
    "http://127.1",
    "http://256.1/",
    "http://1.2.3.4.5/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::1%25eth0]:80/",
    "http://[::1]evil.test/",
    "http://[::1",
    "::1",
    "::1:80",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://B\u00fccher.example/",
    "http://xn--bcher-kva.example/",
    "http://xn--a/",
    "http://fa\u00df.example/",
    "http://i\u2764.ws/",
    "http://evil\u3002test/",
    "http://\u2100.example/",
    "http://a..example.com/",
    "http://-a.example.com/",
    "http://_dmarc.example.com/",
    "http://api.example.com:99999/",
    "http://api.example.com:/",
    "ftp://api.example.com",
    "mailto:a@api.example.com",
    "javascript:alert(1)",
    "file:///etc/passwd",
]
HOSTS = [
    "api.example.com",
    "*.example.com",
    "*.EXAMPLE.com.",
    "*.onion",
    "evil.test",
    "127.0.0.1",
    "0x7f000001",
    "::1",
    "[::1]",
    "::ffff:127.0.0.1",
    "b\u00fccher.example",
    "*.xn--bcher-kva.example",
    "localhost",
    "abc.onion",
]
SCHEMES = ["https", "HTTP", "ftp", "mailto", "file", "api.example.com"]
GLOBS = [
    "*.onion",
    "*.darkweb.*",
    "api.example.com",
    "*.EXAMPLE.com",
    "./var/**",
    "/var//log/./*",
    "var/x/../log",
    "./*.env",
    "https://**",
    "x/**s",
    "*x**",
    "**/x*",
    "/etc/**",
    "/var/**",
    "**/.env",
    "**/*.pem",
    "*",
    "**",
    "*.env",
    "/*/log/**",
    "**/log*",
    "*/*",
    "srv/**/c.*",
    "/var/*",
    "/*",
    "/var/*.log",
    "**/a/**",
    "***",
    "/etc/passwd",
    "v*/l*",
    "**o*",
    "**/*a*/**",
    "var/log",
    "/",
    "**.pem",
    "*s*/**b**",
]
FOLDERS = ["/etc", "/var/log", "/var/./log/", "var", ".", "/", "srv/a", "/var//", "a/.."]
BEYOND_FLOATS = ["9007199254740992.9", "100.000000000000001", "1e400", "1e-400", "0.1000000000000000000001"]
NUMBERS: list[Any] = [
    *map(Decimal, BEYOND_FLOATS),
    0,
    1,
    -1,
    100,
    100.0,
    0.1,
    0.3,
    10**17 + 1,
    float(10**17),
    1e300,
    10**400,
    -0.0,
    2**53,
    2**53 + 1,
]
TEXTS = ["", "a", "prod", "Prod", "prod-eu", "100", "é", "e\u0301", "\u202eprod", "true", "a\nb"]
SCALARS: list[Scalar] = [*TEXTS, *NUMBERS, True, False]
VALUES: list[Any] = [
    *SCALARS,
    *PATHS,
    *URLS,
    None,
    [],
    ["a", "prod"],
    ["a", 1],
    [1, 2],
    [True],
    [None],
    [["a"]],
    {},
    {"b": 1},
    {"b": "prod"},
    {"b": {"c": "a"}},
    {"b.c": 1},
    {"b": {"c": 1}, "b.c": 1},
    float("nan"),
    float("inf"),
    Decimal("0.1"),
    Decimal("0.1"),
    Decimal("0.3"),
    Decimal("NaN"),
]
DEEP: dict[str, Any] = {"a": "a"}
for _ in range(40):
    DEEP = {"a": "a", "b": DEEP}
MOMENTS = ["09:00", "12:30:30", "17:00", "2026-01-05T12:00:00Z", "2026-01-05T12:00:00+02:00"]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PATH_SUBJECTS = ["context.a", "context.a.b", "context.a.b.c", "context.z", "metadata.a", "metadata.a.b"]

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOWS = [
    NOW,
    NOW + timedelta(hours=5),
    NOW - timedelta(hours=3),
    NOW + timedelta(days=5, seconds=1830),
    datetime(2026, 1, 5, 22, 30, tzinfo=timezone(timedelta(hours=10))),
    datetime(2026, 1, 5, 3, tzinfo=timezone(-timedelta(hours=9))),
]


def some(values: Sequence[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most)


def one_or_some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | some(values)


def _filled(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value != ""]


TEXT_TESTS: dict[str, st.SearchStrategy[Any]] = {
    "equals": st.sampled_from([*TEXTS, *PATHS]),
    "in": some([*TEXTS, *PATHS]),
    "startsWith": one_or_some(["a", "prod", "/var", "read", "é"]),
    "endsWith": one_or_some(["a", "eu", "log", ":file", "\u0301"]),
    "contains": one_or_some(["a", "ro", "..", "e"]),
    "matches": one_or_some(GLOBS),
    "gt": st.sampled_from([*TEXTS, *PATHS]),
    "lte": st.sampled_from([*TEXTS, *PATHS]),
    "exists": st.booleans(),
    "within": one_or_some(FOLDERS),
    "host": one_or_some(HOSTS),
    "scheme": one_or_some(SCHEMES),
}
VALUE_TESTS: dict[str, st.SearchStrategy[Any]] = TEXT_TESTS | {
    "equals": st.sampled_from(SCALARS),
    "in": some(SCALARS),
    "contains": one_or_some(_filled(SCALARS)),
    "gt": st.sampled_from([*TEXTS, *NUMBERS]),
    "gte": st.sampled_from([*TEXTS, *NUMBERS]),
    "lt": st.sampled_from([*TEXTS, *NUMBERS]),
    "lte": st.sampled_from([*TEXTS, *NUMBERS]),
}
TAG_TESTS: dict[str, st.SearchStrategy[Any]] = {
    "equals": st.sampled_from(TAGS),
    "in": some(TAGS),
    "contains": one_or_some(TAGS),
    "exists": st.booleans(),
}
TIER_TESTS: dict[str, st.SearchStrategy[Any]] = {
    "equals": st.sampled_from(TIERS),
    "in": some(TIERS),
    "exists": st.booleans(),
}
TIME_TESTS: dict[str, st.SearchStrategy[Any]] = {
    "weekdays": some(WEEKDAYS),
    "after": st.sampled_from(MOMENTS),
}
BEFORE_TESTS: dict[str, st.SearchStrategy[Any]] = {
    "weekdays": some(WEEKDAYS),
    "before": st.sampled_from(MOMENTS),
}


def kinds_of_tests(
    kinds: dict[str, st.SearchStrategy[Any]], depth: int = 2
) -> st.SearchStrategy[dict[str, Any]]:
    """A tests object with one to three of some kinds of tests, now and then below a ``not``."""
    plain = st.fixed_dictionaries({}, optional=kinds).filter(bool)
    few = st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: kinds[name] for name in names})
    )
    if depth == 0:
        return plain | few
    return few | few | st.fixed_dictionaries({"not": kinds_of_tests(kinds, depth - 1)}, optional={})


ANY_TEXT_TESTS = st.sampled_from(TEXTS) | some(TEXTS) | kinds_of_tests(TEXT_TESTS)
ANY_VALUE_TESTS = st.sampled_from(SCALARS) | some(SCALARS) | kinds_of_tests(VALUE_TESTS)
SUBJECTS: dict[str, st.SearchStrategy[Any]] = {
    "resource": st.sampled_from(PATHS) | kinds_of_tests(TEXT_TESTS),
    "action": kinds_of_tests(TEXT_TESTS),
    "agentId": one_or_some(IDS),
    "agentName": one_or_some(NAMES) | kinds_of_tests(TEXT_TESTS),
    "tags": one_or_some(TAGS) | kinds_of_tests(TAG_TESTS),
    "trustTier": one_or_some(TIERS) | kinds_of_tests(TIER_TESTS),
    "time": kinds_of_tests(TIME_TESTS) | kinds_of_tests(BEFORE_TESTS),
    **dict.fromkeys(PATH_SUBJECTS, ANY_VALUE_TESTS),
}


def _conditions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    nested = {"any": st.lists(inner, min_size=1, max_size=3), "all": st.lists(inner, min_size=1, max_size=2)}
    return _few(SUBJECTS | nested)


def _few(subjects: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.sampled_from(sorted(subjects)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: subjects[name] for name in names})
    )


CONDITIONS = st.recursive(_few(SUBJECTS), _conditions, max_leaves=4)


def rules(effects: Sequence[str] = ("allow", "deny")) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"effect": st.sampled_from(effects), "actions": some(PATTERNS)},
        optional={"conditions": CONDITIONS, "reason": st.just("because")},
    )


APPLIES_TO = st.one_of(
    st.fixed_dictionaries({"tags": some(TAGS)}, optional={"trustTiers": some(TIERS)}),
    st.fixed_dictionaries({"trustTiers": some(TIERS)}, optional={"agentIds": some(IDS)}),
    st.fixed_dictionaries({"agentIds": some(IDS)}, optional={"tags": some(TAGS)}),
)


def policy(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"name": st.just(name), "rules": st.lists(rules(), min_size=1, max_size=4)},
        optional={"appliesTo": APPLIES_TO, "defaultEffect": st.sampled_from(["allow", "deny"])},
    )


def _one_test_rule(subject: str, tests: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "effect": st.sampled_from(["allow", "deny"]),
            "actions": st.just(["*"]) | some(PATTERNS),
            "conditions": st.fixed_dictionaries({subject: tests}),
        }
    )


# one test alone: nothing else hides what becomes of it
ONE_TEST = st.sampled_from([*SUBJECTS, "resource", "context.a", "context.a.b", "time"]).flatmap(
    lambda subject: st.lists(_one_test_rule(subject, SUBJECTS[subject]), min_size=1, max_size=2)
)
FOCUSED_SETS = ONE_TEST.map(lambda rules: [{"name": "focused", "rules": rules}])
MIXED_SETS = st.sampled_from([1, 1, 2, 2, 3, 0]).flatmap(
    lambda count: st.tuples(*(policy(name) for name in "bca"[:count])).map(list)
)
POLICY_SETS = FOCUSED_SETS | MIXED_SETS


VALID_URLS = [url for url in URLS if "\t" not in url]


def an_agent(random: Random) -> Agent | None:
    """An agent; one in ten is unknown, revoked or of an unknown tier."""
    if random.random() < 0.03:
        return None
    return Agent(
        random.choice(IDS),
        random.choice(NAMES),
        "root" if random.random() < 0.03 else random.choice(TIERS),
        random.sample(TAGS, random.randrange(3)),
        metadata=_fields(random, "a", "a.b"),
        status="revoked" if random.random() < 0.03 else "active",
    )


def a_request(random: Random) -> Request:
    resource = random.choice(random.choice([PATHS, PATHS, VALID_URLS])) if random.random() < 0.8 else None
    return Request(random.choice(ACTIONS), resource, _a_context(random))


def _a_context(random: Random) -> dict[str, Any] | None:
    return random.choice([None, DEEP, *(_fields(random, "a", "a.b", "z") for _ in range(12))])


def _fields(random: Random, *keys: str) -> dict[str, Any]:
    return {key: random.choice(VALUES) for key in keys if random.random() < (0.3 if "." in key else 0.8)}
