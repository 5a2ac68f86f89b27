"""The README's lines work in the order they are printed."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from pdp.dev.seed import people_of
from tests.conftest import ROOT
from tests.flow.test_operator_commands import pdp

TOOL = '''
@server.tool()
async def create_refund(order: str, amount: int) -> str:
    """Refund an order."""
    return order
'''


@pytest.mark.promise("house.docs")
def test_the_lines_that_protect_a_server_work_in_the_order_they_are_printed(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Protect an MCP server")[2].partition("\n## ")[0]
    (python,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    head = "import os\nimport sys\n\nfrom mcp.server.mcpserver import MCPServer\n"
    server = head + python.replace("...  # your tools", TOOL) + '\nserver.run("stdio")\n'
    (tmp_path / "server.py").write_text(server)
    (tmp_path / "people.yaml").write_text(people_of("https://idp.example"))
    printed = [line.partition("#")[0] for line in section.splitlines() if line.startswith("pdp ")]
    commands = [shlex.split(line.replace("-- python", f"-- {sys.executable}")) for line in printed]
    assert commands.pop() == ["pdp", "serve"], "tests/flow/test_serve.py runs that one"
    for command in commands:
        done = pdp(tmp_path, *command[1:])
        assert done.returncode == 0, (command, done.stdout, done.stderr)
