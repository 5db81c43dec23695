"""Verify an audit log with nothing but Python's standard library.

This one file is all an auditor needs, also without the rest of MeshGuard:

    python -m meshguard.audit_verify audit.jsonl
    python audit_verify.py audit.jsonl --anchor anchors.jsonl

It reads what `meshguard audit export` wrote: `audit.jsonl` and, beside it, `audit.jsonl.heads`. With
`MESHGUARD_JWT_SECRET` in the environment (and `MESHGUARD_JWT_SECRETS_OLD`) it checks the signatures too. The
gateway itself verifies with this module. docs/audit-log.md describes the format.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_HASH = "0" * 64
MAX_LINE = 2**24  # bytes; an entry with two policies of 1 MiB takes less
MAX_HEADS = 2**27  # bytes
_SEAL_LABEL = b"meshguard audit seal 1"


class _DecimalError(TypeError):
    """The standard encoder would round or reject a number."""


def _no_decimal(value: object) -> NoReturn:
    if isinstance(value, Decimal):
        raise _DecimalError
    raise TypeError(f"{type(value).__name__} is not a JSON type")


_ENCODER = json.JSONEncoder(
    sort_keys=True,
    ensure_ascii=False,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,
    default=_no_decimal,
)
_HEAD = ("stream", "number", "count", "hash")
_TOMBSTONE = ("count", "hash", "prunedAt")


class UnreadableError(ValueError):
    """A file is not what it should be; the message names the file and the line."""


def canonical(value: Any) -> bytes:
    """Return the canonical form of a JSON value.

    Keys are sorted by code point, there is no white space, non-ASCII characters stand as they are, numbers as
    the gateway writes them; all in UTF-8.

    Args:
        value: What `json.loads` may return.

    Raises:
        ValueError: The value has no canonical form, such as half a surrogate pair.

    Example:
        >>> canonical({"b": [1, 0.5], "a": "é"}).decode()
        '{"a":"é","b":[1,0.5]}'
    """
    try:
        return _ENCODER.encode(value).encode()
    except _DecimalError:
        return _exact_text(value).encode()


def _exact_text(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{_ENCODER.encode(key)}:{_exact_text(value[key])}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_exact_text, value)) + "]"
    return str(value) if isinstance(value, Decimal) else _ENCODER.encode(value)


def exact_number(text: str) -> float | Decimal:
    """Return a number with a fraction or an exponent as `json.loads` should: never rounded (`parse_float=`).

    Raises:
        ValueError: Its exponent is beyond all bounds.

    Example:
        >>> exact_number("0.5"), exact_number("9007199254740992.9")
        (0.5, Decimal('9007199254740992.9'))
    """
    number = float(text)
    if repr(number) == text:
        return number
    try:
        exact = Decimal(text)
        return number if Decimal(repr(number)) == exact else exact
    except InvalidOperation:
        raise ValueError(f"{text:.60} is not a number of this log") from None


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's canonical form without its `hash`, in hexadecimal.

    Args:
        entry: An AuditEntry of openapi.yaml.

    Raises:
        ValueError: The entry has no canonical form.

    Example:
        >>> entry_hash({"sequence": 1, "hash": "whatever"})
        '603ff4b70ceeeda2a87631465b1a7089df62b5d48e4426d1bbe9bd2c219f0bfd'
    """
    hashed = dict(entry)
    hashed.pop("hash", None)
    return hashlib.sha256(canonical(hashed)).hexdigest()


def seal_key(secret: bytes) -> bytes:
    """Return the key that signs heads and tombstones, derived from a `JWT_SECRET`.

    Args:
        secret: The secret in UTF-8.

    Example:
        >>> len(seal_key(b"a secret of at least thirty-two bytes"))
        32
    """
    return hmac.digest(secret, _SEAL_LABEL, "sha256")


def sign(key: bytes, purpose: str, fields: Mapping[str, Any]) -> str:
    """Return the signature of a head or a tombstone: HMAC-SHA256 over its canonical form, in hexadecimal.

    Args:
        key: From `seal_key`.
        purpose: `head` or `tombstone`; keeps one from passing for the other.
        fields: What is signed.

    Raises:
        ValueError: The fields have no canonical form.

    Example:
        >>> sign(bytes(32), "head", {"count": 1})[:8]
        'b1c9bae4'
    """
    return hmac.new(key, canonical({**fields, "purpose": purpose}), "sha256").hexdigest()


