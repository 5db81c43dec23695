from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import (
    Agent,
    Fault,
    InvalidRequest,
    PolicyEngine,
    PolicyLoadError,
    Request,
    Test,
    load_policy,
)
from tests.policy.comparison import within_time
from tests.policy.corpus import faults_of, first_test
from tests.policy.strategies import GLOBS, NOW

AGENT = Agent("agent_1", "helper", "verified", ["support"])


def rule(text: str) -> str:
    return f"name: p\nrules:\n  - effect: deny\n    actions: [a]\n    {text}\n"


def value(text: str) -> str:
    return rule(f"conditions: {{context.a: {text}}}")


def condition_of(text: str) -> Test:
    return first_test(load_policy(value(text)))


def assert_loads_or_is_refused(source: str | bytes | Mapping[str, object]) -> None:
    faults = faults_of(source)
    assert faults is None or faults


def refusal(source: str | bytes | Mapping[str, object], **options: str) -> tuple[Fault, ...]:
    def load() -> tuple[Fault, ...]:
        with pytest.raises(PolicyLoadError) as refused:
            load_policy(source, **options)
        return refused.value.faults

    return within_time(load)


DEEP = 10_000
REFUSED: dict[str, str | bytes] = {
    "nothing at all": "",
    "a comment alone": "# nothing",
    "a text": "policy",
    "a list": "[]",
    "null": "null",
    "NUL": "name: a\x00b",
    "another control character": "name: a\x07b",
    "a lone surrogate": "name: \ud800",
    "an escaped lone surrogate": rule('reason: "\\ud800"'),
    "an escaped lone surrogate in a key": rule('conditions: {"context.\\udfff": 1}'),
    "an escaped lone surrogate in JSON": '{"name": "\\ud800", "rules": []}',
    "bytes that are not UTF-8": b"name: \xff",
    "UTF-16": "name: p".encode("utf-16"),
    "flow lists 10,000 deep": "[" * DEEP,
    "flow lists 10,000 deep, on many lines": "[\n" * DEEP,
    "flow lists 10,000 deep, closed": value("[" * DEEP + "]" * DEEP),
    "flow lists 1,000 deep on one line": value("[" * 1_000),
    "objects 10,000 deep": "{a: " * DEEP,
    "objects 10,000 deep, on many lines": "{a:\n" * DEEP,
    "block lists 10,000 deep": "- " * DEEP,
    "block objects 1,000 deep": "\n".join(" " * depth + "a:" for depth in range(1_000)),
    "complex keys 1,000 deep": "? " * 1_000,
    "JSON lists 10,000 deep": "[" * DEEP,
    "JSON objects 10,000 deep": '{"a":' * DEEP,
    "conditions 100 deep": rule("conditions: " + "{all: [" * 100 + "{tags: a}" + "]}" * 100),
    "not 100 deep": value("{not: " * 100 + "{equals: 1}" + "}" * 100),
    "100,000 members": value("[" + "1,\n" * 100_000 + "]"),
    "100,000 members in JSON": '{"name": [' + "1," * 100_000 + "1]}",
    "100,000 keys": "".join(f"k{number}: 1\n" for number in range(100_000)),
    "100,000 rules": "name: p\nrules:\n" + "- {effect: deny, actions: [a]}\n" * 100_000,
    "a line of a million characters": "name: " + "a" * 1_000_000,
    "a quoted text of a million characters": 'name: "' + "a" * 1_000_000 + '"',
    "a plain text of 100,000 lines": "description: " + "xxxx xx\n  " * 100_000,
    "a plain text of many long lines": "description: " + ("xxxx xx " * 100 + "\n  ") * 1_000,
    "a quoted text of many long lines": 'description: "' + ("xxxx xx " * 100 + "\n  ") * 1_000,
    "a block of many long lines": "description: |\n" + ("  " + "x" * 100 + "\n") * 10_000,
    "a million empty lines": "\n" * 1_000_000 + "name: p",
    "over 1 MiB": "#" * (1_048_576 + 1),
    "over 1 MiB in bytes": "# é\n".encode() * 300_000,
    "an alias bomb": "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c\n",
    "an alias": "name: *p",
    "an anchor": "name: &p p",
    "an anchor on a key": "&k name: p",
    "a merge key": "<<: {name: p}",
    "a tag of Python": "name: !!python/object/apply:os.system [ls]",
    "a tag of YAML": "name: !!str p",
    "a tag of its own": "name: !p p",
    "the non-specific tag": "name: ! p",
    "a tag on a key": "!!str name: p",
    "a second document": "name: p\n---\nname: q",
    "YAML 1.1": "%YAML 1.1\n---\nname: p",
    "a tag directive": "%TAG !e! tag:example.org,2026:\n---\nname: p",
    "a list as a key": "? [a]\n: b",
    "a key twice": rule("effect: allow"),
    "a key twice in JSON": '{"name": "p", "name": "q", "rules": [{"effect": "deny", "actions": ["a"]}]}',
    "an unclosed quote": 'name: "p',
    "a tab as indentation": "name: p\nrules:\n\t- effect: deny",
    "text after JSON": '{"name": "p"} x',
    "a JSON comment": '{"name": "p" /* x */}',
    "NaN": value(".nan"),
    "infinity": value(".inf"),
    "minus infinity": value("-.Inf"),
    "NaN in JSON": '{"name": NaN}',
    "a number that is too large": value("1e1001"),
    "a number that is too precise": value("0." + "1" * 1_000),
    "an exponent that would cost gigabytes": value("1e999999999"),
    "an integer of 5,000 digits": value("1" * 5_000),
    "an integer of 5,000 digits in JSON": '{"name": "p", "rules": ' + "1" * 5_000 + "}",
    "an octal-like number": value("017"),
    "an octal-like version": "name: p\nversion: 017",
    "a number as version": "name: p\nversion: 1.0\nrules: [{effect: deny, actions: [a]}]",
    "a number as action": "name: p\nrules: [{effect: deny, actions: [1]}]",
    "True": value("True"),
    "FALSE": value("FALSE"),
    "null as a value": value("null"),
    "~ as a value": value("~"),
    "no value": value(""),
    "yes as a boolean": value("{exists: yes}"),
    "a date as a time": rule("conditions: {time: {after: 2026-01-05}}"),
    "a pattern of nothing but stars and letters": rule(
        "conditions: {resource: {matches: '" + "*a" * 200 + "'}}"
    ),
    "a regular expression": rule("conditions: {resource: {regex: '(a+)+$'}}"),
    "control characters in an action": 'name: p\nrules: [{effect: deny, actions: ["a\\u0007"]}]',
    "a very long unknown key": f"? {'a' * 8_000}\n: 1",
    "1,000 unknown keys": "".join(f"k{number}: 1\n" for number in range(1_000)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_input_is_refused_at_once(name: str) -> None:
    faults = refusal(REFUSED[name])
    assert 1 <= len(faults) <= 100
    for fault in faults:
        assert len(fault.message) < 400
        assert str(fault).isprintable() or "\ud800" in str(REFUSED[name])


def test_a_file_named_json_is_read_as_json_alone() -> None:
    assert refusal("name: p", file="p.json")[0].message.startswith("not JSON")


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "on",
        "off",
        "yes",
        "y",
        "n",
        "No",
        "ON",
        "1:20",
        "2026-01-05",
        "1_000",
        "0x",
        "+",
        ".",
        "1e",
        "nan",
        "inf",
        "tRUE",
    ],
)
def test_what_only_looks_like_something_else_is_text(word: str) -> None:
    assert condition_of(word).operand == word


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("9007199254740993", 9007199254740993),
        ("1" + "0" * 400, 10**400),
    ],
)
def test_a_number_is_the_number_it_says(text: str, number: float) -> None:
    operand = condition_of(text).operand
    assert operand == number
    assert type(operand) is type(number)


