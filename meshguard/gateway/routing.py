"""From method and path to an operation of the contract."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from meshguard.gateway.problems import Detail, Problem, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshguard.gateway.contract import Operation

PREFIX = "/api/v1"
_PARAMETER = re.compile(r"\{(\w+)\}")
_Methods = dict[str, "Operation"]


class Router:
    """Finds operations; each path that does not start with `/api/v1` also answers below it."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._fixed: dict[str, _Methods] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], _Methods]] = {}
        for operation in operations:
            self._add(operation.template, operation)
            if not operation.template.startswith(PREFIX):
                self._add(PREFIX + operation.template, operation)

    def _add(self, template: str, operation: Operation) -> None:
        if "{" in template:
            pattern = re.compile(_PARAMETER.sub(_group, template), re.DOTALL)
            _, methods = self._patterns.setdefault(template, (pattern, {}))
        else:
            methods = self._fixed.setdefault(template, {})
        methods[operation.method] = operation

    def find(self, method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
        """Return the operation and its path parameters, percent-decoded except those of the proxy.

        Raises:
            Problem: 404, 405 with `Allow`, or 400 for a parameter that is not UTF-8.
        """
        methods = self._fixed.get(raw_path)
        if methods is not None:
            return _of_method(methods, method), {}
        for pattern, methods in self._patterns.values():
            match = pattern.fullmatch(raw_path)
            if match:
                operation = _of_method(methods, method)
                return operation, {name: _decoded(name, text) for name, text in match.groupdict().items()}
        raise Problem(404, "Nothing answers at this path; the operations are listed in /openapi.yaml.")


def _group(match: re.Match[str]) -> str:
    name = match[1]
    return f"(?P<{name}>.+)" if name == "path" else f"(?P<{name}>[^/]+)"


def _of_method(methods: _Methods, method: str) -> Operation:
    operation = methods.get(method)
    if operation is None:
        allowed = ", ".join(sorted(methods))
        raise Problem(405, f"This path answers {allowed}.", headers=(("Allow", allowed),))
    return operation


def _decoded(name: str, text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise invalid(Detail(f"/path/{name}", "the path is not UTF-8")) from None
