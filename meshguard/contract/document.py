"""openapi.yaml, and what in an exchange does not fit it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from meshguard.audit_verify import exact_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshguard.contract.exchange import Exchange

PREFIX = "/api/v1"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_NDJSON = "application/x-ndjson"
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def location() -> Path:
    """Return where openapi.yaml is: beside the modules of a wheel, above them in the source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "openapi.yaml"
    return installed if installed.exists() else package.parent / "openapi.yaml"


@cache
def load_document() -> Document:
    """Read openapi.yaml."""
    return Document(YAML(typ="safe", pure=True).load(location().read_bytes()))


class Document:
    """openapi.yaml as a whole."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.operations = tuple(
            Operation(self, template, method, item[method])
            for template, item in raw["paths"].items()
            for method in _METHODS
            if method in item
        )

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation that answers a method at a path, percent-encoded, or None."""
        there = [operation for operation in self.operations if operation.is_at(path)]
        fixed = [operation for operation in there if "{" not in operation.template]
        return next((found for found in fixed or there if found.method == method.lower()), None)

    def follow(self, spec: Any) -> Any:
        """Return what a `$ref` stands for."""
        while "$ref" in spec:
            target: Any = self.raw
            for step in spec["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            spec = target
        return spec

    def faults(self, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
        """Yield what is wrong with a value according to a schema."""
        for error in self._validator(json.dumps(schema, sort_keys=True)).iter_errors(value):
            where = "".join(f"/{step}" for step in error.instance_path)
            yield f"{where or 'it'}: {error.message}"[:300]

    @cache  # noqa: B019 - there is one document for good
    def _validator(self, schema: str) -> Any:
        components = {"schemas": self.raw["components"]["schemas"]}
        root = {**json.loads(schema), "components": components}
        return jsonschema_rs.validator_for(root, validate_formats=True)


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Args:
        document: Where it stands.
        template: Its path, with `{names}`.
        method: Its method, in small letters.
        raw: What openapi.yaml says about it.
    """

    document: Document
    template: str
    method: str
    raw: dict[str, Any]

    @property
    def id(self) -> str:
        """The operationId."""
        return str(self.raw["operationId"])

    @property
    def is_proxy(self) -> bool:
        """Whether the answer may be an upstream's."""
        return self.template == "/proxy/{path}"

    def is_at(self, path: str) -> bool:
        """Whether it stands at a path, percent-encoded, also below `/api/v1`."""
        return self._match(path) is not None

    def _match(self, path: str) -> re.Match[str] | None:
        pattern = re.sub(
            r"\{(\w+)\}",
            lambda name: f"(?P<{name[1]}>.+)" if self.is_proxy else f"(?P<{name[1]}>[^/]+)",
            self.template,
        )
        optional = "" if self.template.startswith(PREFIX) else f"(?:{PREFIX})?"
        return re.fullmatch(optional + pattern, path, re.DOTALL)

    def request_faults(self, exchange: Exchange) -> list[str]:
        """Return what in the request is not as the contract has it."""
        return [
            *self._parameter_faults(exchange),
            *self._credential_faults(exchange),
            *self._body_faults(exchange),
        ]

    def response_faults(self, exchange: Exchange) -> list[str]:
        """Return what in the response is not as the contract has it."""
        status = str(exchange.status)
        if self.is_proxy and exchange.header("x-meshguard-decision") == "allow":
            status = "default"  # the upstream's own, whatever it is
        if status not in self.raw["responses"]:
            return [f"status {exchange.status} is not declared"]
        response = self.document.follow(self.raw["responses"][status])
        return [*self._header_faults(response, exchange), *self._content_faults(response, exchange)]

    def _parameter_faults(self, exchange: Exchange) -> Iterator[str]:
        given = self._given(exchange)
        declared = [self.document.follow(parameter) for parameter in self.raw.get("parameters", ())]
        for parameter in declared:
            if parameter.get("explode"):
                continue  # its names and values are the upstream's
            values = given[parameter["in"]].get(_key(parameter), [])
            name = f"{parameter['in']} parameter {parameter['name']}"
            if not values and parameter.get("required"):
                yield f"{name} is missing"
            for value in values:
                meant = _meant(self.document.follow(parameter["schema"]), value)
                yield from (f"{name}: {fault}" for fault in self.document.faults(parameter["schema"], meant))
        if not self.is_proxy:
            known = {parameter["name"] for parameter in declared if parameter["in"] == "query"}
            yield from (f"query parameter {name} is not declared" for name in given["query"].keys() - known)

    def _given(self, exchange: Exchange) -> dict[str, dict[str, list[str]]]:
        parts = urlsplit(exchange.url)
        match = self._match(parts.path)
        given: dict[str, dict[str, list[str]]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
        for name, value in (match.groupdict() if match else {}).items():
            given["path"][name] = [unquote(value)]
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            given["query"].setdefault(name, []).append(value)
        for name, value in exchange.request_headers:
            given["header"].setdefault(name, []).append(value)
        return given

    def _credential_faults(self, exchange: Exchange) -> Iterator[str]:
        names = {name for name, _ in exchange.request_headers}
        wanted = {"agentToken": "authorization", "adminToken": "x-admin-token"}
        options = self.raw.get("security", ())
        if {} in options:
            return
        for scheme in (scheme for option in options for scheme in option):
            if wanted[scheme] not in names:
                yield f"the credential {scheme} is missing"

    def _body_faults(self, exchange: Exchange) -> Iterator[str]:
        declared = self.document.follow(self.raw.get("requestBody", {}))
        if not declared:
            if exchange.request_body and not self.is_proxy:
                yield "a body where none is declared"
            return
        if not exchange.request_body:
            if declared.get("required"):
                yield "the body is missing"
            return
        kind = _media_type(dict(exchange.request_headers).get("content-type"))
        if kind in declared["content"]:
            schema = declared["content"][kind]["schema"]
            yield from (f"body: {fault}" for fault in self._value_faults(kind, schema, exchange.request_body))
        elif "*/*" not in declared["content"]:
            yield f"content type {kind or 'none'} is not declared"

    def _header_faults(self, response: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        for name, spec in response.get("headers", {}).items():
            header = self.document.follow(spec)
            value = exchange.header(name)
            if value is None and header.get("required"):
                yield f"the header {name} is missing"
            if value is not None:
                meant = _meant(self.document.follow(header["schema"]), value)
                yield from (f"header {name}: {f}" for f in self.document.faults(header["schema"], meant))

    def _content_faults(self, response: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        content = response.get("content", {})
        if self.method == "head" or not content:
            if exchange.body:
                yield "a body where none is declared"
            return
        kind = _media_type(exchange.header("content-type"))
        if kind in content:
            schema = content[kind].get("schema", {})
            yield from (f"body: {fault}" for fault in self._value_faults(kind, schema, exchange.body))
        elif "*/*" not in content:
            yield f"content type {kind or 'none'} is not declared; {', '.join(content)} is"

    def _value_faults(self, kind: str, schema: Mapping[str, Any], body: bytes) -> Iterator[str]:
        try:
            values = _values(kind, body)
        except (ValueError, YAMLError):
            yield f"it is no {kind}"
            return
        if kind == _NDJSON:
            schema = {"$ref": "#/components/schemas/AuditEntry"}
        for value in values:
            yield from self.document.faults(schema, value)


def _values(kind: str, body: bytes) -> list[Any]:
    if kind == _NDJSON:
        return [json.loads(line, parse_float=exact_number) for line in body.splitlines()]
    if kind == "application/json":
        return [json.loads(body, parse_float=exact_number)]
    if kind == "application/yaml":
        return [YAML(typ="safe", pure=True).load(body)]
    return []


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _key(parameter: Mapping[str, Any]) -> str:
    name = str(parameter["name"])
    return name.lower() if parameter["in"] == "header" else name


def _meant(schema: Mapping[str, Any], text: str) -> str | int:
    return int(text) if schema.get("type") == "integer" and _INTEGER.fullmatch(text) else text
