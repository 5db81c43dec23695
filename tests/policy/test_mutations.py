"""Mistakes seeded into the evaluator, each of which the comparison with the oracle finds.

A mistake is a piece of source replaced in one function, so a test also fails when that source is gone.
"""

import __future__

import inspect
import textwrap
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample

from meshguard.policy import (
    checks,
    conditions,
    engine,
    globs,
    hosts,
    index,
    logic,
    path_patterns,
    paths,
    policy_reader,
    values,
)
from tests.policy.comparison import (
    SITUATIONS,
    first_difference,
    first_pattern_difference,
    first_test_difference,
)

SEARCH = settings(
    max_examples=2_000,
    database=None,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Mistake:
    owner: object
    function: str
    right: str
    wrong: str
    used_in: object = None

    def commit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        function = inspect.getattr_static(self.owner, self.function)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.right) == 1
        names: dict[str, Any] = {}
        wrong = source.replace(self.right, self.wrong)
        code = compile(wrong, "<mistake>", "exec", flags=__future__.annotations.compiler_flag)
        exec(code, function.__globals__, names)
        monkeypatch.setattr(self.used_in or self.owner, self.function, names[self.function])


DECIDE = (engine.PolicyEngine, "_decide")
PATTERN = (path_patterns.PathPattern, "test")
MAY_MEAN = (path_patterns.PathPattern, "_may_mean")
MATCHES = "outcome is True or (not rule.allows and outcome is not False)"
MISTAKES = {
    "a deny rule with an error does not match": Mistake(*DECIDE, MATCHES, "outcome is True"),
    "an allow rule with an error matches": Mistake(*DECIDE, MATCHES, "outcome is not False"),
    "the first allow wins": Mistake(
        *DECIDE, "self._actions.find(request.action)", "reversed(self._actions.find(request.action))"
    ),
    "a rule of a policy that does not apply is read": Mistake(
        *DECIDE, "rule.policy_rank in policies", "True"
    ),
    "a revoked agent is let in": Mistake(engine, "_refused", 'agent.status != "active"', "False"),
    "an unknown tier is let in": Mistake(engine, "_refused", "agent.trust_tier not in TIERS", "False"),
    "no policy means allow": Mistake(engine, "_default", "return _NO_POLICY", "return _DEFAULT_ALLOW"),
    "one policy that allows by default is enough": Mistake(index.AudienceIndex, "_find", "all(", "any("),
    "trust tiers are not looked at": Mistake(index, "unmet_keys", "applies.trust_tiers is not None", "False"),
    "tags are not looked at": Mistake(index, "unmet_keys", "applies.tags is not None", "False"),
    "agent ids are dropped": Mistake(
        policy_reader, "_applies_to", '_read(members, "agentIds", lambda at: at.list_of(Place.line))', "None"
    ),
    "agents of one tier are taken for each other": Mistake(
        index.AudienceIndex, "of", "(agent.trust_tier, agent.tags, ", "(agent.trust_tier, "
    ),
    "agents with the same tags are taken for each other": Mistake(
        index.AudienceIndex, "of", "agent.id if self._by_id else None", "None"
    ),
    "the last deny is reported": Mistake(index, "_rank", "rule.rank", "-rule.rank"),
    "general patterns are forgotten": Mistake(index._Bucket, "find", "if not self._checked:", "if True:"),
    "suffixes are forgotten": Mistake(index.ActionIndex, "_buckets", "in self._suffix_lengths", "in ()"),
    "the parts of a pattern overlap": Mistake(globs.ActionPattern, "matches", "start > end or ", ""),
    "an asterisk crosses a slash": Mistake(globs, "_widened", "if crosses:", "if True:"),
    "two asterisks stop at a slash": Mistake(globs, "_widened", "if crosses:", "if False:"),
    "only the first place of a literal is tried": Mistake(
        globs, "_after", "at = max(", "break\n            at = max("
    ),
    "not of an error is true": Mistake(
        logic,
        "negation",
        "return outcome if isinstance(outcome, Problem) else not outcome",
        "return outcome is not True",
        conditions,
    ),
    "all with an error is true": Mistake(logic, "both", "_problem_of(outcomes) or True", "True", conditions),
    "any with an error is false": Mistake(
        logic, "either", "_problem_of(outcomes) or False", "False", conditions
    ),
    "an error comes before false": Mistake(logic, "both", "if False in outcomes:", "if False:", conditions),
    "a path is matched as sent alone": Mistake(*PATTERN, "else TWO_PATHS", "else outcome"),
    "a path is matched as resolved alone": Mistake(
        *PATTERN, "outcome if outcome is self._glob", "self._glob.matches(resolved) if True or self._glob"
    ),
    "a climbing path is no match": Mistake(*PATTERN, "return CLIMBS", "return False"),
    "a path that climbs starts again": Mistake(paths, "resolve", "return None", "continue", checks),
    "a sibling with the same beginning is within": Mistake(
        paths, "lies_in", 'folder.rstrip("/") + "/"', 'folder.rstrip("/")', checks
    ),
    "a pattern without a slash stops at the first one": Mistake(*PATTERN, "self._may_mean(path)", "False"),
    "a pattern without a slash crosses slashes": Mistake(*PATTERN, "return NO_NAME", "return True"),
    "a pattern of names does not see the segments": Mistake(*MAY_MEAN, "self._segments and", "False and"),
    "a pattern of names does not see the host": Mistake(
        *MAY_MEAN, '"://" in path and self._matches_host(path)', "False"
    ),
    "a pattern of hosts goes by case": Mistake(
        path_patterns.PathPattern, "_matches_host", "self._lower", "self._glob"
    ),
    "a URL that means two things matches no name": Mistake(
        path_patterns.PathPattern, "_matches_host", "return True", "return False"
    ),
    "a pattern is not resolved": Mistake(
        path_patterns.PathPattern, "__init__", "resolve(pattern) or pattern", "pattern"
    ),
    "two asterisks without a slash see the path as sent alone": Mistake(
        path_patterns.PathPattern, "__init__", 'or ("**" in text and text.strip("*") != "")', ""
    ),
    "backslashes and spaces are part of a URL": Mistake(
        hosts, "read_url", "_UNSAFE.search(text)", "False", checks
    ),
    "a scheme without slashes is a host": Mistake(
        hosts, "read_url", 'text.partition(":")[0].lower() in _WITH_HOSTS and', "False and", checks
    ),
    "schemes go by case": Mistake(hosts, "read_url", "found[1].lower()", "found[1]", checks),
    "an @ after the host is not seen": Mistake(
        hosts, "_authority", "if authority != ", "if False and authority != "
    ),
    "the first @ ends the user": Mistake(hosts, "_without_user", "rpartition", "partition"),
    "any user will do": Mistake(hosts, "_without_user", "if not _USER.fullmatch(user):", "if False:"),
    "a port is as large as it likes": Mistake(hosts, "_check_port", "> MAX_PORT", "> MAX_PORT * 9"),
    "text after the brackets is not seen": Mistake(
        hosts, "_host_and_port", "port and not port", "False and not port"
    ),
    "an address and a port are an address": Mistake(hosts, "_bare_ipv6", "last.isdecimal() and", "False and"),
    "a mapped address is another": Mistake(hosts, "_ipv6", "parsed.ipv4_mapped or parsed", "parsed"),
    "a zone is part of the address": Mistake(
        hosts, "_ipv6", "return str(", 'return (f"{address}%{zone}" if zone else "") or str('
    ),
    "hosts go by case": Mistake(hosts, "read_host", "text.lower()", "text"),
    "a trailing dot is part of the host": Mistake(hosts, "read_host", '.removesuffix(".")', ""),
    "numbers are names": Mistake(hosts, "read_host", "_ENDS_IN_NUMBER.fullmatch(host)", "False"),
    "only one version of IDNA is asked": Mistake(hosts, "_ascii_label", "older != found", "False"),
    "names are not checked": Mistake(hosts, "_label", "not _LABEL.fullmatch(label)", "False"),
    "xn-- is not checked": Mistake(hosts, "_label", 'or label.startswith("xn--")', ""),
    "octal is decimal": Mistake(hosts, "_number", "int(text, 8)", "int(text)"),
    "hexadecimal is no number": Mistake(hosts, "_number", "return int(text, 16)", "return 0"),
    "a byte is as large as it likes": Mistake(
        hosts, "_ipv4", "any(number > 0xFF for number in first)", "False"
    ),
    "the last number is a byte": Mistake(
        hosts, "_ipv4", "256 ** (_MAX_PARTS + 1 - len(parts))", "256 or len(parts) == 0"
    ),
    "a pattern of names below matches the name": Mistake(
        hosts.HostPattern, "matches", "host.endswith(self._suffix)", "f'.{host}'.endswith(self._suffix)"
    ),
    "a pattern of names below matches any ending": Mistake(
        hosts.HostPattern, "__init__", 'f".{self._host}"', "self._host"
    ),
    "a bare host has every scheme": Mistake(
        checks, "_has_scheme", "NO_SCHEME if url.scheme is None else", "url.scheme is None or"
    ),
    "what is no URL has no host": Mistake(checks, "_on_url", "return Problem(str(error))", "return False"),
    "a missing value is false": Mistake(
        conditions.ValueTest,
        "evaluate",
        "value if type(value) is Problem else",
        "False if type(value) is Problem else",
    ),
    "a path that means two things means the first": Mistake(
        conditions, "_path_finder", "value if next(found, missing) is missing else", "value if True else"
    ),
    "a context of any depth is looked into": Mistake(
        conditions, "_field_finder", "if problem := facts.size_problem(root):", "if problem := None:"
    ),
    "a value of another type is only different": Mistake(
        values, "comparable", "return mismatch(value, kind)", 'return "" if kind == "text" else 0', checks
    ),
    "large integers are rounded": Mistake(
        values,
        "exact",
        "        return number\n",
        "        return int(float(number)) if number < 2**99 else number\n",
    ),
    "fractions are binary": Mistake(values, "exact", "Decimal(repr(float(number)))", "Decimal(number)"),
    "the time is local": Mistake(conditions.Facts, "utc", "self.now.astimezone(UTC)", "self.now"),
    "one tag of several is enough to be outside": Mistake(
        checks, "checker", "not wanted.isdisjoint(tags)", "wanted >= tags", conditions
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MISTAKES[name].commit(monkeypatch)
    assert finds_a_difference()


def test_a_boolean_taken_for_a_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(values._KINDS, bool, "number")
    assert finds_a_difference()


def differs(situation: tuple[list[dict[str, Any]], int, datetime]) -> bool:
    policies, seed, now = situation
    return first_difference(policies, seed, now, pairs=60) is not None


def finds_a_difference() -> bool:
    """Whether the two differ; a value that the engine no longer takes is a difference too."""
    try:
        if first_pattern_difference() or first_test_difference():
            return True
    except ValueError:
        return True
    try:
        find(SITUATIONS, differs, settings=SEARCH)
    except NoSuchExample:
        return False
    return True
