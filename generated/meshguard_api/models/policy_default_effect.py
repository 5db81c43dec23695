from typing import Literal

PolicyDefaultEffect = Literal["allow", "deny"]

POLICY_DEFAULT_EFFECT_VALUES: set[PolicyDefaultEffect] = {
    "allow",
    "deny",
}


def check_policy_default_effect(value: str) -> PolicyDefaultEffect:
    if value in POLICY_DEFAULT_EFFECT_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {POLICY_DEFAULT_EFFECT_VALUES!r}"
    )
