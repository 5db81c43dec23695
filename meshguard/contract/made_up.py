"""Requests made up from the schema: schemathesis, all its checks, and what it has to know of this contract.

Hooks leave out the few requests about which a schema can't say whether they are valid, and say why. One
check is off for `get_agent`: "use after free" takes a DELETE for the end of a resource, but a revoked agent's
record stays. The proxy's 502 and 504 are no failures of the gateway: they tell of one of the upstream.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import schemathesis
from ruamel.yaml import YAML
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister
from schemathesis.transport.serialization import Binary

from meshguard.contract.document import location
from meshguard.contract.exchange import without_secrets
from meshguard.contract.report import Finding, Verdict
from meshguard.contract.subject import BAD_REQUEST, OK
from meshguard.policy import PolicyLoadError, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshguard.contract.report import Report
    from meshguard.contract.subject import Subject

_POLICY_OPERATIONS = {"apply_policy", "test_policies"}
_META = "X-MeshGuard-Meta"
_SHORT = 500  # characters, which JSON may write as six each
_HUGE = 20_000  # characters; the loader limits how many keys and values a YAML text has, a schema can't
_USES = 300  # requests with one agent's token
_SHOWN = 2_000  # characters of a body that are shown
_RULES = {
    "not_a_server_error": "No request makes the gateway fail.",
    "status_code_conformance": "Each answer has a status that the operation declares.",
    "content_type_conformance": "Each answer has a content type that the operation declares.",
    "response_headers_conformance": "Each answer has the headers that its response declares.",
    "response_schema_conformance": "Each body fits the schema of its response.",
    "negative_data_rejection": "What the schema of the request rules out is refused.",
    "positive_data_acceptance": "What the schema of the request allows is taken.",
    "missing_required_header": "A request without a required header is refused.",
    "unsupported_method": "A method that a path has not is answered with 405.",
    "ignored_auth": "An operation answers with its credential alone.",
    "use_after_free": "What was deleted is gone.",
    "ensure_resource_availability": "What was made is there.",
}
_CONFIG = {"rate-limit": "auto", "request-timeout": 60, "suppress-health-check": ["all"]}
_KEPT_AFTER_DELETE = {
    "include-operation-id": "get_agent",
    "checks": {"use_after_free": {"enabled": False}},
}
_PROXY = "/proxy/{path}"
_FAULTS_OF_UPSTREAM = {
    "include-path": _PROXY,
    "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 502, 504]}},
}
_REFUSALS = [400, 401, 403, 404, 405, 409, 413, 429, "5xx"]  # what the schema rules out may be too large too
_EXCEPTIONS = {
    "operations": [_KEPT_AFTER_DELETE, _FAULTS_OF_UPSTREAM],
    "checks": {"negative_data_rejection": {"expected-statuses": _REFUSALS}},
}


def contract_schema(headers_for: Callable[[str], Mapping[str, str]], **config: Any) -> Any:
    """Return the contract as a schema of schemathesis, with the hooks that it needs.

    Args:
        headers_for: Gives the headers of a credential, `agentToken` or `adminToken`.
        **config: Further configuration of schemathesis, such as `{"base-url": ...}`.

    Returns:
        The schema: parametrize a test with it, give it an `app`, or run the engine on it.
    """
    settings = SchemathesisConfig.from_dict({**_EXCEPTIONS, **config})
    schema = schemathesis.openapi.from_path(location(), config=settings)
    schema.auth(refresh_interval=None)(_credentials(headers_for))
    schema.hook(filter_path_parameters)
    schema.hook(filter_case)
    schema.hook(map_case)
    return schema


def to_yaml(_: Any, value: Any) -> bytes:
    """Return a made-up body as YAML; bytes, of which the proxy takes any, stay what they are."""
    if isinstance(value, Binary | bytes):
        return value if isinstance(value, bytes) else value.data
    yaml, output = YAML(typ="safe", pure=True), BytesIO()
    yaml.allow_unicode = False  # it writes some line ends of Unicode as they are, and reads them as spaces
    yaml.representer.ignore_aliases = lambda _: True  # policies have no anchors
    yaml.dump(value, output)
    return output.getvalue()


# Its own leaves texts such as 03108 unquoted, numbers in YAML 1.2. Of a family of types it takes the first.
schemathesis.serializer("text/yaml", "application/yaml")(to_yaml)


def _credentials(headers_for: Callable[[str], Mapping[str, str]]) -> type:
    class Credentials:
        """The credential that the operation declares."""

        def get(self, case: Any, _: schemathesis.AuthContext) -> Mapping[str, str]:
            options = case.operation.definition.raw.get("security", [])
            return {
                name: text
                for option in options
                for scheme in option
                for name, text in headers_for(scheme).items()
            }

        def set(self, case: Any, data: Mapping[str, str], _: schemathesis.AuthContext) -> None:
            case.headers.update(data)

    return Credentials


def filter_path_parameters(_: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> bool:
    """Leave out paths that are percent-encoded twice: what they decode to says whether they are refused."""
    return not re.search("%[0-9A-Fa-f]{2}", str((path_parameters or {}).get("path")))


def filter_case(_: schemathesis.HookContext, case: Any) -> bool:
    """Leave out policies of which a schema can't say whether they are valid.

    Such as rules that share a name, or a time window that is empty. That schema and loader agree on the rest
    is tested with the loader. Also omits invalid queries of the proxy, which are the upstream's business.
    """
    operation = case.operation.definition.raw["operationId"]
    if case.path == _PROXY and _has_negative_query(case):
        return False
    if operation not in _POLICY_OPERATIONS or case.meta.generation.mode.is_negative:
        return True
    names = ("candidate", "candidateText")
    found = [case.body] if operation == "apply_policy" else [case.body.get(name) for name in names]
    policies = [policy for policy in found if policy is not None]
    return all(_loads(policy) and len(repr(policy)) < _HUGE for policy in policies)


def map_case(_: schemathesis.HookContext, case: Any) -> Any:
    """Put a JSON object, which a schema of texts can't require, into the header for a context.

    A body with a context rules the header out.
    """
    text = (case.headers or {}).get(_META)
    if text is not None and not case.meta.generation.mode.is_negative:
        if isinstance(case.body, dict) and "context" in case.body:
            del case.headers[_META]
        else:
            case.headers[_META] = json.dumps({"text": text[:_SHORT]})
    return case


def _has_negative_query(case: Any) -> bool:
    query = case.meta.components.get(ParameterLocation.QUERY) if case.meta else None
    return query is not None and query.mode.is_negative


def _loads(policy: Any) -> bool:
    try:
        load_policy(policy)
    except PolicyLoadError:
        return False
    return True


class _Guard:
    """Credentials for made-up requests; keeps them from what was there before, and remembers what they made.

    Each agent asks a few hundred times only, since a gateway limits how often an agent may ask.
    """

    def __init__(self, gateway: Subject) -> None:
        self._gateway = gateway
        self._token = ""
        self._uses = _USES
        self._kept = {
            "agentId": _names(gateway, "/admin/agents", "agents", "id"),
            "name": _names(gateway, "/admin/policies", "policies", "name"),
        }

    def credential(self, scheme: str) -> dict[str, str]:
        if scheme == "adminToken":
            return {"X-Admin-Token": self._gateway.admin_token}
        self._uses += 1
        if self._uses > _USES:
            self._token = self._gateway.new_agent(name=f"{self._gateway.prefix}-made-up").token
            self._uses = 0
        return {"Authorization": f"Bearer {self._token}"}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Be asked before each request, and told after it; such hooks are for all schemas of the process."""

        def before_call(_: schemathesis.HookContext, case: Any, __: dict[str, Any]) -> None:
            self._confine(case)

        def after_call(_: schemathesis.HookContext, case: Any, response: Any) -> None:
            self._remember(case, response)
            if case.path == _PROXY and response.headers.get("x-meshguard-decision") == ["allow"]:
                response.status_code = OK  # so the contract has it, whatever status the upstream gave

        hooks = (before_call, after_call)
        try:
            for hook in hooks:
                schemathesis.hook(hook)
            yield
        finally:
            for hook in hooks:
                unregister(hook)

    def _confine(self, case: Any) -> None:
        """Turn changes away from what was there before, and keep new policies from applying to anybody."""
        for name, kept in self._kept.items():
            if case.method != "GET" and (case.path_parameters or {}).get(name) in kept:
                case.path_parameters[name] = f"{self._gateway.prefix}-none"
        is_policy = case.operation.definition.raw["operationId"] == "apply_policy"
        if is_policy and isinstance(case.body, dict) and not _is_negative(case):
            case.body["appliesTo"] = {"tags": [f"{self._gateway.prefix}-nobody"]}

    def _remember(self, case: Any, response: Any) -> None:
        """Remember the agents that were made."""
        self._gateway.requests += 1
        operation = case.operation.definition.raw["operationId"]
        found = _json(response.content) if response.status_code < BAD_REQUEST else None
        if operation == "create_agent" and isinstance(found, dict):
            self._gateway.remember_agent(quote(str(found.get("id")), safe=""))
        elif operation == "apply_policy" and isinstance(found, dict):
            self._gateway.remember_policy(quote(str(found.get("name")), safe=""))


