"""Items nobody could read, kept raw for a person."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.tables import QuarantineRow


def reasons(session: Session, *, limit: int = 20) -> list[tuple[str, int]]:
    """Return why items could not be read and how often, the commonest first."""
    count = sa.func.count()
    query = select(QuarantineRow.reason, count).group_by(QuarantineRow.reason)
    return [
        (reason, number)
        for reason, number in session.exec(query.order_by(count.desc(), col(QuarantineRow.reason)).limit(limit))
    ]
