"""A protected server over stdio, for a test to start: PDP's URL and key file, then the file where tools sign."""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

from pdp.adapters.sdk import protect
from pdp.dev.seed import SERVER
from pdp.dev.server import add_tools

url, key, journal = sys.argv[1], Path(sys.argv[2]).read_text(), Path(sys.argv[3])


def ran(tool: str) -> None:
    """Sign."""
    with journal.open("a") as file:
        file.write(f"{tool}\n")


server: MCPServer[None] = MCPServer("payments")
add_tools(server, ran)
protect(server, pdp=url, key=key, server_id=SERVER, deadline_s=5.0)
server.run("stdio")
