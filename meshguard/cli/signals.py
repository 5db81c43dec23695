"""Signals that take effect even while the main thread waits."""

from __future__ import annotations

import signal
import socket
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def on_signals(react: Callable[[int], object]) -> None:
    """Call a function in a thread for each signal that has a Python handler. Call it in the main thread.

    Python runs handlers in the main thread, once that executes code again. A signal that arrives just before
    the main thread starts to wait for a lock does not wake it.

    Args:
        react: Gets the number of the signal. It may run before or after the handler.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    Thread(target=_react, args=(reader, writer, react), name="meshguard-signals", daemon=True).start()


def _react(reader: socket.socket, _writer: socket.socket, react: Callable[[int], object]) -> None:
    while received := reader.recv(1):
        react(received[0])
