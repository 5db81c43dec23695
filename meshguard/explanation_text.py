"""Explanations as text, for the policy language and the client alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MARKS = {"true": "✓", "false": "✗", "error": "⚠"}
_MAX_DEPTH = 40


def explanation_text(explanation: Mapping[str, Any], value_text: Callable[[object], str]) -> str:
    """Return an explanation as a tree of policies, rules and tests.

    Args:
        explanation: As the gateway writes it. Parts that are not of its form are omitted.
        value_text: Writes a value that a test saw.

    Returns:
        Lines without a newline at the end. Control characters are written as escapes.

    Example:
        >>> print(explanation_text({"summary": "Decision: DENY", "policies": [{"policy": "p"}]}, str))
        Decision: DENY
        ✗ policy p: None
    """
    return "\n".join(printable(line) for line in _lines(explanation, value_text))


def printable(text: str) -> str:
    r"""Return text with control characters and broken Unicode written as escapes.

    Example:
        >>> printable("a\nb")
        'a\\nb'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _lines(explanation: Mapping[str, Any], value_text: Callable[[object], str]) -> Iterator[str]:
    yield str(explanation.get("summary", ""))
    if hint := explanation.get("hint"):
        yield str(hint)
    if change := explanation.get("change"):
        yield f"It {change}."
    if explanation.get("truncated") is True:
        yield "The explanation is cut short at its limit of work."
    for policy in _objects(explanation.get("policies")):
        yield from _policy_lines(policy, value_text)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _policy_lines(policy: dict[str, Any], value_text: Callable[[object], str]) -> Iterator[str]:
    applies = policy.get("applies") is True
    yield f"{_MARKS['true' if applies else 'false']} policy {policy.get('policy')}: {policy.get('because')}"
    rules = _objects(policy.get("rules"))
    for rule in rules:
        yield from _rule_lines(rule, value_text)
    if applies and not any(rule.get("matched") for rule in rules):
        yield f"  · no rule decides: {policy.get('defaultEffect')}"


def _rule_lines(rule: dict[str, Any], value_text: Callable[[object], str]) -> Iterator[str]:
    mark = _MARKS["true" if rule.get("matched") else "false"]
    decided = "  ← decided" if rule.get("decided") else ""
    yield f"  {mark} {rule.get('effect')} {rule.get('rule')}: {rule.get('because')}{decided}"
    for test in _objects([rule.get("conditions")]):
        yield from _test_lines(test, value_text, 2)


def _test_lines(test: dict[str, Any], value_text: Callable[[object], str], depth: int) -> Iterator[str]:
    details = [f"saw {value_text(test['saw'])}"] if "saw" in test else []
    details += [str(test["error"])] if "error" in test else []
    end = f" ({'; '.join(details)})" if details else ""
    yield f"{'  ' * depth}{_MARKS.get(str(test.get('value')), '?')} {test.get('test')}{end}"
    for part in _objects(test.get("parts")) if depth < _MAX_DEPTH else ():
        yield from _test_lines(part, value_text, depth + 1)
