"""Runs the migrations on the connection that `store.cases` hands over."""

from alembic import context

from perilune.store.schema import metadata

with context.begin_transaction():
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()
