"""The contract, openapi.yaml: its bytes, its operations, and the checks that follow from it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import jsonschema_rs
from ruamel.yaml import YAML

from meshguard.gateway.problems import Detail
from meshguard.gateway.schema_errors import Search
from meshguard.gateway.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_MAX_SHOWN = 60
_MASK = "the value"
_ON_EVERY_REQUEST = {"X-MeshGuard-Trace-ID", "X-Request-ID"}  # read even where no operation matches


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter of an operation; `place` is `path`, `query` or `header`."""

    name: str
    place: str
    required: bool
    is_integer: bool
    check: Check

    def value(self, text: str) -> str | int:
        """Return what the text of the parameter means."""
        return int(text) if self.is_integer and _INTEGER.fullmatch(text) else text

    def faults(self, text: str) -> Iterator[Detail]:
        """Yield what is wrong with the text of the parameter."""
        for fault in self.check.faults(self.value(text)):
            yield Detail(f"/{self.place}/{self.name}{fault.path}", fault.message)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract; `headers` by their names in ASGI, without those of every request."""

    id: str
    method: str
    template: str
    credential: str | None
    path: dict[str, Parameter]
    query: dict[str, Parameter]
    headers: dict[bytes, Parameter]
    media_types: tuple[str, ...]
    body: Check | None


class Check:
    """A compiled schema of the contract."""

    def __init__(self, schema: dict[str, Any], components: dict[str, Any]) -> None:
        self._schema = schema
        self._components = components
        self._parts: dict[str, _Part] = {}
        self._whole = self._part(schema)

    def faults(self, value: Any, work: Work | None = None) -> list[Detail]:
        """Return the first errors of a value, each with its JSON pointer.

        Args:
            value: Parsed JSON.
            work: Counts what is looked at.
        """
        if self._whole.fits(value):
            return []
        search = Search(self._examine, self._fits, self._resolve, work or Work())
        return search.errors(value, self._schema)

    def _part(self, schema: dict[str, Any]) -> _Part:
        """Return the compiled form of a schema below this one; there are few, so that all are kept."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._parts:
            self._parts[key] = _Part({**schema, "components": self._components})
        return self._parts[key]

    def _fits(self, value: Any, schema: dict[str, Any]) -> bool:
        return self._part(schema).fits(value)

    def _examine(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[Detail]:
        return self._part(schema).errors(value, path)

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        return _follow(schema, {"components": self._components})


class _Part:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._validator = jsonschema_rs.validator_for(root, validate_formats=True, mask=_MASK)
        self.fits = self._validator.is_valid

    def errors(self, value: Any, path: str) -> Iterator[Detail]:
        for error in self._validator.iter_errors(value):
            yield from self._details(error, path)

    def _details(self, error: jsonschema_rs.ValidationError, below: str) -> Iterator[Detail]:
        path = below + _pointer(error.instance_path)
        kind = error.kind
        match kind:
            case jsonschema_rs.ValidationErrorKind.AdditionalProperties():
                known = self._known_fields(error.schema_path)
                for name in kind.unexpected:
                    yield Detail(f"{path}{_pointer([name])}", f"unknown field{_guess(name, known)}")
            case jsonschema_rs.ValidationErrorKind.Required():
                name = str(kind.property).strip('"')
                yield Detail(f"{path}{_pointer([name])}", f'"{name}" is missing')
            case jsonschema_rs.ValidationErrorKind.Enum():
                yield Detail(path, f"{_shown(error.instance)} is not {_one_of(kind.options)}")
            case jsonschema_rs.ValidationErrorKind.FalseSchema():
                yield Detail(path, "not allowed here")
            case jsonschema_rs.ValidationErrorKind.MinProperties():
                yield Detail(path, f"at least {kind.limit} field has to be given")
            case _:
                yield Detail(path, error.message.replace(_MASK, _shown(error.instance), 1))

    def _known_fields(self, schema_path: Iterable[str | int]) -> list[str]:
        schema: Any = self._root
        for step in [*schema_path][:-1]:
            schema = _follow(schema, self._root) if step == "$ref" else schema[step]
        return list(_follow(schema, self._root).get("properties", ()))


@dataclass(frozen=True, slots=True)
class Contract:
    """openapi.yaml as a whole; the same for all gateways of a process."""

    text: bytes
    operations: tuple[Operation, ...]


@cache
def load_contract() -> Contract:
    """Read the contract that was installed with this package."""
    text = _locate().read_bytes()
    document = YAML(typ="safe", pure=True).load(text)
    return Contract(text, tuple(_operations(document)))


def _locate() -> Path:
    package = Path(__file__).resolve().parents[1]
    installed = package / "openapi.yaml"
    return installed if installed.exists() else package.parent / "openapi.yaml"


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for template, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield _operation(template, method, item[method], document)


def _operation(template: str, method: str, spec: dict[str, Any], document: dict[str, Any]) -> Operation:
    components = {"schemas": document["components"]["schemas"]}
    content = _follow(spec.get("requestBody", {}), document).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    security = spec.get("security", ())
    parameters = [
        _parameter(_follow(parameter, document), components, document)
        for parameter in spec.get("parameters", ())
    ]
    return Operation(
        id=spec["operationId"],
        method=method.upper(),
        template=template,
        credential=next(iter(security[0])) if security and {} not in security else None,
        path={parameter.name: parameter for parameter in parameters if parameter.place == "path"},
        query={parameter.name: parameter for parameter in parameters if parameter.place == "query"},
        headers={
            parameter.name.lower().encode(): parameter
            for parameter in parameters
            if parameter.place == "header" and parameter.name not in _ON_EVERY_REQUEST
        },
        media_types=tuple(content),
        body=Check(schema, components) if schema else None,
    )


def _parameter(spec: dict[str, Any], components: dict[str, Any], document: dict[str, Any]) -> Parameter:
    schema = _follow(spec["schema"], document)
    return Parameter(
        name=spec["name"],
        place=spec["in"],
        required=spec.get("required", False),
        is_integer=schema.get("type") == "integer",
        check=Check(schema, components),
    )


def _follow(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    return schema


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a query string.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    pairs = (part.partition(b"=") for part in raw.split(b"&") if part)
    return [(_decode(name), _decode(value)) for name, _, value in pairs]


def _decode(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()


def _pointer(path: Iterable[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else _MASK if isinstance(value, dict | list) else str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _one_of(options: Any) -> str:
    return "one of " + ", ".join(f'"{option}"' for option in options)


def _guess(name: str, known: list[str]) -> str:
    by_folded = {candidate.casefold(): candidate for candidate in known}
    nearest = get_close_matches(name[:_MAX_SHOWN].casefold(), by_folded, n=1)
    if nearest:
        return f'; did you mean "{by_folded[nearest[0]]}"?'
    return "; known are " + ", ".join(f'"{candidate}"' for candidate in known) if known else ""


def unknown_parameter(name: str, known: Iterable[str]) -> Detail:
    """Return the fault of a query parameter that the operation does not declare."""
    return Detail(f"/query{_pointer([name])}", f"unknown parameter{_guess(name, list(known))}")
