"""From the tree of a source to a policy; every fault is collected on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, cast

from meshguard.policy import vocabulary as words
from meshguard.policy.faults import MAX_FAULTS, Fault, PolicyLoadError, did_you_mean, pointer_part, quoted
from meshguard.policy.model import (
    AppliesTo,
    Conditions,
    Delegation,
    Effect,
    Group,
    Policy,
    Rule,
    Scalar,
    SubjectTests,
    Test,
)
from meshguard.policy.moments import Moment, in_order, read_moment
from meshguard.policy.numerals import number_fault
from meshguard.policy.paths import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshguard.policy.source import Entry, Node

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


class Place:
    """A value of the source, its path, and where faults about it go."""

    def __init__(self, node: Node, path: str, faults: list[Fault]) -> None:
        self.node = node
        self.path = path
        self._faults = faults

    def fault(self, message: str, *, key: str | None = None, at: Entry | None = None) -> None:
        """Note a fault here, or at a key of this object."""
        where = at or self.node
        path = self.path if key is None else f"{self.path}/{pointer_part(key)}"
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(path, message, None, where.line, where.column))

    def child(self, key: str | int, node: Node) -> Place:
        """Return the place of a member."""
        return Place(node, f"{self.path}/{pointer_part(str(key))}", self._faults)

    def scalar(self) -> object:
        """Return the scalar here; None, and a fault, for one that can't be taken as it stands."""
        if self.node.fault:
            self.fault(self.node.fault)
        return self.node.value

    def members(self, known: Iterable[str] | None, what: str) -> dict[str, Place] | None:
        """Return the members of the object here by key; with faults for unknown and doubled keys."""
        if self.node.entries is None:
            self.wrong_type("an object")
            return None
        found: dict[str, Place] = {}
        for entry in self.node.entries:
            if words.SURROGATE.search(entry.key):
                self.fault("a key with broken Unicode", at=entry)
            elif entry.key in found:
                self.fault(f"the key {quoted(entry.key)} is given twice", key=entry.key, at=entry)
            elif known is not None and entry.key not in known:
                hint = did_you_mean(entry.key, known)
                self.fault(f"{quoted(entry.key)} is not a key of {what}: {hint}", key=entry.key, at=entry)
            else:
                found[entry.key] = self.child(entry.key, entry.node)
        return found

    def list_of(self, read: Callable[[Place], T | None], limit: int = words.MAX_LIST) -> tuple[T, ...] | None:
        """Return the members of the list here, which must have one at least."""
        items = self.node.items
        if items is None:
            self.wrong_type("a list")
            return None
        if not 1 <= len(items) <= limit:
            self.fault("the list is empty" if not items else f"a list of more than {limit:,}")
            return None
        values = [read(self.child(index, item)) for index, item in enumerate(items)]
        return tuple(value for value in values if value is not None)

    def wrong_type(self, wanted: str) -> None:
        """Note that something else is wanted here."""
        if self.node.fault:
            self.fault(self.node.fault)
        else:
            self.fault(f"{wanted} is wanted here, not {_kind(self.node)}{_quoting_hint(self.node, wanted)}")

    def text(self, limit: int = words.MAX_TEXT, *, least: int = 0) -> str | None:
        """Return the text here, when its length is within limits and its Unicode sound."""
        value = self.node.value
        if not isinstance(value, str):
            self.wrong_type("a text")
        elif not least <= len(value) <= limit:
            self.fault("the text is empty" if not value else f"a text of more than {limit:,} characters")
        elif words.SURROGATE.search(value):
            self.fault("a text with broken Unicode")
        else:
            return value
        return None

    def line(self, limit: int = words.MAX_NAME, *, least: int = 1) -> str | None:
        """Return the text here, when it has no control characters either."""
        value = self.text(limit, least=least)
        if value is not None and words.CONTROL.search(value):
            self.fault("a text with control characters")
            return None
        return value

    def word(self, known: tuple[str, ...], what: str) -> str | None:
        """Return the text here, when it is one of the known words."""
        value = self.node.value
        if not isinstance(value, str):
            self.wrong_type("a text")
        elif value not in known:
            self.fault(f"{quoted(value)} is not {what}: {did_you_mean(value, known)}")
        else:
            return value
        return None

    def boolean(self) -> bool | None:
        """Return the boolean here."""
        if isinstance(self.node.value, bool):
            return self.node.value
        self.wrong_type("`true` or `false`")
        return None


def _kind(node: Node) -> str:
    if node.entries is not None:
        return "an object"
    if node.items is not None:
        return "a list"
    if node.value is None:
        return "nothing (null)"
    if isinstance(node.value, bool):
        return f"the boolean {quoted(str(node.value).lower())}"
    kind = "text" if isinstance(node.value, str) else "number"
    return f"the {kind} {quoted(node.value)}"


def _quoting_hint(node: Node, wanted: str) -> str:
    return ": put it in quotes" if wanted == "a text" and node.value is not None else ""


