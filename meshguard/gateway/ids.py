"""Ids that are unique, and no secrets."""

import random
from time import time


def random_hex(digits: int) -> str:
    """Return so many random hexadecimal digits; not for anything that must not be guessed.

    The system's own random numbers cost more time than a decision; these are seeded from them at start, and
    anew in each forked process.
    """
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def new_id() -> str:
    """Return 32 hexadecimal digits that sort by time: milliseconds since 1970, then 80 random bits.

    Neighbours in time are neighbours in an index, which spares the database a page for each entry.

    Example:
        >>> len(new_id())
        32
    """
    return f"{int(time() * 1000):012x}{random.getrandbits(80):020x}"
