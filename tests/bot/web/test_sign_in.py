"""Signing in: passwords, links, guessing, and where one lands."""

from __future__ import annotations

import asyncio
import time

import pytest
from argon2 import Type, extract_parameters

from bot.store import people
from bot.store.engine import Store
from bot.store.roles import Role
from bot.web import passwords
from bot.web.passwords import Passwords
from tests.bot.web.conftest import Visit
from tests.bot.web.world import Browser, Clock, add_user

PASSWORD = "correct horse battery staple"
HASHED = passwords.hash_now(PASSWORD)


@pytest.fixture
def agent(sqlite_store: Store) -> people.User:
    return add_user(sqlite_store, Role.AGENT, email="agent@example.org", password_hash=HASHED)


async def attempt(browser: Browser, password: str, email: str = "agent@example.org", where: str = "/") -> int:
    return (await browser.post("/sign-in", email=email, password=password, next=where)).status


def test_passwords_are_kept_as_argon2id_above_the_floor() -> None:
    parameters = extract_parameters(HASHED)
    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 19 * 1024
    assert parameters.time_cost >= 2
    assert parameters.salt_len >= 16


async def test_the_right_password_opens_and_any_other_does_not(visit: Visit, agent: people.User) -> None:
    browser = await visit(None)
    assert await attempt(browser, PASSWORD + "x") == 403
    assert (await browser.get("/")).status == 303
    assert await attempt(browser, PASSWORD) == 303
    assert (await browser.get("/")).status == 200


async def test_letter_case_of_the_address_does_not_matter(visit: Visit, agent: people.User) -> None:
    assert await attempt(await visit(None), PASSWORD, email=" Agent@Example.ORG ") == 303


async def test_a_person_without_a_password_cannot_sign_in_with_one(visit: Visit, sqlite_store: Store) -> None:
    add_user(sqlite_store, Role.AGENT)
    for guess in ("", "None", PASSWORD):
        assert await attempt(await visit(None), guess) == 403


async def test_signing_out_ends_the_session(visit: Visit) -> None:
    viewer = await visit(Role.VIEWER)
    token = next(cookie.value for cookie in viewer.http.cookie_jar if cookie.key == "harken")
    assert (await viewer.post("/sign-out")).status == 303
    again = await visit(None)
    again.http.cookie_jar.update_cookies({"harken": token}, again.http._build_url(again.base))
    assert (await again.get("/")).status == 303


async def test_a_link_opens_once_and_looking_does_not_use_it(
    visit: Visit, agent: people.User, sqlite_store: Store, clock: Clock
) -> None:
    token = sqlite_store.write_now(people.add_link, email=agent.email, now=clock())
    browser = await visit(None)
    for _ in range(3):
        assert (await browser.get(f"/sign-in/link/{token}")).status == 200
    assert (await browser.post(f"/sign-in/link/{token}")).status == 303
    assert (await browser.get("/")).status == 200
    thief = await visit(None)
    assert (await thief.get(f"/sign-in/link/{token}")).status == 404
    assert (await thief.post(f"/sign-in/link/{token}")).status == 404
    assert (await thief.get("/")).status == 303


async def test_two_uses_at_once_let_one_in(visit: Visit, agent: people.User, sqlite_store: Store, clock: Clock) -> None:
    token = sqlite_store.write_now(people.add_link, email=agent.email, now=clock())
    browsers = [await visit(None) for _ in range(5)]
    answers = await asyncio.gather(*(each.post(f"/sign-in/link/{token}") for each in browsers))
    assert sorted(answer.status for answer in answers) == [303, 404, 404, 404, 404]


async def test_a_link_lapses(visit: Visit, agent: people.User, sqlite_store: Store, clock: Clock) -> None:
    token = sqlite_store.write_now(people.add_link, email=agent.email, now=clock())
    clock.forward(hours=24, seconds=1)
    assert (await (await visit(None)).post(f"/sign-in/link/{token}")).status == 404


