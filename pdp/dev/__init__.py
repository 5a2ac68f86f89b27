"""What `pdp serve --dev` and `make demo` use: a loopback issuer, sample data, a demo MCP server."""
