"""The tools and the guard for the policies in coding-agent."""

from meshguard import MeshGuardClient
from meshguard.guard import Guard


def read_file(path: str) -> str:
    """Read a file."""
    return f"content of {path}"


def write_file(path: str, content: str) -> str:
    """Write a file."""
    return f"wrote {len(content)} characters to {path}"


def run_tests(path: str) -> str:
    """Run tests."""
    return f"all tests in {path} pass"


def git(command: str, options: list[str]) -> str:
    """Run a command of git."""
    return f"git {command} {' '.join(options)}"


TOOLS = [read_file, write_file, run_tests, git]


def guard(client: MeshGuardClient) -> Guard:
    """The guard of a coding agent."""
    return Guard(
        client,
        action_map={"read_file": "read:file", "write_file": "write:file", "git": "git:{command}"},
        resource={"read_file": "path", "write_file": "path", "run_tests": "path"},
    )
