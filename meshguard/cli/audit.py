"""`meshguard audit`: the audit log of a gateway."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshguard.cli.app import App
from meshguard.cli.audit_formats import CsvWriter, entry_of, plain
from meshguard.cli.connection import LONG_TIMEOUT, open_client
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson, AsJsonLines, read_time
from meshguard.cli.output import (
    Column,
    progress,
    tracked,
    write,
    write_cells,
    write_json,
    write_json_line,
    write_note,
    write_table,
    write_wrapped,
)
from meshguard.cli.text import printable, write_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshguard import MeshGuardClient
    from meshguard.types import AuditVerification

app = App(help="Read, export and verify the audit log.")

_PAGE = 1000
_OVERLAP = timedelta(seconds=10)  # how much later than its time an entry may arrive and still be shown


class _Decision(StrEnum):
    allow = "allow"
    deny = "deny"


class _Kind(StrEnum):
    decision = "decision"
    admin = "admin"
    cut = "cut"


class _Period(StrEnum):
    day = "24h"
    week = "7d"
    month = "30d"


class _Format(StrEnum):
    csv = "csv"
    jsonl = "jsonl"


Decision = Annotated[_Decision | None, typer.Option(help="Only these decisions.")]
Agent = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only this agent, by name or ID.")
]
Action = Annotated[
    str | None,
    typer.Option("--action", metavar="PATTERN", help="Only actions that match; * is any run of characters."),
]
Policy = Annotated[
    str | None, typer.Option("--policy", metavar="NAME", help="Only decisions of this policy.")
]
Kind = Annotated[
    _Kind | None, typer.Option(help="Only decisions, administrators' changes, or cut exchanges.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Not before 2026-11-22T09:30:00Z, or 2h (ago).")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")]


@app.command("list", gateway=True)
def list_entries(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many entries at most.")
    ] = 50,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show entries, newest first.

    Examples:
      $ meshguard audit list --decision deny --since 2h
      $ meshguard audit list -n 500 --json
    """
    filters = _filters(locals())
    with open_client(ctx) as client:
        found = client.iter_audit_log(**filters, page_size=min(limit, _PAGE))
        _show(list(islice(found, limit)), as_json=as_json)


@app.command(gateway=True)
def query(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=_PAGE, metavar="N", help="Entries of a page.")
    ] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Continue below an earlier page.")
    ] = None,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    trace_id: Annotated[str | None, typer.Option("--trace", metavar="ID", help="Only this trace ID.")] = None,
    output: Annotated[_Format | None, typer.Option("--format", help="Print CSV, or JSON lines.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the page and its cursor as JSON.")] = False,
) -> None:
    """Show one page of entries, newest first, and the cursor of the next page.

    The cursor can be kept: it continues below the page, whatever is recorded meanwhile.

    Examples:
      $ meshguard audit query --agent support-bot -n 100
      $ meshguard audit query --since 7d --format csv
    """
    filters = _filters(locals())
    with open_client(ctx) as client:
        page = client.list_audit_log(limit, cursor=cursor, trace_id=trace_id, **filters)
    entries = [entry_of(record) for record in page.entries]
    if as_json:
        write_json({"entries": entries, "cursor": page.cursor})
        return
    if output is _Format.csv:
        _write_csv(entries)
    else:
        _show(entries, as_json=output is _Format.jsonl)
    if page.cursor:
        write_note(f"More entries: --cursor {page.cursor}")


