"""Memory, files and store in step, on several machines; any of them holds, and only a person releases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.brakes import flags
from bot.brakes.keeper import Brakes
from bot.store import articles, brakes, sources
from bot.store.engine import Store, StoreUnavailable
from bot.store.refusals import Conflict, Invalid
from connectors.errors import Held
from handoff.brake import EVERYTHING, Scope, Target, Topic
from handoff.knowledge.article import parse
from tests.bot.factories import NOON

TOPIC = Topic(source="x", article="parcel", intent="delivery_item", is_prepared=True)
OTHER = Topic(source="y", article="hours", intent="praise", is_prepared=True)
Machine = Callable[[str], Brakes]


@pytest.fixture
def machine(store: Store, tmp_path: Path) -> Machine:
    """Return a process on a machine of this name: machines share the store and nothing else."""

    def start(name: str) -> Brakes:
        made = Brakes(store=store, folder=tmp_path / name, clock=lambda: NOON)
        made.open()
        return made

    return start


def known(session: Session) -> None:
    sources.configure(session, {"x": ("x", "x"), "y": ("x", "x")})
    text = "---\ntitle: Parcel\nowner: team\n---\nIt is on its way."
    articles.put_all(session, [parse(text, name="parcel.md")], now=NOON)


async def speaks(process: Brakes, topic: Topic = TOPIC) -> bool:
    """Say whether a reply would leave: by the check before, and by the gate at the last moment."""
    before = await process.held_by(topic) is None
    try:
        process.gate(topic)()
    except Held:
        assert not before
        return False
    assert before
    return True


async def pull(process: Brakes, target: Target = EVERYTHING) -> None:
    await process.pull(target, who="Ana", why="wrong prices", user_id=None)


async def release(process: Brakes, target: Target = EVERYTHING) -> None:
    await process.release(target, who="Lea", why="prices mended", user_id=None)


async def test_a_stop_is_obeyed_here_at_once_and_elsewhere_after_one_look(machine: Machine) -> None:
    here, neighbour, far = machine("a"), machine("a"), machine("b")
    assert await speaks(here)
    assert await speaks(far)
    await pull(here)
    assert not await speaks(here)
    assert not await speaks(neighbour), "the file stops every process of the machine"
    await far.look()
    assert not await speaks(far)
    assert flags.stands(far.folder, EVERYTHING), "and is a file there too, for processes that start later"


async def test_it_is_obeyed_while_every_other_thread_is_at_work(machine: Machine, store: Store) -> None:
    here, far = machine("a"), machine("b")
    assert await speaks(far)
    done = threading.Event()
    reads = [asyncio.create_task(store.read(lambda _: done.wait(60))) for _ in range(20)]
    others = [asyncio.create_task(asyncio.to_thread(done.wait, 60)) for _ in range(50)]
    try:
        await asyncio.sleep(0)
        await asyncio.wait_for(pull(here), timeout=10)
        await asyncio.wait_for(far.look(), timeout=10)
        assert not await speaks(far)
        assert not any(task.done() for task in (*reads, *others))
    finally:
        done.set()
        await asyncio.gather(*reads, *others)


async def test_only_a_release_ends_it_everywhere_and_the_record_says_who_when_and_why(
    machine: Machine, store: Store
) -> None:
    here, far = machine("a"), machine("b")
    await pull(here)
    await far.look()
    await release(far)
    await here.look()
    assert await speaks(here)
    assert await speaks(far)
    assert not flags.read(here.folder) + flags.read(far.folder)
    (row,) = store.read_now(brakes.overview).history
    assert (row.set_who, row.set_why, row.set_at) == ("Ana", "wrong prices", NOON)
    assert (row.released_who, row.released_why, row.released_at) == ("Lea", "prices mended", NOON)


async def test_a_file_by_hand_is_taken_into_the_store_and_stops_the_others(machine: Machine, store: Store) -> None:
    here, far = machine("a"), machine("b")
    (here.folder / "stop").write_text("wrong prices")
    assert not await speaks(here), "before anybody has looked"
    await here.look()
    await far.look()
    assert not await speaks(far)
    (row,) = store.read_now(brakes.overview).standing
    assert (row.set_who, row.set_why) == (flags.BY_HAND, "wrong prices")
    await release(far)
    await here.look()
    assert await speaks(here)
    assert not (here.folder / "stop").exists()


async def test_taking_the_file_away_is_no_release(machine: Machine) -> None:
    here, far = machine("a"), machine("b")
    (here.folder / "stop").touch()
    await here.look()
    (here.folder / "stop").unlink()
    assert not await speaks(here)
    await here.look()
    await far.look()
    assert flags.stands(here.folder, EVERYTHING), "it is put back"
    assert not await speaks(far)


async def test_it_survives_a_restart_by_either_alone(machine: Machine, store: Store) -> None:
    here = machine("a")
    await pull(here)
    (here.folder / "stop").unlink()
    assert not await speaks(machine("a")), "the store alone"
    await machine("a").look()

    def forget(session: Session) -> None:
        session.connection().execute(sa.text("DELETE FROM brake"))

    store.write_now(forget)
    anew = machine("a")
    assert not await speaks(anew), "the file alone: an older back-up was restored"
    await anew.look()
    assert store.read_now(brakes.overview).standing, "and it is on record again"


async def test_two_stops_of_one_thing_need_one_release(machine: Machine, store: Store) -> None:
    here, far = machine("a"), machine("b")
    await pull(here)
    (far.folder / "stop").touch()
    await far.look()
    assert len(store.read_now(brakes.overview).standing) == 2
    await release(here)
    await far.look()
    assert await speaks(here)
    assert await speaks(far)


async def test_a_touch_after_the_release_is_a_new_stop(machine: Machine) -> None:
    here = machine("a")
    (here.folder / "stop").touch()
    await release(here)
    assert await speaks(here)
    (here.folder / "stop").touch()
    await here.look()
    assert not await speaks(here)


@pytest.mark.parametrize(
    "target",
    [
        Target(scope=Scope.SOURCE, name="x"),
        Target(scope=Scope.ARTICLE, name="parcel"),
        Target(scope=Scope.INTENT, name="delivery_item"),
    ],
    ids=str,
)
async def test_a_topic_is_stopped_alone(machine: Machine, store: Store, target: Target) -> None:
    store.write_now(known)
    here, far = machine("a"), machine("b")
    await pull(here, target)
    await far.look()
    for process in (here, far):
        assert not await speaks(process)
        assert await speaks(process, OTHER)
    with pytest.raises(Conflict, match="no brake stands on everything"):
        await release(here)
    await release(here, target)
    assert await speaks(here)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target(scope=Scope.SOURCE, name="twiter"), "there is no source 'twiter'; there are: x, y"),
        (Target(scope=Scope.ARTICLE, name="percel"), "there is no article 'percel'"),
        (Target(scope=Scope.INTENT, name="delivery"), "there is no intent 'delivery'; there are: "),
    ],
    ids=str,
)
async def test_a_typing_error_does_not_look_like_a_stop(
    machine: Machine, store: Store, target: Target, said: str
) -> None:
    store.write_now(known)
    here = machine("a")
    with pytest.raises(Invalid, match=said):
        await pull(here, target)
    assert not here.standing()


async def test_a_reason_is_asked_for(machine: Machine) -> None:
    here = machine("a")
    with pytest.raises(Invalid, match="say why"):
        await here.pull(EVERYTHING, who="Ana", why=" ", user_id=None)
    await pull(here)
    with pytest.raises(Invalid, match="say why"):
        await here.release(EVERYTHING, who="Ana", why="", user_id=None)
    assert not await speaks(here)


async def test_a_folder_that_goes_stops_everything(machine: Machine) -> None:
    here = machine("a")
    assert await speaks(here)
    here.folder.rmdir()
    assert not await speaks(here)
    assert "folder of the brakes" in here.standing()[0].why


async def test_with_the_store_gone_files_stop_and_go_into_the_record_later(
    machine: Machine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("a")
    await here.look()
    with monkeypatch.context() as gone:

        def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("the database cannot be used: it is gone")

        gone.setattr(store, "read_now", fail)
        gone.setattr(store, "write_now", fail)
        (here.folder / "stop").touch()
        assert not await speaks(here)
        await here.look()
        (here.folder / "stop").unlink()
        assert not await speaks(here), "once seen it holds on"
        fresh = machine("a")
        with pytest.raises(StoreUnavailable):
            await fresh.held_by(TOPIC)
    await here.look()
    assert store.read_now(brakes.overview).standing
    assert flags.stands(here.folder, EVERYTHING)