def head_fields(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is signed of an AuditHead."""
    return {name: head.get(name) for name in _HEAD}


def tombstone_fields(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is signed of an AuditHead's tombstone, `pruned`."""
    return {"stream": head.get("stream"), **{name: head["pruned"].get(name) for name in _TOMBSTONE}}


def is_signed(keys: Iterable[bytes], purpose: str, fields: Mapping[str, Any], signature: object) -> bool:
    """Whether one of the keys made the signature.

    Args:
        keys: From `seal_key`, for the present secret and the old ones.
        purpose: `head` or `tombstone`.
        fields: What is signed.
        signature: What is claimed.
    """
    claimed = str(signature).encode()
    return any(hmac.compare_digest(sign(key, purpose, fields).encode(), claimed) for key in keys)


@dataclass(frozen=True, slots=True)
class Broken:
    """A place where a chain is not what it was.

    Attributes:
        stream: The chain.
        sequence: The place in it.
        problem: What is wrong there.
        id: The entry's id, if there is an entry.
    """

    stream: str
    sequence: int
    problem: str
    id: str | None = None


@dataclass(slots=True)
class _Chain:
    """How far a chain has been followed."""

    count: int
    hash: str
    is_broken: bool = False


class Verifier:
    """Follows all chains of a log at once, entry by entry, in constant memory.

    Args:
        heads: The AuditHeads that were stored with the log.
        keys: From `seal_key`; None when the signatures can't be checked.
        anchors: Heads that were seen at earlier times and kept elsewhere.
        chains: How many chains were begun; None when it is not known.

    Attributes:
        entries: How many entries were read.
        broken: The first broken place, None as long as there is none.
    """

    def __init__(
        self,
        heads: Iterable[Mapping[str, Any]],
        *,
        keys: Iterable[bytes] | None = None,
        anchors: Iterable[Mapping[str, Any]] = (),
        chains: int | None = None,
    ) -> None:
        self.entries: int = 0
        self._begun = chains
        self.broken: Broken | None = None
        self._keys = None if keys is None else list(keys)
        self._heads = {head["stream"]: head for head in heads}
        self._anchors: dict[str, dict[int, str]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor["stream"], {})[anchor["count"]] = anchor["hash"]
        self._chains: dict[str, _Chain] = {}
        for head in self._heads.values():
            self._begin(head)

    def _begin(self, head: Mapping[str, Any]) -> None:
        stream, pruned = head["stream"], head.get("pruned")
        self._chains[stream] = chain = _Chain(0, NO_HASH)
        if not pruned:
            return
        if self._is_signed("tombstone", tombstone_fields(head), pruned.get("signature")):
            chain.count, chain.hash = pruned["count"], pruned["hash"]
            self._hold_against_anchor(stream, chain)
        else:
            self._break(Broken(stream, 1, f"the tombstone of entries 1 to {pruned['count']} is not signed"))

    def _is_signed(self, purpose: str, fields: Mapping[str, Any], signature: object) -> bool:
        return self._keys is None or is_signed(self._keys, purpose, fields, signature)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Follow a chain by one entry.

        Args:
            entry: The next AuditEntry of its chain; chains may alternate.
        """
        self.entries += 1
        stream, sequence, entry_id = entry.get("stream"), entry.get("sequence"), entry.get("id")
        if not isinstance(stream, str) or type(sequence) is not int or not isinstance(entry_id, str):
            self._break(Broken(str(stream), 0, f"entry number {self.entries} of the log is not one"))
            return
        chain = self._chains.setdefault(stream, _Chain(0, NO_HASH))
        if chain.is_broken:
            return
        problem = _problem(entry, sequence, chain)
        if problem:
            found = entry_id if sequence <= chain.count + 1 else None
            self._break(Broken(stream, chain.count + 1, problem, found))
            return
        chain.count, chain.hash = sequence, entry["hash"]
        self._hold_against_anchor(stream, chain, entry_id)

    def unreadable(self, stream: object, sequence: object, entry_id: object) -> None:
        """Note an entry whose content can't be read at all."""
        self.entries += 1
        place = sequence if isinstance(sequence, int) else 0
        if str(stream) not in self._chains or not self._chains[str(stream)].is_broken:
            self._break(Broken(str(stream), place, "the entry's content can't be read", str(entry_id)))

    def _hold_against_anchor(self, stream: str, chain: _Chain, entry_id: str | None = None) -> None:
        anchored = self._anchors.get(stream, {}).get(chain.count)
        if anchored is not None and anchored != chain.hash:
            self._break(Broken(stream, chain.count, "the entry has another hash than its anchor", entry_id))

    def _break(self, broken: Broken) -> None:
        self._chains.setdefault(broken.stream, _Chain(0, NO_HASH)).is_broken = True
        self.broken = self.broken or broken

    def finish(self) -> Broken | None:
        """Hold the ends of all chains against their heads and the anchors.

        Returns:
            The first broken place; None when the log is whole and unaltered.
        """
        for stream, _ in sorted(self._chains.items(), key=self._number):
            self.finish_chain(stream)
        self._look_for_missing_chains()
        return self.broken

    def finish_chain(self, stream: str) -> None:
        """Hold the end of one chain against its head and its anchors."""
        chain = self._chains[stream]
        problem = None if chain.is_broken else self._problem_of_end(stream, chain)
        if problem:
            self._break(problem)

    def _number(self, item: tuple[str, _Chain]) -> tuple[int, str]:
        return self._heads.get(item[0], {}).get("number", 0), item[0]

    def _problem_of_end(self, stream: str, chain: _Chain) -> Broken | None:
        head = self._heads.get(stream)
        if head is None:
            return Broken(stream, chain.count, "the chain has no head")
        anchored = max(self._anchors.get(stream, {}), default=0)
        if chain.count < max(head["count"], anchored):
            return Broken(stream, chain.count + 1, "the entry is missing, and all after it")
        if chain.count > head["count"]:
            return Broken(stream, head["count"] + 1, "the entry came after the end of the chain")
        if chain.hash != head["hash"]:
            return Broken(stream, chain.count, "the chain's head has another hash than its last entry")
        if not self._is_signed("head", head_fields(head), head.get("signature")):
            return Broken(stream, chain.count, "the chain's head is not signed by the gateway")
        return None

    def _look_for_missing_chains(self) -> None:
        for stream in self._anchors.keys() - self._heads.keys():
            self._break(Broken(stream, 1, "the chain is anchored and missing, with its head"))
        numbers = sorted(head["number"] for head in self._heads.values() if "number" in head)
        for expected, number in enumerate(numbers, 1):
            if number != expected:
                self._break(Broken(f"chain {expected}", 1, "the chain is missing, with its head"))
                return
        if self._begun is not None and self._begun > len(numbers):
            self._break(Broken(f"chain {len(numbers) + 1}", 1, "the chain is missing, with its head"))


def _problem(entry: Mapping[str, Any], sequence: int, chain: _Chain) -> str | None:
    if sequence > chain.count + 1:
        return "the entry is missing or not in its place"
    if sequence <= chain.count:
        return f"entry {sequence} stands in its place, for the second time"
    if entry.get("prevHash") != chain.hash:
        return "the entry does not follow the one before it"
    try:
        recomputed = entry_hash(entry)
    except (TypeError, ValueError, RecursionError):
        return "the entry's content can't be read"
    return None if recomputed == entry.get("hash") else "the entry's content does not give its hash"


def read_json_lines(path: Path) -> Iterable[dict[str, Any]]:
    """Give the objects of a file, one a line, in constant memory.

    Args:
        path: The file.

    Raises:
        UnreadableError: A line is no JSON object, or names a key twice.
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
            if len(line) > MAX_LINE:
                raise UnreadableError(f"{path}, line {number}: more than {MAX_LINE:,} bytes")
            yield read_object(line, f"{path}, line {number}")


def read_object(text: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object of a text, its numbers exact.

    Args:
        text: UTF-8.
        where: Names the text in errors.

    Raises:
        UnreadableError: The text is not a JSON object, or names a key twice.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unique, parse_float=exact_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{where}: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"{where}: not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what one reader might take for the first value and another for the second."""
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is given twice")
    return result


def read_heads(path: Path) -> list[dict[str, Any]]:
    """Return the heads that an export came with.

    Args:
        path: The file beside the export.

    Raises:
        UnreadableError: The file holds something else.
        OSError: The file can't be read.
    """
    _require_regular(path)
    with path.open("rb") as file:
        text = file.read(MAX_HEADS + 1)
    if len(text) > MAX_HEADS:
        raise UnreadableError(f"{path}: more than {MAX_HEADS:,} bytes")
    heads = read_object(text, str(path)).get("heads")
    if not isinstance(heads, list) or not all(is_head(head) for head in heads):
        raise UnreadableError(f"{path}: no heads of an audit log")
    return heads


def _require_regular(path: Path) -> None:
    """Raise an error for a FIFO, which would be waited for, and a device, which may have no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableError(f"{path}: not a regular file")


def is_head(head: Any) -> bool:
    """Return whether a value has the form of an AuditHead, or of an anchor.

    Args:
        head: Any value.

    Example:
        >>> is_head({"stream": "gw-1", "count": 2, "hash": "5df6"})
        True
    """
    if not isinstance(head, dict) or not isinstance(head.get("stream"), str):
        return False
    pruned = head.get("pruned")
    ends = [head] if pruned is None else [head, pruned]
    return (
        all(
            isinstance(end, dict) and type(end.get("count")) is int and isinstance(end.get("hash"), str)
            for end in ends
        )
        and type(head.get("number", 0)) is int
    )


def read_anchors(path: Path) -> list[dict[str, Any]]:
    """Return the heads that were seen at earlier times; none while there is no file.

    Args:
        path: The anchor file.

    Raises:
        UnreadableError: The file holds something else.
        OSError: The file can't be read.
    """
    if not path.exists():
        return []
    _require_regular(path)
    anchors = list(read_json_lines(path))
    if not all(is_head(anchor) for anchor in anchors):
        raise UnreadableError(f"{path}: no anchors of an audit log")
    return anchors


def append_anchors(path: Path, heads: Iterable[Mapping[str, Any]], moment: datetime) -> int:
    """Add the heads that have moved since they were anchored, and return how many.

    Args:
        path: The anchor file, made when it is missing.
        heads: Heads of a log that was found whole.
        moment: When it was.

    Raises:
        UnreadableError: The file holds something else.
        OSError: The file can't be written.
    """
    known = {(anchor["stream"], anchor["count"]) for anchor in read_anchors(path)}
    new = [head for head in heads if (head["stream"], head["count"]) not in known]
    seen_at = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        for head in new:
            anchor = {name: head[name] for name in ("stream", "count", "hash")}
            file.write(canonical({**anchor, "seenAt": seen_at}) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return len(new)


def keys_of_environment() -> list[bytes] | None:
    """Return the keys of `JWT_SECRET` and `JWT_SECRETS_OLD`; None when there is no secret."""
    secret, old = (
        os.environ.get(f"MESHGUARD_{name}") or os.environ.get(name) or ""
        for name in ("JWT_SECRET", "JWT_SECRETS_OLD")
    )
    secrets = [part.strip() for part in (secret, *old.split(",")) if part.strip()]
    return [seal_key(part.encode()) for part in secrets] if secrets else None


def main(arguments: list[str] | None = None) -> int:
    """Verify an export; return 0 when it is whole, 1 when it is not, 2 when it can't be read."""
    parser = argparse.ArgumentParser(prog="audit_verify", description="Verify an exported audit log.")
    parser.add_argument("export", type=Path, help="what `meshguard audit export` wrote")
    parser.add_argument("--heads", type=Path, help="its heads; else the file of the same name plus .heads")
    parser.add_argument(
        "--anchor", type=Path, help="a file of heads seen before, kept elsewhere; is added to"
    )
    given = parser.parse_args(arguments)
    try:
        return _verify_files(given.export, given.heads or Path(f"{given.export}.heads"), given.anchor)
    except (OSError, UnreadableError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def _verify_files(export: Path, heads_file: Path, anchor_file: Path | None) -> int:
    heads, keys = read_heads(heads_file), keys_of_environment()
    verifier = Verifier(heads, keys=keys, anchors=read_anchors(anchor_file) if anchor_file else ())
    for entry in read_json_lines(export):
        verifier.add(entry)
    broken = verifier.finish()
    if broken:
        print(f"BROKEN: {broken.stream}, entry {broken.sequence}: {broken.problem}")  # noqa: T201
        return 1
    unsigned = "" if keys else "; the signatures were not checked, since MESHGUARD_JWT_SECRET is not set"
    print(f"ok: {verifier.entries} entries in {len(heads)} chains{unsigned}")  # noqa: T201
    if anchor_file:
        append_anchors(anchor_file, heads, datetime.now(UTC))
    return 0


if __name__ == "__main__":
    sys.exit(main())