@app.command(gateway=True)
def tail(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new entries.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, max=_PAGE, metavar="N", help="Entries to begin with.")
    ] = 10,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, metavar="SECONDS", help="Time between two requests.")
    ] = 1.0,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show the last entries, oldest first, and with -f new ones until Ctrl-C.

    Examples:
      $ meshguard audit tail -f
      $ meshguard audit tail -f --decision deny --json
    """
    filters = _filters(locals())
    try:
        with open_client(ctx) as client:
            _tail(client, filters, limit, interval if follow else None, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.OK) from None


def _tail(
    client: MeshGuardClient, filters: dict[str, Any], limit: int, interval: float | None, *, as_json: bool
) -> None:
    # The window comes first: what arrives after it is shown now or with the next request.
    window = [] if interval is None else _window(client, filters, client.get_audit_log(1, **filters))
    entries = client.get_audit_log(limit, **filters) if limit else []
    _show_lines(reversed(entries), as_json=as_json)
    seen = _ids(window) | _ids(entries)
    while interval is not None:
        sleep(interval)
        window = _window(client, filters, window or entries)
        new = [entry for entry in window if entry["id"] not in seen]
        _show_lines(reversed(new), as_json=as_json)
        seen = _ids(window)


def _window(client: MeshGuardClient, filters: dict[str, Any], before: list[Any]) -> list[Any]:
    """Return the entries, newest first, among which new ones may yet arrive."""
    if before:
        filters = {**filters, "since": datetime.fromisoformat(before[0]["timestamp"]) - _OVERLAP}
    return list(client.iter_audit_log(**filters, page_size=_PAGE))


def _ids(entries: list[Any]) -> set[str]:
    return {str(entry["id"]) for entry in entries}


@app.command(gateway=True)
def trace(
    ctx: typer.Context,
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace ID.")],
    as_json: AsJsonLines = False,
) -> None:
    """Show all entries of a trace, oldest first. Exit code 1: there are none.

    Examples:
      $ meshguard audit trace run-17
    """
    with open_client(ctx) as client:
        entries = list(client.iter_audit_log(trace_id=trace_id, kind="all"))
    if not entries:
        raise CommandError(
            f'No audit entry has the trace ID "{printable(trace_id)}". '
            "`meshguard audit list` shows the newest entries.",
            ExitCode.NO,
        )
    _show(entries[::-1], as_json=as_json)


@app.command(gateway=True)
def stats(
    ctx: typer.Context,
    period: Annotated[_Period, typer.Option(help="How far back to count.")] = _Period.day,
    as_json: AsJson = False,
) -> None:
    """Count the decisions of a period.

    Examples:
      $ meshguard audit stats --period 7d
    """
    with open_client(ctx) as client:
        found = client.audit_stats(period.value)
    if as_json:
        write_json(found)
        return
    write_wrapped(
        f"{found['total']} decisions in {found['period']}: {found['allowed']} allowed, "
        f"{found['denied']} denied, {found['wouldDeny']} would be denied"
    )
    denied = [(top["count"], top["action"], "") for top in found["topDenied"]]
    busiest = [(top["count"], top["agentName"], top["agentId"]) for top in found["topAgents"]]
    for title, rows in (("most denied", denied), ("most active", busiest)):
        if rows:
            write()
            write_table([Column("times"), Column(title), Column("id", detail=True)], rows)


@app.command(gateway=True)
def export(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; - is standard output.")],
    output: Annotated[_Format, typer.Option("--format", help="CSV, or JSON lines.")] = _Format.jsonl,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Write entries to a file, oldest first.

    Without a filter, JSON lines are verified, and the signed heads are written to FILE.heads, so that the
    export can be verified on its own. Exit code 1: the log is not intact; it is written nevertheless.

    Examples:
      $ meshguard audit export audit.jsonl
      $ meshguard audit export audit.csv --format csv
    """
    filters = _filters(locals())
    heads = Path(f"{file}.heads")
    is_stdout = str(file) == "-"
    if not is_stdout and not force and (file.exists() or heads.exists()):
        raise CommandError(
            f"Cannot write {file}: it exists. Choose another name, or overwrite it with --force."
        )
    with open_client(ctx, timeout=LONG_TIMEOUT) as client, progress("Exporting"):
        if is_stdout:
            raw = sys.stdout.buffer
            client.export_audit_log(CsvWriter(raw) if output is _Format.csv else raw, **filters)
            return
        found = _export(client, file, output, filters)
    if as_json:
        write_json({"file": str(file), **found})
    else:
        write(f"✓ {file}: {found['entries']} entries")
    if found.get("valid") is False:
        _write_broken(found["firstBroken"])
        raise typer.Exit(ExitCode.NO)


def _export(client: MeshGuardClient, file: Path, output: _Format, filters: dict[str, Any]) -> dict[str, Any]:
    from meshguard.cli.private_files import replacing

    if output is _Format.csv:
        with replacing(file) as out:
            return {"entries": client.export_audit_log(CsvWriter(out), **filters).entries}
    exported = client.export_audit_log(file, **filters)
    found: dict[str, Any] = {"entries": exported.entries}
    if (verification := exported.verification) is not None:
        found |= _verification(verification)
        found["entries"] = exported.entries
    return found


