"""`meshguard audit`: the audit log of a gateway, read, exported and verified."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from meshguard import MeshGuardClient, MeshGuardError
from meshguard.audit_verify import UnreadableError, Verifier, append_anchors, exact_number, read_anchors
from meshguard.audit_verify import main as verify_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from meshguard.audit_verify import Broken

app = typer.Typer(
    no_args_is_help=True, help="Read, export and verify a gateway's audit log.", rich_markup_mode=None
)

FAILED = 1
UNUSABLE = 2

_PAGE = 1000
_OVERLAP = timedelta(seconds=10)  # how much later than its time an entry may arrive and still be shown
_LONG = 86_400.0  # seconds that verifying or exporting a large log may take
_TRIES = 5  # while retention removes entries
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an entry a line.")]
Decision = Annotated[_Decision | None, typer.Option(help="Only these decisions.")]
Agent = Annotated[str | None, typer.Option(help="Only this agent's, by id or name.")]
Action = Annotated[str | None, typer.Option(help="Only actions that fit; * is any run of characters.")]
Policy = Annotated[str | None, typer.Option(help="Only what this policy decided.")]
Kind = Annotated[
    _Kind | None, typer.Option(help="Only decisions, administrators' changes, or cut exchanges.")
]
Since = Annotated[
    str | None, typer.Option(help="From this moment on: 2026-11-22T09:30:00Z, or 2h ago as 2h.")
]
Until = Annotated[str | None, typer.Option(help="Before this moment.")]


@app.command("list")
def list_entries(  # noqa: PLR0917 - typer calls it
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Show entries, newest first."""
    filters = _filters(locals())
    with _gateway() as client:
        entries = client.iter_audit_log(**_any_kind(filters), page_size=min(limit, 1000))
        _show(islice(entries, limit), as_json=as_json)


@app.command()
def tail(  # noqa: PLR0917 - typer calls it
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what arrives.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, max=1000, help="How many to begin with.")
    ] = 10,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    as_json: AsJson = False,
) -> None:
    """Show the last entries, oldest first, and with -f those to come."""
    filters = _filters(locals())
    with _gateway() as client:
        # The window comes first: what arrives after it is shown now or at the next look.
        window = _window(client, filters, client.get_audit_log(1, **_any_kind(filters))) if follow else []
        entries = client.get_audit_log(limit, **_any_kind(filters)) if limit else []
        _show_lines(reversed(entries), as_json=as_json)
        seen = _ids(window) | _ids(entries)
        while follow:
            sleep(interval)
            window = _window(client, filters, window or entries)
            new = [entry for entry in window if entry.get("id") not in seen]
            _show_lines(reversed(new), as_json=as_json)
            seen = _ids(window)


def _window(client: MeshGuardClient, filters: dict[str, Any], before: list[Any]) -> list[Any]:
    """Return the entries, newest first, among which new ones may yet arrive."""
    if before:
        filters = {**filters, "since": _time(before[0]) - _OVERLAP}
    return list(client.iter_audit_log(**_any_kind(filters), page_size=_PAGE))


def _ids(entries: list[Any]) -> set[str]:
    return {str(entry.get("id")) for entry in entries}


@app.command()
def trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace id.")], as_json: AsJson = False
) -> None:
    """Show all entries of one trace, oldest first."""
    with _gateway() as client:
        entries = list(client.iter_audit_log(trace_id=trace_id, kind="all"))
    if not entries:
        typer.echo("No entry has this trace id.", err=True)
    _show(reversed(entries), as_json=as_json)


