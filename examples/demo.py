"""An agent at work under a real gateway: allowed, denied, recorded. Run it with scripts/demo.

The gateway is `meshguard serve` in a process of its own, on a port that the system chose, with a policy file
and an upstream service. The exit code is 0 only if every step did what it says.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, ClassVar

from rich.console import Console
from rich.table import Table

from meshguard import AuthenticationError, MeshGuardClient, PolicyDeniedError

POLICIES = Path(__file__).parent / "demo"
console = Console(highlight=False)


class Contacts(BaseHTTPRequestHandler):
    """The upstream service: it answers, and remembers what reached it."""

    reached: ClassVar[list[str]] = []

    def answer(self) -> None:
        """Answer any method with the contacts."""
        self.reached.append(self.command)
        body = b'[{"name": "Ada"}, {"name": "Grace"}]'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo speaks."""


@contextmanager
def upstream() -> Iterator[str]:
    """The contacts service on a port of its own; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Contacts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def gateway(target: str, admin_token: str) -> Iterator[str]:
    """`meshguard serve` in front of `target`; yields its URL."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "MESHGUARD_PORT": "0",
            "MESHGUARD_JWT_SECRET": secrets.token_urlsafe(48),
            "MESHGUARD_ADMIN_TOKEN": admin_token,
            "MESHGUARD_DATABASE_URL": f"sqlite:///{folder}/meshguard.db",
            "MESHGUARD_POLICIES_DIR": str(POLICIES),
            "MESHGUARD_PROXY_TARGET": target,
        }
        command = [sys.executable, "-m", "meshguard.cli", "serve"]
        process = subprocess.Popen(  # noqa: S603
            command, env=os.environ | settings, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            yield ready(process.stdout)
        finally:
            process.terminate()
            process.wait(10)


def ready(lines: IO[str] | None) -> str:
    """The URL that the gateway prints once it answers."""
    for line in lines or ():
        if url := re.search(r"http://\S+", line):
            return url[0]
    sys.exit("The gateway did not start.")


def step(text: str, outcome: str, *, held: bool) -> None:
    """Say what a step did; end the demo if it did not do what it says."""
    mark = "[green]✓[/]" if held else "[red]✗[/]"
    console.print(f"{mark} [bold]{text}[/] [dim]→[/] {outcome}", soft_wrap=True)
    if not held:
        sys.exit("This step did not do what it says.")


def ask(client: MeshGuardClient) -> None:
    """Check, enforce, govern."""
    read = client.check("read:contacts")
    step('check("read:contacts")', f"{read.decision}, by rule {read.rule}", held=read.allowed)
    delete = client.check("delete:contacts")
    step('check("delete:contacts")', f"{delete.decision}: {delete.reason}", held=not delete.allowed)
    try:
        client.enforce("delete:contacts")
    except PolicyDeniedError as error:
        step(
            'enforce("delete:contacts")',
            f"raised {type(error).__name__}",
            held=error.rule == "nothing-is-deleted",
        )
    else:
        step('enforce("delete:contacts")', "passed", held=False)
    govern(client)


def govern(client: MeshGuardClient) -> None:
    """Two governed functions, of which one runs."""
    ran = []

    @client.govern("write:email")
    def send_email() -> None:
        ran.append("send_email")

    @client.govern("write:refund")
    def refund() -> None:
        ran.append("refund")

    send_email()
    step('@govern("write:email")', "the function ran", held=ran == ["send_email"])
    try:
        refund()
    except PolicyDeniedError as error:
        step('@govern("write:refund")', f"it did not run: {error.reason}", held=ran == ["send_email"])
    else:
        step('@govern("write:refund")', "it ran", held=False)


def go_through_the_proxy(client: MeshGuardClient) -> None:
    """A GET that reaches the upstream, and a DELETE that does not."""
    contacts = client.get("/api/contacts", action="read:contacts").json()
    names = ", ".join(contact["name"] for contact in contacts)
    step('get("/api/contacts")', f"the upstream answered: {names}", held=Contacts.reached == ["GET"])
    try:
        client.delete("/api/contacts/1", action="delete:contacts")
    except PolicyDeniedError:
        step(
            'delete("/api/contacts/1")',
            "denied, and the upstream never saw it",
            held=Contacts.reached == ["GET"],
        )
    else:
        step('delete("/api/contacts/1")', "passed", held=False)


def change_the_agent(admin: MeshGuardClient, client: MeshGuardClient, agent_id: str) -> None:
    """A higher tier changes the next decision; a revocation ends them all."""
    admin.update_agent(agent_id, trust_tier="trusted")
    refund = client.check("write:refund")
    step('update_agent(trust_tier="trusted")', "the same token may refund now", held=refund.allowed)
    admin.revoke_agent(agent_id)
    try:
        client.check("read:contacts")
    except AuthenticationError as error:
        step("revoke_agent", f"the token is worth nothing: {type(error).__name__}", held=True)
    else:
        step("revoke_agent", "the token still works", held=False)


def show_the_audit_log(admin: MeshGuardClient) -> None:
    """Every decision of the run, as it was recorded."""
    table = Table("time", "action", "decision", "rule", title="The audit log, newest first")
    entries = admin.get_audit_log(limit=50)
    for entry in entries:
        colour = "green" if entry["decision"] == "allow" else "red"
        table.add_row(
            entry["timestamp"][11:19],
            entry["action"],
            f"[{colour}]{entry['decision']}[/]",
            entry.get("rule", ""),
        )
    console.print(table)
    decided = [entry["action"] for entry in reversed(entries) if entry["kind"] == "decision"]
    expected = ["read:contacts", "delete:contacts", "delete:contacts", "write:email", "write:refund"]
    expected += ["read:contacts", "delete:contacts", "write:refund"]
    step("get_audit_log()", f"{len(decided)} decisions, each recorded", held=decided == expected)


def main() -> None:
    """Run every step."""
    admin_token = secrets.token_urlsafe(32)
    with upstream() as target, gateway(target, admin_token) as url:
        console.print(f"[dim]a gateway at {url} with the policies of examples/demo[/]\n")

        with MeshGuardClient(url, admin_token=admin_token) as admin:
            agent = admin.create_agent("support-bot", trust_tier="verified", tags=["support"])
            step('create_agent("support-bot")', agent["id"], held=bool(agent["token"]))
            with MeshGuardClient(url, agent["token"]) as client:
                ask(client)
                go_through_the_proxy(client)
                change_the_agent(admin, client, agent["id"])
            show_the_audit_log(admin)


if __name__ == "__main__":
    main()
