"""Where Alembic is told which connection to use."""

from alembic import context

from meshguard.gateway.store import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
