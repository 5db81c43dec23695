from typing import Literal

ListAuditEntriesKind = Literal["admin", "all", "cut", "decision"]

LIST_AUDIT_ENTRIES_KIND_VALUES: set[ListAuditEntriesKind] = {
    "admin",
    "all",
    "cut",
    "decision",
}


def check_list_audit_entries_kind(value: str) -> ListAuditEntriesKind:
    if value in LIST_AUDIT_ENTRIES_KIND_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {LIST_AUDIT_ENTRIES_KIND_VALUES!r}"
    )
