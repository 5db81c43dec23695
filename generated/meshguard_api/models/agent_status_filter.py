from typing import Literal

AgentStatusFilter = Literal["active", "revoked"]

AGENT_STATUS_FILTER_VALUES: set[AgentStatusFilter] = {
    "active",
    "revoked",
}


def check_agent_status_filter(value: str) -> AgentStatusFilter:
    if value in AGENT_STATUS_FILTER_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {AGENT_STATUS_FILTER_VALUES!r}"
    )
