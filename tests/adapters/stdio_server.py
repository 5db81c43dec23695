"""An MCP server over stdio for the tests of adapters, with two tools of the conformance kit."""

from mcp.server import MCPServer

server = MCPServer("records")


@server.tool()
def lookup(query: str) -> str:
    """Look a customer up."""
    return f"found {query}"


@server.tool()
def delete_records(table: str) -> str:
    """Delete all records of a table."""
    raise AssertionError(f"{table} deleted")


if __name__ == "__main__":
    server.run()
