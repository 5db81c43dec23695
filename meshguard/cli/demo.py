"""`meshguard demo`: an agent under a real gateway."""

from __future__ import annotations

from meshguard.cli.app import App

app = App()


@app.command()
def demo() -> None:
    """Show what a governed agent may do.

    A gateway and an upstream service run in this process, each on its own port. Each step shows what the
    agent's code does, and the decision that the gateway recorded. Nothing is left behind. Exit code 3: a step
    did not do what it should.

    Examples:
      $ meshguard demo
    """
    from meshguard.cli import demo_story

    demo_story.tell()
