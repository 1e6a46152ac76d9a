"""The case store's tables, as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0001"  # the newest migration; a test holds it equal to the folder

metadata = sa.MetaData()

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("users", sa.Text, nullable=False),
    sa.Column("techniques", sa.Text, nullable=False),
    sa.Column("findings", sa.Integer, nullable=False),
    sa.Column("first", sa.Text),
    sa.Column("last", sa.Text),
    sa.Column("updated", sa.Text, nullable=False),
    sa.Index("cases_by_score", "score", "number"),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("case_number", sa.Integer, sa.ForeignKey("cases.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

findings = sa.Table(
    "findings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("case_number", sa.Integer, sa.ForeignKey("cases.number"), nullable=False, index=True),
)
