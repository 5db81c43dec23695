"""The HTTP clients that requests leave through: one set for each process, and never a proxy to loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import httpx

from meshguard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class _Wrapper(Protocol):
    raw: Any


HttpClient = TypeVar("HttpClient", bound=_Wrapper)

# Connections of the parent's event loop: collecting one would close it, with a warning.
_LEFT_TO_PARENT: list[Any] = []


class Connections(Generic[HttpClient]):
    """The HTTP clients of one MeshGuard client and its copies.

    A process that was forked gets clients of its own, since two processes that read from one connection get
    each other's responses.

    Args:
        given: The user's own client; it stays theirs to close.
        make: Makes a client, which uses no proxy if its argument is true.
    """

    def __init__(self, given: HttpClient | None, make: Callable[[bool], HttpClient]) -> None:
        self.given: HttpClient | None = given
        self._make: Callable[[bool], HttpClient] = make
        self._process = os.getpid()
        self._made: dict[tuple[int, bool], HttpClient] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._is_closed if self.given is None else bool(self.given.raw.is_closed)

    def client(self, *, direct: bool) -> HttpClient:
        """Return this process's client.

        Args:
            direct: Whether it must not use a proxy of the environment.

        Raises:
            ConfigurationError: The environment's proxy or certificate settings are unusable.
        """
        process = os.getpid()
        if process != self._process:
            self._leave_to_parent(process)
        if self.given is not None:
            return self.given
        client: HttpClient | None = self._made.get((process, direct))
        if client is None:
            # Of two threads that make one, the first wins; the other's has no connections yet.
            client = self._made.setdefault((process, direct), self._new(direct))
        return client

    def taken(self) -> list[HttpClient]:
        """Return this process's own clients and mark them closed; the caller closes them."""
        process = os.getpid()
        if process != self._process:
            self._leave_to_parent(process)
        self._is_closed = True
        return list(self._made.values())

    def _new(self, direct: bool) -> HttpClient:
        try:
            client: HttpClient = self._make(direct)
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            fault = type(error).__name__
        else:
            return client
        raise ConfigurationError(
            f"Cannot use the proxy or certificate settings of the environment: {fault}. "
            "Correct them, or set trust_env=False."
        )

    def _leave_to_parent(self, process: int) -> None:
        inherited = list(self._made.items())
        self._process = process
        for key, client in inherited:
            if key[0] != process and self._made.pop(key, None) is not None:
                _drop_connections(client.raw)
        if self.given is not None:
            _drop_connections(self.given.raw)


def is_proxied(client: Any, url: httpx.URL) -> bool:
    """Whether a client of `httpx` or `httpx2` sends requests for a URL to a proxy."""
    find = getattr(client, "_transport_for_url", None)
    pool = getattr(find(url), "_pool", None) if find else None
    return type(pool).__name__.endswith("Proxy") or getattr(pool, "_proxy", None) is not None


def _drop_connections(client: Any) -> None:
    """Empty the pools of a client that another process filled, and send nothing over the connections.

    This closes a socket only in this process. Sockets of an event loop stay open: closing one would remove it
    from the parent's loop.
    """
    mounted = getattr(client, "_mounts", {}).values()
    for transport in (getattr(client, "_transport", None), *mounted):
        pool: Any = getattr(transport, "_pool", None)
        if not isinstance(getattr(pool, "_connections", None), list):
            continue
        inherited: list[Any] = pool._connections[:]  # noqa: SLF001 - httpcore has no public way
        pool._connections.clear()  # noqa: SLF001
        pool._requests.clear()  # noqa: SLF001
        # A thread of the parent may have held the lock, and does not exist here.
        pool._optional_thread_lock = type(pool._optional_thread_lock)()  # noqa: SLF001
        if not hasattr(client, "aclose"):
            for connection in inherited:
                connection.close()
        else:
            _LEFT_TO_PARENT.extend(inherited)
