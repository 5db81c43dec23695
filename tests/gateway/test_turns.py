"""Long requests take turns on the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from meshguard.gateway import turns
from meshguard.gateway.sharing import INTERVAL, computing
from meshguard.gateway.turns import Turns


def test_a_round_of_the_event_loop_has_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.0)
    slices: list[int] = []
    rounds: list[int] = []

    async def work(turns: Turns, number: int) -> None:
        turn = turns.begin()
        for _ in range(5):
            assert turn.is_over
            await turn.pause()
            slices.append(number)

    async def watch() -> None:
        while True:
            before = len(slices)
            await asyncio.sleep(0)
            rounds.append(len(slices) - before)

    async def run() -> None:
        watcher = asyncio.create_task(watch())
        shared = Turns()
        await asyncio.gather(*(work(shared, number) for number in range(4)))
        watcher.cancel()

    asyncio.run(run())
    assert len(slices) == 20
    assert max(rounds) == 1
    assert slices[:8] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_slice_is_over_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_over() -> bool:
        return Turns().begin().is_over

    monkeypatch.setattr(turns, "SLICE", 60.0)
    assert not asyncio.run(is_over())


def test_threads_that_compute_share_the_lock_sooner() -> None:
    usual, within = sys.getswitchinterval(), []

    def compute() -> None:
        with computing():
            within.append(sys.getswitchinterval())
            barrier.wait(20)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=compute) for _ in range(3)]
    for thread in threads:
        thread.start()
    barrier.wait(20)
    for thread in threads:
        thread.join()
    with pytest.raises(KeyError), computing():
        raise KeyError
    assert within == [pytest.approx(INTERVAL)] * 3
    assert sys.getswitchinterval() == usual