async def test_guessing_is_slowed_and_the_owner_gets_in_again(visit: Visit, agent: people.User, clock: Clock) -> None:
    thief, owner = await visit(None), await visit(None)
    tried = [await attempt(thief, f"guess number {number}") for number in range(8)]
    assert tried[:5] == [403] * 5
    assert set(tried[5:]) == {429}
    assert await attempt(owner, PASSWORD) == 429
    clock.forward(minutes=1)
    assert await attempt(owner, PASSWORD) == 303


async def test_guessers_who_never_stop_do_not_shut_out_a_browser_that_was_in_before(
    visit: Visit, agent: people.User, clock: Clock
) -> None:
    owner, thief = await visit(None), await visit(None)
    assert await attempt(owner, PASSWORD) == 303
    await owner.post("/sign-out", csrf="")
    for number in range(12):
        await attempt(thief, f"guess number {number}")
    assert await attempt(thief, PASSWORD) == 429
    owner.http.cookie_jar.clear(lambda cookie: cookie.key == "harken")
    assert await attempt(owner, PASSWORD) == 303


async def test_many_accounts_from_one_address_are_slowed_too(visit: Visit, clock: Clock) -> None:
    thief = await visit(None)
    tried = [await attempt(thief, "Password1234", email=f"p{number}@example.org") for number in range(24)]
    assert tried[:20] == [403] * 20
    assert tried[-1] == 429


async def test_a_thousand_tries_at_once_are_a_thousand_tries(visit: Visit, agent: people.User) -> None:
    thief = await visit(None)
    answers = await asyncio.gather(*(attempt(thief, f"guess {number}") for number in range(100)))
    assert answers.count(403) <= 5
    assert set(answers) <= {403, 429}


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(sqlite_store: Store) -> None:
    check = Passwords()
    await check.check("warm", None)

    async def best_of(hashed: str | None) -> float:
        spans = []
        for _ in range(5):
            begun = time.process_time()
            assert not await check.check("wrong", hashed)
            spans.append(time.process_time() - begun)
        return min(spans)

    known, unknown = await best_of(HASHED), await best_of(None)
    check.close()
    assert abs(known - unknown) / known < 0.5


async def test_too_many_hashes_at_once_are_turned_away_and_the_loop_goes_on() -> None:
    check = Passwords()
    tasks = [asyncio.create_task(check.check("wrong", HASHED)) for _ in range(40)]
    turns = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.005)
        turns += 1
    results = await asyncio.gather(*tasks, return_exceptions=True)
    check.close()
    assert sum(isinstance(result, passwords.Busy) for result in results) == 40 - passwords.WAITING
    assert turns > 10


async def test_long_passphrases_work_and_endless_ones_are_refused() -> None:
    check = Passwords()
    long = "a" * 200 + "b"
    hashed = await check.hash(long)
    assert await check.check(long, hashed)
    assert not await check.check("a" * 200 + "c", hashed)
    assert not await check.check("a" * 5000, await check.hash("a" * 5000))
    check.close()


@pytest.mark.parametrize(
    ("asked", "lands"),
    [
        ("/cases?state=open", "/cases?state=open"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("evil.example", "/"),
    ],
)
async def test_a_sign_in_never_sends_people_away(asked: str, lands: str, visit: Visit, agent: people.User) -> None:
    answer = await (await visit(None)).post("/sign-in", email=agent.email, password=PASSWORD, next=asked)
    assert answer.headers["Location"] == lands


async def test_who_was_sent_to_sign_in_comes_back(visit: Visit) -> None:
    nobody = await visit(None)
    answer = await nobody.get("/cases?state=open&queue=care")
    assert answer.headers["Location"].startswith("/sign-in?next=/cases")
    page = await (await nobody.get(answer.headers["Location"])).text()
    assert 'value="/cases?state=open&amp;queue=care"' in page


async def test_a_sign_in_from_another_site_is_refused(visit: Visit, agent: people.User) -> None:
    fields = {"email": agent.email, "password": PASSWORD}
    answer = await (await visit(None)).ask("POST", "/sign-in", data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403
