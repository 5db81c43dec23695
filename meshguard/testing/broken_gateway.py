"""Gateways that return no decision."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HANGS_UP = None


def nowhere() -> str:
    """A URL without a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}"


_RESPONSES: dict[str, tuple[int, str, bytes] | None] = {
    "500": (500, "application/json", b'{"error": "internal_error", "message": "Sorry.", "traceId": "t"}'),
    "html": (200, "text/html", b"<h1>It works!</h1>"),
    "allow-in-words": (200, "application/json", b'{"decision": "allow me to explain"}'),
    "hangs-up": _HANGS_UP,
}


@contextmanager
def broken_gateway(kind: str) -> Iterator[str]:
    """Serve this response to every request, or hang up; yields the URL."""
    response = _RESPONSES[kind]

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if response is None:
                return
            status, media, body = response
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _respond  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
