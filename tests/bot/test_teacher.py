"""Corrections in a real store become what the engine wears: by the clock, when asked, and back again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot import metrics
from bot.app import App
from bot.daemon import Daemon
from bot.daemon import Role as DaemonRole
from bot.settings import Settings, TeachingSettings
from bot.store import sources, teaching
from bot.store.engine import Store
from bot.store.people import User
from bot.store.roles import Role
from bot.store.tables import RevisionState
from bot.store.teaching import Made
from bot.teacher import LEASE, LEASE_LASTS, Teacher
from classifiers import registry
from classifiers.engines.keywords import Keywords
from classifiers.triage import Text
from tests.bot.brand import make_settings
from tests.bot.corrections import add_corrected, people
from tests.bot.pupil import Pupil
from tests.bot.web.world import Clock, add_user
from tests.classifiers.school import JARGON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agents(store: Store) -> list[User]:
    return people(store, "ana", "bo")


def make(store: Store, clock: Clock, engine: Any, **settings: Any) -> Teacher:
    options = TeachingSettings(**settings)
    return Teacher(store=store, engine=lambda: engine, settings=options, clock=clock, holder=f"h{id(engine)}")


async def says(engine: Pupil) -> str:
    (answer,) = await engine.classify([Text(id="1", text=f"{JARGON} something new")])
    return f"{answer.intent.label} by {answer.model}"


async def test_enough_corrections_teach_and_an_undo_takes_it_back(
    store: Store, clock: Clock, agents: list[User]
) -> None:
    pupil = Pupil()
    teacher = make(store, clock, pupil)
    store.write_now(add_corrected, agents, count=19)
    await teacher.look()
    assert store.read_now(teaching.revisions) == []
    store.write_now(add_corrected, agents, count=11, first=100)
    await teacher.look()
    (revision,) = store.read_now(teaching.revisions)
    assert (revision.state, revision.by, revision.in_service) == ("active", "schedule", True)
    (head,) = revision.figures["heads"]
    assert head["corrections_after"]["accuracy"] > head["corrections_before"]["accuracy"]
    assert await says(pupil) == f"technical_issue by pupil@1+t{revision.number}"
    assert metrics.registry.get_sample_value("harken_teaching_revision") == revision.number
    labels = {"head": "intent", "heads": "after"}
    assert (
        metrics.registry.get_sample_value("harken_teaching_accuracy", labels) == head["corrections_after"]["accuracy"]
    )
    await teacher.look()
    assert len(store.read_now(teaching.revisions)) == 1
    store.write_now(teaching.undo, user_id=None, now=clock())
    await teacher.keep_up()
    assert await says(pupil) == "complaint by pupil@1"
    assert metrics.registry.get_sample_value("harken_teaching_revision") == 0
    assert metrics.registry.get_sample_value("harken_teaching_accuracy", labels) is None


async def test_every_process_picks_the_revision_up(store: Store, clock: Clock, agents: list[User]) -> None:
    here, there = Pupil(), Pupil()
    store.write_now(add_corrected, agents, count=30)
    await make(store, clock, here).refit(origin=teaching.COMMAND)
    assert await says(there) == "complaint by pupil@1"
    await make(store, clock, there).keep_up()
    assert await says(there) == await says(here)


async def test_in_review_mode_a_lead_decides(store: Store, clock: Clock, agents: list[User]) -> None:
    pupil, lead = Pupil(), add_user(store, Role.LEAD)
    teacher = make(store, clock, pupil, mode="review")
    store.write_now(add_corrected, agents, count=30)
    kept = await teacher.refit(origin=teaching.SCHEDULE)
    assert kept.state == "proposed"
    assert await says(pupil) == "complaint by pupil@1"
    store.write_now(teaching.accept, kept.number, user_id=lead.id, now=clock())
    await teacher.keep_up()
    assert await says(pupil) == f"technical_issue by pupil@1+t{kept.number}"


async def test_one_person_alone_is_refused_with_a_reason(store: Store, clock: Clock, agents: list[User]) -> None:
    pupil = Pupil()
    store.write_now(add_corrected, agents[:1], count=40)
    kept = await make(store, clock, pupil).refit(origin=teaching.SCHEDULE)
    assert kept.state == "refused"
    assert kept.reason == "40 left out: no second person and no lead agrees yet"
    assert pupil.name == "pupil@1"


async def test_what_was_asked_for_is_done_once(store: Store, clock: Clock, agents: list[User]) -> None:
    teacher, lead = make(store, clock, Pupil(), enabled=False), add_user(store, Role.LEAD)
    store.write_now(add_corrected, agents, count=30)
    await teacher.answer()
    assert store.read_now(teaching.revisions) == []
    asked = store.write_now(teaching.ask, user_id=lead.id, now=clock())
    await teacher.answer()
    await teacher.answer()
    (revision,) = store.read_now(teaching.revisions)
    assert (revision.number, revision.state, revision.by) == (asked.number, "active", lead.name)


async def test_while_another_process_teaches_this_one_waits(store: Store, clock: Clock, agents: list[User]) -> None:
    store.write_now(add_corrected, agents, count=30)
    store.write_now(sources.take_lease, LEASE, holder="other", now=clock(), lasts=LEASE_LASTS)
    teacher = make(store, clock, Pupil())
    await teacher.look()
    assert store.read_now(teaching.revisions) == []
    clock.forward(minutes=3)
    await teacher.look()
    assert len(store.read_now(teaching.revisions)) == 1


async def test_only_new_texts_are_read_again(store: Store, clock: Clock, agents: list[User]) -> None:
    pupil = Pupil()
    teacher = make(store, clock, pupil)
    store.write_now(add_corrected, agents, count=10)
    await teacher.refit(origin=teaching.SCHEDULE)
    before = len(pupil.read)
    store.write_now(add_corrected, agents, count=4, first=60)
    await teacher.refit(origin=teaching.SCHEDULE)
    assert len(pupil.read) == before + 4


async def test_an_engine_of_rules_says_why_it_is_not_taught(store: Store, clock: Clock, agents: list[User]) -> None:
    teacher, lead = make(store, clock, Keywords()), add_user(store, Role.LEAD)
    store.write_now(add_corrected, agents, count=30)
    await teacher.keep_up()
    await teacher.look()
    assert store.read_now(teaching.revisions) == []
    store.write_now(teaching.ask, user_id=lead.id, now=clock())
    await teacher.answer()
    (revision,) = store.read_now(teaching.revisions)
    assert revision.state == "refused"
    assert "it judges by rules" in revision.reason


async def test_a_revision_nobody_can_read_leaves_the_shipped_heads(
    store: Store, clock: Clock, agents: list[User]
) -> None:
    pupil = Pupil()
    store.write_now(add_corrected, agents, count=30)
    teacher = make(store, clock, pupil)
    await teacher.refit(origin=teaching.SCHEDULE)
    active = RevisionState.ACTIVE
    broken = Made(model="pupil@1", state=active, reason="", change=b"?", figures={}, last_correction=0)
    store.write_now(teaching.keep, broken, origin=teaching.COMMAND, number=None, now=clock())
    with structlog.testing.capture_logs() as logs:
        await teacher.keep_up()
        await teacher.keep_up()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["teaching.unreadable"]
    assert await says(pupil) == "complaint by pupil@1"


async def test_a_running_daemon_does_what_a_lead_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "pupil", "tests.bot.pupil")
    monkeypatch.setattr("bot.daemon.TEACHING_S", 0.05)
    app = App(brand(tmp_path))
    daemon, ready = Daemon(app, [DaemonRole.WORK]), asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(daemon.run(on_ready=lambda port: loop.call_soon_threadsafe(ready.set)))
    try:
        await ready.wait()
        agents = people(app.store, "ana", "bo")
        app.store.write_now(add_corrected, agents, count=30)
        lead = add_user(app.store, Role.LEAD)
        for act, name in ((teaching.ask, "pupil@1+t1"), (teaching.undo, "pupil@1")):
            await app.store.write(act, user_id=lead.id, now=app.clock())
            async with asyncio.timeout(20):
                while app.classifier.name != name:
                    await asyncio.sleep(0.01)
    finally:
        daemon.stop()
        await task


def brand(folder: Path) -> Settings:
    """Return settings with the pupil as engine."""
    settings = make_settings(folder, sources={}, classifier={"engine": "pupil"})
    return settings.model_copy(update={"knowledge": settings.knowledge.model_copy(update={"folder": None})})


async def test_a_start_wears_what_was_in_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.store import migrate

    monkeypatch.setitem(registry.BUILT_IN, "pupil", "tests.bot.pupil")
    settings = brand(tmp_path)
    for life in range(2):
        app = App(settings)
        migrate.upgrade(app.store)
        try:
            await app.warm()
            if not life:
                agents = people(app.store, "ana", "bo")
                app.store.write_now(add_corrected, agents, count=30)
                await app.teacher.refit(origin=teaching.SCHEDULE)
            assert app.classifier.name == "pupil@1+t1"
        finally:
            app.store.close()
