"""How much an explanation may look at and write."""

from __future__ import annotations

MAX_TESTS = 5_000
MAX_VALUES = 50_000
MAX_TEXT = 262_144
TEXT_OF_A_TEST = 256  # characters of a text that count as one test with one alternative

# what counts as one more request of an agent
TESTS_OF_A_REQUEST = 1_000
VALUES_OF_A_REQUEST = 10_000
TEXT_OF_A_REQUEST = 65_536


class OutOfWorkError(Exception):
    """The limit is reached; the rest of the explanation is omitted."""


class Work:
    """Work counted before it is done, and what is left of it.

    Args:
        tests: How many tests may be evaluated; one with many alternatives, or on a long text, is several.
        values: How many values of contexts and metadata may be looked at.
        text: How many characters may be written.

    Example:
        >>> work = Work(tests=2)
        >>> work.spend(tests=2)
        >>> work.spend(tests=1)
        Traceback (most recent call last):
        ...
        meshguard.policy.work.OutOfWorkError
    """

    __slots__ = ("_all", "_limits", "spent")

    def __init__(self, tests: int = MAX_TESTS, values: int = MAX_VALUES, text: int = MAX_TEXT) -> None:
        self._limits = (tests, values, text)
        self._all: Work | None = None
        self.spent: tuple[int, int, int] = (0, 0, 0)

    def part(self) -> Work:
        """Return the work of one explanation, which also counts here."""
        part = Work()
        part._all = self
        return part

    def spend(self, tests: int = 0, values: int = 0, text: int = 0) -> None:
        """Count work that is about to be done.

        Raises:
            OutOfWorkError: It is more than there may be; then it must not be done.
        """
        if self._all is not None:
            self._all.spend(tests, values, text)
        spent = (self.spent[0] + tests, self.spent[1] + values, self.spent[2] + text)
        if any(much > limit for much, limit in zip(spent, self._limits, strict=True)):
            raise OutOfWorkError
        self.spent = spent

    @property
    def requests(self) -> int:
        """How many requests of an agent are as much work as was done."""
        tests, values, text = self.spent
        return tests // TESTS_OF_A_REQUEST + values // VALUES_OF_A_REQUEST + text // TEXT_OF_A_REQUEST


def weight(value: object, alternatives: int) -> int:
    """Return as how many tests a test with so many alternatives counts on a value.

    Example:
        >>> weight("short", 1), weight("x" * 1_000, 10), weight([1] * 500, 3)
        (1, 40, 500)
    """
    if isinstance(value, str):
        return alternatives * (1 + len(value) // TEXT_OF_A_TEST)
    return max(1, len(value)) if isinstance(value, list | tuple) else 1
