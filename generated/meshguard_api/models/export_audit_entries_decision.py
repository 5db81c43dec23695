from typing import Literal

ExportAuditEntriesDecision = Literal["allow", "deny"]

EXPORT_AUDIT_ENTRIES_DECISION_VALUES: set[ExportAuditEntriesDecision] = {
    "allow",
    "deny",
}


def check_export_audit_entries_decision(value: str) -> ExportAuditEntriesDecision:
    if value in EXPORT_AUDIT_ENTRIES_DECISION_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {EXPORT_AUDIT_ENTRIES_DECISION_VALUES!r}"
    )