@app.command(gateway=True)
def verify(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export, in place of the gateway's log.")
    ] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(
            "--anchor", metavar="FILE", help="Anchor file, kept elsewhere, to compare with and append to."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify that the audit log is complete and unaltered.

    Exit code 1: it is not, and the first broken entry is named.

    Examples:
      $ meshguard audit verify --anchor /mnt/safe/anchors.jsonl
      $ meshguard audit verify audit.jsonl
    """
    from meshguard.audit_verify import UnreadableError, append_anchors, read_anchors

    try:
        anchors: Any = read_anchors(anchor) if anchor else None
        if file is not None:
            found, note = _verify_file(file, anchors or ())
        else:
            with open_client(ctx, timeout=LONG_TIMEOUT) as client, progress("Verifying"):
                found, note = client.verify_audit_log(anchors), ""
        if anchor and found.valid:
            append_anchors(anchor, found.heads, datetime.now(UTC))
    except UnreadableError as error:
        raise CommandError(f"Cannot verify {error}.") from None
    _judge(found, note, as_json=as_json)


def _verify_file(file: Path, anchors: Iterable[Any]) -> tuple[AuditVerification, str]:
    from meshguard.audit_verify import Verifier, keys_of_environment, read_heads, read_json_lines
    from meshguard.types import AuditVerification

    heads: Any = read_heads(Path(f"{file}.heads"))
    keys = keys_of_environment()
    verifier = Verifier(heads, keys=keys, anchors=anchors)
    for entry in tracked(read_json_lines(file), "Verifying"):
        verifier.add(entry)
    broken = verifier.finish()
    place: Any = None if broken is None else plain(asdict(broken))
    note = "" if keys else "; the signatures were not checked, since MESHGUARD_JWT_SECRET is not set"
    return AuditVerification(broken is None, verifier.entries, heads, place), note


def _judge(found: AuditVerification, note: str, *, as_json: bool) -> None:
    if as_json:
        write_json(_verification(found))
    elif found.valid:
        chains = len(found.heads)
        write_wrapped(f"✓ {found.entries} entries in {chains} chains are complete and unaltered{note}")
    if not found.valid:
        if not as_json:
            _write_broken(found.first_broken or {})
        raise typer.Exit(ExitCode.NO)


def _verification(found: AuditVerification) -> dict[str, Any]:
    fields = asdict(found)
    broken = fields.pop("first_broken")
    return {**fields, **({"firstBroken": broken} if broken else {})}


def _write_broken(broken: Mapping[str, Any]) -> None:
    entry = f" ({broken['id']})" if broken.get("id") else ""
    place = f"{broken.get('stream')}, entry {broken.get('sequence')}{entry}: {broken.get('problem')}"
    write_error(f"The audit log is broken at {place}.")


def _filters(given: dict[str, Any]) -> dict[str, Any]:
    names = ("decision", "agent", "action", "policy")
    filters: dict[str, Any] = {name: given[name] for name in names if given[name] is not None}
    filters["kind"] = given["kind"] or "all"
    for name in ("since", "until"):
        if given.get(name) is not None:
            filters[name] = read_time(given[name])
    return filters


def _show(entries: list[Any], *, as_json: bool) -> None:
    if as_json:
        _show_lines(entries, as_json=True)
        return
    columns = [Column(title) for title in ("time", "decision", "agent", "action", "resource")]
    details = [Column(title, detail=True) for title in ("rule", "reason", "audit id", "trace id")]
    write_table([*columns, *details], map(_cells, entries))
    if not entries:
        write_note("No entries.")


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    decision = f"{entry['decision']}!" if entry.get("wouldDeny") else entry["decision"]
    rule = " / ".join(entry[name] for name in ("policy", "rule") if entry.get(name))
    agent = entry.get("agentName") or entry.get("agentId") or ""
    about = (agent, entry["action"], entry.get("resource") or "", rule, entry.get("reason") or "")
    return (entry["timestamp"], decision, *about, entry["id"], entry["traceId"])


def _show_lines(entries: Iterable[Any], *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            write_json_line(plain(entry))
        else:
            write_cells(_cells(entry))
    sys.stdout.flush()


def _write_csv(entries: list[dict[str, Any]]) -> None:
    sys.stdout.flush()
    writer = CsvWriter(sys.stdout.buffer)
    for entry in entries:
        writer.add(entry)
    sys.stdout.flush()
