"""The command line, one file a group of commands; each is imported only when it is called."""

import importlib
import sys

COMMANDS = {  # command -> module of this package that defines it, under the same name or under `module:name`
    "serve": "serve",
    "check": "check",
    "try": "trial:try_",
    "why": "why",
    "keys": "keys",
    "identity": "identity",
    "signal": "signal",
    "approvals": "approvals",
    "approve": "approvals",
    "deny": "approvals",
    "registry": "registry",
    "policy": "policy",
    "log": "log",
    "opa": "opa",
    "doctor": "doctor",
}


def main() -> None:
    """Run `pdp`. Exit status 0 only on success; a `Fault` is printed as one sentence, without a stack."""
    try:
        import click
    except ModuleNotFoundError:
        sys.exit("The command line belongs to the service: pip install 'mcp-pdp[server]'.")
    from ..errors import Fault, PdpError

    class Commands(click.Group):
        """Finds commands by name without importing the others."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            """Return the commands in the order of `COMMANDS`."""
            _ = ctx
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            """Import the module of one command."""
            _ = ctx
            if cmd_name not in COMMANDS:
                return None
            module, _, name = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(f".{module}", __name__), name or cmd_name)
            return command

    root = Commands(name="pdp", help="The policy decision point for AI agents' tool calls.")
    try:
        root(prog_name="pdp")
    except Fault as fault:
        sys.exit(f"pdp: {fault}")
    except PdpError as error:
        sys.exit(f"pdp: {type(error).__name__}: {error}")
