from typing import Literal

TrustTier = Literal["privileged", "trusted", "untrusted", "unverified", "verified"]

TRUST_TIER_VALUES: set[TrustTier] = {
    "privileged",
    "trusted",
    "untrusted",
    "unverified",
    "verified",
}


def check_trust_tier(value: str) -> TrustTier:
    if value in TRUST_TIER_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {TRUST_TIER_VALUES!r}"
    )
