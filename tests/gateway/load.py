"""Agents that keep asking, and note what they were answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import httpx

from tests.support import until


@dataclass
class Seen:
    """What the clients of a gateway saw: each answer's moment and status, and the entries of decisions."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)

    def last(self, status: int) -> float:
        return max(moment for moment, found in self.answers if found == status)

    def statuses(self) -> set[int]:
        return {status for _, status in self.answers}

    def await_more(self, status: int, seconds: float = 20) -> None:
        """Wait until there are new answers with a status."""
        started = monotonic()
        assert until(
            lambda: any(found == status for at, found in self.answers[::-1] if at > started), seconds
        )


@contextmanager
def load(urls: Sequence[str], token: str, clients: int = 2) -> Iterator[list[Seen]]:
    """Ask each gateway with some clients at once, until the block ends; what can't connect tries again."""
    seen = [Seen() for _ in urls]
    stop = threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(url, token, notes, stop), daemon=True)
        for url, notes in zip(urls, seen, strict=True)
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def _ask(url: str, token: str, seen: Seen, stop: threading.Event) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-MeshGuard-Action": "read:x"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        while not stop.is_set():
            try:
                response = client.get("/proxy/check")
            except httpx.TransportError:
                stop.wait(0.01)
                continue
            body = response.json()
            seen.answers.append((monotonic(), response.status_code))
            if "auditId" in body:
                seen.entries.append(body["auditId"])
