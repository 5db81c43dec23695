"""Test cases for policies: who asks for what, and what should come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from meshguard.policy.faults import Fault, PolicyLoadError, did_you_mean, quoted
from meshguard.policy.loader import read_text
from meshguard.policy.moments import read_moment
from meshguard.policy.place import Place
from meshguard.policy.request import Agent, InvalidRequest, Request
from meshguard.policy.vocabulary import EFFECTS, TIER_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshguard.policy.engine import Decision, PolicyEngine
    from meshguard.policy.model import Effect

MAX_VALUES = 100_000
MAX_CASES = 10_000

_FILE_KEYS = ("policies", "agents", "cases")
_CASE_KEYS = ("name", "agent", "action", "resource", "context", "at", "expect", "policy", "rule")
_REQUIRED = ("name", "agent", "action", "expect")
_AGENT_KEYS = ("id", "name", "trustTier", "tags", "metadata", "status")
_STATUSES = ("active", "revoked")


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Args:
        name: What it shows.
        agent: Who asks; None for an agent nobody knows.
        request: What it asks for.
        expect: The decision that is right.
        policy: The policy that should decide, when it matters.
        rule: The rule that should decide, when it matters.
        at: The time of the decision, when it matters.
    """

    name: str
    agent: Agent | None
    request: Request
    expect: Effect
    policy: str | None = None
    rule: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Cases, and the policies they are about: a path relative to the file."""

    cases: tuple[Case, ...]
    policies: str | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case; it passed when there are no problems."""

    case: Case
    decision: Decision
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all came out as expected."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class RuleName:
    """A rule and its policy."""

    policy: str
    rule: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all cases, and the rules that decided none of them."""

    results: tuple[CaseResult, ...]
    undecided: tuple[RuleName, ...]
    rules: int

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return all(result.passed for result in self.results)


def load_cases(source: str | bytes, file: str | None = None) -> CaseFile:
    """Return the cases in a YAML or JSON text.

    The text is a list of cases, or an object with ``cases``, ``agents`` (by a name that cases can use) and
    ``policies`` (a path). A case has ``name``, ``agent`` (a name, ``null`` for an unknown agent, or an object
    with ``id``, ``name``, ``trustTier``, ``tags``, ``metadata``, ``status``), ``action``, ``expect``, and as
    needed ``resource``, ``context``, ``at`` (as in RFC 3339), ``policy`` and ``rule``.

    Args:
        source: The text, or UTF-8 bytes, of at most 1 MiB and 100,000 keys and values.
        file: A name for the source in faults.

    Returns:
        The cases.

    Raises:
        PolicyLoadError: With everything that is wrong.

    Example:
        >>> text = '''
        ... - name: reading is allowed
        ...   agent: {trustTier: verified, tags: [support]}
        ...   action: read:mail
        ...   expect: allow
        ... '''
        >>> load_cases(text).cases[0].request.action
        'read:mail'
    """
    faults: list[Fault] = []
    try:
        found = _CaseReader().file(Place(read_text(source, file, values=MAX_VALUES), "", faults))
    except PolicyLoadError as error:
        faults.extend(error.faults)
    if faults:
        raise PolicyLoadError(replace(fault, file=file) for fault in faults)
    return found


def run_cases(engine: PolicyEngine, cases: Iterable[Case], *, now: datetime) -> Report:
    """Decide every case and compare.

    Args:
        engine: The policies under test.
        cases: The cases.
        now: The time for cases that name none, with its time zone.

    Returns:
        The results in order, each with an explanation, and the rules that decided no case.

    Raises:
        ValueError: ``now`` has no time zone.

    Example:
        >>> from datetime import UTC
        >>> from meshguard.policy import PolicyEngine, load_policy
        >>> engine = PolicyEngine([load_policy('''
        ... name: readers
        ... rules:
        ...   - {effect: allow, actions: ["read:*"]}
        ...   - {name: no-mail, effect: deny, actions: ["*:mail"]}
        ... ''')])
        >>> case = Case("mail", Agent("a", "a", "verified"), Request("read:mail"), "allow")
        >>> report = run_cases(engine, [case], now=datetime.now(UTC))
        >>> report.results[0].problems
        ('expected allow, got deny',)
        >>> report.undecided
        (RuleName(policy='readers', rule='rule 1'),)
    """
    results = tuple(_run(engine, case, now) for case in cases)
    names = [
        RuleName(policy.name, policy.rule_name(index))
        for policy in engine.policies
        for index in range(len(policy.rules))
    ]
    decided = {(result.decision.policy, result.decision.rule) for result in results}
    undecided = tuple(name for name in names if (name.policy, name.rule) not in decided)
    return Report(results, undecided, len(names))


def _run(engine: PolicyEngine, case: Case, now: datetime) -> CaseResult:
    decision = engine.decide(case.agent, case.request, now=case.at or now, explain=True)
    wanted = (
        ("", str(case.expect), str(decision.decision)),
        ("policy ", case.policy, decision.policy),
        ("rule ", case.rule, decision.rule),
    )
    problems = (
        f"expected {what}{expected}, got {actual or 'none'}"
        for what, expected, actual in wanted
        if expected is not None and expected != actual
    )
    return CaseResult(case, decision, tuple(problems))


class _CaseReader:
    def __init__(self) -> None:
        self._agents: dict[str, Agent | None] = {}

    def file(self, place: Place) -> CaseFile:
        if place.node.items is not None:
            return CaseFile(place.list_of(self._case, MAX_CASES) or ())
        members = place.members(_FILE_KEYS, "a file of cases")
        if members is None:
            return CaseFile(())
        self._read_agents(members.get("agents"))
        policies = members["policies"].line(least=1) if "policies" in members else None
        if "cases" not in members:
            place.fault("`cases` is missing", key="cases")
            return CaseFile(())
        return CaseFile(members["cases"].list_of(self._case, MAX_CASES) or (), policies)

    def _read_agents(self, place: Place | None) -> None:
        members = place.members(None, "agents") if place else None
        for name, at in (members or {}).items():
            self._agents[name] = _agent(at, name)

    def _case(self, place: Place) -> Case | None:
        members = place.members(_CASE_KEYS, "a case")
        if members is None:
            return None
        for key in _REQUIRED:
            if key not in members:
                place.fault(f"`{key}` is missing", key=key)
        request = _request(place, members)
        texts = {key: members[key].line() for key in ("name", "policy", "rule") if key in members}
        expect = members["expect"].word(EFFECTS, "an effect") if "expect" in members else None
        if request is None:
            return None
        return Case(
            name=texts.get("name") or "",
            agent=self._agent(members["agent"]) if "agent" in members else None,
            request=request,
            expect=cast("Effect", expect),
            policy=texts.get("policy"),
            rule=texts.get("rule"),
            at=_moment(members["at"]) if "at" in members else None,
        )

    def _agent(self, place: Place) -> Agent | None:
        name = place.node.value
        if place.node.entries is not None:
            return _agent(place, "test")
        if isinstance(name, str) and name not in self._agents:
            place.fault(f"{quoted(name)} is not one of the `agents`: {did_you_mean(name, self._agents)}")
        elif name is not None and not isinstance(name, str):
            place.wrong_type("the name of an agent or an object")
        return self._agents.get(name) if isinstance(name, str) else None


def _agent(place: Place, name: str) -> Agent | None:
    members = place.members(_AGENT_KEYS, "an agent")
    if members is None:
        return None
    tier = members["trustTier"].word(TIER_WORDS, "a trust tier") if "trustTier" in members else "verified"
    status = members["status"].word(_STATUSES, "a status") if "status" in members else "active"
    tags = _tags(members["tags"]) if "tags" in members else ()
    texts = {key: members[key].line() or "" for key in ("id", "name") if key in members}
    metadata = _json_object(members["metadata"]) if "metadata" in members else {}
    return Agent(
        texts.get("id", f"agent_{name}"),
        texts.get("name", name),
        tier or "",
        tags,
        metadata=metadata,
        status=status or "",
    )


def _tags(place: Place) -> tuple[str, ...]:
    return () if place.node.items == () else place.list_of(Place.line) or ()


def _request(place: Place, members: dict[str, Place]) -> Request | None:
    resource, context = members.get("resource"), members.get("context")
    try:
        return Request(
            cast("str", members["action"].scalar()) if "action" in members else "missing",
            cast("str | None", resource.scalar()) if resource else None,
            _json_object(context) if context else None,
        )
    except InvalidRequest as error:
        place.fault(error.message, key=error.path.removeprefix("/"))
        return None


def _json_object(place: Place) -> dict[str, Any]:
    members = place.members(None, "an object")
    return {key: _json(at) for key, at in (members or {}).items()}


def _json(place: Place) -> Any:
    if place.node.items is not None:
        return [_json(place.child(index, item)) for index, item in enumerate(place.node.items)]
    return place.scalar() if place.node.is_scalar else _json_object(place)


def _moment(place: Place) -> datetime | None:
    moment = read_moment(place.node.value) if isinstance(place.node.value, str) else None
    if not isinstance(moment, datetime):
        place.fault("a moment such as `2026-01-31T17:30:00Z` is wanted here")
        return None
    return moment
