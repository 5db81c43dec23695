"""Which tests belong to which sentence of the language page.

The quotes, one after the other, are the whole definition in docs/policies.md: a sentence that is added or
changed there fails here until a test is named for it.
"""
# ruff: noqa: E501  (quotes)

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
GUIDE = (FOLDER.parents[1] / "docs/policies.md").read_text()

L = "test_language::"
TABLE = [
    (
        "A policy that can't be evaluated must never allow.",
        [
            L + "test_a_policy_that_cannot_be_evaluated_never_allows",
            "test_properties::test_an_error_beside_other_conditions_never_allows",
        ],
    ),
    (
        "Everything here follows from that sentence.",
        ["test_oracle::test_the_engine_decides_as_the_language_page_says"],
    ),
    (
        "Where this page and a shortcut disagree, this page holds.",
        [
            "test_oracle::test_every_test_of_every_value_comes_out_as_the_language_page_says",
            "test_mutations::test_a_mistake_is_found",
        ],
    ),
    (
        "name: support-agents # 1..128 of letters, digits, . _ -",
        [L + "test_a_name_is_made_of_letters_digits_dots_and_dashes", L + "test_any_other_name_is_refused"],
    ),
    (
        'version: "1.0" description: What support agents may do',
        [L + "test_the_example_of_the_page_loads_and_decides"],
    ),
    (
        "appliesTo: # every key present must match; within a key any value matches; absent: every agent",
        [
            L + "test_every_key_of_applies_to_must_match_and_any_value_within_a_key",
            L + "test_a_policy_without_applies_to_applies_to_every_agent",
        ],
    ),
    (
        "trustTiers: [verified, trusted] tags: [support] agentIds: [agent_abc123] rules:",
        [L + "test_the_example_of_the_page_loads_and_decides"],
    ),
    (
        '- name: read-anything # optional; "rule 1" is its name otherwise',
        [L + "test_a_rule_without_a_name_is_known_by_its_place"],
    ),
    (
        'effect: allow actions: ["read:*"] - name: small-refunds effect: allow actions: ["write:refund"] conditions: context.args.amount: {gt: 0, lte: 100} tags: [payments] - name: no-secrets effect: deny actions: ["read:file", "write:file"] conditions: resource: {matches: ["**/.env", "**/*.pem", "/etc/**"]} reason: Credential files are off limits',
        [L + "test_the_example_of_the_page_loads_and_decides"],
    ),
    (
        "defaultEffect: deny # the default when left out",
        [L + "test_the_default_effect_is_deny_when_left_out"],
    ),
    (
        'delegation: {maxDepth: 2, permissionCeiling: ["read:*"]}',
        [
            L + "test_the_example_of_the_page_loads_and_decides",
            "test_properties::test_what_was_loaded_loads_again_as_the_same",
        ],
    ),
    (
        "A policy and each rule may have an `id` from another tool, a text of 1 to 128 characters.",
        [L + "test_an_id_is_kept_and_decides_nothing"],
    ),
    (
        "It is kept and shown, and means nothing to the gateway.",
        [L + "test_an_id_is_kept_and_decides_nothing"],
    ),
    (
        "`GET /admin/policies` shows the name where there is no id.",
        [L + "test_the_list_shows_the_name_where_there_is_no_id"],
    ),
    (
        "**Action patterns.** `*` matches any run of characters, also `:` and `/`, also none;",
        [L + "test_an_asterisk_in_an_action_matches_any_run_of_characters"],
    ),
    (
        "everything else is literal and case matters.",
        [L + "test_everything_else_in_an_action_pattern_is_literal_and_case_matters"],
    ),
    ("`read:*`, `*:email`, `*`.", [L + "test_an_asterisk_in_an_action_matches_any_run_of_characters"]),
    (
        "**Conditions.** A mapping of subjects to tests; all must hold.",
        [L + "test_all_subjects_of_conditions_must_hold"],
    ),
    (
        "Subjects: `resource`, `action`, `tags`, `trustTier`, `agentId`, `agentName`,",
        [L + "test_each_subject_sees_what_it_names"],
    ),
    ("`time` (UTC: `after`, `before`, `weekdays`),", [L + "test_time_is_compared_in_utc"]),
    ("`context.<dotted path>`, `metadata.<dotted path>`.", [L + "test_each_subject_sees_what_it_names"]),
    (
        "Tests: `equals`, `in`, `startsWith`, `endsWith`, `contains`,",
        [L + "test_each_test_does_what_its_name_says"],
    ),
    (
        "`matches` (glob: `*` stops at `/`, `**` does not),",
        [
            L + "test_one_asterisk_stops_at_a_slash_and_two_do_not",
            "test_oracle::test_patterns_match_as_the_language_page_says",
        ],
    ),
    (
        "`gt`, `gte`, `lt`, `lte`, `exists`, `within`, `host`, `scheme`, and `not: {…}`;",
        [L + "test_each_test_does_what_its_name_says"],
    ),
    (
        "each string test takes one value or a list, any of which may match.",
        [L + "test_each_string_test_takes_one_value_or_a_list_of_which_any_may_match"],
    ),
    ("A bare list or scalar is `in`/`equals`;", [L + "test_a_bare_scalar_is_equals_and_a_bare_list_is_in"]),
    ('for `tags` it means "has any of".', [L + "test_for_tags_a_bare_list_means_has_any_of"]),
    ("`any: [..]` and `all: [..]` nest conditions.", [L + "test_any_and_all_nest_conditions"]),
    ("No regular expressions, no code:", [L + "test_there_are_no_regular_expressions_and_no_code"]),
    (
        "evaluation time is bounded by the size of the policy and the request.",
        [
            "test_hostile_input::test_a_glob_takes_no_longer_on_a_hostile_path",
            "test_hostile_input::test_an_action_pattern_takes_no_longer_on_a_hostile_action",
            "test_hostile_input::test_a_hostile_context_is_an_error_and_never_allows",
        ],
    ),
    (
        "**Three values.** A test is true, false or *error*: a missing field,",
        [L + "test_a_missing_field_is_an_error"],
    ),
    (
        "values of different JSON types (text against a number, anything against null, a boolean against a number),",
        [
            L + "test_values_of_different_types_are_an_error",
            "test_mutations::test_a_boolean_taken_for_a_number_is_found",
        ],
    ),
    ("a context too deep or too large,", [L + "test_a_context_too_deep_or_too_large_is_an_error"]),
    ("a path that means two things.", [L + "test_a_path_that_means_two_things_is_an_error"]),
    ("`exists` never errors.", [L + "test_exists_is_never_an_error"]),
    ("`not` of error is error;", [L + "test_not_of_an_error_is_an_error"]),
    (
        "`all` is false if any part is false, else error if any is error;",
        [L + "test_all_is_false_before_error_before_true"],
    ),
    (
        "`any` is true if any part is true, else error if any is error.",
        [L + "test_any_is_true_before_error_before_false"],
    ),
    (
        "A **deny** rule whose condition is true *or error* matches;",
        [
            L + "test_a_deny_rule_matches_on_true_and_on_error",
            "test_properties::test_an_error_in_an_applying_deny_rule_denies",
        ],
    ),
    (
        "an **allow** rule matches only when it is true.",
        [
            L + "test_an_allow_rule_matches_only_on_true",
            "test_properties::test_an_error_in_every_rule_never_allows_by_a_rule",
        ],
    ),
    (
        "Each error is in the explanation and counted in the metrics.",
        [L + "test_each_error_is_counted_and_in_the_explanation"],
    ),
    (
        "**Paths.** `within: [folders]` resolves `.`, `..` and repeated slashes on both sides and is true when the value lies in one of the folders;",
        [L + "test_within_resolves_both_sides_and_is_true_inside_the_folder"],
    ),
    (
        "a value that climbs above its start is error.",
        [L + "test_a_path_that_climbs_above_its_start_is_an_error"],
    ),
    (
        "A `matches` pattern with a `/` is tried on the value as sent and on the resolved value; if the two answers differ, it is error",
        [L + "test_a_pattern_with_a_slash_must_match_the_path_as_sent_and_as_resolved_alike"],
    ),
    (
        "(so `/var/../etc/passwd` cannot slip past a deny on `/etc/**`, nor into an allow on `/var/**`).",
        [L + "test_a_detour_slips_neither_past_a_deny_nor_into_an_allow"],
    ),
    (
        "Patterns are resolved the same way as values: `./src/**` is `src/**`.",
        [L + "test_a_pattern_is_resolved_as_values_are"],
    ),
    (
        "A pattern that can match nothing is rejected at load time.",
        [
            L + "test_a_pattern_that_can_match_nothing_is_rejected",
            "test_hosts::test_a_pattern_that_can_match_nothing_is_rejected",
        ],
    ),
    (
        "A pattern without `/`, tested against a value with `/`, is error if it matches when `*` crosses `/` but not when `*` stops there.",
        [
            L + "test_a_pattern_without_a_slash_can_mean_two_things",
            L + "test_a_pattern_without_a_slash_that_matches_nowhere_is_false",
        ],
    ),
    (
        "`*.pem` says something about `keys/a.pem`, but nobody can tell what.",
        [L + "test_a_pattern_without_a_slash_can_mean_two_things"],
    ),
    (
        "For URLs use `host`.",
        [L + "test_a_deny_on_hosts_written_as_a_pattern_denies_urls", L + "test_urls_are_text"],
    ),
    (
        "**Hosts.** `host: [patterns]` reads the value as a URL (or a bare `host[:port]`) and compares its host.",
        ["test_hosts::test_spelling_does_not_matter"],
    ),
    (
        "A pattern is an exact host, or `*.example.com` for any name below it.",
        ["test_hosts::test_another_host_is_another"],
    ),
    (
        "Case, a trailing dot, port, user information and IDNA spelling do not matter.",
        ["test_hosts::test_spelling_does_not_matter"],
    ),
    (
        "Every spelling of an IP address is that address.",
        [
            "test_hosts::test_every_spelling_of_an_address_is_that_address",
            "test_hosts::test_any_mixture_of_bases_is_the_same_address",
        ],
    ),
    (
        "A value that two parsers could read differently (backslashes, two `@`, control characters, no host) is error.",
        [
            "test_hosts::test_a_value_that_two_parsers_read_differently_is_an_error",
            "test_hosts::test_a_control_character_anywhere_is_an_error",
        ],
    ),
    (
        "`scheme: [https]` does the same for the scheme.",
        ["test_hosts::test_schemes_go_without_case_and_a_bare_host_has_none"],
    ),
    ("Use these tests for URLs.", ["test_lint::test_a_pattern_of_paths_on_urls"]),
    (
        "**Values.** YAML 1.2: only `true` and `false` are booleans (`no`, `on`, `1:20` are text).",
        [
            L + "test_only_true_and_false_are_booleans",
            "test_hostile_input::test_what_only_looks_like_something_else_is_text",
        ],
    ),
    (
        "Numbers are compared exactly; large integers are not rounded.",
        [L + "test_numbers_are_compared_exactly", "test_numbers::test_a_comparison_is_that_of_fractions"],
    ),
    ("NaN and infinities are refused.", [L + "test_nan_and_infinities_are_refused"]),
    ("Text is compared by code point;", [L + "test_text_is_compared_by_code_point"]),
    (
        "actions and resources with control characters or broken Unicode are refused before evaluation.",
        [L + "test_control_characters_and_broken_unicode_are_refused_before_evaluation"],
    ),
    (
        "**Combining.** Of all rules of all policies that apply to the agent: if any deny matches, deny (the first in policy-name order, then rule order, is the one reported);",
        [
            L + "test_any_deny_wins_and_the_first_by_policy_name_then_rule_order_is_reported",
            L + "test_names_are_ordered_by_code_point",
        ],
    ),
    (
        "else if any allow matches, allow (the first is reported);",
        [L + "test_else_the_first_allow_is_reported"],
    ),
    (
        "else, if some policy applies and every applying policy says `defaultEffect: allow`, allow; else deny.",
        [L + "test_the_default_allows_only_when_every_applying_policy_says_so"],
    ),
    (
        "No policy applies: deny, and the reason says so.",
        [L + "test_no_policy_that_applies_is_a_denial_that_says_so"],
    ),
    (
        "An agent that is unknown, revoked or of an unknown tier is denied before any policy is read.",
        [L + "test_an_unknown_or_revoked_agent_is_denied_before_any_policy_is_read"],
    ),
    (
        "**Loading.** Unknown keys, unknown tests, a wrong type, an empty `actions` or `rules`, a duplicate YAML key or rule name, an alias bomb,",
        [
            L + "test_what_is_wrong_is_refused_with_file_line_path_and_the_nearest_name",
            "test_hostile_input::test_hostile_input_is_refused_at_once",
            "test_properties::test_an_unknown_key_anywhere_is_refused",
            "test_schema_agrees::test_the_loader_and_the_schema_agree_on_every_variant_of_the_whole_policy",
        ],
    ),
    ("a file over 1 MiB:", [L + "test_a_file_over_1_mib_is_refused"]),
    (
        "refused, with file, line, path and the nearest valid name.",
        [
            L + "test_what_is_wrong_is_refused_with_file_line_path_and_the_nearest_name",
            L + "test_every_fault_is_told_at_once",
        ],
    ),
    ("A policy is in force whole or not at all.", [L + "test_every_fault_is_told_at_once"]),
    (
        "A directory with one bad file keeps the last good set in force and says so in `/health`.",
        [L + "test_a_directory_is_loaded_whole_or_not_at_all"],
    ),
    (
        "**Explanation.** On request a decision lists every policy considered and why it did or did not apply,",
        ["test_explanation::test_every_policy_is_told_and_why_it_did_or_did_not_apply"],
    ),
    (
        "every rule whose action matched and the value of each test with what it saw,",
        ["test_explanation::test_every_rule_whose_action_matched_is_told_with_the_value_of_each_test"],
    ),
    (
        "the rule that decided,",
        [
            "test_explanation::test_the_rule_that_decided_is_told",
            "test_properties::test_the_explanation_agrees_with_the_decision",
        ],
    ),
    (
        'and the smallest change that would turn the decision around ("would be allowed with tag `payments`"), when one condition is all that stands between.',
        [
            "test_explanation::test_the_smallest_change_is_told",
            "test_explanation::test_no_change_is_told_when_two_things_stand_between",
            "test_explanation::test_a_change_that_is_told_turns_the_decision_around",
        ],
    ),
    (
        "**Lint.** Warnings for: a rule that can never decide (shadowed by a deny that covers it),",
        ["test_lint::test_a_rule_that_can_never_decide"],
    ),
    (
        "an allow and a deny with the same pattern and conditions,",
        ["test_lint::test_an_allow_and_a_deny_with_the_same_pattern_and_conditions"],
    ),
    ("an agent tag or id that nobody has,", ["test_lint::test_a_tag_or_id_that_nobody_has"]),
    ("no `reason` on a deny,", ["test_lint::test_a_deny_without_a_reason"]),
    ("`allow *` without conditions,", ["test_lint::test_an_allow_of_everything_without_conditions"]),
    (
        "an allow on `*` beside denies by name (another spelling of the name would pass),",
        ["test_lint::test_an_allow_of_everything_beside_denies_by_name"],
    ),
    (
        "`delegation`, which is checked and kept but has no effect until there are delegation calls,",
        ["test_lint::test_delegation_has_no_effect_yet"],
    ),
    (
        "a `matches` without `/` on something that looks like a URL,",
        ["test_lint::test_a_pattern_without_a_slash_on_what_looks_like_a_url"],
    ),
    (
        "`exists: true` beside an allow-by-default on the same subject.",
        ["test_lint::test_presence_beside_an_allow_by_default"],
    ),
]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text.replace("```yaml", "").replace("```", ""))


def test_every_sentence_of_the_definition_is_in_the_table() -> None:
    definition = GUIDE.split("it holds.\n", 1)[1] if "it holds.\n" in GUIDE else ""
    assert squeezed("".join(quote for quote, _ in TABLE)) == squeezed(definition)


@pytest.mark.parametrize("name", sorted({name for _, names in TABLE for name in names}))
def test_each_test_that_the_table_names_is_there(name: str) -> None:
    module, _, function = name.partition("::")
    assert f"\ndef {function}(" in (FOLDER / f"{module}.py").read_text()
