"""A scripted Claude for tests with the Claude Agent SDK, without a model or a network.

The real Claude Code runs, and talks to a server in this process instead of Anthropic's API.
"""

from __future__ import annotations

import json
import tempfile
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Turns = Sequence[Sequence[tuple[str, Mapping[str, Any] | str]]]

__all__ = ["ScriptedClaude", "scripted_claude"]


@dataclass(frozen=True)
class ScriptedClaude:
    """A running scripted model.

    Attributes:
        env: The environment for Claude Code: `ClaudeAgentOptions(env=…)`.
        told: The result of each call as the model saw it, by the ID of the call: `call-TURN-INDEX`, from 0,
            prefixed with the prompt for a sub-agent.
    """

    env: Mapping[str, str]
    told: dict[str, str] = field(default_factory=dict)


@contextmanager
def scripted_claude(turns: Turns, subagents: Mapping[str, Turns] | None = None) -> Iterator[ScriptedClaude]:
    """Run a model that makes scripted calls for the duration of a `with` block.

    Args:
        turns: The calls of each turn, as tool names with arguments, or with the text that the model writes
            as arguments. After the last turn the model ends the conversation.
        subagents: The turns of sub-agents, by the prompt that starts them.

    Yields:
        The model.

    Example:
        ```python
        from claude_agent_sdk import ClaudeAgentOptions, query
        from meshguard.testing.claude import scripted_claude

        with scripted_claude([[("Bash", {"command": "echo hello"})]]) as model:
            options = ClaudeAgentOptions(env=dict(model.env), setting_sources=[])
            async for message in query(prompt="Say hello.", options=options):
                print(message)
        print(model.told["call-0-0"])
        ```
    """
    with (
        tempfile.TemporaryDirectory(prefix="claude-", ignore_cleanup_errors=True) as home,
        ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server,
    ):
        model = ScriptedClaude(_environment(home, server.server_port))
        server.script = _Script({**(subagents or {}), "": turns}, model.told)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()


def _environment(home: str, port: int) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": "scripted",
        "ANTHROPIC_AUTH_TOKEN": "",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CONFIG_DIR": home,
        "DISABLE_AUTOUPDATER": "1",
        "HOME": home,
    }


@dataclass(frozen=True)
class _Script:
    turns: Mapping[str, Turns]
    told: dict[str, str]

    def next_calls(self, messages: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        """The calls of the next turn, as (id, tool, arguments as text)."""
        for message in messages:
            self._record(message)
        first = json.dumps(messages[0], ensure_ascii=False)
        prompt = next(prompt for prompt in self.turns if prompt in first)
        turn = sum(message["role"] == "assistant" for message in messages)
        calls = self.turns[prompt][turn] if turn < len(self.turns[prompt]) else []
        prefix = f"{prompt}-" if prompt else ""
        return [
            (f"{prefix}call-{turn}-{index}", tool, text if isinstance(text, str) else json.dumps(text))
            for index, (tool, text) in enumerate(calls)
        ]

    def _record(self, message: dict[str, Any]) -> None:
        parts = message["content"] if isinstance(message["content"], list) else []
        for part in parts:
            if part["type"] == "tool_result":
                content = part["content"]
                blocks = content if isinstance(content, list) else [{"text": content}]
                texts = [str(block.get("text")) for block in blocks]
                self.told[part["tool_use_id"]] = "\n".join(texts)


class _Api(BaseHTTPRequestHandler):
    """The part of the Messages API that Claude Code uses."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script: _Script = self.server.script  # type: ignore[attr-defined]
        self._stream(_events(script.next_calls(request["messages"])))

    def _stream(self, events: list[dict[str, Any]]) -> None:
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _events(calls: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """A streamed message: these calls, or the end."""
    message = {
        "id": f"msg-{uuid.uuid4()}",  # Claude Code merges messages with the same ID
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    blocks = [
        ({"type": "tool_use", "id": use_id, "name": tool, "input": {}}, {"partial_json": text})
        for use_id, tool, text in calls
    ] or [({"type": "text", "text": ""}, {"text": "That is all."})]
    return [
        {"type": "message_start", "message": message},
        *(event for index, block in enumerate(blocks) for event in _block(index, *block)),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use" if calls else "end_turn"},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]


def _block(index: int, start: dict[str, Any], content: dict[str, str]) -> list[dict[str, Any]]:
    kind = "text_delta" if start["type"] == "text" else "input_json_delta"
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        {"type": "content_block_delta", "index": index, "delta": {"type": kind, **content}},
        {"type": "content_block_stop", "index": index},
    ]
