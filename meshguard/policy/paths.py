"""Paths as text: dot segments and repeated slashes resolved, nothing looked up."""

from __future__ import annotations


def resolve(path: str) -> str | None:
    """Return a path with ``.``, ``..`` and repeated slashes resolved; None when it climbs above its start.

    A trailing slash stays. Language page, "Paths".

    Example:
        >>> resolve("/var/../etc//passwd"), resolve("a/./b/"), resolve("/a/../..")
        ('/etc/passwd', 'a/b/', None)
    """
    if "//" not in path and "/." not in path and not path.startswith("."):
        return path
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if not segments:
                return None
            segments.pop()
        elif segment not in {"", "."}:
            segments.append(segment)
    start = "/" if path.startswith("/") else ""
    end = "/" if path.endswith("/") and segments else ""
    return start + "/".join(segments) + end


def lies_in(path: str, folder: str) -> bool:
    """Return whether a resolved path is a resolved folder or lies below it.

    Example:
        >>> lies_in("/etc/passwd", "/etc"), lies_in("/etcetera", "/etc"), lies_in("/etc", "/etc/")
        (True, False, True)
    """
    if folder in {"", "/"}:
        return path.startswith("/") is (folder == "/")
    return f"{path}/".startswith(folder.rstrip("/") + "/")
