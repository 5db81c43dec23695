"""A gateway during whose decision something else happens in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_PASSED_ON = {"authorization", "content-type", "x-meshguard-action", "x-meshguard-trace-id", "x-request-id"}


@contextmanager
def meanwhile(url: str, change: Callable[[], object]) -> Iterator[str]:
    """The URL of a relay to the gateway, which makes the change before it passes a decision on."""

    class Relay(BaseHTTPRequestHandler):
        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
            with httpx.Client(trust_env=False, timeout=60) as client:
                answer = client.request(self.command, url + self.path, content=body, headers=headers)
            change()
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() in {"content-type", "x-request-id"} or name.lower().startswith("x-meshguard"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = relay  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
