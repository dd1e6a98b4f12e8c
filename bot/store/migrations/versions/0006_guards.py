"""Whom the bot leaves alone, articles that wait after a burst, and what people's verdicts on answers are counted by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "author_wish",
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("opted_out_at", sa.BigInteger(), nullable=True),
        sa.Column("opted_out_by", sa.Integer(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("muted_at", sa.BigInteger(), nullable=True),
        sa.Column("muted_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["author.id"]),
        sa.ForeignKeyConstraint(["muted_by"], ["user.id"]),
        sa.ForeignKeyConstraint(["opted_out_by"], ["user.id"]),
        sa.PrimaryKeyConstraint("author_id"),
    )
    op.create_table(
        "article_brake",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("pulled_at", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Integer(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["released_by"], ["user.id"]),
        sa.PrimaryKeyConstraint("slug"),
    )
    # Plain ALTER TABLE: rebuilding the outbox would take as long as it is large.
    op.add_column("reply", sa.Column("intent", sa.String(), nullable=True))
    op.add_column("reply", sa.Column("is_edited", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("reply_judged", "reply", ["source", "intent", "created_at"])
    op.create_index("reply_left", "reply", ["first_sent_at"])


def downgrade() -> None:
    op.drop_index("reply_left", table_name="reply")
    op.drop_index("reply_judged", table_name="reply")
    op.drop_column("reply", "is_edited")
    op.drop_column("reply", "intent")
    op.drop_table("article_brake")
    op.drop_table("author_wish")
