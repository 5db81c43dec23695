"""`meshguard policy`: policies, in files and in a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshguard.cli.app import App
from meshguard.cli.connection import open_client
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson, AsJsonLines, Yes
from meshguard.cli.output import Column, confirm, write, write_json, write_json_line, write_note, write_table
from meshguard.cli.text import closest, printable

if TYPE_CHECKING:
    from meshguard import MeshGuardClient
    from meshguard.types import Policy

app = App(help="Write, test and apply policies.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the policy.")]
PolicyPath = Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="Policy file, or folder of them.")]


@app.command("list", gateway=True)
def list_policies(ctx: typer.Context, as_json: AsJsonLines = False) -> None:
    """List the active policies.

    Examples:
      $ meshguard policy list
    """
    with open_client(ctx) as client:
        policies = client.list_policies()
    if as_json:
        for policy in policies:
            write_json_line(policy)
        return
    columns = [
        Column("name"),
        Column("rules"),
        Column("applies to", detail=True),
        Column("description", detail=True),
    ]
    rows = (
        (policy["name"], len(policy["rules"]), _audience(policy), policy.get("description"))
        for policy in policies
    )
    write_table(columns, rows)
    if not policies:
        write_note("No policies: everything is denied.")


def _audience(policy: Policy) -> str:
    applies: Any = policy.get("appliesTo") or {}
    return "; ".join(f"{key}: {', '.join(values)}" for key, values in applies.items())


@app.command(gateway=True)
def show(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show an active policy as YAML.

    Examples:
      $ meshguard policy show support > support.yaml
    """
    from meshguard.cli.policy_apply import to_yaml

    with open_client(ctx) as client:
        policy = _get_policy(client, name)
    if as_json:
        write_json(policy)
    else:
        typer.echo(to_yaml(dict(policy)), nl=False)


def _get_policy(client: MeshGuardClient, name: str) -> Policy:
    from meshguard import NotFoundError

    try:
        return client.get_policy(name)
    except NotFoundError:
        names = [policy["name"] for policy in client.list_policies()]
        raise CommandError(
            f'No policy "{printable(name)}".{closest(name, names)} `meshguard policy list` shows them all.',
            ExitCode.NO,
        ) from None


@app.command(gateway=True)
def apply(
    ctx: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Policy files, or folders of them.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate and show the changes only.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Activate policies: all of them, or none.

    Every policy is validated, and the changes are shown, before anything is changed. When one cannot be
    applied, the earlier ones are restored. Exit code 1: a policy is invalid, or the changes are not
    confirmed.

    Examples:
      $ meshguard policy apply policies/
      $ meshguard policy apply support.yaml --dry-run
    """
    from meshguard.cli import policy_apply

    with open_client(ctx) as client:
        plan = policy_apply.make_plan(client, paths)
        if not as_json:
            policy_apply.write_plan(plan)
        if plan.changes and not dry_run:
            count = f"{len(plan.changes)} {'policy' if len(plan.changes) == 1 else 'policies'}"
            confirm(f"Apply {count} to {client.gateway_url}?", yes=yes)
            policy_apply.apply_plan(client, plan)
    if as_json:
        write_json({"dryRun": dry_run, **plan.to_json()})
    elif dry_run:
        write_note("Nothing was applied: --dry-run.")
    else:
        policy_apply.write_applied(plan)


@app.command(gateway=True)
def delete(ctx: typer.Context, name: Name, yes: Yes = False, as_json: AsJson = False) -> None:
    """Deactivate and remove a policy.

    Examples:
      $ meshguard policy delete support
    """
    with open_client(ctx) as client:
        _get_policy(client, name)
        confirm(f"Delete policy {name} from {client.gateway_url}?", yes=yes)
        client.delete_policy(name)
    if as_json:
        write_json({"name": name, "deleted": True})
    else:
        write(f"✓ Deleted {name}")


@app.command("test")
def run_cases(
    file: Annotated[Path, typer.Option("--file", "-f", metavar="FILE", help="File with the cases.")],
    policies: Annotated[
        Path | None,
        typer.Option(
            "--policies", metavar="FILE|FOLDER", help="The policies; by default those that the cases name."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run test cases, without a gateway. Exit code 0: all passed; 1: a case failed; 2: broken input.

    Examples:
      $ meshguard policy test -f policies/tests.yaml
    """
    from meshguard.cli.policy_files import run_tests

    raise typer.Exit(run_tests(file, policies, as_json=as_json))


@app.command()
def validate(path: PolicyPath, as_json: AsJson = False) -> None:
    """Check that policies load, without a gateway. Exit code 1: they are invalid; 2: there are none.

    Examples:
      $ meshguard policy validate policies/
    """
    from meshguard.cli.policy_files import run_validation

    raise typer.Exit(run_validation(path, as_json=as_json))


@app.command()
def lint(path: PolicyPath, as_json: AsJson = False) -> None:
    """Find probable mistakes in policies, without a gateway. Exit code 1: warnings; 2: they are invalid.

    Examples:
      $ meshguard policy lint policies/
    """
    from meshguard.cli.policy_files import run_lint

    raise typer.Exit(run_lint(path, as_json=as_json))
