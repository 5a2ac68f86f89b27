"""An MCP server over stdio, by hand: pages its list, and lists members that no SDK knows."""

import json
import sys

TOOLS = [
    {
        "name": f"tool_{number}",
        "description": "Does things.",
        "inputSchema": {"type": "object", "properties": {"n": {"type": "number", "default": 1.0}}},
        "annotations": {"readOnlyHint": True, "unheardOf": 2},
        "x-unknown": {"k": number},
        "_meta": {"etag": number},
    }
    for number in range(5)
]
PAGE = 2


def answer(method: str, params: dict[str, str]) -> dict[str, object] | None:
    """Return the result of a request; None for a method we do not have."""
    if method == "initialize":
        server = {"name": "by hand", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        start = int(params.get("cursor") or 0)
        rest = {} if start + PAGE >= len(TOOLS) else {"nextCursor": str(start + PAGE)}
        return {"tools": TOOLS[start : start + PAGE], **rest}
    return None


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answer(message["method"], message.get("params") or {})
            outcome = {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **outcome}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
