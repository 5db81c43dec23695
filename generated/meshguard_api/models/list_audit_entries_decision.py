from typing import Literal

ListAuditEntriesDecision = Literal["allow", "deny"]

LIST_AUDIT_ENTRIES_DECISION_VALUES: set[ListAuditEntriesDecision] = {
    "allow",
    "deny",
}


def check_list_audit_entries_decision(value: str) -> ListAuditEntriesDecision:
    if value in LIST_AUDIT_ENTRIES_DECISION_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {LIST_AUDIT_ENTRIES_DECISION_VALUES!r}"
    )
