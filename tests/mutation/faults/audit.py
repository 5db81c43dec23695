"""Faults in the audit log: its chains, seals, verification, retention and backups."""

from __future__ import annotations

from tests.mutation.fault import Fault

_VERIFY = "meshguard/audit_verify.py"
_SEALS = "meshguard/gateway/audit_seals.py"
_PROOF = "meshguard/gateway/audit_proof.py"
_RETENTION = "meshguard/gateway/audit_retention.py"
_PARTITIONS = "meshguard/gateway/partitions.py"
_CONTEXT = "meshguard/gateway/audit_context.py"
_AUDIT = "meshguard/gateway/audit.py"
_LOG = "meshguard/gateway/audit_log.py"
_BACKUP = "meshguard/gateway/backup.py"

_CLI = "tests/gateway/test_audit_cli.py::"
_READING = "tests/gateway/test_audit_reading.py"
_FINGERPRINTS = f"{_READING}::test_fingerprints_tell_equal_values_and_depend_on_the_secret_and_the_key"

_TAMPERING = "An audit entry that was changed, removed, inserted or moved is found."
_KEPT = "Retention removes only what is proven; the rest is reported and kept."
_BOUNDED = "An entry is bounded, and says what was cut."
_PRIVATE = "The audit log keeps no value of a context unless a setting names its key."
_BACKED_UP = "A backup is whole or not there, and a restore overwrites nothing that is in use."


def _verifier(test: str) -> tuple[str, ...]:
    return (f"tests/gateway/test_audit_verifier.py::{test}",)


def _laundering(case: str) -> tuple[str, ...]:
    return (f"tests/gateway/test_audit_retention.py::test_no_retention_launders_an_attack[{case}]",)


def _size(test: str) -> tuple[str, ...]:
    return (f"tests/gateway/test_entry_size.py::{test}",)


