"""Whatever openapi-python-client cannot generate from the contract alone.

`simplify` changes the contract before the generator reads it: the generator uses the first media type that
it knows and has none for "any", and it cannot tell two kinds of lists apart. `finish` changes the generated
modules of the proxy: a response of the upstream is returned as bytes, whatever its status, and a body that is
not a `File` is sent as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_ANY = "*/*"
_BYTES = "application/octet-stream"
_JSON = "application/json"

_PARSED = "Any | Denial | Error | InvalidRequestError | RateLimitError"
_FINISHED = "bytes | Denial | Error | InvalidRequestError | RateLimitError"

_SIGNATURE = "response: httpx.Response\n) -> {parsed}:\n"
_FROM_UPSTREAM = """\
    if response.headers.get("X-MeshGuard-Decision") == "allow":
        return response.content

"""

_BODY_AS_GENERATED = """\
    if isinstance(body, Any):
        if not isinstance(body, Unset):
            _kwargs["json"] = body

        headers["Content-Type"] = "application/json"
    if isinstance(body, File):
        if not isinstance(body, Unset):
            _kwargs["content"] = body.payload
        headers["Content-Type"] = "application/octet-stream"
"""
_BODY = """\
    if isinstance(body, File):
        _kwargs["content"] = body.payload.read()
        headers["Content-Type"] = body.mime_type or "application/octet-stream"
    elif not isinstance(body, Unset):
        _kwargs["json"] = body
        headers["Content-Type"] = "application/json"
"""
_BODY_DOCUMENTED = """\
        body (Any | Unset): Any JSON.
        body (File | Unset): The body as it is.
"""
_BODY_DOCUMENTATION = """\
        body (Any | File | Unset): Any JSON, or a `File`, which is sent as it is with its `mime_type`.
"""


def simplify(document: dict[str, Any]) -> None:
    """Express the contract in terms that the generator knows."""
    components = document["components"]
    value = {"$ref": "#/components/schemas/ValueCondition"}
    components["schemas"]["Conditions"]["additionalProperties"] = value
    components["schemas"]["UpstreamBody"] = {}
    del components["requestBodies"]["Upstream"]["content"][_ANY]
    for response in components["responses"].values():
        content = response.get("content", {})
        if _BYTES in content:
            content.pop(_ANY, None)
            content[_BYTES] = content.pop(_BYTES)


def finish(package: Path) -> None:
    """Change the generated modules of the proxy.

    Raises:
        ValueError: The generator wrote other code than expected.
    """
    folder = package / "api" / "proxy"
    for path in sorted(folder.glob("proxy_*.py")):
        if path.name != "proxy_head.py":
            path.write_text(_finished(path.read_text(), path.name))


def _finished(code: str, name: str) -> str:
    signature = _SIGNATURE.format(parsed=_PARSED)
    code = _replaced(code, signature, signature + _FROM_UPSTREAM, name, 1)
    code = _replaced(code, 'quote(str(path), safe="")', 'quote(str(path), safe="/")', name, 1)
    if "body: " in code:
        code = _replaced(code, _BODY_AS_GENERATED, _BODY, name, 1)
        code = _replaced(code, _BODY_DOCUMENTED, _BODY_DOCUMENTATION, name, 4)
    code = code.replace("cast(Any, response.content)", "response.content")
    code = _replaced(code, "from typing import Any, cast\n", "from typing import Any\n", name, 1)
    return code.replace(_PARSED, _FINISHED)


def _replaced(code: str, generated: str, wanted: str, name: str, times: int) -> str:
    if code.count(generated) != times:
        raise ValueError(f"{name} does not have this {times} times; adapt adapt.py:\n{generated}")
    return code.replace(generated, wanted)
