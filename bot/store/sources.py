"""Health of each source, and who may poll it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.tables import LeaseRow, SourceRow
from bot.store.turns import Turn, take_turn
from bot.store.upsert import insert_new, table_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_source = table_of(SourceRow)
_lease = table_of(LeaseRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a source does. status: new, ok, failing, limited, refused (credentials), off."""

    name: str
    kind: str
    channel: str
    status: str
    last_success_at: datetime | None
    last_error: str | None
    failures: int
    blocked_until: datetime | None
    account_id: str | None
    account_handle: str | None


def configure(session: Session, sources: Mapping[str, tuple[str, str]]) -> None:
    """Make rows for the sources of the config (name -> kind, channel); those no longer in it are off."""
    take_turn(session, Turn.START)
    insert_new(
        session,
        _source,
        [
            {"name": name, "kind": kind, "channel": channel, "status": "new", "failures": 0}
            for name, (kind, channel) in sources.items()
        ],
    )
    session.connection().execute(sa.update(_source).where(_source.c.name.not_in(list(sources))).values(status="off"))
    # New credentials come with a restart: a source that was refused is tried again.
    session.connection().execute(
        sa.update(_source)
        .where(_source.c.name.in_(list(sources)), _source.c.status.in_(("off", "refused")))
        .values(status="new", failures=0)
    )


def health(session: Session) -> list[Health]:
    """Return all sources, by name."""
    return [_health(row) for row in session.exec(select(SourceRow).order_by(col(SourceRow.name)))]


def one(session: Session, name: str) -> Health | None:
    """Return one source."""
    row = session.get(SourceRow, name)
    return None if row is None else _health(row)


def succeeded(session: Session, name: str, *, now: datetime) -> bool:
    """Record a good answer; return whether the source was in trouble before."""
    row = session.get(SourceRow, name)
    if row is None:
        return False
    was_bad = row.failures > 0 or row.status in ("failing", "limited", "refused")
    row.status, row.failures, row.last_success_at, row.blocked_until, row.last_error = "ok", 0, now, None, None
    session.add(row)
    return was_bad


def failed(session: Session, name: str, *, status: str, reason: str, blocked_until: datetime | None) -> int:
    """Record trouble and until when the source is left alone, also across restarts; return how often in a row.

    Refused credentials are counted by themselves: an outage before them says nothing about them.
    """
    row = session.get(SourceRow, name)
    if row is None:
        return 1
    if status == "refused" and row.status != "refused":
        row.failures = 0
    row.status, row.last_error, row.blocked_until = status, reason[:500], blocked_until
    row.failures += 1
    session.add(row)
    return row.failures


def identified(session: Session, name: str, *, account_id: str, handle: str) -> None:
    """Remember whose account a source uses."""
    session.connection().execute(
        sa.update(_source).where(_source.c.name == name).values(account_id=account_id, account_handle=handle)
    )


def take_lease(session: Session, name: str, *, holder: str, now: datetime, lasts: timedelta) -> int | None:
    """Take or renew a lease. Returns its epoch, which grows with every new holder, or None while another holds it."""
    insert_new(session, _lease, [{"name": name, "holder": "", "epoch": 0, "expires_at": now}])
    row = session.get(LeaseRow, name, with_for_update=True)
    if row is None or (row.holder != holder and row.expires_at > now):
        return None
    if row.holder != holder:
        row.holder, row.epoch = holder, row.epoch + 1
    row.expires_at = now + lasts
    session.add(row)
    return row.epoch


def drop_leases(session: Session, *, holder: str) -> None:
    """Give back what *holder* holds."""
    session.connection().execute(sa.update(_lease).where(_lease.c.holder == holder).values(holder="", expires_at=EPOCH))


def drop_all_leases(session: Session) -> None:
    """Give back what anybody holds: the only daemon of this store has just started."""
    session.connection().execute(sa.update(_lease).values(holder="", expires_at=EPOCH))


def _health(row: SourceRow) -> Health:
    return Health(
        name=row.name,
        kind=row.kind,
        channel=row.channel,
        status=row.status,
        last_success_at=row.last_success_at,
        last_error=row.last_error,
        failures=row.failures,
        blocked_until=row.blocked_until,
        account_id=row.account_id,
        account_handle=row.account_handle,
    )
