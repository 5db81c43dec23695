"""Every error says what happened, to what, and what to do next."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import meshguard
from meshguard import MeshGuardClient, MeshGuardError

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Answer, Gateway

PACKAGE = Path(meshguard.__file__).parent
FILES = [
    *sorted((PACKAGE / "_async").glob("*.py")),
    *sorted((PACKAGE / "_wire").glob("*.py")),
    *(PACKAGE / name for name in ("config.py", "governed.py")),
]
MAX_WORDS = 25
ERRORS = re.compile(r"[A-Z]\w*Error")
CHECK_URL = "Check MESHGUARD_GATEWAY_URL; `meshguard serve --dev` runs a gateway."
NOT_PROSE = {"unexpected keyword argument {}"}  # Python's own wording


def messages() -> Iterator[tuple[str, str]]:
    """Yield the place and text of every error that the client makes; `{}` stands for a value."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            text = _text(node.args[0])
            if ERRORS.fullmatch(name) and text and text != "{}" and text not in NOT_PROSE:
                yield f"{path.parent.name}/{path.name}:{node.lineno}", text


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]
    return None


MESSAGES = dict(messages())


def test_the_sweep_finds_the_messages() -> None:
    assert len(MESSAGES) >= 50
    assert {place.partition(":")[0] for place in MESSAGES} >= {
        "_async/transport.py",
        "_wire/errors.py",
        "_wire/requests.py",
        "meshguard/config.py",
    }


@pytest.mark.parametrize("place", MESSAGES)
def test_a_message_is_a_short_sentence(place: str) -> None:
    text = MESSAGES[place]
    assert text[0] in string.ascii_uppercase or text.startswith("{}"), text
    assert text.endswith((".", "{}")), text
    assert len(text.split()) <= MAX_WORDS, text
    assert "can't" not in text, text


def situations() -> dict[str, tuple[Callable[[MeshGuardClient], Any], Any, str]]:
    """What is called, what the gateway returns, and the message; `URL` stands for the gateway's."""

    def check(client: MeshGuardClient) -> Any:
        return client.enforce("read:a")

    def agents(client: MeshGuardClient) -> Any:
        return client.list_agents()

    def upstream(client: MeshGuardClient) -> Any:
        return client.get("/admin/a", "read:a")

    rejected = "URL rejected the {} token (missing, expired, replaced or revoked); check MESHGUARD_{}_TOKEN."
    unreachable, check_url = "Cannot reach the gateway at URL:", CHECK_URL
    context, a_set = "Cannot send the context:", "a value of type set. Convert or omit it"
    details = [{"path": "/name", "message": "too long"}, {"path": "", "message": "unknown"}]
    denial = {"error": "forbidden", "message": "No refunds.", "action": "read:a", "policy": "p", "rule": "r"}
    foreign = "is not a gateway's: {}. Check MESHGUARD_GATEWAY_URL and any proxy in between."
    return {
        "401 agent": (check, Answer({}, 401), rejected.format("agent", "AGENT")),
        "401 admin": (agents, Answer({"message": "m"}, 401), rejected.format("admin", "ADMIN")),
        "401 proxied": (upstream, Answer("", 401), rejected.format("agent", "AGENT")),
        "denied": (check, Answer(denial, 403), "Action 'read:a' denied by policy 'p' (rule: r): No refunds."),
        "fields": (
            agents,
            Answer({"message": "m", "details": details}, 400),
            "The gateway rejected the request: /name: too long; the request: unknown.",
        ),
        "no message": (agents, Answer("", 404), "URL rejected the request with status 404."),
        "own message": (agents, Answer({"message": "Too many."}, 429), "Too many."),
        "no decision": (
            check,
            Answer({}),
            f"The response of URL (status 200) {foreign.format('it has no decision')}",
        ),
        "not HTTP": (
            check,
            Answer("", headers={"Bad Header": "x"}),
            f"The response of URL {foreign.format('RemoteProtocolError')}",
        ),
        "dropped": (
            check,
            Answer(None),
            f"{unreachable} RemoteProtocolError: Server disconnected without sending a response. {check_url}",
        ),
        "upstream": (
            upstream,
            Answer("no", 500, {"X-MeshGuard-Decision": "allow"}),
            "The upstream returned 500 for GET /admin/a.",
        ),
        "context": (
            lambda client: client.check("read:a", context={"amount": {1}}),
            Answer(""),
            f"{context} its member 'amount' has no exact JSON value, because it contains {a_set}.",
        ),
    }


@pytest.mark.parametrize("situation", situations())
def test_a_situation_has_this_message(gateway: Gateway, situation: str) -> None:
    call, answer, message = situations()[situation]
    gateway.answers(answer)
    with (
        MeshGuardClient(gateway.url, AGENT_TOKEN, ADMIN_TOKEN, max_retries=0) as client,
        pytest.raises(MeshGuardError) as caught,
    ):
        call(client)
    assert str(caught.value).replace(gateway.url, "URL") == message


def test_an_unreachable_gateway_is_named() -> None:
    client = MeshGuardClient("http://127.0.0.1:9", AGENT_TOKEN, max_retries=0)
    with client, pytest.raises(MeshGuardError) as caught:
        client.check("read:a")
    assert str(caught.value).startswith("Cannot reach the gateway at http://127.0.0.1:9: ConnectError: ")
    assert str(caught.value).endswith("`meshguard serve --dev` runs a gateway.")


@pytest.mark.parametrize(
    ("call", "variable"),
    [
        (MeshGuardClient, "MESHGUARD_GATEWAY_URL"),
        (lambda: MeshGuardClient("http://127.0.0.1:9").check("read:a"), "MESHGUARD_AGENT_TOKEN"),
        (lambda: MeshGuardClient("http://127.0.0.1:9").list_agents(), "MESHGUARD_ADMIN_TOKEN"),
    ],
)
def test_a_missing_setting_names_its_variable(call: Callable[[], Any], variable: str) -> None:
    with pytest.raises(MeshGuardError, match=variable):
        call()
