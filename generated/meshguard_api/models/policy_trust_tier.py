from typing import Literal

PolicyTrustTier = Literal[
    "privileged", "trusted", "untrusted", "unverified", "verified"
]

POLICY_TRUST_TIER_VALUES: set[PolicyTrustTier] = {
    "privileged",
    "trusted",
    "untrusted",
    "unverified",
    "verified",
}


def check_policy_trust_tier(value: str) -> PolicyTrustTier:
    if value in POLICY_TRUST_TIER_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {POLICY_TRUST_TIER_VALUES!r}"
    )
