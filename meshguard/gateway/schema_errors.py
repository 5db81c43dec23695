"""Finding the errors of a value with a bounded amount of work, however large the value is."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from meshguard.gateway.problems import Detail
from meshguard.gateway.work import MAX_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshguard.gateway.work import Work

_SMALL = 256  # values that the validator may report on in one go


def is_small(value: Any) -> bool:
    """Whether a value has few enough values for a full report; looks at no more than that."""
    left, waiting = _SMALL, [iter((value,))]
    while waiting:
        item = next(waiting[-1], waiting)
        if item is waiting:
            waiting.pop()
            continue
        left -= 1
        if left < 0:
            return False
        if isinstance(item, dict):
            waiting.append(iter(item.values()))
        elif isinstance(item, list):
            waiting.append(iter(item))
    return True


class Search:
    """Looks for the errors of a value that does not fit its schema.

    A small value is examined whole. In a large one the limits of each level are checked before what is
    inside, and only the parts that do not fit are examined.

    Args:
        examine: Yields the errors of a small value under a schema.
        fits: Whether a value fits a schema; fast, and stops at the first error.
        follow: Resolves the references of a schema.
        work: Counts what is looked at.
    """

    def __init__(
        self,
        examine: Callable[[Any, dict[str, Any], str], Iterator[Detail]],
        fits: Callable[[Any, dict[str, Any]], bool],
        follow: Callable[[dict[str, Any]], dict[str, Any]],
        work: Work,
    ) -> None:
        self._examine = examine
        self._fits = fits
        self._follow = follow
        self._work = work

    def errors(self, value: Any, schema: dict[str, Any]) -> list[Detail]:
        """Return the first errors of a value, and no more than a response lists."""
        return list(islice(self._errors(value, schema, ""), MAX_ERRORS))

    def _errors(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[Detail]:
        schema = self._follow(schema)
        if is_small(value):
            self._work.look(_SMALL)
            yield from self._examine(value, schema, path)
        elif too_many := _too_many(value, schema):
            yield Detail(path, too_many)
        elif isinstance(value, list) and "items" in schema:
            yield from self._of_items(value, schema["items"], path)
        elif isinstance(value, dict) and "properties" in schema and "patternProperties" not in schema:
            yield from self._of_properties(value, schema, path)
        else:
            yield Detail(path, "does not fit the schema; send a smaller value to see each error")

    def _of_items(self, value: list[Any], schema: dict[str, Any], path: str) -> Iterator[Detail]:
        for number, item in enumerate(value):
            self._work.look()
            if not self._fits(item, schema):
                yield from self._errors(item, schema, f"{path}/{number}")

    def _of_properties(self, value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[Detail]:
        known = schema["properties"]
        alone = list(islice((name for name in value if name not in known), MAX_ERRORS))
        self._work.look(len(alone))
        present = {name: value[name] for name in value.keys() & known.keys()}
        # Without the values inside, a full report has the names that are unknown or missing.
        outline = dict.fromkeys([*present, *alone])
        kept: tuple[str, ...] = ("type", "required", "additionalProperties")
        shape = {name: schema[name] for name in kept if name in schema}
        yield from self._examine(outline, {**shape, "properties": dict.fromkeys(known, True)}, path)
        for name, inner in present.items():
            self._work.look()
            if not self._fits(inner, known[name]):
                yield from self._errors(inner, known[name], f"{path}/{name}")


def _too_many(value: Any, schema: dict[str, Any]) -> str | None:
    limits = (
        (list, "maxItems", "items"),
        (dict, "maxProperties", "fields"),
    )
    for kind, keyword, noun in limits:
        limit = schema.get(keyword)
        if isinstance(value, kind) and limit is not None and len(value) > limit:
            return f"at most {limit} {noun} are allowed, not {len(value)}"
    return None
