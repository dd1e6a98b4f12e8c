"""Brakes that people pull and release, and what was said and taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brake",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=True),
        sa.Column("set_who", sa.String(), nullable=False),
        sa.Column("set_why", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Integer(), nullable=True),
        sa.Column("released_who", sa.String(), nullable=False),
        sa.Column("released_why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["released_by"], ["user.id"]),
        sa.ForeignKeyConstraint(["set_by"], ["user.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index("ix_brake_set_at", "brake", ["set_at"])
    op.create_index("ix_brake_released_at", "brake", ["released_at"])
    op.create_table(
        "retraction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reply_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=True),
        sa.Column("asked_who", sa.String(), nullable=False),
        sa.Column("asked_why", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["user.id"]),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reply_id"),
    )
    op.create_index("ix_retraction_asked_at", "retraction", ["asked_at"])
    op.create_index("ix_retraction_outcome", "retraction", ["outcome"])


def downgrade() -> None:
    op.drop_index("ix_retraction_outcome", table_name="retraction")
    op.drop_index("ix_retraction_asked_at", table_name="retraction")
    op.drop_table("retraction")
    op.drop_index("ix_brake_released_at", table_name="brake")
    op.drop_index("ix_brake_set_at", table_name="brake")
    op.drop_table("brake")
