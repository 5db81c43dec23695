"""Output of commands: tables, records and JSON that fit the terminal and cannot control it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Any

import typer

from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.text import for_stderr, printable, table_width, to_json, use_color, width, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

PROGRESS_AFTER = 1.0  # seconds until a progress bar is shown

_GAP = 2
_FEWEST = 2  # columns of a table
_STYLES = {
    "allow": "green",
    "allow!": "yellow",
    "deny": "red",
    "active": "green",
    "revoked": "red",
    "healthy": "green",
    "unhealthy": "red",
}
_MARKS = {"✓": "green", "✗": "red", "⚠": "yellow", "Decision: ALLOW": "green", "Decision: DENY": "red"}


@dataclass(frozen=True)
class Column:
    """A column of a table; `detail` is below the row where the terminal is narrow."""

    title: str
    detail: bool = False


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that colors nothing in a pipe or with NO_COLOR."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        width=width(),
        no_color=not use_color(stream),
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def write(text: str = "", style: str = "") -> None:
    """Write one line, however long."""
    _print(make_console(), [(printable(text), style)])


def write_wrapped(text: str, *, indent: int = 0, style: str = "") -> None:
    """Write a text in lines that break between words."""
    console = make_console()
    for line in wrap(printable(text), table_width() - indent):
        _print(console, [(" " * indent + line, style)])


def write_cells(cells: Sequence[str]) -> None:
    """Write cells one after the other; what does not fit continues in the next line."""
    console = make_console()
    texts = [printable(cell) for cell in cells if cell]
    first, *rest = wrap("  ".join(texts), table_width() - _GAP)
    parts: list[tuple[str, str]] = []
    for text in texts:
        if not first.startswith(text):
            break
        parts += [(text, _STYLES.get(text, "")), (first[len(text) :][:_GAP], "")]
        first = first[len(text) + _GAP :]
    _print(console, [*parts, (first, "")])
    for line in rest:
        _print(console, [(" " * _GAP + line, "")])


def write_json(value: object) -> None:
    """Write JSON: indented on a terminal, in one line otherwise."""
    typer.echo(to_json(value, indent=2 if sys.stdout.isatty() else None))


def write_json_line(value: object) -> None:
    """Write JSON in one line."""
    typer.echo(to_json(value))


def write_note(text: str) -> None:
    """Write one line to stderr for people, that is no part of the result."""
    typer.echo(for_stderr(text), err=True)


def write_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Write a table that fits the terminal.

    Where one line for each row is too long, the columns marked as `detail` are below the row, and then the
    last ones of the others. Where even two columns are too wide, each row is a block of lines. Nothing is
    cut, and no word is broken.
    """
    cells = [["" if cell is None else printable(cell) for cell in row] for row in rows]
    used = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    table = _Table([columns[index] for index in used], [[row[index] for index in used] for row in cells])
    if not used:
        return
    everything = list(range(len(used)))
    if table.fits(everything):
        table.write(everything, [])
        return
    main = [index for index in everything if not table.columns[index].detail]
    while len(main) > _FEWEST and not table.fits(main):
        main.pop()
    if table.fits(main):
        table.write(main, [index for index in everything if index not in main])
    else:
        table.write_blocks()


class _Table:
    def __init__(self, columns: Sequence[Column], cells: list[list[str]]) -> None:
        from rich.cells import cell_len

        self.columns = columns
        self._cells = cells
        self._cell_len = cell_len
        self._console = make_console()
        self._widths = [
            max(cell_len(column.title), *(cell_len(row[index]) for row in cells))
            for index, column in enumerate(columns)
        ]

    def fits(self, indexes: Sequence[int]) -> bool:
        return sum(self._widths[index] for index in indexes) + _GAP * (len(indexes) - 1) <= table_width()

    def write(self, main: Sequence[int], details: Sequence[int]) -> None:
        self._write_line([(self.columns[index].title, "bold") for index in main], main)
        for row in self._cells:
            self._write_line([(row[index], _STYLES.get(row[index], "")) for index in main], main)
            titles = max((len(self.columns[index].title) for index in details), default=0)
            for index in [index for index in details if row[index]]:
                label = " " * _GAP + self.columns[index].title.ljust(titles + _GAP)
                _write_field(self._console, label, row[index], "dim")

    def _write_line(self, parts: Sequence[tuple[str, str]], indexes: Sequence[int]) -> None:
        *padded, last = [
            (text + " " * (self._widths[index] - self._cell_len(text) + _GAP), style)
            for (text, style), index in zip(parts, indexes, strict=True)
        ]
        _print(self._console, [*padded, (last[0].rstrip(), last[1])])

    def write_blocks(self) -> None:
        titles = [column.title for column in self.columns]
        for number, row in enumerate(self._cells):
            if number:
                _print(self._console, [])
            write_record(list(zip(titles, row, strict=True)))


def write_record(fields: Sequence[tuple[str, object]]) -> None:
    """Write the fields of one object, a line each; empty ones are omitted."""
    console = make_console()
    shown = [(title, printable(value)) for title, value in fields if value not in {None, ""}]
    indent = max((len(title) for title, _ in shown), default=0) + _GAP
    for title, value in shown:
        _write_field(console, title.ljust(indent), value, "bold")


def _write_field(console: Console, label: str, value: str, label_style: str) -> None:
    """Write a label and its value; a word that is too long for the rest of the line has its own line."""
    style = _STYLES.get(value, "")
    first, *rest = _wrapped(value, len(label))
    if len(first) <= table_width():
        _print(console, [(label, label_style), (first[len(label) :], style)])
    else:
        _print(console, [(label.rstrip(), label_style)])
        rest = _wrapped(value, _GAP)
    for line in rest:
        _print(console, [(line, style)])


def _wrapped(text: str, indent: int) -> list[str]:
    return [" " * indent + line for line in wrap(text, table_width() - indent)]


def _print(console: Console, parts: Sequence[tuple[str, str]]) -> None:
    from rich.text import Text

    console.print(Text.assemble(*parts), soft_wrap=True)


def is_interactive() -> bool:
    """Whether a person is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal whether to continue; without one, or with `yes`, continue.

    Raises:
        CommandError: The answer is no.
    """
    if yes or not is_interactive():
        return
    if not typer.confirm(printable(question), err=True):
        raise CommandError("Nothing was changed: not confirmed. Use --yes to skip the question.", ExitCode.NO)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal once an operation takes longer than a second.

    Args:
        what: The operation, such as `Exporting`.
        total: How many steps there are, if known.

    Returns:
        A function to call with the number of steps done since the last call.
    """
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda _steps: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    counters = () if total is None else (BarColumn(bar_width=20), MofNCompleteColumn())
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        *counters,
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(printable(what), total=total)
    starter = Timer(PROGRESS_AFTER, bar.start)
    starter.daemon = True
    starter.start()
    try:
        yield lambda steps: bar.advance(task, steps)
    finally:
        starter.cancel()
        starter.join()
        bar.stop()


def tracked(items: Iterable[Any], what: str, total: int | None = None) -> Iterator[Any]:
    """Yield items, and show their progress as `progress` does."""
    with progress(what, total) as advance:
        for item in items:
            yield item
            advance(1)


def write_tree(text: str) -> None:
    """Write indented lines; long ones continue below their own text."""
    console = make_console()
    for line in text.splitlines():
        content = line.lstrip()
        indent = len(line) - len(content)
        style = next((style for mark, style in _MARKS.items() if content.startswith(mark)), "")
        for number, part in enumerate(wrap(printable(content), table_width() - indent - _GAP)):
            _print(console, [(" " * (indent + _GAP * bool(number)) + part, style)])
