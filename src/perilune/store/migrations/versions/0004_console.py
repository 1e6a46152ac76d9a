"""The console's own: jobs, kept answers, deliveries, people known elsewhere; and a queue of many cases found fast."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BATCH = 5000


def upgrade() -> None:
    op.add_column("cases", sa.Column("search", sa.Text, nullable=False, server_default=""))
    op.add_column("users", sa.Column("subject", sa.Text, nullable=False, server_default=""))
    _fill_search(op.get_bind())
    active = sa.text("status <> 'closed'")
    op.create_index("cases_active", "cases", ["score", "number"], sqlite_where=active, postgresql_where=active)
    op.create_index("cases_of_status", "cases", ["status", "score", "number", "level"])
    op.create_index("cases_updated", "cases", ["updated"])
    op.create_index("runs_of_case", "runs", ["case_id", "id"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False, server_default="{}"),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("begun", sa.Text),
        sa.Column("ended", sa.Text),
        sa.Column("seen", sa.Text),
        sa.Column("worker", sa.Text),
    )
    op.create_table(
        "kept_answers",
        sa.Column("user", sa.Text, sa.ForeignKey("users.name"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.Text, nullable=False, server_default=""),
        sa.Column("at", sa.Text, nullable=False, index=True),
    )
    op.create_table(
        "deliveries",
        sa.Column("hook", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.Text),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )


def _fill_search(connection: sa.Connection) -> None:
    """Python lowers letters of every script; SQLite's own lower() knows the Latin ones alone."""
    columns = "number, title, host, users, techniques, owner"
    last = 0
    while rows := connection.execute(
        sa.text(f"SELECT {columns} FROM cases WHERE number > :last ORDER BY number LIMIT {_BATCH}"),  # noqa: S608
        {"last": last},
    ).all():
        values = [{"n": row[0], "words": "\n".join(str(part) for part in row[1:]).lower()} for row in rows]
        connection.execute(sa.text("UPDATE cases SET search = :words WHERE number = :n"), values)
        last = rows[-1][0]
