"""Faults in the client's methods for agents, policies and the audit log."""

from __future__ import annotations

from tests.mutation.fault import Fault

_EXPORT = "meshguard/_wire/export.py"
_AUDIT = "meshguard/_wire/audit.py"
_AGENTS = "meshguard/_wire/agents.py"
_POLICIES = "meshguard/_wire/policies.py"

_COMPLETE = "An export is complete, or an error."
_PRIVATE = "The file of an export is replaced as a whole, and private."
_VERIFIED = "A log counts as valid only if all of it was verified."
_ONCE = "A retry never creates two agents."


def _cut(case: str) -> tuple[str, ...]:
    return (f"tests/unit/test_audit.py::test_a_cut_export_is_an_error[{case}-MeshGuardClient]",)


def _unit(*tests: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/{test}" for test in tests)


FAULTS = (
    Fault(
        "an export may end within an entry",
        _EXPORT,
        "if self._open_size:",
        "if self._open_size < 0:",
        _COMPLETE,
        _cut("a last line without its end"),
    ),
    Fault(
        "an export may end with the connection",
        _AUDIT,
        'response.http_version.startswith("HTTP/1")',
        "False",
        _COMPLETE,
        _cut("a body that ends with the connection"),
    ),
    Fault(
        "any page is an export",
        _AUDIT,
        'if not response.headers.get("Content-Type", "").startswith("application/x-ndjson"):',
        "if not response:",
        _COMPLETE,
        _cut("an empty page of a portal"),
    ),
    Fault(
        "any object is an entry",
        _EXPORT,
        "if not entry.keys() >= _NEEDED:",
        "if not entry:",
        _COMPLETE,
        _cut("lines that are not entries"),
    ),
    Fault(
        "a line may be endless",
        _EXPORT,
        "if self._open_size > self._limit:",
        "if self._limit < 0:",
        "An export takes a bounded amount of memory.",
        _unit("test_audit.py::test_an_endless_line_is_an_error[MeshGuardClient]"),
    ),
    Fault(
        "the rest of a short write is lost",
        _EXPORT,
        'left = left[written:] if isinstance(written, int) else b""',
        'left = b"" if written else left',
        _COMPLETE,
        _unit("test_audit.py::test_an_unbuffered_file_gets_every_byte"),
    ),
    Fault(
        "an export is not held against its heads",
        "meshguard/_sync/audit.py",
        "            broken = chains.finish()\n",
        "            broken = None\n",
        _VERIFIED,
        _unit("test_audit.py::test_an_incomplete_export_is_not_valid[missing0]"),
    ),
    Fault(
        "retention counts as damage",
        _EXPORT,
        "return pruned[0] == pruned[1]",
        "return bool(pruned)",
        "Retention during an export is not taken for damage.",
        _unit("test_audit.py::test_an_export_starts_again_after_retention"),
    ),
    Fault(
        "a second attempt is appended to the first",
        _EXPORT,
        "            out.truncate()\n",
        "            out.seek(0, 2)\n",
        _COMPLETE,
        ("tests/gateway/test_client.py::test_retention_between_heads_and_export_is_no_removal[sqlite]",),
    ),
    Fault(
        "entries after the heads are written",
        _EXPORT,
        "        if is_later:\n            return\n",
        "",
        "An export contains what its heads cover.",
        _unit("test_audit.py::test_an_export_to_a_path_is_verified[MeshGuardClient]"),
    ),
    Fault(
        "a failed export leaves its part",
        _EXPORT,
        "        part.unlink(missing_ok=True)\n",
        "        pass\n",
        _PRIVATE,
        _cut("an empty line"),
    ),
    Fault(
        "an export replaces a device",
        _EXPORT,
        "if path.exists() and not path.is_file():",
        "if path.is_dir():",
        _PRIVATE,
        _unit("test_audit.py::test_a_file_that_cannot_be_written_is_rejected[file3]"),
    ),
    Fault(
        "heads of an earlier export stay",
        _EXPORT,
        "        beside.unlink(missing_ok=True)\n",
        "",
        "The heads beside an export are its own.",
        _unit("test_audit.py::test_a_selection_has_no_heads"),
    ),
    Fault(
        "anchors are not compared",
        _EXPORT,
        "Verifier(heads, anchors=anchors)",
        "Verifier(heads)",
        "An anchor finds a cut of entries and heads together.",
        (
            *_unit("test_audit.py::test_anchors_are_compared[anchors3-False-MeshGuardClient]"),
            "tests/gateway/test_client.py::test_an_anchor_finds_what_the_gateway_forgot[sqlite]",
        ),
    ),
    Fault(
        "a contradictory verification counts",
        _AUDIT,
        "if valid is not (broken is None):",
        "if False:",
        _VERIFIED,
        _unit("test_audit.py::test_a_verification_counts_only_as_a_whole"),
    ),
    Fault(
        "a broken log is true in a condition",
        "meshguard/types.py",
        "        return self.valid\n",
        "        return True\n",
        _VERIFIED,
        _unit("test_audit.py::test_anchors_are_compared[anchors3-False-MeshGuardClient]"),
    ),
    Fault(
        "administrators' entries are mixed with decisions",
        _AUDIT,
        'kind: EntryKind | Literal["all"] = "decision"',
        'kind: EntryKind | Literal["all"] = "all"',
        "get_audit_log returns decisions unless other entries are requested.",
        _unit("test_audit.py::test_only_decisions_are_read_by_default"),
    ),
    Fault(
        "absent fields of an entry are missing",
        _AUDIT,
        "{**_ABSENT, **typed(AuditEntry, response, value)}",
        "{**typed(AuditEntry, response, value)}",
        "Every field of an entry is present.",
        _unit("test_admin.py::test_the_audit_log_is_one_page_of_fifty"),
    ),
    Fault(
        "a call that may have arrived is sent again without the caller's key",
        _AGENTS,
        "retryable=idempotency_key is not None",
        "retryable=True",
        _ONCE,
        _unit("test_idempotency.py::test_a_call_without_a_key_is_sent_once"),
    ),
    Fault(
        "each call has the same key",
        _AGENTS,
        "os.urandom(16).hex()",
        '"0" * 32',
        "Two calls create two agents.",
        _unit("test_idempotency.py::test_every_call_has_its_own_key"),
    ),
    Fault(
        "an unreadable time is none",
        "meshguard/_wire/responses.py",
        'raise invalid_response(response, f"/{name}: {error}") from None',
        'return None if error else parse_time("")',
        "An unreadable time is an error.",
        _unit("test_times.py::test_an_agent_with_an_unreadable_time_is_an_error"),
    ),
    Fault(
        "a policy's name is read from within a text",
        _POLICIES,
        'r"""^(?:name',
        'r"""^[ ]*(?:name',
        "The name of a policy is that at its top level.",
        _unit("test_policies.py::test_the_name_is_read_from_text[after a block]"),
    ),
    Fault(
        "a tested decision counts as a decision",
        "meshguard/telemetry.py",
        'if self._call.credential != "agent":',
        "if self._call is None:",
        "Only decisions of agents are counted.",
        ("tests/gateway/test_telemetry.py::test_metrics_count_decisions_and_time_requests",),
    ),
)
