"""The audit log: what was decided and what changed, written before anyone is told."""
