"""Policies from text, from files and from parsed JSON: strict, and every fault at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from meshguard.policy.faults import Fault, PolicyLoadError
from meshguard.policy.json_source import read_json
from meshguard.policy.policy_reader import read_policy
from meshguard.policy.regular_files import read_regular
from meshguard.policy.source import MAX_BYTES, Node, from_json_value, refusal
from meshguard.policy.yaml_source import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from meshguard.policy.model import Policy

_SUFFIXES = {".yaml", ".yml", ".json"}
_LOOKS_LIKE_JSON = re.compile(r'\s*\{\s*["}]')


def load_policy(source: str | bytes | Mapping[str, object], *, file: str | None = None) -> Policy:
    """Return the policy in a text, or refuse it with everything that is wrong with it.

    Args:
        source: YAML 1.2 or JSON, as text or UTF-8 bytes of at most 1 MiB; or a parsed JSON object.
        file: A name for the source in faults. One that ends in ``.json`` makes it JSON, as does a text that
            begins like a JSON object, with ``{"``.

    Returns:
        The policy, whole.

    Raises:
        PolicyLoadError: The policy is refused (language page, "Loading" and "Values").

    Example:
        >>> policy = load_policy("{name: readers, rules: [{effect: allow, actions: ['read:*']}]}")
        >>> policy.rules[0].effect
        'allow'
        >>> load_policy("{name: readers, rules: [{effect: allwo, actions: ['read:*']}]}", file="readers.yaml")
        Traceback (most recent call last):
        ...
        meshguard.policy.faults.PolicyLoadError: readers.yaml:1:34: /rules/0/effect: `allwo` is not an \
effect: did you mean `allow`?
    """
    try:
        return read_policy(_tree(source, file))
    except PolicyLoadError as error:
        raise PolicyLoadError(replace(fault, file=file) for fault in error.faults) from None


def load_policies(path: Path) -> tuple[Policy, ...]:
    """Return the policies of a directory, or of one file: all of them or none.

    Args:
        path: A file, or a directory whose ``*.yaml``, ``*.yml`` and ``*.json`` files are read (not those of
            directories below it, nor hidden ones).

    Returns:
        The policies, ordered by name; none for a directory without such files.

    Raises:
        PolicyLoadError: A file can't be read or is refused, or two files have one policy name.

    Example:
        >>> from pathlib import Path
        >>> [policy.name for policy in load_policies(Path("examples/policies/payments"))]
        ['payment-limits', 'payments']
    """
    files = _policy_files(path)
    faults: list[Fault] = []
    loaded: dict[str, tuple[Policy, str]] = {}
    for file in files:
        try:
            policy = load_policy(_read(file), file=str(file))
        except PolicyLoadError as error:
            faults.extend(error.faults)
            continue
        if policy.name in loaded:
            other = loaded[policy.name][1]
            message = f"`{policy.name}` is the name of the policy in {other} too"
            faults.append(Fault("/name", message, str(file)))
        loaded.setdefault(policy.name, (policy, str(file)))
    if faults:
        raise PolicyLoadError(faults)
    return tuple(loaded[name][0] for name in sorted(loaded))


def _policy_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        return sorted(
            file for file in path.iterdir() if file.suffix in _SUFFIXES and not file.name.startswith(".")
        )
    except OSError as error:
        raise PolicyLoadError([Fault("", f"can't be read: {error.strerror}", str(path))]) from error


def _read(file: Path) -> bytes:
    try:
        return read_regular(file, MAX_BYTES + 1)
    except OSError as error:
        raise PolicyLoadError([Fault("", f"can't be read: {error.strerror}", str(file))]) from error


def _tree(source: str | bytes | Mapping[str, object], file: str | None) -> Node:
    return from_json_value(source) if isinstance(source, Mapping) else read_text(source, file)


def read_text(source: str | bytes, file: str | None, *, values: int | None = None) -> Node:
    """Return the tree of a YAML or JSON text; of at most so many keys and values, when not those of a policy.

    Raises:
        PolicyLoadError: It is neither, or is too large.
    """
    text = _decoded(source)
    is_json = _LOOKS_LIKE_JSON.match(text) or (file is not None and file.endswith(".json"))
    limits = {} if values is None else {"values": values}
    return read_json(text, **limits) if is_json else read_yaml(text, **limits)


def _decoded(source: str | bytes) -> str:
    if len(source) > MAX_BYTES or (isinstance(source, str) and _encoded_size(source) > MAX_BYTES):
        raise refusal("over 1 MiB: split the policy in several")
    if isinstance(source, str):
        return source
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(f"not UTF-8: byte {error.start} does not fit") from None


def _encoded_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
