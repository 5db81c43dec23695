"""Frameworks whose synchronous entry uses the thread's default event loop, and leaves it open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from meshguard.guard import Guard

T = TypeVar("T")


def in_default_loop(guard: Guard, work: Callable[[], T]) -> T:
    """Do synchronous work with a default loop of its own; close it, with what the guard opened in it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return work()
    finally:
        loop.run_until_complete(guard.aclose())
        loop.close()
        asyncio.set_event_loop(None)