def _is_negative(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_negative


def _names(gateway: Subject, path: str, field: str, name: str) -> set[str]:
    found = _json(gateway.admin("GET", path).body)
    items = found.get(field) if isinstance(found, dict) else None
    return {str(item.get(name)) for item in items or () if isinstance(item, dict)}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def try_made_up(
    gateway: Subject, report: Report, examples: int, progress: Callable[[str], None], *, quick: bool
) -> Iterator[Finding]:
    """Send made-up requests to every operation, and sequences of them along the links.

    Args:
        gateway: Where to.
        report: Is told how many operations there were.
        examples: How many requests for each operation.
        progress: Is told what is being tested.
        quick: Whether to leave out the boundary values of each parameter and field.

    Yields:
        What is wrong; one finding for each operation and kind of fault.
    """
    guard = _Guard(gateway)
    generation = {"max-examples": examples, "mode": "all", "database": "none"}
    schema = contract_schema(
        guard.credential,
        **_CONFIG | {"phases": {"coverage": {"enabled": not quick}}},
        **{"base-url": gateway.url, "generation": generation},
    )
    labels: set[str] = set()

    def note(phase: str, label: str) -> None:
        labels.add(label)
        progress(f"made-up requests, {phase}: {label}")

    with guard.watching():
        yield from found_by(schema, note)
    report.operations = len(labels & {operation.label for operation in _operations(schema)})


def found_by(schema: Any, progress: Callable[[str, str], None]) -> Iterator[Finding]:
    """Send the requests that schemathesis makes up for a schema.

    Args:
        schema: From `contract_schema`, all of it or some operations.
        progress: Is told the phase and the operation, or sequence, that were tested.

    Yields:
        What is wrong; one finding for each operation and kind of fault.
    """
    seen: set[tuple[str, str]] = set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            progress(event.phase.value, event.label or "")
            yield from _new(_failures(schema, event.recorder), seen)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            yield from _new(_failed(event), seen)


def _new(findings: Iterable[Finding], seen: set[tuple[str, str]]) -> Iterator[Finding]:
    for finding in findings:
        if (finding.name, finding.reference) not in seen:
            seen.add((finding.name, finding.reference))
            yield finding


def _operations(schema: Any) -> Iterator[Any]:
    return (result.ok() for result in schema.get_all_operations())


def _failures(schema: Any, recorder: Any) -> Iterator[Finding]:
    ids = {operation.label: operation.definition.raw["operationId"] for operation in _operations(schema)}
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                shown = recorder.interactions.get(failure.case_id or case_id)
                yield Finding(
                    f"{check.name}: {failure.operation}: {failure.title}",
                    Verdict.BROKEN,
                    _RULES.get(check.name, failure.title),
                    str(ids.get(failure.operation, failure.operation)),
                    failure.message or failure.title,
                    without_secrets(check.failure_info.code_sample),
                    _came(shown.response if shown else None),
                )


def _came(response: Any) -> str:
    if response is None:
        return ""
    lines = [f"{name}: {', '.join(values)}" for name, values in response.headers.items()]
    text = (response.content or b"").decode("utf-8", "backslashreplace")[:_SHOWN]
    return without_secrets("\n".join([str(response.status_code), *lines, "", text]).rstrip())


def _failed(event: Any) -> Iterator[Finding]:
    error = event.value if isinstance(event, events.NonFatalError) else event.exception
    where = getattr(event, "label", None) or "the whole"
    name = f"no answer: {where}: {type(error).__name__}"
    wrong = without_secrets(str(error).partition("\n")[0]) or type(error).__name__
    yield Finding(name, Verdict.BROKEN, "Every request is answered.", where, wrong)