@pytest.mark.parametrize("text", ["'017'", '"017"', "'true'", "'1.5'", "'null'", "''", "'no'"])
def test_what_is_quoted_is_text(text: str) -> None:
    assert condition_of(text).operand == text[1:-1]


@pytest.mark.parametrize("text", ["\u202eevil", "e\u0301", "\u00e9", "\u200b", "\ufeffx", "😀", "\U000e0041"])
def test_unusual_characters_are_kept_as_they_are(text: str) -> None:
    assert condition_of(json.dumps(text)).operand == text
    assert condition_of(json.dumps(text, ensure_ascii=False)).operand == text


def test_composed_and_decomposed_letters_are_different_names() -> None:
    with pytest.raises(PolicyLoadError):
        load_policy({"name": "e\u0301", "rules": [{"effect": "deny", "actions": ["a"]}]})


def test_a_byte_order_mark_is_no_part_of_the_policy() -> None:
    text = "name: p\nrules: [{effect: deny, actions: [a]}]"
    assert load_policy(text.encode("utf-8-sig")) == load_policy(text)


@pytest.mark.parametrize(
    "value",
    [
        {1: 2},
        {"name": {1, 2}},
        {"name": b"p"},
        {"name": datetime(2026, 1, 5, tzinfo=UTC)},
        {"name": Decimal(1)},
    ],
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    refusal(value)


def test_an_object_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {"name": "p"}
    endless["rules"] = [endless]
    refusal(endless)


@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-?*&!|>'\"#%@` \n\tanme0.", max_size=60))
def test_any_text_loads_or_is_refused(text: str) -> None:
    for source in (text, rule(text), value(text)):
        assert_loads_or_is_refused(source)


@given(st.binary(max_size=60))
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    assert_loads_or_is_refused(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["name", "rules", "appliesTo", "x"]), JSON), JSON)
def test_any_json_value_loads_or_is_refused(policy: dict[str, Any], conditions: Any) -> None:
    whole = {"name": "p", "rules": [{"effect": "deny", "actions": ["a"], "conditions": conditions}]}
    for source in (policy, whole):
        assert_loads_or_is_refused(source)


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value = "x"
    for _ in range(depth):
        value = wrap(value)
    return value


