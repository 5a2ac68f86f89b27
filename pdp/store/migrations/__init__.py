"""Alembic migrations, run by `pdp.store.sql.migrate` at every start."""
