"""From the tree of a source to a policy; every fault is collected on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from meshguard.policy import vocabulary as words
from meshguard.policy.faults import Fault, PolicyLoadError, did_you_mean, quoted
from meshguard.policy.model import (
    AppliesTo,
    Conditions,
    Delegation,
    Effect,
    Group,
    Policy,
    Rule,
    SubjectTests,
    Test,
)
from meshguard.policy.moments import Moment, in_order, read_moment
from meshguard.policy.operands import few_wildcards, read_operand, read_tier
from meshguard.policy.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.policy.source import Node

T = TypeVar("T")


def read_policy(node: Node) -> Policy:
    """Return the policy a tree stands for.

    Raises:
        PolicyLoadError: With every fault that was found.
    """
    faults: list[Fault] = []
    policy = _policy(Place(node, "", faults))
    if faults or policy is None:
        raise PolicyLoadError(faults)
    return policy


def _policy(place: Place) -> Policy | None:
    members = place.members(words.POLICY_KEYS, "a policy")
    if members is None:
        return None
    _require(place, members, ("name", "rules"))
    name = _read(members, "name", _policy_name) or ""
    return Policy(
        name=name,
        rules=_read(members, "rules", _rules) or (),
        version=_read(members, "version", lambda at: at.line(least=0)),
        description=_read(members, "description", lambda at: at.text(words.MAX_DESCRIPTION)),
        applies_to=_read(members, "appliesTo", _applies_to),
        default_effect=_read(members, "defaultEffect", _effect) or "deny",
        delegation=_read(members, "delegation", _delegation),
        id=_id(members, name),
    )


def _id(members: dict[str, Place], name: str) -> str | None:
    """Return an id; None for one that repeats the name, as responses have it where there is no id."""
    value = _read(members, "id", lambda at: at.line())
    return None if value == name else value


def _require(place: Place, members: dict[str, Place], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in members:
            place.fault(f"`{key}` is missing", key=key)


def _read(members: dict[str, Place], key: str, read: Callable[[Place], T | None]) -> T | None:
    return read(members[key]) if key in members else None


def _policy_name(place: Place) -> str | None:
    value = place.text(words.MAX_NAME, least=1)
    if value is not None and not words.POLICY_NAME.fullmatch(value):
        place.fault(f"{quoted(value)} is not a policy name: use letters, digits, `.`, `_` and `-`")
        return None
    return value


def _effect(place: Place) -> Effect | None:
    return cast("Effect | None", place.word(words.EFFECTS, "an effect"))


def _rules(place: Place) -> tuple[Rule, ...] | None:
    rules = place.list_of(_rule, words.MAX_RULES)
    if rules is not None:
        rules = tuple(_without_own_name(rule, index) for index, rule in enumerate(rules))
    items = place.node.items or ()
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules or ()):
        name = rule.name or f"rule {index + 1}"
        if name in seen:
            message = f"{quoted(name)} is the name of rule {seen[name] + 1} too"
            place.child(index, items[index]).fault(message)
        seen.setdefault(name, index)
    return rules


def _without_own_name(rule: Rule, index: int) -> Rule:
    return replace(rule, id=None) if rule.name is None and rule.id == f"rule {index + 1}" else rule


def _rule(place: Place) -> Rule | None:
    members = place.members(words.RULE_KEYS, "a rule")
    if members is None:
        return None
    _require(place, members, ("effect", "actions"))
    name = _read(members, "name", lambda at: at.line())
    return Rule(
        effect=_read(members, "effect", _effect) or "deny",
        actions=_read(members, "actions", lambda at: at.list_of(_action_pattern)) or (),
        name=name,
        conditions=_read(members, "conditions", lambda at: _conditions(at, 1)),
        reason=_read(members, "reason", lambda at: at.text(least=1)),
        description=_read(members, "description", lambda at: at.text(words.MAX_DESCRIPTION)),
        id=_id(members, name or ""),
    )


def _action_pattern(place: Place) -> str | None:
    value = place.line(words.MAX_PATTERN)
    return value if value is not None and few_wildcards(place, value) else None


def _applies_to(place: Place) -> AppliesTo | None:
    members = place.members(words.APPLIES_TO_KEYS, "`appliesTo`")
    if members is None or _is_empty(place):
        return None
    return AppliesTo(
        trust_tiers=_read(members, "trustTiers", lambda at: at.list_of(read_tier)),
        tags=_read(members, "tags", lambda at: at.list_of(Place.line)),
        agent_ids=_read(members, "agentIds", lambda at: at.list_of(Place.line)),
    )


def _is_empty(place: Place) -> bool:
    if place.node.entries:
        return False
    place.fault("the object is empty: leave the key out")
    return True


def _delegation(place: Place) -> Delegation | None:
    members = place.members(words.DELEGATION_KEYS, "`delegation`")
    if members is None or _is_empty(place):
        return None
    return Delegation(
        max_depth=_read(members, "maxDepth", _max_depth),
        permission_ceiling=_read(members, "permissionCeiling", lambda at: at.list_of(_action_pattern)),
    )


def _max_depth(place: Place) -> int | None:
    value = place.node.value
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    if whole and value in range(words.MAX_DELEGATION + 1):
        return int(cast("float", value))
    place.wrong_type(f"a whole number from 0 to {words.MAX_DELEGATION}")
    return None


def _conditions(place: Place, depth: int) -> Conditions | None:
    members = place.members(None, "conditions")
    if members is None or _is_empty(place) or _too_deep(place, depth):
        return None
    if len(members) > words.MAX_CONDITIONS:
        place.fault(f"more than {words.MAX_CONDITIONS} conditions: nest them in `all`")
        return None
    parts = [_condition(at, key, depth) for key, at in members.items()]
    return Conditions(tuple(part for part in parts if part is not None))


def _too_deep(place: Place, depth: int) -> bool:
    if depth <= words.MAX_CONDITION_DEPTH:
        return False
    place.fault(f"conditions nested more than {words.MAX_CONDITION_DEPTH} deep")
    return True


def _condition(place: Place, subject: str, depth: int) -> SubjectTests | Group | None:
    if subject in words.GROUPS:
        members = place.list_of(lambda at: _conditions(at, depth + 1), words.MAX_GROUP)
        return None if members is None else Group(cast('Literal["any", "all"]', subject), members)
    if not _is_subject(subject):
        place.fault(f"{quoted(subject)} is not a subject: {_subject_hint(subject)}")
        return None
    tests = _tests(place, subject, depth)
    return None if tests is None else SubjectTests(subject, tests)


def _is_subject(subject: str) -> bool:
    if subject in words.PLAIN_SUBJECTS:
        return True
    return len(subject) <= words.MAX_SUBJECT and words.PATH_SUBJECT.fullmatch(subject) is not None


def _subject_hint(subject: str) -> str:
    root = subject.partition(".")[0]
    if root in words.PATH_ROOTS:
        return f"write `{root}.` and one to eight names with a dot between them, 256 characters at most"
    return did_you_mean(subject, words.SUBJECT_WORDS)


def _tests(place: Place, subject: str, depth: int) -> tuple[Test, ...] | None:
    if place.node.entries is not None:
        return _named_tests(place, subject, depth)
    if subject == "time":
        place.wrong_type("an object with `after`, `before` or `weekdays`")
        return None
    name = "equals" if place.node.items is None else "in"
    operand = read_operand(place, subject, name)
    return None if operand is None else (Test(name, operand),)


def _named_tests(place: Place, subject: str, depth: int) -> tuple[Test, ...] | None:
    members = place.members(None, "tests")
    if members is None or _is_empty(place):
        return None
    known = words.tests_of(subject)
    tests = [_test(at, subject, name, known, depth) for name, at in members.items()]
    if subject == "time":
        _check_window(place, members)
    return tuple(test for test in tests if test is not None)


def _test(place: Place, subject: str, name: str, known: tuple[str, ...], depth: int) -> Test | None:
    if name not in known:
        place.fault(f"{quoted(name)} is not a test of {quoted(subject)}: {did_you_mean(name, known)}")
        return None
    operand = _negated(place, subject, depth + 1) if name == "not" else read_operand(place, subject, name)
    return None if operand is None else Test(name, operand)


def _negated(place: Place, subject: str, depth: int) -> tuple[Test, ...] | None:
    if place.node.entries is None:
        place.wrong_type("an object of tests")
        return None
    return None if _too_deep(place, depth) else _named_tests(place, subject, depth)


def _check_window(place: Place, members: dict[str, Place]) -> None:
    after, before = (_moment_at(members.get(key)) for key in ("after", "before"))
    if not in_order(after, before):
        place.fault("`after` is not earlier than `before`: for a window over midnight write two with `any`")


def _moment_at(place: Place | None) -> Moment | None:
    text = place.node.value if place else None
    return read_moment(text) if isinstance(text, str) else None
