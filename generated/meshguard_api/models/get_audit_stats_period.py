from typing import Literal

GetAuditStatsPeriod = Literal["24h", "30d", "7d"]

GET_AUDIT_STATS_PERIOD_VALUES: set[GetAuditStatsPeriod] = {
    "24h",
    "30d",
    "7d",
}


def check_get_audit_stats_period(value: str) -> GetAuditStatsPeriod:
    if value in GET_AUDIT_STATS_PERIOD_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {GET_AUDIT_STATS_PERIOD_VALUES!r}"
    )
