"""The registry: which tool definitions were seen, which one a person approved, and what is known about it."""
