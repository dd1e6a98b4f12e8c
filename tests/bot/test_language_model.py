"""The client against a real server on loopback: whatever is wrong with it, there is one error that says how."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.language_model import MAX_BODY, LanguageModel, LanguageModelError
from bot.settings import LanguageModelSettings
from handoff.drafting.asking import Question
from handoff.drafting.text import ModelText
from tests.networks.chat import KEY, Chat, Mood

QUESTION = Question(
    messages=(
        {"role": "system", "content": "repeat"},
        {"role": "user", "content": '{"articles": [{"slug": "parcel"}]}'},
    ),
    max_tokens=40,
)


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with Chat().serving() as chat:
        yield chat


async def ask(url: str, timeout_s: float = 5.0) -> object:
    """Return what the model says, or the error."""
    settings = LanguageModelSettings.model_validate({"url": url, "model": "m-1", "key": KEY, "timeout_s": timeout_s})
    model = LanguageModel(settings)
    await model.start()
    try:
        return await model.ask(QUESTION)
    except LanguageModelError as error:
        return error
    finally:
        await model.close()
        await model.close()


async def test_it_speaks_the_protocol(chat: Chat) -> None:
    said = await ask(f"{chat.base_url}/")
    assert getattr(said, "text", None) == ModelText("parcel")
    assert getattr(said, "tokens", None) == 100
    (body,) = chat.asked
    assert body == {
        "model": "m-1",
        "messages": list(QUESTION.messages),
        "max_tokens": 40,
        "temperature": 0,
        "stream": False,
    }
    assert chat.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        (Mood.DRIP, "timeout"),
        (Mood.HANG, "timeout"),
        (Mood.RESET, "unavailable"),
        (Mood.LIMITED, "limited"),
        (Mood.BROKEN, "unavailable"),
        (Mood.REFUSED, "refused"),
        (Mood.GIANT, "oversized"),
        (Mood.ENDLESS, "oversized"),
        (Mood.REDIRECT, "redirected"),
        (Mood.NO_JSON, "nonsense"),
        (Mood.HALF_JSON, "nonsense"),
        (Mood.OTHER_SHAPE, "nonsense"),
        (Mood.NO_TEXT, "nonsense"),
        (Mood.HTML, "nonsense"),
        (Mood.GZIP, "nonsense"),
    ],
)
async def test_whatever_goes_wrong_is_one_error_in_time(chat: Chat, mood: Mood, outcome: str) -> None:
    chat.mood = mood
    began = time.monotonic()
    error = await ask(chat.base_url, timeout_s=0.5 if mood in (Mood.DRIP, Mood.HANG) else 15.0)
    assert isinstance(error, LanguageModelError), error
    assert error.outcome == outcome
    assert KEY not in str(error)
    assert time.monotonic() - began < 14
    assert len(chat.asked) == 1, "nothing is tried again"
    assert chat.stolen == 0, "no redirect is followed"


async def test_a_server_that_is_not_there_is_an_error() -> None:
    error = await ask("http://127.0.0.1:9/v1")
    assert isinstance(error, LanguageModelError)
    assert error.outcome == "unavailable"


async def test_it_rests_as_long_as_the_endpoint_wants(chat: Chat) -> None:
    chat.mood = Mood.LIMITED
    error = await ask(chat.base_url)
    assert isinstance(error, LanguageModelError)
    assert error.pause == timedelta(seconds=120)


@pytest.mark.parametrize(
    "usage", [None, {}, {"total_tokens": -5}, {"total_tokens": True}, {"total_tokens": 10**9}, "7", []]
)
async def test_a_count_that_makes_no_sense_is_none(chat: Chat, usage: object) -> None:
    chat.usage = usage
    said = await ask(chat.base_url)
    assert getattr(said, "tokens", 0) is None


def test_an_answer_may_be_as_long_as_any_draft() -> None:
    assert MAX_BODY > 100_000


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"url": "https://api.example/v1"}, "belong together"),
        ({"model": "m"}, "belong together"),
        ({"url": "http://api.example/v1", "model": "m"}, "must be https"),
        ({"url": "http://8.8.8.8/v1", "model": "m"}, "must be https"),
        ({"url": "https://me:secret@api.example/v1", "model": "m"}, "holds credentials"),
        ({"url": "ftp://api.example", "model": "m"}, "base of the API"),
        ({"url": "https://api.example/v1?key=s", "model": "m"}, "base of the API"),
        ({"url": "https://api.example/v1", "model": "m", "timeout_s": 50}, "less than or equal to 20"),
        ({"url": "https://api.example/v1", "model": "m", "temperature": 2}, "Extra inputs"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        LanguageModelSettings.model_validate(table)


@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "http://127.0.0.1:1/v1", "http://localhost/v1", "http://10.1.2.3:8000/v1"]
)
def test_a_good_address_is_taken(url: str) -> None:
    assert LanguageModelSettings.model_validate({"url": url, "model": "m"}).is_on


def test_it_is_off_by_default() -> None:
    assert not LanguageModelSettings().is_on
