"""One file a change of schema, oldest first."""
