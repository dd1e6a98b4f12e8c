"""Lists that only know "newest first", read without loss."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from connectors import walk as walking
from connectors.errors import Unavailable
from connectors.walk import Attempts, Leaf, Listed, Look, remembered, walk
from tests.networks.clock import NOON, HandClock

OVERLAP = timedelta(minutes=15)


class Shelf:
    """A list of (name, time), newest first in pages; tokens are names, as Mastodon's max_id."""

    def __init__(self, *, page: int = 5) -> None:
        self.page = page
        self.items: list[tuple[int, datetime]] = []
        self.reads = 0

    def put(self, at: datetime) -> int:
        self.items.append((len(self.items), at))
        return len(self.items) - 1

    async def read(self, below: str | None) -> Leaf:
        self.reads += 1
        rows = sorted(self.items, key=lambda item: (item[1], item[0]), reverse=True)
        if below is not None:
            rows = rows[[str(name) for name, _ in rows].index(below) + 1 :]
        page = rows[: self.page]
        found = [Listed(item=name, at=at) for name, at in page]
        return Leaf(items=found, below=str(page[-1][0]) if page else None)


async def look(shelf: Shelf, cursor: str | None, now: datetime, *, pages: int = 3) -> Look:
    return await walk(shelf.read, cursor, now=now, lookback=timedelta(hours=1), overlap=OVERLAP, max_first_pages=pages)


async def test_a_first_look_is_bounded_in_pages_and_in_time() -> None:
    shelf = Shelf()
    shelf.put(NOON - timedelta(hours=2))
    names = [shelf.put(NOON - timedelta(minutes=50 - n)) for n in range(40)]
    seen = await look(shelf, None, NOON, pages=3)
    assert list(seen.items) == names[-15:]
    assert not seen.more
    seen = await look(shelf, None, NOON, pages=50)
    assert list(seen.items) == names


async def test_a_burst_far_beyond_one_look_is_delivered_oldest_first_without_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "DOWN_PAGES", 7)
    monkeypatch.setattr(walking, "HELD_PAGES", 3)
    shelf, clock = Shelf(), HandClock()
    shelf.put(clock.now)
    cursor = (await look(shelf, None, clock.now)).cursor
    expected = [shelf.put(clock.advance(seconds=7)) for _ in range(500)]
    got: list[object] = []
    for step in range(400):
        reads = shelf.reads
        seen = await look(shelf, cursor, clock.now)
        assert shelf.reads - reads <= 7
        assert len(seen.items) <= 3 * shelf.page or not seen.more
        if step % 3 == 0 and step < 200:  # and the list grows while we walk it
            expected.append(shelf.put(clock.advance(seconds=7)))
        got += seen.items
        cursor = seen.cursor
        if not seen.more:
            break
    assert set(expected) <= set(got)
    first_seen = list(dict.fromkeys(got))
    assert [name for name in first_seen if name in expected] == expected


async def test_the_same_cursor_gives_the_same_page_in_mid_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "DOWN_PAGES", 4)
    monkeypatch.setattr(walking, "HELD_PAGES", 2)
    shelf, clock = Shelf(), HandClock()
    shelf.put(clock.now)
    cursor: str | None = (await look(shelf, None, clock.now)).cursor
    for _ in range(100):
        shelf.put(clock.advance(seconds=7))
    for _ in range(60):
        one, two = await look(shelf, cursor, clock.now), await look(shelf, cursor, clock.now)
        assert one == two
        cursor = one.cursor
        if not one.more:
            return
    pytest.fail("the walk has no end")


async def test_one_odd_old_date_on_top_does_not_end_the_way_down() -> None:
    shelf, clock = Shelf(), HandClock()
    cursor = (await look(shelf, None, clock.now)).cursor
    names = [shelf.put(clock.advance(minutes=1)) for _ in range(12)]

    async def read(below: str | None) -> Leaf:
        leaf = await shelf.read(below)
        odd = [Listed(item="odd", at=clock.now - timedelta(days=400))] if below is None else []
        return Leaf(items=[*leaf.items, *odd], below=leaf.below)

    seen = await walk(read, cursor, now=clock.now, lookback=timedelta(hours=1), overlap=OVERLAP, max_first_pages=3)
    assert list(seen.items) == names


async def test_a_date_in_the_future_does_not_hide_what_comes_after() -> None:
    shelf, clock = Shelf(), HandClock()
    shelf.put(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))
    cursor = (await look(shelf, None, clock.now)).cursor
    name = shelf.put(clock.advance(minutes=1))
    assert name in (await look(shelf, cursor, clock.now)).items


async def test_a_server_that_repeats_its_page_for_ever_ends_the_walk() -> None:
    reads = 0

    async def read(below: str | None) -> Leaf:
        nonlocal reads
        reads += 1
        return Leaf(items=[Listed(item="a", at=NOON)], below="same")

    for cursor in (None, (await look(Shelf(), None, NOON)).cursor):
        reads = 0
        seen = await walk(read, cursor, now=NOON, lookback=timedelta(hours=1), overlap=OVERLAP, max_first_pages=9)
        assert reads == 2
        assert set(seen.items) == {"a"}


@pytest.mark.parametrize("cursor", ["", "{", "17", "null", '{"v":2}', '{"v":1,"floor":3}', '{"v":1,"floor":"x"}', "[]"])
async def test_a_cursor_that_is_not_ours_is_refused_and_not_taken_for_a_first_visit(cursor: str) -> None:
    with pytest.raises(Unavailable, match="cursor"):
        await look(Shelf(), cursor, NOON)


async def test_trouble_halfway_does_not_cost_the_way() -> None:
    """Each fifth request fails, and the way is twelve pages long: without a memory it would never be gone."""
    shelf, clock, attempts, asked = Shelf(), HandClock(), Attempts[Leaf](), 0
    cursor = (await look(shelf, None, clock.now)).cursor
    names = [shelf.put(clock.advance(seconds=1)) for _ in range(58)]

    async def read(below: str | None) -> Leaf:
        nonlocal asked
        asked += 1
        if asked % 5 == 0:
            raise Unavailable("each fifth")
        return await shelf.read(below)

    for _ in range(9):
        try:
            seen = await walk(
                remembered(read, attempts.resume("mentions", cursor, clock.now)),
                cursor,
                now=clock.now,
                lookback=timedelta(hours=1),
                overlap=OVERLAP,
                max_first_pages=3,
            )
        except Unavailable:
            continue
        assert list(seen.items) == names
        assert asked < 20
        return
    pytest.fail("no progress")


def test_an_old_attempt_and_one_at_another_cursor_are_forgotten() -> None:
    attempts = Attempts[int]()
    attempts.resume("mentions", "a", NOON)[None] = 1
    assert attempts.resume("mentions", "a", NOON + timedelta(minutes=1)) == {None: 1}
    assert attempts.resume("search:x", "a", NOON) == {}
    assert attempts.resume("mentions", "a", NOON + timedelta(minutes=11)) == {}
    attempts.resume("mentions", "a", NOON)[None] = 1
    assert attempts.resume("mentions", "b", NOON) == {}
    attempts.resume("mentions", "b", NOON)[None] = 1
    attempts.done("mentions")
    assert attempts.resume("mentions", "b", NOON) == {}
