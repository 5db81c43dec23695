"""The words of the policy language and the limits of a policy."""

from __future__ import annotations

import re

TIERS = ("unverified", "verified", "trusted", "privileged")
TIER_WORDS = (*TIERS, "untrusted")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EFFECTS = ("allow", "deny")

POLICY_KEYS = ("id", "name", "version", "description", "appliesTo", "rules", "defaultEffect", "delegation")
RULE_KEYS = ("id", "name", "description", "effect", "actions", "conditions", "reason")
APPLIES_TO_KEYS = ("trustTiers", "tags", "agentIds")
DELEGATION_KEYS = ("maxDepth", "permissionCeiling")

TEXT_SUBJECTS = ("resource", "action", "agentId", "agentName")
CLEAN_SUBJECTS = ("resource", "action")  # texts without control characters
PLAIN_SUBJECTS = (*TEXT_SUBJECTS, "tags", "trustTier", "time")
GROUPS = ("any", "all")
PATH_ROOTS = ("context", "metadata")
SUBJECT_WORDS = (*PLAIN_SUBJECTS, *GROUPS, "context.…", "metadata.…")

STRING_TESTS = ("startsWith", "endsWith", "contains")
PATTERN_TESTS = ("matches", "within", "host", "scheme")
ORDER_TESTS = ("gt", "gte", "lt", "lte")
VALUE_TESTS = ("equals", "in", *STRING_TESTS, *PATTERN_TESTS, *ORDER_TESTS, "exists", "not")
TIER_TESTS = ("equals", "in", "exists", "not")
TAG_TESTS = ("equals", "in", "contains", "exists", "not")
TIME_TESTS = ("after", "before", "weekdays", "not")

MAX_RULES = 1_000
MAX_LIST = 1_000
MAX_GROUP = 100
MAX_CONDITIONS = 100
MAX_CONDITION_DEPTH = 8
MAX_NAME = 128
MAX_DESCRIPTION = 4_096
MAX_TEXT = 1_024
MAX_PATTERN = 512
MAX_WILDCARDS = 16
MAX_SUBJECT = 256
MAX_DELEGATION = 100

POLICY_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
WILDCARDS = re.compile(r"\*+")
PATH_SUBJECT = re.compile(r"(?:context|metadata)(?:\.[^.\x00-\x1f\x7f-\x9f]+){1,8}")
TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?")
MOMENT = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def tests_of(subject: str) -> tuple[str, ...]:
    """Return the names of the tests a subject can be put to."""
    special = {"trustTier": TIER_TESTS, "tags": TAG_TESTS, "time": TIME_TESTS}
    return special.get(subject, VALUE_TESTS)