FAULTS = (
    Fault(
        "a missing first chain is overlooked",
        _VERIFY,
        "enumerate(numbers, 1)",
        "enumerate(numbers, min(numbers, default=1))",
        _TAMPERING,
        _verifier("test_a_missing_first_chain_is_found"),
    ),
    Fault(
        "a missing last chain is overlooked",
        _VERIFY,
        "self._begun > len(numbers)",
        "self._begun < len(numbers)",
        _TAMPERING,
        _verifier("test_a_missing_last_chain_is_found_by_the_count"),
    ),
    Fault(
        "tombstones are not held against anchors",
        _VERIFY,
        "            self._hold_against_anchor(stream, chain)\n",
        "            pass\n",
        _TAMPERING,
        _verifier("test_a_tombstone_is_held_against_an_anchor"),
    ),
    Fault(
        "entries are not held against anchors",
        _VERIFY,
        "self._hold_against_anchor(stream, chain, entry_id)",
        "pass",
        _TAMPERING,
        _verifier("test_an_entry_is_held_against_an_anchor"),
    ),
    Fault(
        "an unsigned tombstone counts",
        _VERIFY,
        'if self._is_signed("tombstone", tombstone_fields(head), pruned.get("signature")):',
        "if True:",
        _TAMPERING,
        _verifier("test_an_unsigned_tombstone_is_found"),
    ),
    Fault(
        "an unsigned head counts",
        _VERIFY,
        'if not self._is_signed("head"',
        'if self._keys == [] and not self._is_signed("head"',
        _TAMPERING,
        _verifier("test_a_head_with_another_hash_or_no_signature_is_found"),
    ),
    Fault(
        "a head's hash is not compared",
        _VERIFY,
        'if chain.hash != head["hash"]:',
        "if False:",
        _TAMPERING,
        _verifier("test_a_head_with_another_hash_or_no_signature_is_found"),
    ),
    Fault(
        "entries after the end are accepted",
        _VERIFY,
        'if chain.count > head["count"]:',
        "if False:",
        _TAMPERING,
        _verifier("test_entries_after_the_head_and_without_a_head_are_found"),
    ),
    Fault(
        "anchors of a longer log are forgotten",
        _VERIFY,
        'max(head["count"], anchored)',
        'head["count"]',
        _TAMPERING,
        _verifier("test_a_log_shorter_than_its_anchor_is_found"),
    ),
    Fault(
        "an anchored chain may be missing",
        _VERIFY,
        "self._anchors.keys() - self._heads.keys()",
        "self._heads.keys() - self._heads.keys()",
        _TAMPERING,
        _verifier("test_an_anchored_chain_without_a_head_is_found"),
    ),
    Fault(
        "prevHash is not compared",
        _VERIFY,
        'if entry.get("prevHash") != chain.hash:',
        "if False:",
        _TAMPERING,
        _verifier("test_an_entry_hashed_again_does_not_follow_its_chain"),
    ),
    Fault(
        "hashes are not recomputed",
        _VERIFY,
        'recomputed == entry.get("hash")',
        "recomputed",
        _TAMPERING,
        _verifier("test_a_changed_entry_is_found"),
    ),
    Fault(
        "a gap in the numbers is accepted",
        _VERIFY,
        "if sequence > chain.count + 1:",
        "if sequence > chain.count + 9:",
        _TAMPERING,
        _verifier("test_a_changed_entry_is_found"),
    ),
    Fault(
        "a head's signature does not cover its number",
        _VERIFY,
        '_HEAD = ("stream", "number", "count", "hash")',
        '_HEAD = ("stream", "count", "hash")',
        _TAMPERING,
        _verifier("test_a_heads_signature_covers_each_field"),
    ),
    Fault(
        "a tombstone's signature does not cover its chain",
        _VERIFY,
        '{"stream": head.get("stream"), **{name: head["pruned"]',
        '{**{name: head["pruned"]',
        _TAMPERING,
        _verifier("test_a_tombstones_signature_covers_each_field"),
    ),
    Fault(
        "a head passes for a tombstone",
        _VERIFY,
        '{**fields, "purpose": purpose}',
        "{**fields}",
        _TAMPERING,
        _verifier("test_a_heads_signature_is_none_of_a_tombstone"),
    ),
    Fault(
        "a renewed seal overwrites a head that has moved",
        _SEALS,
        "(table.c.stream == stream, table.c.signature == old)",
        "(table.c.stream == stream,)",
        _TAMPERING,
        _verifier("test_a_renewed_seal_leaves_a_head_that_has_moved_alone"),
    ),
    Fault(
        "what no key signed is signed at the next start",
        _SEALS,
        "return is_signed(self.keys[1:], purpose, fields, signature)",
        "return True",
        _TAMPERING,
        _verifier("test_an_old_seal_is_renewed_and_a_foreign_one_is_not"),
    ),
    Fault(
        "old seals are not renewed",
        _SEALS,
        'if self._is_old("head", head_fields(head), head["signature"]):',
        "if False:",
        "The log verifies without an old secret once the gateway has started with the new one.",
        _verifier("test_an_old_seal_is_renewed_and_a_foreign_one_is_not"),
    ),
    Fault(
        "milestones count unsigned",
        _SEALS,
        'if is_signed(self.keys, "head", head_fields(head), head["signature"])',
        "if True",
        _KEPT,
        _verifier("test_a_milestone_beyond_the_head_is_found"),
    ),
    Fault(
        "all milestones go with a tombstone",
        _SEALS,
        "state.c.name >= first, state.c.name <= last",
        "state.c.name >= first",
        _KEPT,
        _verifier("test_only_milestones_that_are_passed_are_removed"),
    ),
    Fault(
        "the verification ignores milestones",
        _LOG,
        "anchors=marks, chains",
        "anchors=(), chains",
        _TAMPERING,
        _verifier("test_a_milestone_beyond_the_head_is_found"),
    ),
    Fault(
        "a rewritten prefix is removed without its end in sight",
        _PROOF,
        "            self._goal = self._signed_from(self.oldest_end)\n",
        "            return True\n",
        _KEPT,
        _laundering("sqlite-prefix rewritten beyond the border-before-removed"),
    ),
    Fault(
        "a chain is not held against the signed places",
        _PROOF,
        "Verifier([head], keys=seals.keys, anchors=milestones)",
        "Verifier([head], keys=seals.keys)",
        _KEPT,
        _laundering("sqlite-all rewritten, the head left-before-removed"),
    ),
    Fault(
        "a broken entry ends no proof",
        _PROOF,
        "        self.broken = self._verifier.broken\n        if self.broken:\n            return True\n",
        "",
        _KEPT,
        _laundering("sqlite-prefix rewritten-before-removed"),
    ),
    Fault(
        "an entry that can't be read stops the verification",
        _PROOF,
        "verifier.unreadable(",
        "print(",
        _TAMPERING,
        _laundering("sqlite-unreadable-before-removed"),
    ),
    Fault(
        "entries are not hashed again when they are removed",
        _RETENTION,
        "if verifier.broken or len(rows)",
        "if len(rows)",
        _KEPT,
        ("tests/gateway/test_audit_retention.py::test_a_change_after_the_proof_is_kept[sqlite]",),
    ),
    Fault(
        "what retention kept is not reported",
        _RETENTION,
        "        self._kept = kept\n",
        "",
        _KEPT,
        _laundering("sqlite-removed in the middle-before-removed"),
    ),
    Fault(
        "a chain with an unsigned tombstone is not looked at",
        _RETENTION,
        "(self._is_unsigned(head) or _may_have_old_entries(connection, head, before))",
        "_may_have_old_entries(connection, head, before)",
        _KEPT,
        _laundering("sqlite-tombstone unsigned-before-removed"),
    ),
    Fault(
        "a partition is dropped though it changed since its verification",
        _PARTITIONS,
        ".one()) == verified.versions",
        ".one()) != ()",
        _KEPT,
        ("tests/gateway/test_audit_retention.py::test_a_change_after_the_proof_is_kept[postgresql]",),
    ),
    Fault(
        "a partition is dropped unproven, with a wrong prev_hash or any other damage",
        _PARTITIONS,
        "    if proof.broken:\n        return proof.broken\n",
        '    if proof.broken:\n        return Cut(stream, last, "0" * 64)\n',
        _KEPT,
        _laundering("postgresql-prev_hash changed-before-removed"),
    ),
    Fault(
        "a partition with entries of no chain is dropped",
        _PARTITIONS,
        'return Broken(stream, last, "the chain has no head")',
        'return Cut(stream, last, "0" * 64)',
        _KEPT,
        _laundering("postgresql-inserted with another chain's name-before-kept"),
    ),
    Fault(
        "a partition is dropped that others' entries come before",
        _PARTITIONS,
        'if proof.at and proof.end >= last and last - first + 1 == chain["number"]:',
        "if proof.at:",
        "A clock that was set back breaks no chain.",
        (
            "tests/gateway/test_audit_retention.py::test_a_clock_that_was_set_back_breaks_nothing[removed-postgresql]",
        ),
    ),
    Fault(
        "a long text is cut silently",
        _AUDIT,
        '.decode(errors="ignore") + mark',
        '.decode(errors="ignore")',
        _BOUNDED,
        _size("test_every_column_together_fits"),
    ),
    Fault(
        "the limits count characters",
        _AUDIT,
        "len(text) * _WIDEST > room",
        "len(text) > room",
        _BOUNDED,
        _size("test_no_decision_takes_more_than_the_limit"),
    ),
    Fault(
        "a resource is not bounded",
        _AUDIT,
        '    "resource": 2_560,\n',
        "",
        _BOUNDED,
        _size("test_no_decision_takes_more_than_the_limit"),
    ),
    Fault(
        "a context has no budget",
        _CONTEXT,
        "(MAX_KEYS, MAX_KEYS // 4, 0)",
        "(MAX_KEYS,)",
        _BOUNDED,
        _size("test_a_context_keeps_to_its_budget"),
    ),
    Fault(
        "values have no budget",
        _CONTEXT,
        "if size > room:",
        "if False:",
        _BOUNDED,
        _size("test_a_context_that_fits_is_not_said_to_be_truncated"),
    ),
    Fault(
        "a context is truncated silently",
        _CONTEXT,
        'kept["truncated"] = True',
        "pass",
        _BOUNDED,
        _size("test_a_context_that_fits_is_not_said_to_be_truncated"),
    ),
    Fault(
        "equal values under different keys have equal fingerprints",
        _CONTEXT,
        "canonical([name, value])",
        'canonical(["", value])',
        _PRIVATE,
        (_FINGERPRINTS,),
    ),
    Fault(
        "fingerprints do not depend on the secret",
        _CONTEXT,
        "hmac.digest(settings.jwt_secret.get_secret_value().encode(), _LABEL",
        'hmac.digest(b"", _LABEL',
        _PRIVATE,
        (_FINGERPRINTS,),
    ),
    Fault(
        "a restore overwrites a database unasked",
        _BACKUP,
        "if database.exists() and not overwrite:",
        "if False:",
        _BACKED_UP,
        (_CLI + "test_restore_refuses_what_a_gateway_runs_on_and_what_would_be_lost",),
    ),
    Fault(
        "a restore does not look at what it restores",
        _BACKUP,
        "    _check_database(backup)\n",
        "",
        _BACKED_UP,
        (_CLI + "test_what_is_no_backup_is_not_restored",),
    ),
    Fault(
        "a backup overwrites a file unasked",
        _BACKUP,
        "if target.exists() and not overwrite:",
        "if False:",
        _BACKED_UP,
        (_CLI + "test_a_backup_of_a_running_gateway_is_restored_whole",),
    ),
)