def _policy(place: Place) -> Policy | None:
    members = place.members(words.POLICY_KEYS, "a policy")
    if members is None:
        return None
    _require(place, members, ("name", "rules"))
    return Policy(
        name=_read(members, "name", _policy_name) or "",
        rules=_read(members, "rules", _rules) or (),
        version=_read(members, "version", lambda at: at.line(least=0)),
        description=_read(members, "description", lambda at: at.text(words.MAX_DESCRIPTION)),
        applies_to=_read(members, "appliesTo", _applies_to),
        default_effect=_read(members, "defaultEffect", _effect) or "deny",
        delegation=_read(members, "delegation", _delegation),
    )


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
    items = place.node.items or ()
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules or ()):
        name = rule.name or f"rule {index + 1}"
        if name in seen:
            message = f"{quoted(name)} is the name of rule {seen[name] + 1} too"
            place.child(index, items[index]).fault(message)
        seen.setdefault(name, index)
    return rules


def _rule(place: Place) -> Rule | None:
    members = place.members(words.RULE_KEYS, "a rule")
    if members is None:
        return None
    _require(place, members, ("effect", "actions"))
    return Rule(
        effect=_read(members, "effect", _effect) or "deny",
        actions=_read(members, "actions", lambda at: at.list_of(_action_pattern)) or (),
        name=_read(members, "name", lambda at: at.line()),
        conditions=_read(members, "conditions", lambda at: _conditions(at, 1)),
        reason=_read(members, "reason", lambda at: at.text(least=1)),
        description=_read(members, "description", lambda at: at.text(words.MAX_DESCRIPTION)),
    )


def _action_pattern(place: Place) -> str | None:
    value = place.line(words.MAX_PATTERN)
    return value if value is not None and _few_wildcards(place, value) else None


def _few_wildcards(place: Place, pattern: str) -> bool:
    if len(words.WILDCARDS.findall(pattern)) <= words.MAX_WILDCARDS:
        return True
    place.fault(f"a pattern with more than {words.MAX_WILDCARDS} runs of `*`")
    return False


def _applies_to(place: Place) -> AppliesTo | None:
    members = place.members(words.APPLIES_TO_KEYS, "`appliesTo`")
    if members is None or _is_empty(place):
        return None
    return AppliesTo(
        trust_tiers=_read(members, "trustTiers", lambda at: at.list_of(_tier)),
        tags=_read(members, "tags", lambda at: at.list_of(Place.line)),
        agent_ids=_read(members, "agentIds", lambda at: at.list_of(Place.line)),
    )


def _is_empty(place: Place) -> bool:
    if place.node.entries:
        return False
    place.fault("the object is empty: leave the key out")
    return True


def _tier(place: Place) -> str | None:
    value = place.word(words.TIER_WORDS, "a trust tier")
    return "unverified" if value == "untrusted" else value


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
    operand = _operand(place, subject, name)
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
    operand = _negated(place, subject, depth + 1) if name == "not" else _operand(place, subject, name)
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


def _operand(place: Place, subject: str, name: str) -> Scalar | tuple[Scalar, ...] | None:
    if name == "exists":
        return place.boolean()
    if name == "weekdays":
        return place.list_of(lambda at: at.word(words.WEEKDAYS, "a weekday"), len(words.WEEKDAYS))
    if name == "in":
        return place.list_of(_member_reader(subject, name))
    read = _member_reader(subject, name)
    if name in {*words.STRING_TESTS, "matches", "within"} and place.node.items is not None:
        return place.list_of(read)
    return read(place)


def _member_reader(subject: str, name: str) -> Callable[[Place], Scalar | None]:
    if name in _READERS:
        return _READERS[name]
    if subject == "trustTier":
        return _tier
    if subject == "tags":
        return Place.line
    if subject in words.TEXT_SUBJECTS:
        return _filled_text if name == "contains" else Place.text
    if name in words.ORDER_TESTS:
        return _ordered
    return _filled_scalar if name == "contains" else _scalar


def _filled_text(place: Place) -> str | None:
    return place.text(least=1)


def _glob(place: Place) -> str | None:
    value = place.text(words.MAX_PATTERN, least=1)
    return value if value is not None and _few_wildcards(place, value) else None


def _folder(place: Place) -> str | None:
    value = place.text(least=1)
    if value is not None and resolve(value) is None:
        place.fault(f"the folder {quoted(value)} climbs above its start")
        return None
    return value


def _moment(place: Place) -> str | None:
    value = place.node.value
    if not isinstance(value, str):
        place.wrong_type("a text such as `17:30`")
    elif read_moment(value) is None:
        place.fault(f"{quoted(value)} is no time: write `17:30` (UTC) or `2026-01-31T17:30:00Z`")
    else:
        return value
    return None


def _scalar(place: Place, *, least: int = 0) -> Scalar | None:
    node = place.node
    if isinstance(node.value, str):
        return place.text(least=least)
    if node.fault or node.value is None:
        place.wrong_type("a text, a number or a boolean")
        return None
    if isinstance(node.value, bool):
        return node.value
    return _number(place, node.value)


def _number(place: Place, value: float) -> int | float | None:
    fault = number_fault(value)
    if fault:
        place.fault(fault)
        return None
    return value


def _filled_scalar(place: Place) -> Scalar | None:
    return _scalar(place, least=1)


def _ordered(place: Place) -> Scalar | None:
    if isinstance(place.node.value, bool):
        place.wrong_type("a number or a text")
        return None
    return _scalar(place)


_READERS: dict[str, Callable[[Place], Scalar | None]] = {
    "startsWith": _filled_text,
    "endsWith": _filled_text,
    "matches": _glob,
    "within": _folder,
    "after": _moment,
    "before": _moment,
}
