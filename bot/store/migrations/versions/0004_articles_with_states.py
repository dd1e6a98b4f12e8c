"""Articles as an asset: states, versions, who did what, dates, audience, brand and topics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("article") as article:
        for name in ("reviewer", "brand", "translation_of", "folder_imprint"):
            article.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        article.add_column(sa.Column("state", sa.String(), nullable=False, server_default="published"))
        article.add_column(sa.Column("audience", sa.String(), nullable=False, server_default="public"))
        article.add_column(sa.Column("topics", sa.JSON(), nullable=True))
        article.add_column(sa.Column("valid_from", sa.BigInteger(), nullable=True))
        article.add_column(sa.Column("valid_until", sa.BigInteger(), nullable=True))
        article.add_column(sa.Column("review_by", sa.Date(), nullable=True))
        article.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
        article.add_column(sa.Column("newest", sa.Integer(), nullable=False, server_default="0"))
        article.add_column(sa.Column("open_state", sa.String(), nullable=True))
        article.add_column(sa.Column("reminded_for", sa.Date(), nullable=True))
    op.create_index("ix_article_state", "article", ["state"])
    op.create_index("ix_article_review_by", "article", ["review_by"])
    # All came from a folder, and what is missing there retires, as before; no file has this imprint.
    op.execute("UPDATE article SET folder_imprint = 'before'")
    op.execute("UPDATE article SET state = 'retired' WHERE retired_at IS NOT NULL")
    op.create_table(
        "article_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("editors", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("article_id", "number"),
    )
    op.create_table(
        "article_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_article_step_article_id", "article_step", ["article_id"])


def downgrade() -> None:
    op.drop_index("ix_article_step_article_id", table_name="article_step")
    op.drop_table("article_step")
    op.drop_table("article_version")
    op.drop_index("ix_article_review_by", table_name="article")
    op.drop_index("ix_article_state", table_name="article")
    # The version before knows in force and retired alone: what was never published must not be said.
    op.execute("UPDATE article SET retired_at = updated_at WHERE state <> 'published' AND retired_at IS NULL")
    with op.batch_alter_table("article") as article:
        for name in (
            *("reminded_for", "open_state", "newest", "version", "review_by", "valid_until", "valid_from", "topics"),
            *("audience", "state", "folder_imprint", "translation_of", "brand", "reviewer"),
        ):
            article.drop_column(name)
