"""What the audit log keeps of a request's context, which holds personal data."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from meshguard.audit_verify import canonical
from meshguard.gateway.store import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard.gateway.settings import Settings

MAX_KEYS = 32  # that are told apart in one entry
MAX_KEY = 64  # characters
MAX_VALUE = 256  # characters of JSON
MAX_VALUES = 2_048  # bytes of JSON that all values take together
MAX_CONTEXT = 4_096  # bytes of JSON that all takes together
REST = "*"

_LABEL = b"meshguard audit context 1"
_FINGERPRINT = 32  # hexadecimal digits
_ABSENT = object()


class ContextKeeper:
    """Keeps the values of the keys in `AUDIT_CONTEXT_KEYS`, and of the others a keyed fingerprint.

    Without the key nobody can find out a value by trying: a plain hash of a telephone number is no secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._paths = [(path, path.split(".")) for path in settings.audit_context_keys[:MAX_KEYS]]
        self._key = hmac.digest(settings.jwt_secret.get_secret_value().encode(), _LABEL, "sha256")

    def keep(self, context: Mapping[str, Any] | None) -> str | None:
        """Return the column `context` of an entry, None when there is nothing to keep.

        Args:
            context: What the request said.
        """
        if not context:
            return None
        values, is_truncated = self._values(context)
        rest = {name: context[name] for name in context.keys() - values.keys()}
        for keys in (MAX_KEYS, MAX_KEYS // 4, 0):
            fingerprints = self._fingerprints(rest, keys)
            kept: dict[str, Any] = {"values": values, "fingerprints": fingerprints}
            if is_truncated or REST in fingerprints:
                kept["truncated"] = True
            text = to_json({name: part for name, part in kept.items() if part})
            if len(text) * 4 <= MAX_CONTEXT or len(text.encode()) <= MAX_CONTEXT:
                break
        return text

    def _values(self, context: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return the values to keep, and whether there were some without room."""
        values: dict[str, Any] = {}
        room, is_truncated = MAX_VALUES, False
        for path, names in self._paths:
            value = _at(context, names)
            if value is _ABSENT:
                continue
            text = to_json(value)
            size = len(f'"{path}":{text},'.encode()) if len(text) <= MAX_VALUE else room + 1
            if size > room:
                is_truncated = True
            else:
                values[path], room = value, room - size
        return values, is_truncated

    def _fingerprints(self, context: dict[str, Any], keys: int) -> dict[str, str]:
        told_apart = sorted(name for name in context if len(name) <= MAX_KEY and name != REST)[:keys]
        found = {name: self._fingerprint(name, context[name]) for name in told_apart}
        rest = {name: value for name, value in context.items() if name not in found}
        return {**found, REST: self._fingerprint(REST, rest)} if rest else found

    def _fingerprint(self, name: str, value: Any) -> str:
        # The name goes in too, so that equal values under different names can't be told to be equal.
        return hmac.new(self._key, canonical([name, value]), "sha256").hexdigest()[:_FINGERPRINT]


def _at(context: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(context, dict) or name not in context:
            return _ABSENT
        context = context[name]
    return context
