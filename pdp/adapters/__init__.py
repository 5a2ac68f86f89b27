"""Enforcement inside MCP servers. Imports only `query`, `answer`, `errors` and `net`."""
