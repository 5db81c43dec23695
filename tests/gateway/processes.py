"""The processes of this machine, as Linux shows them."""

from __future__ import annotations

from pathlib import Path


def parents() -> dict[int, int]:
    """Return the parent of each process that runs; one that ended and was not reaped does not count."""
    found: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # it ended meanwhile
                continue
            if state not in {"Z", "X"}:
                found[int(folder.name)] = int(parent)
    return found


def descendants(process: int) -> set[int]:
    """Return the processes below a process."""
    known = parents()
    found: set[int] = set()
    level = {process}
    while level:
        level = {child for child, parent in known.items() if parent in level}
        found |= level
    return found


def command_line(process: int) -> str:
    """Return a process's command line; empty if it ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def running(processes: set[int]) -> set[int]:
    """Return those that run."""
    return processes & parents().keys()