HOSTILE_CONTEXTS: dict[str, dict[Any, Any]] = {
    "5 MiB of text": {"a": "x" * 5_242_880},
    "5 MiB of keys": {"k" * 100 + str(number): "x" for number in range(50_000)},
    "a million numbers": {"a": list(range(1_000_000))},
    "objects 10,000 deep": {"a": nested(10_000, lambda inner: {"b": inner})},
    "lists 10,000 deep": {"a": nested(10_000, lambda inner: [inner])},
    "NaN": {"a": float("nan")},
    "infinity": {"a": float("inf")},
    "minus infinity": {"a": float("-inf")},
    "a decimal NaN": {"a": Decimal("NaN")},
    "a signalling NaN": {"a": Decimal("sNaN")},
    "null": {"a": None},
    "an object": {"a": {}},
    "a list": {"a": []},
    "a set": {"a": {1}},
    "bytes": {"a": b"1"},
    "another object": {"a": object()},
    "keys that are no text": {"a": None, 1: 2, None: 3},
}
TESTS = [
    {"equals": 1},
    {"in": [1, "x"]},
    {"gt": 0},
    {"lte": "x"},
    {"startsWith": "x"},
    {"matches": ["**/x*y", "*a*"]},
    {"within": "/x"},
    {"not": {"equals": 1}},
]


@pytest.mark.parametrize("name", HOSTILE_CONTEXTS)
@pytest.mark.parametrize("test", TESTS, ids=str)
def test_a_hostile_context_is_an_error_and_never_allows(name: str, test: dict[str, Any]) -> None:
    request = Request("a", None, HOSTILE_CONTEXTS[name])
    for effect, rule_name in (("allow", None), ("deny", "rule 1")):
        rules = [{"effect": effect, "actions": ["*"], "conditions": {"context.a": test}}]
        engine = PolicyEngine([load_policy({"name": "p", "rules": rules, "defaultEffect": "deny"})])
        decision = within_time(partial(engine.decide, AGENT, request, now=NOW))
        assert (decision.allowed, decision.rule, decision.errors) == (False, rule_name, 1)
        told = within_time(partial(engine.decide, AGENT, request, now=NOW, explain=True))
        assert len(json.dumps(told.explanation, allow_nan=False)) < 20_000


def test_an_integer_of_400_digits_is_compared_exactly() -> None:
    rules = [{"effect": "allow", "actions": ["*"], "conditions": {"context.a": {"lt": 10**400}}}]
    engine = PolicyEngine([load_policy({"name": "p", "rules": rules})])
    assert engine.decide(AGENT, Request("a", None, {"a": 10**400 - 1}), now=NOW).allowed
    assert not engine.decide(AGENT, Request("a", None, {"a": 10**400}), now=NOW).allowed
    assert engine.decide(AGENT, Request("a", None, {"a": 1e300}), now=NOW, explain=True).allowed


@pytest.mark.parametrize(
    "text", ["", "\x00", "a\x1fb", "a\x7f", "a\x85b", "a\nb", "a\ud800", "\udfff", "a" * 4_097, None, 7]
)
def test_a_hostile_action_is_refused_before_evaluation(text: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Request(text)
    assert refused.value.path == "/action"


@pytest.mark.parametrize("text", ["\x00", "a\rb", "\ud800", "a" * 8_193, 7])
def test_a_hostile_resource_is_refused_before_evaluation(text: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Request("a", text)
    assert refused.value.path == "/resource"


@pytest.mark.parametrize("context", [[], "x", 7])
def test_a_context_that_is_no_object_is_refused(context: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Request("a", None, context)
    assert refused.value.path == "/context"


@pytest.mark.parametrize(
    "text", ["/" * 8_192, "a" * 8_192, "/a" * 4_096, "a/" * 4_096, "/." * 4_096, "é" * 8_192]
)
@pytest.mark.parametrize(
    "glob", [*GLOBS, "*a" * 16, "**a" * 16, "**/" + "*a" * 15, "**" + "/*" * 15, "**/*a/**/*b"]
)
def test_a_glob_takes_no_longer_on_a_hostile_path(text: str, glob: str) -> None:
    rules = [{"effect": "allow", "actions": ["*"], "conditions": {"resource": {"matches": glob}}}]
    engine = PolicyEngine([load_policy({"name": "p", "rules": rules})])
    within_time(lambda: engine.decide(AGENT, Request("a", text), now=NOW))


@pytest.mark.parametrize("pattern", ["*a" * 16, "*" * 512, "a*" * 16 + "b", "*aaab" * 16])
def test_an_action_pattern_takes_no_longer_on_a_hostile_action(pattern: str) -> None:
    engine = PolicyEngine([load_policy({"name": "p", "rules": [{"effect": "allow", "actions": [pattern]}]})])
    within_time(lambda: engine.decide(AGENT, Request("a" * 4_096), now=NOW))
