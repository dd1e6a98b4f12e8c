"""The demo's day keeps what its README says, and every approved wording fits its network."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import frontmatter
import orjson
import pytest

from classifiers.triage import INTENTS
from connectors.channels.replay import CHANNEL, LENGTHS, ReplaySettings
from connectors.post import Post, PostKind
from tests.connectors.contract import walk
from tests.networks.clock import HandClock

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
NETWORKS = ("x", "reddit", "mastodon", "bluesky")
LANGUAGES = {"en", "es", "fr", "de", "pt", "it"}
BURST = (2_400.0, 2_580.0)


def load_build() -> Any:
    spec = importlib.util.spec_from_file_location("demo_build", DEMO / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


BUILD = load_build()


@cache
def rows(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (DEMO / name).read_bytes().splitlines()]


def all_rows() -> list[tuple[str, dict[str, Any]]]:
    return [(network, row) for network in NETWORKS for row in rows(f"day-{network}.jsonl")]


async def play(network: str, clock: HandClock) -> tuple[list[Post], list[str]]:
    settings = ReplaySettings(
        kind="replay",
        path=DEMO / f"day-{network}.jsonl",
        channel=network,
        account=BUILD.OWN[network],
        start="ended",
        speed=60,
    )
    replay = CHANNEL.connect(name="demo", settings=settings, clock=clock)
    pages, _ = await walk(replay, "feed", None)
    assert not [item for page in pages for item in page.bad]
    return [post for page in pages for post in page.posts], [one for page in pages for one in page.deleted]


@pytest.mark.parametrize("network", NETWORKS)
async def test_every_row_plays(network: str) -> None:
    posts, deleted = await play(network, HandClock())
    assert len(posts) + len(deleted) == len(rows(f"day-{network}.jsonl"))
    assert {post.channel for post in posts} == {network}
    assert any(post.edited_at for post in posts)
    assert deleted
    assert any(post.is_own for post in posts)
    assert posts[-1].created_at - posts[0].created_at > timedelta(minutes=9)


@pytest.mark.parametrize("network", NETWORKS)
async def test_threads_hang_together(network: str) -> None:
    posts, _ = await play(network, HandClock())
    known = {post.id: post for post in posts}
    replies = [post for post in posts if post.parent_id is not None]
    assert replies
    for post in replies:
        assert post.parent_id is not None
        assert known[post.parent_id].created_at < post.created_at
        if post.kind is PostKind.REPLY:
            assert post.root_id == known[post.parent_id].root_id
    deepest = max(depth(post, known) for post in replies)
    assert deepest >= 2, "a thread of several turns"
    assert any(known[post.parent_id or ""].is_own for post in replies), "somebody answers the brand"


def depth(post: Post, known: Mapping[str, Post]) -> int:
    steps = 0
    while post.parent_id is not None:
        post, steps = known[post.parent_id], steps + 1
    return steps


def test_the_committed_day_is_what_the_texts_make() -> None:
    for name, content in BUILD.build().items():
        assert (DEMO / name).read_text(encoding="utf-8") == content, "run python deploy/demo/build.py"


def test_the_day_holds_what_is_promised() -> None:
    posts = {(network, row["post"]["id"]) for network, row in all_rows() if row["type"] in ("post", "repost")}
    assert len(posts) >= 360
    kinds = Counter(row["type"] for _, row in all_rows())
    assert kinds["edit"] >= 6
    assert kinds["delete"] >= 4
    assert kinds["repost"] >= 8
    assert sum(row["at"] < 7_200 for _, row in all_rows()) > len(all_rows()) * 0.6
    assert sum(row["at"] < 60 for _, row in all_rows()) >= 12
    assert max(row["at"] for _, row in all_rows()) < 36_000


def test_the_outage_brings_sixty_posts_in_three_minutes() -> None:
    start, end = BURST
    burst = {
        (network, row["post"]["id"])
        for network, row in all_rows()
        if row["type"] == "post" and start <= row["at"] < end
    }
    assert len(burst) >= 60
    assert {network for network, _ in burst} == set(NETWORKS)


def test_ids_are_unique_but_for_the_intended_repeats() -> None:
    seen = Counter((network, row["post"]["id"]) for network, row in all_rows() if row["type"] in ("post", "repost"))
    again = {key for key, times in seen.items() if times > 1}
    assert len(again) == 8
    assert {network for network, _ in again} == set(NETWORKS)
    for network, post_id in again:
        once, twice = [row["post"] for where, row in all_rows() if where == network and row["post"]["id"] == post_id]
        assert once == twice


def test_the_truth_covers_every_customer_post_and_every_kind_of_matter() -> None:
    truth = rows("truth.jsonl")
    said = {
        f"{network}:{row['post']['id']}"
        for network, row in all_rows()
        if row["type"] == "post" and row["post"]["author"]["id"] != BUILD.OWN[network]["id"]
    }
    assert {row["id"] for row in truth} == said
    assert len(truth) == len(said)
    assert {row["intent"] for row in truth} == set(INTENTS)
    assert {row["language"] for row in truth} == LANGUAGES
    assert min(Counter(row["language"] for row in truth).values()) >= 20
    answered = Counter(row["article"] for row in truth if row["article"])
    assert sum(answered.values()) >= 150
    assert set(answered) == {post.metadata["slug"] for post in articles().values()}


def test_no_two_customers_say_the_same() -> None:
    texts = Counter(row["text"] for row in rows("truth.jsonl"))
    assert [text for text, times in texts.items() if times > 1] == []


def test_one_customer_writes_on_two_channels_and_one_comes_back_three_times() -> None:
    own_words = [
        row["text"] for row in rows("truth.jsonl") if row["text"].startswith("@nimbrook Os escribí también por X")
    ]
    assert len(own_words) == 1
    dorrit = [
        row["post"]
        for row in rows("day-x.jsonl")
        if row["type"] == "post" and row["post"]["author"]["handle"] == "dorrit_kell" and "parent_id" not in row["post"]
    ]
    assert len(dorrit) == 3


# The articles


@dataclass(frozen=True)
class Article:
    metadata: dict[str, Any]
    content: str


@cache
def articles() -> dict[str, Article]:
    found = {}
    for path in sorted((DEMO / "articles").glob("*.md")):
        metadata, content = frontmatter.parse(path.read_text(encoding="utf-8"))
        found[path.name] = Article(metadata, content)
    return found


def test_there_are_articles_for_every_matter_and_in_four_languages() -> None:
    found = [article.metadata for article in articles().values()]
    assert len({one["slug"] for one in found}) >= 38
    assert {one["locale"] for one in found} == {"en", "es", "fr", "de"}
    assert len({(one["slug"], one["locale"]) for one in found}) == len(found)
    tags = {tag for one in found for tag in one["tags"]}
    assert tags <= set(INTENTS)
    assert set(INTENTS) - tags == {"praise", "spam", "not_actionable"}


@pytest.mark.parametrize("name", articles())
def test_an_article_is_complete_and_fits_every_network(name: str) -> None:
    article = articles()[name]
    meta = article.metadata
    suffix = "" if meta["locale"] == "en" else f".{meta['locale']}"
    assert name == f"{meta['slug']}{suffix}.md"
    assert meta["title"]
    assert re.search(r" (team|desk|operations)$", meta["owner"]), "a team owns it, not a person"
    assert 3 <= len(meta["questions"]) <= 6
    assert set(meta["channels"]) == {"default", *NETWORKS}
    assert len(article.content) > 120
    for channel, wording in meta["channels"].items():
        assert len(wording) > 60
        if channel in LENGTHS:
            assert LENGTHS[channel].overrun(wording) == 0, channel
        assert "@" not in wording
        assert "https://nimbrook.example.com/" in wording
    assert LENGTHS["mastodon"].measure(meta["channels"]["mastodon"]) <= 460, "room for the mention"


# Nobody real


def everything() -> dict[str, str]:
    names = [*DEMO.glob("*.jsonl"), *DEMO.glob("texts/*.txt"), *DEMO.glob("articles/*.md"), DEMO / "README.md"]
    return {path.name: path.read_text(encoding="utf-8") for path in names}


DOMAIN = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|io|co|app|dev|de|fr|es|it|pt|uk|social|tv)\b", re.IGNORECASE)
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
TELEPHONE = re.compile(r"(?<![\d/\w])\+?\d[\d ()-]{7,}\d(?![\d\w])")
BRANDS = re.compile(
    r"\b(vodafone|comcast|verizon|telekom|telefonica|movistar|netflix|disney|amazon|google|apple|iphone|"
    r"paypal|dhl|ups|fedex|hermes|openreach|fritz!?box|spotify|youtube|whatsapp)\b",
    re.IGNORECASE,
)


def test_nobody_real_is_named() -> None:
    for name, content in everything().items():
        for domain in DOMAIN.findall(content):
            # "nimbrook-pay.example.org" and the like: made-up names under the reserved domains (RFC 2606)
            assert re.search(r"(^|\.)example\.(com|org)$", domain.lower()) or domain in ("app.bsky",), (name, domain)
        assert BRANDS.findall(content) == [], name


def test_there_is_no_mail_address_and_no_telephone_number() -> None:
    for row in rows("truth.jsonl"):
        assert MAIL.findall(row["text"].replace("@nimbrook.example.com", "")) == []
        assert TELEPHONE.findall(row["text"]) == []
    for name, article in articles().items():
        words = " ".join([article.content, *article.metadata["channels"].values()])
        assert MAIL.findall(words) == [], name
        assert TELEPHONE.findall(words) == [], name


def test_the_readme_counts_right() -> None:
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `?([a-z_]+)`? \| (\d+) \|", readme, flags=re.MULTILINE))
    truth = rows("truth.jsonl")
    counted: Counter[str] = Counter(row["language"] for row in truth)
    counted.update(row["intent"] for row in truth)
    for network in NETWORKS:
        counted[network] = len({row["post"]["id"] for row in rows(f"day-{network}.jsonl")})
    assert {name: int(count) for name, count in told.items()} == dict(counted)
