"""Ids that are unique, and no secrets."""

import random


def random_hex(digits: int) -> str:
    """Return so many random hexadecimal digits; not for anything that must not be guessed.

    The system's own random numbers cost more time than a decision; these are seeded from them at start, and
    anew in each forked process.
    """
    return f"{random.getrandbits(4 * digits):0{digits}x}"
