"""A person's way through the pages in a real Chromium, with and without JavaScript; nothing leaves the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import ConsoleMessage, Page, async_playwright, expect
from sqlmodel import Session, select

from bot.store import people
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import JobRow, PostRow, PostTopicRow, ReplyRow, ReplyState
from bot.web.site import Site
from tests.bot.web.test_incidents import add_incident
from tests.bot.web.world import HOSTILE_NAME, SCRIPT, Clock, Day, add_author, add_post, add_triage, add_user

CHROMIUM = os.environ.get("HARKEN_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SHOTS = os.environ.get("HARKEN_SCREENSHOTS")

Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page() -> AsyncIterator[Open]:
    """Return a page of a new browser profile; the test fails on any console error, script dialog or foreign request."""
    troubles: list[str] = []
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        stack.push_async_callback(browser.close)

        async def opened(*, javascript: bool = True, width: int = 1200, dark: bool = False) -> Page:
            context = await browser.new_context(
                java_script_enabled=javascript,
                viewport={"width": width, "height": 900},
                color_scheme="dark" if dark else "light",
            )
            page = await context.new_page()
            page.on("console", lambda said: troubles.append(said.text) if is_trouble(said) else None)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
            page.on(
                "request",
                lambda request: (
                    None if request.url.startswith("http://127.0.0.1:") else troubles.append(f"asked for {request.url}")
                ),
            )
            page.set_default_timeout(20_000)
            return page

        yield opened
    assert troubles == []


def is_trouble(said: ConsoleMessage) -> bool:
    """Say whether a console line is one; that a refused form answers 422 is meant."""
    return said.type in ("error", "warning") and "status of 422" not in said.text


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


async def sign_in(page: Page, site: Site, store: Store, clock: Clock, role: Role = Role.AGENT) -> None:
    user = add_user(store, role)
    token = store.write_now(people.add_link, email=user.email, now=clock())
    await page.goto(f"http://127.0.0.1:{site.port}/sign-in/link/{token}")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("link", name="Feed", exact=True)).to_be_visible()


def a_late_post(session: Session, *, text: str, number: int = 50) -> int:
    post_id = add_post(session, number, author_id=add_author(session, f"late{number}"), text=text, minutes=5)
    add_triage(session, post_id, intent="praise", sentiment="positive")
    return post_id


async def test_an_agents_day(open_page: Open, site: Site, sqlite_store: Store, day: Day, clock: Clock) -> None:
    page = await open_page()
    await sign_in(page, site, sqlite_store, clock)
    await expect(page.locator("article.post")).to_have_count(2)
    await shoot(page, "feed")

    # What a stranger wrote is text, whatever it looks like.
    hostile = page.locator(f"#post-{day.hostile}")
    await expect(hostile.locator(".text")).to_have_text(SCRIPT)
    await expect(hostile.locator(".name")).to_have_text(HOSTILE_NAME.replace("\u202e", "⟨U+202E⟩"))
    assert await hostile.locator("img, script, a[href^=javascript]").count() == 0

    # A post that comes in appears by itself, on top.
    late = sqlite_store.write_now(a_late_post, text="Thank you, that was quick!")
    await expect(page.locator("article.post")).to_have_count(3)
    await expect(page.locator("article.post").first).to_have_attribute("id", f"post-{late}")

    # A wrong label is corrected where it stands.
    row = page.locator(f"#post-{day.post}")
    await row.locator("summary", has_text="intent").click()
    await shoot(page, "correct")
    await row.get_by_role("button", name="refund return").click()
    await expect(row.locator("summary", has_text="intent")).to_contain_text("refund return by hand")
    assert page.url == f"http://127.0.0.1:{site.port}/"

    # The case shows the whole story; the draft is changed and approved.
    await row.get_by_role("link", name=f"Case {day.case}").click()
    await expect(page.get_by_text("We ship every day before four.")).to_be_visible()
    await expect(page.get_by_text("My last parcel was late too.")).to_be_visible()
    await shoot(page, "case")
    draft = page.locator(f"#reply-{day.draft}")
    await draft.locator("textarea").fill("x" * 281)
    await expect(draft.locator(".count")).to_have_text("281 of 280")
    await draft.locator("textarea").fill("Sorry! We look into it.")
    await expect(draft.locator(".count")).to_have_text("23 of 280")
    await draft.get_by_role("button", name="Approve and send").click()
    await expect(page.locator(f"#reply-{day.draft}")).to_contain_text("on its way")
    await expect(page.locator(f"#reply-{day.draft}")).to_contain_text("Sorry! We look into it.")
    with Session(sqlite_store.engine) as session:
        assert session.get_one(ReplyRow, day.draft).state == ReplyState.INTENDED
        assert [job.key for job in session.exec(select(JobRow))] == [str(day.draft)]

    await page.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    for name in ("Cases", "Sources", "Articles"):
        await page.get_by_role("link", name=name, exact=True).first.click()
        await shoot(page, name.lower())
    await page.get_by_role("link", name="A parcel is late").click()
    await expect(page.get_by_role("heading", name="Late parcels")).to_be_visible()
    await shoot(page, "article")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Password")).to_be_visible()
    await shoot(page, "sign-in")


async def test_everything_works_without_javascript(
    open_page: Open, site: Site, sqlite_store: Store, day: Day, clock: Clock
) -> None:
    page = await open_page(javascript=False, width=390, dark=True)
    await sign_in(page, site, sqlite_store, clock)
    row = page.locator(f"#post-{day.post}")
    await row.locator("summary", has_text="intent").click()
    await shoot(page, "feed-small-dark")
    await row.get_by_role("button", name="refund return").click()
    await expect(page.locator(f"#post-{day.post} summary", has_text="intent")).to_contain_text("refund return by hand")
    await page.locator("select[name=urgency]").select_option("high")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("article.post")).to_have_count(0)
    await page.get_by_role("link", name="Clear").click()
    await page.locator(f"#post-{day.post}").get_by_role("link", name=f"Case {day.case}").click()
    await page.get_by_role("button", name="Claim").click()
    await expect(page.locator(".state-claimed").first).to_be_visible()
    await page.get_by_placeholder("Never public").fill("Called the depot.")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.get_by_text("Called the depot.")).to_be_visible()
    await page.locator(f"#reply-{day.draft}").get_by_role("button", name="Discard").click()
    compose = page.locator("form.compose")
    await compose.locator("textarea").fill("y" * 281)
    await compose.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_contain_text("too long for the network by 1")
    assert await page.locator("form.compose textarea").input_value() == "y" * 281
    await page.locator("form.compose textarea").fill("We found it. It comes tomorrow.")
    await page.locator("form.compose").get_by_role("button", name="Send").click()
    await expect(page.locator("article.reply", has_text="It comes tomorrow.")).to_contain_text("on its way")
    await shoot(page, "case-small-dark")
    with Session(sqlite_store.engine) as session:
        assert len(session.exec(select(JobRow)).all()) == 1


@pytest.mark.parametrize(("javascript", "width"), [(True, 1200), (False, 420)])
async def test_an_incident_is_opened_by_hand_and_another_goes_on_in_it(
    open_page: Open, site: Site, sqlite_store: Store, day: Day, clock: Clock, javascript: bool, width: int
) -> None:
    def write(session: Session) -> None:
        for number, text in enumerate(("No internet since nine.", "Kein Netz in Kiel!", "the line is dead again")):
            author, minutes = add_author(session, f"n{number}"), number - 30
            post = add_post(session, 600 + number, author_id=author, minutes=minutes, text=text, outcome="escalated")
            add_triage(session, post, intent="service_disruption")
            at = clock() + timedelta(minutes=minutes)
            session.add(PostTopicRow(post_id=post, topic="intent:service_disruption", author_id=author, at=at))

    sqlite_store.write_now(write)
    sqlite_store.write_now(add_incident)
    clock.forward(minutes=20)
    shot = f"incident-{width}"
    page = await open_page(javascript=javascript, width=width, dark=not javascript)
    await sign_in(page, site, sqlite_store, clock)
    await page.goto(f"http://127.0.0.1:{site.port}/incidents")
    await page.get_by_role("link", name="Open one by hand").click()
    await page.get_by_label("Topic").select_option("intent:service_disruption")
    await page.get_by_role("button", name="Show its posts").click()
    await expect(page.get_by_role("checkbox")).to_have_count(3)
    await page.get_by_role("checkbox").nth(0).check()
    await page.get_by_label("Why it is opened").fill("The network operations centre called")
    await page.get_by_label("Name,").fill("Fibre cut in the north")
    await page.get_by_label("Others,").fill("the first one")
    await shoot(page, f"{shot}-new")
    await page.get_by_role("button", name="Open the incident").click()
    await expect(page.get_by_role("alert")).to_contain_text("is no number of a post")
    await expect(page.get_by_role("checkbox").nth(0)).to_be_checked()
    await page.get_by_label("Others,").fill("")
    await page.get_by_role("button", name="Open the incident").click()
    await expect(page.get_by_role("heading", name="Fibre cut in the north")).to_be_visible()
    await shoot(page, f"{shot}-opened")
    await page.goto(f"http://127.0.0.1:{site.port}/incidents/1")
    await page.get_by_label("The incident that goes on").select_option("2")
    await page.get_by_role("button", name="Merge into it").click()
    await expect(page.get_by_role("alertdialog")).to_contain_text("This cannot be undone")
    await shoot(page, f"{shot}-sure")
    await page.get_by_role("button", name="Yes, merge").click()
    await expect(page.get_by_role("heading", name="Fibre cut in the north")).to_be_visible()
    await expect(page.get_by_text("was merged into it")).to_be_visible()
    await shoot(page, f"{shot}-merged")
    await page.get_by_role("link", name="Incident 1", exact=True).click()
    await expect(page.get_by_text("Its posts, and who was answered, are there.")).to_be_visible()
    await page.goto(f"http://127.0.0.1:{site.port}/incidents")
    await shoot(page, f"{shot}-list")


async def test_a_case_says_that_somebody_changed_it(
    open_page: Open, site: Site, sqlite_store: Store, day: Day, clock: Clock
) -> None:
    from bot.store import desk

    page = await open_page()
    await sign_in(page, site, sqlite_store, clock)
    await page.goto(f"http://127.0.0.1:{site.port}/cases/{day.case}")
    await expect(page.locator("#changed")).to_be_hidden()
    lead = add_user(sqlite_store, Role.LEAD)
    sqlite_store.write_now(desk.claim, day.case, user_id=lead.id, take_over=False, now=clock())
    await expect(page.locator("#changed")).to_be_visible()
    await page.get_by_role("link", name="Show it as it is now").click()
    await expect(page.locator(".collide")).to_have_text("Some lead works on this case.")
    await expect(page.get_by_role("button", name="Take over")).to_be_visible()


async def test_a_deleted_post_loses_its_words_on_open_pages(
    open_page: Open, site: Site, sqlite_store: Store, day: Day, clock: Clock
) -> None:
    from bot.store import events

    def delete(session: Session) -> None:
        session.get_one(PostRow, day.post).deleted_at = clock()
        events.add(session, "post.deleted", now=clock(), post_id=day.post)

    page = await open_page()
    await sign_in(page, site, sqlite_store, clock)
    await expect(page.locator(f"#post-{day.post}")).to_contain_text("where is my parcel?")
    sqlite_store.write_now(delete)
    await expect(page.locator(f"#post-{day.post}")).to_contain_text("The author deleted this post.")
    await expect(page.locator(f"#post-{day.post}")).not_to_contain_text("where is my parcel?")
