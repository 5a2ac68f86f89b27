"""How Alembic runs our migrations: on the connection it is handed, inside the caller's transaction."""

from alembic import context

from pdp.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # all of an upgrade or none, on SQLite too
    render_as_batch=True,  # SQLite cannot alter most columns in place
)
context.run_migrations()
