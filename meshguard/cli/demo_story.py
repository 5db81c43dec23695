"""The story of `meshguard demo`: an agent under a real gateway, allowed, denied and recorded."""

from __future__ import annotations

import secrets
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.live import LiveView
from meshguard.cli.output import make_console
from meshguard.client import MeshGuardClient
from meshguard.exceptions import AuthenticationError, PolicyDeniedError
from meshguard.gateway import app as gateway
from meshguard.gateway import load_settings
from meshguard.gateway.embedded import serve_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

_POLICY = Path(__file__).with_name("demo_policy.yaml")


def tell() -> None:
    """Run the demo.

    Raises:
        CommandError: A step did not do what it should.
    """
    console = make_console()
    admin_token = secrets.token_urlsafe(32)
    with (
        _upstream() as target,
        _gateway(target, admin_token) as url,
        MeshGuardClient(url, admin_token=admin_token, trust_env=False) as admin,
    ):
        console.print(f"A gateway is ready at {url}, with this policy:\n", style="dim")
        console.print(_POLICY.read_text(encoding="utf-8"), style="dim")
        admin.apply_policy(_POLICY.read_text(encoding="utf-8"))
        agent = admin.create_agent("support-bot", trust_tier="verified", tags=["support"])
        with MeshGuardClient(url, agent["token"], trust_env=False) as client:
            story = _Story(console, LiveView(admin, console), admin, client, agent["id"])
            story.tell()


class _Contacts(BaseHTTPRequestHandler):
    """The upstream service; it remembers which methods reached it."""

    reached: ClassVar[list[str]] = []

    def _respond(self) -> None:
        self.reached.append(self.command)
        body = b'[{"name": "Ada"}, {"name": "Grace"}]'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_DELETE = _respond  # noqa: N815 - names of http.server

    def log_message(self, *_: object) -> None:
        """Log nothing; the demo prints what happens."""


@contextmanager
def _upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Contacts)
    _Contacts.reached.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _gateway(target: str, admin_token: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="meshguard-", ignore_cleanup_errors=True) as folder:
        settings = load_settings(
            _env_file=None,
            jwt_secret=secrets.token_urlsafe(48),
            admin_token=admin_token,
            database_url=f"sqlite:///{folder}/demo.db",
            proxy_target=target,
            mode="enforce",
            policies_dir=None,
            rate_limit_rpm=0,
        )
        with serve_in_thread(gateway(settings)) as url:
            yield url


@dataclass
class _Story:
    """The steps of the demo, in order."""

    console: Console
    live: LiveView
    admin: MeshGuardClient
    client: MeshGuardClient
    agent_id: str

    def tell(self) -> None:
        self.ask()
        self.govern()
        self.go_through_the_proxy()
        self.change_the_agent()
        self.read_the_log()

    def step(self, code: str, outcome: str, *, done: bool) -> None:
        """Print a line of code, the decisions it led to, and what came of it."""
        self.console.print(f">>> {code}", style="bold")
        self.live.show_new()
        self.console.print(f"{'✓' if done else '✗'} {outcome}\n", style="green" if done else "red")
        if not done:
            raise CommandError("A step of the demo failed: see above. Report it.", ExitCode.CANNOT_TELL)

    def ask(self) -> None:
        read = self.client.check("read:contacts")
        self.step('client.check("read:contacts").allowed', str(read.allowed), done=read.allowed)
        try:
            self.client.enforce("delete:contacts")
        except PolicyDeniedError as error:
            name = type(error).__name__
            self.step(
                'client.enforce("delete:contacts")', f"raised {name}", done=error.rule == "nothing-is-deleted"
            )
        else:
            self.step('client.enforce("delete:contacts")', "did not raise", done=False)

    def govern(self) -> None:
        ran: list[str] = []

        @self.client.govern("write:email")
        def send_email() -> None:
            ran.append("email")

        @self.client.govern("write:refund")
        def refund() -> None:
            ran.append("refund")

        send_email()
        self.step('send_email()  # @client.govern("write:email")', "the function ran", done=ran == ["email"])
        try:
            refund()
        except PolicyDeniedError:
            self.step(
                'refund()  # @client.govern("write:refund")',
                "the function did not run",
                done=ran == ["email"],
            )
        else:
            self.step('refund()  # @client.govern("write:refund")', "the function ran", done=False)

    def go_through_the_proxy(self) -> None:
        contacts = self.client.get("/api/contacts", action="read:contacts").json()
        names = ", ".join(contact["name"] for contact in contacts)
        self.step(
            'client.get("/api/contacts", action="read:contacts").json()',
            f"the upstream returned {names}",
            done=_Contacts.reached == ["GET"],
        )
        code = 'client.delete("/api/contacts/1", action="delete:contacts")'
        try:
            self.client.delete("/api/contacts/1", action="delete:contacts")
        except PolicyDeniedError:
            self.step(code, "the upstream never saw the request", done=_Contacts.reached == ["GET"])
        else:
            self.step(code, "the request passed", done=False)

    def change_the_agent(self) -> None:
        self.admin.update_agent(self.agent_id, trust_tier="trusted")
        allowed = self.client.check("write:refund").allowed
        self.step(
            'admin.update_agent(agent_id, trust_tier="trusted")', "refunds are allowed now", done=allowed
        )
        self.admin.revoke_agent(self.agent_id)
        try:
            self.client.check("read:contacts")
        except AuthenticationError as error:
            self.step(
                "admin.revoke_agent(agent_id)", f"the next call raised {type(error).__name__}", done=True
            )
        else:
            self.step("admin.revoke_agent(agent_id)", "the token still works", done=False)

    def read_the_log(self) -> None:
        actions = [entry["action"] for entry in self.admin.iter_audit_log(kind="decision")]
        expected = ["read:contacts", "delete:contacts", "write:email", "write:refund"]
        expected += ["read:contacts", "delete:contacts", "write:refund"]
        self.step(
            "admin.get_audit_log()",
            f"{len(actions)} decisions, each recorded before the agent got it",
            done=actions[::-1] == expected,
        )
