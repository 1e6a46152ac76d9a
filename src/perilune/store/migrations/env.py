"""Runs the migrations on the connection that `store.cases` hands over, inside its transaction."""

from alembic import context

from perilune.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
