"""The case store's tables, as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0004"  # the newest migration; a test holds it equal to the folder

metadata = sa.MetaData()
_ACTIVE = sa.text("status <> 'closed'")

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
    sa.Column("owner", sa.Text, nullable=False, server_default=""),
    sa.Column("search", sa.Text, nullable=False, server_default=""),  # what a search looks through, in small letters
    sa.Index("cases_by_score", "score", "number"),
    sa.Index("cases_active", "score", "number", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    sa.Index("cases_of_status", "status", "score", "number", "level"),
    sa.Index("cases_updated", "updated"),
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

# Runs of playbooks. Everything that safety hangs on is here, not in whatever engine drives a run.

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.Text, nullable=False, index=True),
    sa.Column("playbook", sa.Text, nullable=False),
    sa.Column("connector", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("plan_hash", sa.Text, nullable=False),
    sa.Column("undoes", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("waiting", sa.Text, nullable=False),
    sa.Column("until", sa.Text),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("updated", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.Text),
    sa.Index("runs_of_case", "case_id", "id"),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("plan_hash", sa.Text, nullable=False),
    sa.Column("approver", sa.Text, nullable=False),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("expires", sa.Text, nullable=False),
    sa.Column("actions", sa.Text, nullable=False),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("answer", sa.Text, nullable=False),
)

waits = sa.Table(
    "waits",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("due", sa.Text, nullable=False),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("action", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("begun", sa.Text, nullable=False, index=True),
    sa.Column("ended", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("due", sa.Text),
)

epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
)

run_epochs = sa.Table(
    "run_epochs",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False, index=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
)

# People at the console. Of passwords, sessions and tokens only hashes are kept.

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("must_change", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("locked_until", sa.Text),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, server_default=""),  # who that is at the identity provider
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("csrf", sa.Text, nullable=False),
    sa.Column("begun", sa.Text, nullable=False),
    sa.Column("seen", sa.Text, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("user", sa.Text, sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("expires", sa.Text, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)

# What the console does besides: hunts and queries in processes of their own, answers kept for a repeated request, and
# how far each webhook has told the audit log.

jobs = sa.Table(
    "jobs",
    metadata,
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

kept_answers = sa.Table(
    "kept_answers",
    metadata,
    sa.Column("user", sa.Text, sa.ForeignKey("users.name"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.Text, nullable=False, server_default=""),
    sa.Column("at", sa.Text, nullable=False, index=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due", sa.Text),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)
