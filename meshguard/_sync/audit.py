# Made from meshguard/_async/audit.py by scripts/unasync; edit that file.
"""The audit log."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Unpack

from meshguard._sync.base import ClientBase
from meshguard._wire import audit
from meshguard._wire.requests import ApiCall, filter_text, query, whole_number
from meshguard._wire.responses import read_as
from meshguard.types import AuditExport, AuditPage, AuditStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshguard._wire.export import EntryWriter
    from meshguard.types import (
        AuditEntry,
        AuditFilters,
        AuditHead,
        AuditVerification,
        BinaryWriter,
        Period,
        Verdict,
    )


class Audit(ClientBase):
    """The methods of the audit log.

    Args:
        decision: Selects entries with this decision, `"allow"` or `"deny"`.
        filters: Select entries by `agent`, `action`, `trace_id`, `policy`, `kind`, `since` and `until`; see
            `meshguard.types.AuditFilters`. Without `kind`, only agents' actions are returned.
    """

    def get_audit_log(
        self, limit: int = 50, decision: Verdict | None = None, **filters: Unpack[AuditFilters]
    ) -> list[AuditEntry]:
        """Return the newest entries. Operation `list_audit_entries`.

        Args:
            limit: The maximum number of entries, 1 to 1,000.

        Returns:
            The entries, newest first, with their names on the wire; omitted fields are None.

        Example:
            ```python
            for entry in client.get_audit_log(limit=10, decision="deny"):
                print(f"{entry['timestamp']}: {entry['action']} -> {entry['decision']}")
            ```
        """
        selected = {"limit": whole_number("limit", limit), **audit.audit_filters(decision, **filters)}
        return self._transport.send(audit.list_entries(selected, audit.read_entry)).items

    def list_audit_log(
        self,
        limit: int = 50,
        decision: Verdict | None = None,
        *,
        cursor: str | None = None,
        **filters: Unpack[AuditFilters],
    ) -> AuditPage:
        """Return a page of entries, newest first. Operation `list_audit_entries`.

        Args:
            limit: The maximum number of entries, 1 to 1,000.
            cursor: The `cursor` of an earlier page with the same filters. It can be stored, and continues
                below that page, whatever was recorded since.

        Example:
            ```python
            page = client.list_audit_log(limit=100)
            older = client.list_audit_log(limit=100, cursor=page.cursor)
            print([entry.timestamp.date() for entry in page.entries + older.entries])
            ```
        """
        selected = {"limit": whole_number("limit", limit), **audit.audit_filters(decision, **filters)}
        call = audit.list_entries(selected, audit.read_record, filter_text("cursor", cursor))
        page = self._transport.send(call)
        return AuditPage(page.items, page.cursor)

    def iter_audit_log(
        self,
        decision: Verdict | None = None,
        *,
        page_size: int = 1000,
        **filters: Unpack[AuditFilters],
    ) -> Iterator[AuditEntry]:
        """Iterate over all entries, newest first. Operation `list_audit_entries`.

        Args:
            page_size: How many entries are fetched at a time, 1 to 1,000.

        Example:
            ```python
            for entry in client.iter_audit_log(action="write:*", page_size=100):
                print(entry["timestamp"], entry["action"])
            ```
        """
        selected = {"limit": whole_number("page_size", page_size), **audit.audit_filters(decision, **filters)}
        return self._items(audit.list_entries(selected, audit.read_entry))

    def audit_stats(self, period: Period = "24h") -> AuditStats:
        """Count the decisions of a period. Operation `get_audit_stats`.

        Args:
            period: How far back from now: `"24h"`, `"7d"` or `"30d"`.

        Example:
            ```python
            stats = client.audit_stats("7d")
            print(f"{stats['denied']} of {stats['total']} denied")
            ```
        """
        options = query(period=filter_text("period", period))
        call = ApiCall("audit_stats", "GET", "/admin/audit/stats", read_as(AuditStats), options)
        return self._transport.send(call)

    def export_audit_log(
        self,
        file: str | PathLike[str] | BinaryWriter,
        decision: Verdict | None = None,
        **filters: Unpack[AuditFilters],
    ) -> AuditExport:
        """Write entries to a file, oldest first, one a line as JSON. Operation `export_audit_entries`.

        Memory use does not depend on the number of entries. `timeout` applies to each wait for more of them.

        Args:
            file: A path, or a file that is open for writing bytes. The file of a path is replaced once all is
                written, and only its owner can read it. Unless entries are selected, they are verified, and
                the chains' heads are written to `FILE.heads`, for `python -m meshguard.audit_verify FILE`.
            filters: As for `get_audit_log`, but `kind` defaults to `"all"`.

        Raises:
            OSError: The file can't be written.

        Example:
            ```python
            export = client.export_audit_log("audit.jsonl")
            print(export.entries, bool(export.verification))
            ```
        """
        from meshguard._wire.export import EntryWriter, replacing, write_heads  # noqa: PLC0415

        filters.setdefault("kind", "all")
        selected = audit.audit_filters(decision, **filters)
        if not isinstance(file, str | PathLike):
            return AuditExport(self._copy(selected, EntryWriter(file)))
        with replacing(Path(file)) as out:
            if any(selected.values()):
                verification, count = None, self._copy(selected, EntryWriter(out))
            else:
                verification, count = self._follow_chains((), out)
        write_heads(Path(file), verification)
        return AuditExport(count, verification)

    def verify_audit_log(self, anchors: Iterable[AuditHead] | None = None) -> AuditVerification:
        """Verify that the audit log is complete and unaltered. Operation `verify_audit_log`.

        This takes as long as reading the whole log: raise `timeout` with `with_options`.

        Args:
            anchors: Heads of earlier verifications, kept elsewhere; may be empty. The log is then exported,
                and its chains are verified in this process too. By default only the gateway verifies.

        Returns:
            The result, which is false in a condition unless the log is valid.

        Example:
            ```python
            verification = client.with_options(timeout=600).verify_audit_log()
            print(verification.valid, verification.first_broken)
            ```
        """
        if anchors is None:
            return self._transport.send(audit.verify())
        from meshguard._wire.export import check_anchors  # noqa: PLC0415

        verification, _ = self._follow_chains(check_anchors(anchors), None)
        return verification

    def _copy(self, selected: Mapping[str, Any], writer: EntryWriter) -> int:
        self._receive(selected, writer.take)
        return writer.count

    def _follow_chains(
        self, anchors: Iterable[AuditHead], out: IO[bytes] | None
    ) -> tuple[AuditVerification, int]:
        from meshguard._wire import export  # noqa: PLC0415

        found = self._transport.send(audit.verify())
        for _ in range(export.MAX_ROUNDS):
            if out is None and not found.valid:
                return found, 0
            chains = export.ChainFollower(found.heads, anchors, out)
            self._receive({}, chains.take)
            broken = chains.finish()
            if broken is None or not found.valid:
                return found, chains.written
            again = self._transport.send(audit.verify())
            if export.have_same_tombstones(found, again):
                return replace(found, valid=False, first_broken=broken), chains.written
            found = again
        raise export.busy_retention()

    def _receive(self, selected: Mapping[str, Any], take: Callable[[bytes, dict[str, Any]], None]) -> None:
        from meshguard._wire.export import EntryReader  # noqa: PLC0415

        with self._transport.stream(audit.export(selected)) as response:
            entries = EntryReader(response, self._transport.config.max_response_bytes, take)
            for piece in response.iter_raw():
                entries.add(piece)
            entries.finish()
