"""Corrections that teach: what a lead said of each, and what the heads were taught."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("correction") as correction:
        correction.add_column(sa.Column("review", sa.String(), nullable=True))
        correction.add_column(sa.Column("reviewed_by", sa.Integer(), nullable=True))
        correction.add_column(sa.Column("reviewed_at", sa.BigInteger(), nullable=True))
        correction.create_foreign_key("correction_reviewed_by_fkey", "user", ["reviewed_by"], ["id"])
    op.create_table(
        "head_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("change", sa.LargeBinary(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("last_correction", sa.Integer(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["decided_by"], ["user.id"]),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_head_revision_model", "head_revision", ["model"])
    op.create_index("ix_head_revision_state", "head_revision", ["state"])


def downgrade() -> None:
    op.drop_index("ix_head_revision_state", table_name="head_revision")
    op.drop_index("ix_head_revision_model", table_name="head_revision")
    op.drop_table("head_revision")
    with op.batch_alter_table("correction") as correction:
        correction.drop_constraint("correction_reviewed_by_fkey", type_="foreignkey")
        correction.drop_column("reviewed_at")
        correction.drop_column("reviewed_by")
        correction.drop_column("review")
