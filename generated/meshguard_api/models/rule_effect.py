from typing import Literal

RuleEffect = Literal["allow", "deny"]

RULE_EFFECT_VALUES: set[RuleEffect] = {
    "allow",
    "deny",
}


def check_rule_effect(value: str) -> RuleEffect:
    if value in RULE_EFFECT_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {RULE_EFFECT_VALUES!r}"
    )
