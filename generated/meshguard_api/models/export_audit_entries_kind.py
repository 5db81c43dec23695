from typing import Literal

ExportAuditEntriesKind = Literal["admin", "all", "cut", "decision"]

EXPORT_AUDIT_ENTRIES_KIND_VALUES: set[ExportAuditEntriesKind] = {
    "admin",
    "all",
    "cut",
    "decision",
}


def check_export_audit_entries_kind(value: str) -> ExportAuditEntriesKind:
    if value in EXPORT_AUDIT_ENTRIES_KIND_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {EXPORT_AUDIT_ENTRIES_KIND_VALUES!r}"
    )
