"""`meshguard serve`: a gateway on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshguard.cli.app import App

app = App()


def _option(name: str, text: str, metavar: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text)


@app.command()
def serve(  # noqa: PLR0917 - typer calls it
    host: Annotated[
        str | None, _option("--host", "Address to listen on.  [default: 127.0.0.1]", "ADDRESS")
    ] = None,
    port: Annotated[
        int | None, _option("--port", "Port; 0 lets the system choose.  [default: 3100]", "PORT")
    ] = None,
    mode: Annotated[
        str | None, _option("--mode", "enforce, or audit: deny nothing.  [default: enforce]", "MODE")
    ] = None,
    policies_dir: Annotated[
        Path | None, _option("--policies-dir", "Folder of policy files, watched for changes.", "FOLDER")
    ] = None,
    database_url: Annotated[
        str | None,
        _option(
            "--database-url", "The database.  [default: in your data folder; .meshguard with --dev]", "URL"
        ),
    ] = None,
    agent_token_ttl: Annotated[
        int | None, _option("--agent-token-ttl", "Lifetime of an agent token.", "SECONDS")
    ] = None,
    proxy_target: Annotated[str | None, _option("--proxy-target", "Base URL of the upstream.", "URL")] = None,
    proxy_action: Annotated[
        str | None,
        _option(
            "--proxy-action",
            "What the proxy evaluates: declared, derived or both.  [default: declared]",
            "KIND",
        ),
    ] = None,
    proxy_timeout: Annotated[
        float | None, _option("--proxy-timeout", "Time to wait for the upstream.", "SECONDS")
    ] = None,
    proxy_max_body: Annotated[
        int | None, _option("--proxy-max-body", "Size of a forwarded body at most.", "BYTES")
    ] = None,
    request_timeout: Annotated[
        float | None,
        _option(
            "--request-timeout", "Time that a client may take to send a request.  [default: 30]", "SECONDS"
        ),
    ] = None,
    max_connections: Annotated[
        int | None, _option("--max-connections", "Connections of each worker at most.  [default: 1024]", "N")
    ] = None,
    workers: Annotated[int | None, _option("--workers", "Processes that serve.  [default: 1]", "N")] = None,
    audit_retention_days: Annotated[
        int | None, _option("--audit-retention-days", "Days to keep audit entries; 0 keeps all.", "DAYS")
    ] = None,
    audit_context_keys: Annotated[
        str | None,
        _option("--audit-context-keys", "Context keys whose values are recorded, comma-separated.", "KEYS"),
    ] = None,
    rate_limit_rpm: Annotated[
        int | None, _option("--rate-limit-rpm", "Decisions a minute for each agent; 0 is off.", "N")
    ] = None,
    rate_limit_storage: Annotated[
        str | None, _option("--rate-limit-storage", "Where they are counted.  [default: memory://]", "URL")
    ] = None,
    explain_to_agents: Annotated[
        bool | None,
        typer.Option("--explain-to-agents", help="Explain decisions to agents, with thresholds and names."),
    ] = None,
    cors_origin: Annotated[
        str | None, _option("--cors-origin", "Origin whose pages may call.", "ORIGIN")
    ] = None,
    metrics_enabled: Annotated[
        bool | None, typer.Option("--metrics/--no-metrics", help="Whether to serve /metrics.")
    ] = None,
    log_level: Annotated[
        str | None, _option("--log-level", "debug, info, warning or error.", "LEVEL")
    ] = None,
    log_format: Annotated[
        str | None, _option("--log-format", "text, or json: one object a line.  [default: text]", "FORMAT")
    ] = None,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="Keep secrets and an agent in .meshguard; show decisions; loopback only."),
    ] = False,
) -> None:
    """Run a gateway.

    Each option is also a setting in the environment or in `.env`, such as MESHGUARD_PORT. The secrets
    (JWT_SECRET, JWT_SECRETS_OLD, ADMIN_TOKEN, PROXY_AUTHORIZATION) are settings only: other users of the
    machine can see a command line.

    Examples:
      $ meshguard serve --dev --policies-dir policies
      $ meshguard serve --host 0.0.0.0 --workers 4
    """
    flags = {name: value for name, value in locals().items() if name != "dev"}
    from meshguard.cli import server

    server.serve(flags, dev=dev)
