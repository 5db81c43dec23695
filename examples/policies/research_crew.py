"""The tools and the guard for the policies in research-crew."""

from meshguard import MeshGuardClient
from meshguard.guard import Guard


def search_web(query: str) -> str:
    """Search the web."""
    return f"pages on {query}"


def read_page(url: str) -> str:
    """Read a web page."""
    return f"text of {url}"


def write_draft(path: str, text: str) -> str:
    """Write a draft."""
    return f"wrote {len(text)} characters to {path}"


def publish(section: str, draft: str) -> str:
    """Publish a draft."""
    return f"published {draft} in {section}"


TOOLS = [search_web, read_page, write_draft, publish]


def guard(client: MeshGuardClient) -> Guard:
    """The guard of a member of the crew."""
    return Guard(
        client,
        action_map={"publish": "publish:{section}"},
        resource={"read_page": "url", "write_draft": "path", "publish": "draft"},
    )
