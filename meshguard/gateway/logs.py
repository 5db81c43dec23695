"""The log: lines of text, or JSON objects, one a line."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from meshguard.gateway.clock import timestamp
from meshguard.gateway.telemetry import current_trace_id

if TYPE_CHECKING:
    from types import TracebackType

    from meshguard.gateway.settings import Settings

    _ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_log = logging.getLogger("meshguard.gateway")
# At DEBUG, these log every byte they read or write, or every step.
_TALKATIVE = ("alembic", "httpcore", "httpx")


class TextFormatter(logging.Formatter):
    """A line of text; of an exception it shows type and stack, for its text may quote what it was given."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        """Return the types and the stacks of an exception and of what caused it."""
        return "\n".join("\n  ".join([link["type"], *link["stack"]]) for link in _chain(ei[1]))


class JsonFormatter(logging.Formatter):
    """A JSON object in one line, with the ids of the traces that the message belongs to.

    Example:
        >>> record = logging.LogRecord("meshguard", logging.INFO, "", 0, "ready", None, None)
        >>> json.loads(JsonFormatter().format(record))["message"]
        'ready'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "timestamp": timestamp(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "traceId": current_trace_id(),
            **_open_telemetry(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = _as_json(_chain(record.exc_info[1]))
        return json.dumps({name: value for name, value in line.items() if value is not None})


def log_failure(error: BaseException, message: str, *arguments: object) -> None:
    """Log an exception by its types and stacks.

    It does not travel as `exc_info`, of which other formatters would show the text, which may quote secrets.

    Args:
        error: What went wrong.
        message: What failed by it, with places for the arguments.
        *arguments: What stands in these places.
    """
    chain = _chain(error)
    words = ", after ".join(f"{link['type']} at {'; '.join(link['stack'])}" for link in chain)
    _log.error(f"{message}: %s", *arguments, words, extra={"fields": {"exception": _as_json(chain)}})


def log_recovery(message: str, *arguments: object) -> None:
    """Log that what failed before works."""
    _log.warning(message, *arguments)


def _open_telemetry() -> dict[str, str]:
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {
        "otelTraceId": trace.format_trace_id(span.trace_id),
        "otelSpanId": trace.format_span_id(span.span_id),
    }


def _chain(error: BaseException | None) -> list[dict[str, Any]]:
    """Return type and stack of an exception and of those it came from, without their texts and variables."""
    links: list[dict[str, Any]] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kind = type(error)
        links.append({"type": f"{kind.__module__}.{kind.__qualname__}", "stack": _stack(error)})
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return links


def _as_json(chain: list[dict[str, Any]]) -> dict[str, Any]:
    first, *causes = chain
    return {**first, "causes": causes} if causes else first


def _stack(error: BaseException) -> list[str]:
    frames = traceback.walk_tb(error.__traceback__)
    return [f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}" for frame, line in frames]


def set_up(settings: Settings) -> None:
    """Send this process's log to standard error, in the form and from the level that the settings say.

    Args:
        settings: `log_format` and `log_level` of them.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(settings)())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(settings.log_level.upper())
    logging.captureWarnings(capture=True)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)


def of_server(settings: Settings) -> dict[str, Any]:
    """Return the server's own logging configuration, for `logging.config.dictConfig`."""
    formatter = {"()": _formatter(settings)}
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    return {
        "formatters": {"generic": formatter, "access": formatter},
        "handlers": {
            "console": {"formatter": "generic", **handler},
            "access": {"formatter": "access", **handler},
        },
    }


def _formatter(settings: Settings) -> type[logging.Formatter]:
    return JsonFormatter if settings.log_format == "json" else TextFormatter
