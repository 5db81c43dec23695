"""The curated faults, by area: `FAULTS` of each module in `faults/`."""

from __future__ import annotations

import random
from importlib import import_module
from itertools import chain, zip_longest
from pathlib import Path

from tests.mutation.fault import Fault

_FOLDER = Path(__file__).parent / "faults"


def areas() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.py")))


def faults_of(area: str) -> tuple[Fault, ...]:
    faults: tuple[Fault, ...] = import_module(f"tests.mutation.faults.{area}").FAULTS
    return faults


def sample(
    faults_by_area: dict[str, tuple[Fault, ...]], count: int, seed: str
) -> dict[str, tuple[Fault, ...]]:
    """Return `count` faults in all, spread over the areas; the same ones for the same seed."""
    choose = random.Random(seed)
    shuffled = [
        choose.sample([(area, fault) for fault in faults], len(faults))
        for area, faults in faults_by_area.items()
    ]
    choose.shuffle(shuffled)
    chosen = [pair for pair in chain.from_iterable(zip_longest(*shuffled)) if pair][:count]
    return {area: tuple(fault for of, fault in chosen if of == area) for area in faults_by_area}
