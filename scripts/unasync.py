"""Make the sync client from the async one, token by token.

Every file of `meshguard/_async` becomes one of the same name in `meshguard/_sync`:

- `async` and `await` go.
- Names of `NAMES` become their sync counterparts, in code and in the text of docstrings and comments.
- A line that ends in `# sync: <code>` is replaced by that code, or dropped where there is none.
- ruff sorts the imports and formats the result.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "meshguard" / "_async"
TARGET = ROOT / "meshguard" / "_sync"
HEADER = "# Made from meshguard/_async/{name} by scripts/unasync; edit that file.\n"

NAMES = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncBoundedStream": "BoundedStream",
    "AsyncByteStream": "SyncByteStream",
    "AsyncClient": "Client",
    "AsyncAgentToken": "AgentToken",
    "AsyncGivenClient": "GivenClient",
    "AsyncGenerator": "Generator",
    "AsyncGoverned": "Governed",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncHttpClient": "HttpClient",
    "AsyncHttpx2Client": "Httpx2Client",
    "AsyncHttpx2Stream": "Httpx2Stream",
    "AsyncIterator": "Iterator",
    "AsyncMeshGuardClient": "MeshGuardClient",
    "AsyncOwnClient": "OwnClient",
    "AsyncSender": "Sender",
    "AsyncSharedConnections": "SharedConnections",
    "AsyncTransport": "SyncTransport",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "_async": "_sync",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "asyncio_detailed": "sync_detailed",
    "handle_async_request": "handle_request",
}

_WORDS = re.compile(r"\b(" + "|".join(map(re.escape, sorted(NAMES, key=len, reverse=True))) + r")\b")
_PROSE = (  # for docstrings and comments
    (re.compile(r"\b[Aa]n async (?=\w)"), lambda found: "A " if found[0][0] == "A" else "a "),
    (re.compile(r"\b(?:async|await) "), lambda _: ""),
    (re.compile(r"\.asyncio\("), lambda _: ".sync("),
)
_BRACKETED_AWAIT = re.compile(r"\(await ((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)(?=[.\[])")
_Edit = tuple[tuple[int, int], tuple[int, int], str]


def convert(source: str) -> str:
    """Return the sync form of an async module, before it is formatted."""
    return _replace(_BRACKETED_AWAIT.sub(r"\1", _swap(source)))


def _swap(source: str) -> str:
    """Exchange each line that is marked as async only."""
    lines = []
    for line in source.splitlines(keepends=True):
        found = re.match(r"^(\s*)\S.*# sync:(.*)$", line.rstrip("\n"))
        if not found:
            lines.append(line)
        elif found[2].strip():
            lines.append(f"{found[1]}{found[2].strip()}\n")
    return "".join(lines)


def _replace(source: str) -> str:
    """Apply the edits of all tokens, the last first."""
    lines = source.splitlines(keepends=True)
    for start, end, text in reversed(list(_edits(source))):
        first, last = start[0] - 1, end[0] - 1
        lines[first : last + 1] = [lines[first][: start[1]] + text + lines[last][end[1] :]]
    return "".join(lines)


def _edits(source: str) -> list[_Edit]:
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    edits: list[_Edit] = []
    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        text = token.string
        if token.type == tokenize.NAME and text in {"async", "await"}:
            edits.append((token.start, following.start, ""))
        elif token.type == tokenize.NAME and text in NAMES:
            edits.append((token.start, token.end, NAMES[text]))
        elif token.type in {tokenize.STRING, tokenize.COMMENT} and (changed := _prose(text)) != text:
            edits.append((token.start, token.end, changed))
    return edits


def _prose(text: str) -> str:
    text = _WORDS.sub(lambda found: NAMES[found[1]], text)
    for pattern, replacement in _PROSE:
        text = pattern.sub(replacement, text)
    return text


def generate(folder: Path) -> None:
    """Write the sync form of every async module into a folder."""
    for path in sorted(SOURCE.glob("*.py")):
        (folder / path.name).write_text(HEADER.format(name=path.name) + convert(path.read_text()))
    for arguments in (["check", "--select", "I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        ruff = str(Path(sys.executable).parent / "ruff")
        subprocess.run([ruff, *arguments, "--config", str(ROOT / "pyproject.toml"), str(folder)], check=True)


def differences(made: Path) -> list[str]:
    """Return the names of the files in which a freshly made folder and `TARGET` differ."""
    names = {path.name for folder in (made, TARGET) for path in folder.glob("*.py")}
    return sorted(name for name in names if _text(made / name) != _text(TARGET / name))


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def main() -> None:
    """Make the sync client, or compare it with the one that is committed."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        generate(made)
        if "--check" in sys.argv[1:]:
            if changed := differences(made):
                sys.exit(f"meshguard/_sync is out of date in {', '.join(changed)}. Run scripts/unasync.")
            return
        TARGET.mkdir(exist_ok=True)
        for path in TARGET.glob("*.py"):
            path.unlink()
        for path in made.glob("*.py"):
            (TARGET / path.name).write_text(path.read_text())


if __name__ == "__main__":
    main()
