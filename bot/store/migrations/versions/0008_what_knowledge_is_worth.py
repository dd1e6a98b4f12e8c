"""What people say of articles, and the prepared words of drafts that a person changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "article_rating",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("is_useful", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("article_rating_at", "article_rating", ["at"])
    op.create_index("ix_article_rating_article_id", "article_rating", ["article_id"])
    op.create_index("ix_article_rating_case_id", "article_rating", ["case_id"])
    op.add_column("reply", sa.Column("prepared", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("reply", "prepared")
    op.drop_table("article_rating")
