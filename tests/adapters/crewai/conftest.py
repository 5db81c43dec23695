"""CrewAI phones nobody and writes below a folder of its own; it reads this when it is imported."""

import os
import tempfile

_STORAGE = tempfile.TemporaryDirectory(prefix="crewai-")
os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_STORAGE_DIR": _STORAGE.name,
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}