@app.command()
def stats(
    period: Annotated[_Period, typer.Option(help="How far back to count.")] = _Period.day,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the decisions of a period."""
    with _gateway() as client:
        found = client.audit_stats(period.value)
    if as_json:
        typer.echo(json.dumps(found))
        return
    console = Console()
    console.print(
        f"{found['total']} decisions in {found['period']}: {found['allowed']} allowed, "
        f"{found['denied']} denied, {found['wouldDeny']} would be denied",
        highlight=False,
    )
    denied = [(top["action"], top["count"]) for top in found["topDenied"]]
    asking = [(f"{top['agentName']} ({top['agentId']})", top["count"]) for top in found["topAgents"]]
    for title, rows in (("denied most", denied), ("asking most", asking)):
        if rows:
            console.print(_table((title, "times"), rows))


@app.command()
def export(  # noqa: PLR0917 - typer calls it
    file: Annotated[Path, typer.Argument(help="Where to; - is standard output.")],
    decision: Decision = None,
    agent: Agent = None,
    action: Action = None,
    policy: Policy = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write entries to a file, one a line as JSON, oldest first.

    Without a filter, the signed heads go to FILE.heads, so that the export can be verified on its own.
    Exit code 1: the log does not verify; it is written nevertheless.
    """
    filters = _filters(locals())
    if str(file) == "-":
        with _gateway(_LONG) as client:
            for line in _exported(client, filters):
                typer.echo(line)
        return
    heads_file = Path(f"{file}.heads")
    if not force and (file.exists() or heads_file.exists()):
        _quit(f"{file} is there already; choose another name, or overwrite it with --force.")
    with _gateway(_LONG) as client, _replacing(file) as out:
        found = None if filters else _verification(client)
        found = _export_to(out, client, filters, found)
    if found is not None:
        with _replacing(heads_file) as out:
            out.write(json.dumps({"heads": found["heads"]}, ensure_ascii=False) + "\n")
        _judge(found, as_json=False, quiet=True)


def _export_to(
    out: Any, client: MeshGuardClient, filters: dict[str, Any], found: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Write entries and return the verification whose heads fit them."""
    tries = _TRIES
    while True:
        tries -= 1
        heads = None if found is None else found["heads"]
        verifier = Verifier(heads or ())
        for line in _progress(_within(_exported(client, filters), heads), heads):
            out.write(f"{line}\n")
            if heads is not None:
                verifier.add(json.loads(line, parse_float=exact_number))
        if found is None or not found["valid"] or not verifier.finish():
            return found
        again = _verification(client)
        if _tombstones(again) == _tombstones(found):
            return again
        # Old entries were removed meanwhile: what was written has a gap where the tombstones ended.
        out.seek(0)
        out.truncate()
        found = again
        if not tries:
            _quit("Old entries are being removed all the time; export again later.")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An export, rather than the gateway's log.")] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(
            help="A file, kept elsewhere, of the heads seen before; it is held against and added to."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out whether the audit log is whole and unaltered.

    Exit code 0: it is; 1: it is not, and the first broken entry is named; 2: can't tell.
    """
    if file is not None:
        raise typer.Exit(verify_files([str(file), *(["--anchor", str(anchor)] if anchor else [])]))
    with _gateway(_LONG) as client:
        found = _verification(client)
        if anchor and found["valid"]:
            _hold_against(anchor, client, found)
            if found["valid"]:
                append_anchors(anchor, found["heads"], datetime.now(UTC))
    _judge(found, as_json=as_json)


def _hold_against(anchor: Path, client: MeshGuardClient, found: dict[str, Any]) -> None:
    """Follow the chains here, past the anchors: the gateway's word alone is not enough for them."""
    anchors = read_anchors(anchor)
    broken = None
    for _ in range(_TRIES):
        heads = found["heads"]
        verifier = Verifier(heads, anchors=anchors)
        for line in _progress(_within(_exported(client, {}), heads), heads):
            verifier.add(json.loads(line, parse_float=exact_number))
        broken = verifier.finish()
        if not broken:
            return
        again = _verification(client)
        if _tombstones(again) == _tombstones(found):
            break
        # Old entries were removed between the two answers; what they vouch for has changed.
        found.update(again)
        if not found["valid"]:
            return
    if broken:
        found.update(valid=False, firstBroken=_wire(broken))


def _tombstones(found: dict[str, Any]) -> dict[str, Any]:
    return {head["stream"]: head.get("pruned") for head in found["heads"]}


def _wire(broken: Broken) -> dict[str, Any]:
    wire = {"stream": broken.stream, "sequence": broken.sequence, "problem": broken.problem}
    return {**wire, **({"id": broken.id} if broken.id else {})}


def _verification(client: MeshGuardClient) -> dict[str, Any]:
    response = client.admin_api.get_httpx_client().get("/admin/audit/verify")
    _check(response)
    found: dict[str, Any] = response.json()
    return found


def _exported(client: MeshGuardClient, filters: dict[str, Any]) -> Iterator[str]:
    names = {"since": "from", "until": "to"}
    query = {
        names.get(name, name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in filters.items()
    }
    with client.admin_api.get_httpx_client().stream("GET", "/admin/audit/export", params=query) as response:
        if response.is_error:
            response.read()
            _check(response)
        yield from response.iter_lines()


def _check(response: httpx.Response) -> None:
    if response.is_error:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = f"What answered with status {response.status_code} is not a MeshGuard gateway."
        _quit(str(message))


def _within(lines: Iterable[str], heads: list[dict[str, Any]] | None) -> Iterator[str]:
    """Leave out what arrived after the heads were read."""
    counts = None if heads is None else {head["stream"]: head["count"] for head in heads}
    for line in lines:
        if counts is not None:
            entry = json.loads(line)
            if entry["sequence"] > counts.get(entry["stream"], 0):
                continue
        yield line


def _progress(lines: Iterable[str], heads: list[dict[str, Any]] | None) -> Iterable[str]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from lines
        return
    total = None
    if heads is not None:
        total = sum(head["count"] - head.get("pruned", {}).get("count", 0) for head in heads)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield from progress.track(lines, total=total)


@contextmanager
def _replacing(file: Path) -> Iterator[Any]:
    """Give a file to write to that takes the name when all is written."""
    part = Path(f"{file}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            yield out
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _judge(found: dict[str, Any], *, as_json: bool, quiet: bool = False) -> None:
    if as_json:
        typer.echo(json.dumps(found))
    elif found["valid"]:
        if not quiet:
            chains = len(found["heads"])
            typer.echo(f"✓ {found['entries']} entries in {chains} chains are whole and unaltered")
    else:
        broken = found["firstBroken"]
        entry = f" ({broken['id']})" if broken.get("id") else ""
        where = _printable(f"{broken['stream']}, entry {broken['sequence']}{entry}: {broken['problem']}")
        typer.echo(f"✗ the audit log is broken at {where}", err=True)
    if not found["valid"]:
        raise typer.Exit(FAILED)


@contextmanager
def _gateway(timeout: float = 30.0) -> Iterator[MeshGuardClient]:
    try:
        with MeshGuardClient(timeout=timeout) as client:
            yield client
    except (MeshGuardError, UnreadableError) as error:
        _quit(str(error))
    except httpx.HTTPError as error:
        _quit(f"The gateway can't be reached ({type(error).__name__}); check MESHGUARD_GATEWAY_URL.")
    except OSError as error:
        _quit(f"{error.filename or 'output'}: {error.strerror}")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _quit(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(UNUSABLE)


def _filters(given: dict[str, Any]) -> dict[str, Any]:
    names = ("decision", "agent", "action", "policy", "kind")
    filters: dict[str, Any] = {name: given[name] for name in names if given[name] is not None}
    for name in ("since", "until"):
        if given.get(name) is not None:
            filters[name] = _moment(given[name])
    return filters


def _any_kind(filters: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "all", **filters}


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f'"{text}" is no moment; write 2026-11-22T09:30:00Z, or 2h') from None
    return moment if moment.tzinfo else moment.astimezone()


def _time(entry: Any) -> datetime:
    return datetime.fromisoformat(entry["timestamp"])


def _show(entries: Iterable[Any], *, as_json: bool) -> None:
    if as_json:
        _show_lines(entries, as_json=True)
        return
    columns = ("time", "decision", "agent", "action", "resource", "by", "reason")
    Console().print(_table(columns, (_cells(entry) for entry in entries)))


def _cells(entry: Any) -> tuple[str, ...]:
    decision = f"{entry['decision']}!" if entry.get("wouldDeny") else entry["decision"]
    by = " / ".join(entry[name] for name in ("policy", "rule") if entry.get(name))
    agent = entry.get("agentName") or entry.get("agentId") or ""
    about = (entry["action"], entry.get("resource") or "", by, entry.get("reason") or "")
    return (entry["timestamp"], decision, agent, *about)


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(str(cell)), style=_style(cell)) for cell in row))
    return table


def _style(cell: object) -> str:
    return {"allow": "green", "deny": "red", "allow!": "yellow"}.get(str(cell), "")


def _show_lines(entries: Iterable[Any], *, as_json: bool) -> None:
    write: Callable[[Any], str] = _to_json if as_json else _line
    for entry in entries:
        typer.echo(write(entry))
    sys.stdout.flush()


def _to_json(entry: Any) -> str:
    return json.dumps({k: v for k, v in entry.items() if v is not None}, ensure_ascii=False)


def _line(entry: Any) -> str:
    return _printable("  ".join(cell for cell in _cells(entry) if cell))


def _printable(text: str) -> str:
    """Keep what an agent wrote from steering the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
