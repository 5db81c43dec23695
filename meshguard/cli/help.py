"""The help of a command, as text that fits the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshguard.cli.text import MAX_WIDTH, paragraphs, use_color, width, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAMES = 30  # columns of names at most; longer ones have a line to themselves
_BOLD, _CYAN, _RESET = "\x1b[1m", "\x1b[36m", "\x1b[0m"

Record = tuple[str, str]


def render_help(command: Any, ctx: Any) -> str:
    """Return the help of a command or a group.

    Args:
        command: A command of Typer.
        ctx: Its context.
    """
    columns = min(width(), MAX_WIDTH)
    color = use_color(sys.stdout)
    pieces = " ".join(piece.strip("{}") for piece in command.collect_usage_pieces(ctx))
    lines = [*wrap(f"Usage: {ctx.command_path} {pieces}", columns), ""]
    lines += paragraphs(command.help or "", columns)
    for title, records in _sections(command, ctx):
        lines += [_styled(f"{title}:", _BOLD, color), *_definitions(records, columns, color), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sections(command: Any, ctx: Any) -> Iterator[tuple[str, list[Record]]]:
    panels: dict[str, list[Record]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or kind
            panels.setdefault(panel, []).append((record[0], record[1]))
    if hasattr(command, "list_commands"):
        for name in command.list_commands(ctx):
            shown = command.get_command(ctx, name)
            panel = getattr(shown, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            panels.setdefault(title, []).append((name, shown.get_short_help_str()))
    yield from sorted(panels.items(), key=lambda panel: _order(panel[0]))


def _order(title: str) -> int:
    first = ("Arguments", "Options")
    return first.index(title) if title in first else len(first)


def _definitions(records: Iterable[Record], columns: int, color: bool) -> Iterator[str]:
    records = list(records)
    fitting = [len(name) for name, _ in records if len(name) <= _NAMES]
    indent = max(fitting, default=0) + 4
    for name, text in records:
        lines = wrap(text, columns - indent)
        if len(name) > _NAMES:
            for line in wrap(name, columns - 2):
                yield f"  {_styled(line, _CYAN, color)}"
        else:
            yield f"  {_styled(name, _CYAN, color)}{' ' * (indent - len(name) - 2)}{lines.pop(0)}".rstrip()
        yield from (f"{' ' * indent}{line}" for line in lines)


def _styled(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_RESET}" if color else text
