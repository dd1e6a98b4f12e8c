"""Incidents that people open by hand and merge: who, why, what they are called, and which topics one holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("name", "opened_who"):
        op.add_column("incident", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("incident", sa.Column("why", sa.Text(), nullable=False, server_default=""))
    op.add_column("incident", sa.Column("is_gathering", sa.Boolean(), nullable=False, server_default=sa.true()))
    # In SQL that both databases know: SQLite adds a column with its reference only in one go.
    op.execute('ALTER TABLE incident ADD COLUMN opened_by INTEGER REFERENCES "user" (id)')
    op.execute("ALTER TABLE incident ADD COLUMN merged_into INTEGER REFERENCES incident (id)")
    op.execute("UPDATE incident SET is_gathering = (closed_at IS NULL)")
    op.drop_index("incident_open", table_name="incident")
    _index("is_gathering")
    op.create_index("incident_merged", "incident", ["merged_into"])


def downgrade() -> None:
    op.drop_index("incident_merged", table_name="incident")
    op.drop_index("incident_open", table_name="incident")
    _index("closed_at IS NULL")
    for name in ("merged_into", "opened_by", "is_gathering", "why", "opened_who", "name"):
        op.drop_column("incident", name)


def _index(where: str) -> None:
    op.create_index(
        "incident_open",
        "incident",
        ["topic"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
