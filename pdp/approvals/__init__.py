"""Just-in-time approvals: a request asks people, votes answer it, and an approval lets exactly one call through."""
