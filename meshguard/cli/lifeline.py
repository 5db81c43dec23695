"""A process that must not outlive the one that started it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ORPHANED = 70  # exit code of a worker whose parent is gone
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """End this process at once when the one that spawned it is gone, however that ended.

    Call it first. The parent holds the other end of a pipe; a parent that died before this call is found
    out as well, since its end of the pipe is closed. To be used in processes that `multiprocessing` spawned
    from a thread that lives as long as its process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    Thread(target=_await_end, args=(parent,), name="meshguard-lifeline", daemon=True).start()
    end_with_creating_thread()


def _await_end(parent: BaseProcess) -> None:
    parent.join()
    # No cleanup, which might hang: what was answered is on disk already.
    os._exit(ORPHANED)


def end_with_creating_thread() -> None:
    """Have the kernel kill this process with the thread that created it; only Linux can.

    Unlike a thread of this process, the kernel does not have to wait for the interpreter's lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
