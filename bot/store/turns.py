"""Turns: what two processes may not do at once though no row is there yet that they could lock."""

from __future__ import annotations

from enum import IntEnum

import sqlalchemy as sa
from sqlmodel import Session


class Turn(IntEnum):
    """What is done by one at a time. The numbers are names of advisory locks; any that nobody else uses."""

    REPLY = 4_204_200_006
    """An automatic reply begins: what was counted for its caps stays true."""
    REQUEST = 4_204_200_007
    """A request to the language model is reserved: two must not both take the last one."""
    INCIDENT = 4_204_200_010
    """An incident opens: two topics may share their posts."""
    START = 4_204_200_011
    """A daemon brings the schema, and what its configuration and folder say: the first start makes rows."""


def take_turn(on: Session | sa.Connection, turn: Turn) -> None:
    """Wait until nobody else has *turn*, and keep it until this transaction ends.

    On SQLite a writing transaction is alone anyway.
    """
    connection = on.connection() if isinstance(on, Session) else on
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int(turn))))
