"""The schema of incidents: a store of before keeps what was open, and the way back keeps what was merged closed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from bot.store import gathering, incidents, migrate
from bot.store.engine import Store

INSERT = sa.text(
    "INSERT INTO incident (topic, opened_at, first_at, minutes, observed, expected, centre, reach, answer, follow_up,"
    " sending, read_as, pace, round, started_who, halted, closed_who, closed_at) VALUES (:topic, 1, 1, 15, 12, 1.5,"
    " :none, 0, '', '', '', '', 20, 0, '', '', '', :closed_at)"
)
INSERT_NOW = sa.text(
    "INSERT INTO incident (topic, opened_at, first_at, minutes, observed, expected, centre, reach, answer, follow_up,"
    " sending, read_as, pace, round, started_who, halted, closed_who, closed_at, name, why, opened_who, is_gathering)"
    " VALUES (:topic, 1, 1, 15, 12, 1.5, :none, 0, '', '', '', '', 20, 0, '', '', '', :closed_at, '', '', '', :held)"
)


def go(store: Store, where: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    with store.schema() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, where)


def test_a_store_of_before_keeps_what_was_open_and_what_was_closed(store: Store) -> None:
    go(store, "0009")
    with store.engine.begin() as connection:
        for topic, closed_at in (("intent:a", 5), ("intent:a", None), ("intent:b", 7)):
            connection.execute(INSERT, {"topic": topic, "closed_at": closed_at, "none": b""})
    migrate.upgrade(store)
    assert [(each.id, each.topic) for each in store.read_now(gathering.watched)] == [(2, "intent:a")]
    views = store.read_now(incidents.all_of)
    assert {(each.id, each.state, each.opened_who, each.merged_into) for each in views} == {
        (1, "closed", "", None),
        (2, "open", "", None),
        (3, "closed", "", None),
    }
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE incident SET is_gathering = :held WHERE id = 1"), {"held": True}
        )  # one incident gathers a topic


def test_on_the_way_back_a_merged_one_is_closed_and_its_topic_free(store: Store) -> None:
    with store.engine.begin() as connection:
        for topic, closed_at in (("intent:a", None), ("intent:b", 5)):
            connection.execute(INSERT_NOW, {"topic": topic, "closed_at": closed_at, "none": b"", "held": True})
        connection.execute(sa.text("UPDATE incident SET merged_into = 1 WHERE id = 2"))
    go(store, "0009")
    with store.engine.begin() as connection:
        connection.execute(INSERT, {"topic": "intent:b", "closed_at": None, "none": b""})
        count = connection.execute(sa.text("SELECT count(*) FROM incident WHERE closed_at IS NULL")).scalar_one()
    assert count == 2
    migrate.upgrade(store)
    assert [each.topic for each in store.read_now(gathering.watched)] == ["intent:a", "intent:b"]
