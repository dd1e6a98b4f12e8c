"""A brand for tests of the whole daemon: its articles, its modes, and a config for each network it is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.settings import Settings
from tests.networks import reddit, x
from tests.networks.desks import FakeZendesk
from tests.networks.faults import Network
from tests.networks.mastodon import TOKEN, MastodonNetwork
from tests.networks.reddit import Reddit
from tests.networks.x import XNetwork

ARTICLES = {
    "where-is-it": (
        "Where is my parcel?",
        [
            "where is my parcel? It was due yesterday",
            "box never came, and the tracking page is blank",
            "says delivered, but nobody rang at all",
            "my parcel says delivered, but my door says otherwise",
            "Paket hängt seit Montag in Łódź fest",
            "mein Paket ist seit Montag in Zustellung",
            "¿dónde está mi paquete?",
            "注文はいつ届きますか",
        ],
        "Each parcel can be followed at https://lark.example/where with the number on your receipt. If it has not "
        "moved for two days, write to us there and we go and look for it.",
    ),
    "change-address": (
        "How do I change the address?",
        ["how do I change the address of order", "je voudrais changer mon adresse de livraison"],
        "Until the parcel leaves us you can change its address yourself: https://lark.example/address",
    ),
    "opening-hours": (
        "When is the shop open?",
        ["is the shop in the old town open on Sunday? Ticket", "does the linen shirt run small?"],
        "The shop in the old town is open from Monday to Saturday, nine to six.",
    ),
    "swap": (
        "How do I send something back?",
        ["can I swap for the blue one?", "where do I read about returns for", "the corner is bent, smells of smoke"],
        "You may send anything back within 30 days, and swap it for another one: https://lark.example/back",
    ),
}
"""Slug -> title, questions, what is said."""

CAPS = (
    *("author_per_day", "conversation_per_hour", "article_per_hour", "same_text_per_hour", "source_per_hour"),
    *("total_per_hour", "brake_replies"),
)
"""Limits of ``[handoff.caps]``: a scripted day puts a thousand questions into twenty minutes."""

FAST: dict[str, Any] = {
    "poll_every_s": 1.0,
    "timeout_s": 0.5,
    "overlap_s": 660,
    "lookback_s": 7_200,
    "max_first_pages": 50,
}
"""A network of loopback answers at once or not at all."""


def write_articles(folder: Path) -> Path:
    """Write ARTICLES below *folder*; return where they are."""
    home = folder / "articles"
    home.mkdir(exist_ok=True)
    for slug, (title, questions, said) in ARTICLES.items():
        listed = "\n".join(f"  - {question!r}" for question in questions)
        head = f"title: {title!r}\nowner: parcel team\nreviewer: editor\nquestions:\n{listed}"
        (home / f"{slug}.md").write_text(f"---\n{head}\n---\n{said}\n", encoding="utf-8")
    return home


def make_settings(folder: Path, **more: Any) -> Settings:
    """Return the settings of a brand; *more* as in ``make_tables``."""
    return Settings(**make_tables(folder, **more))


def make_tables(
    folder: Path, *, sources: dict[str, dict[str, Any]], desk: FakeZendesk | None = None, **more: Any
) -> dict[str, Any]:
    """Return the config, as plain JSON, of a brand that answers alone whatever an article may answer."""
    desks: dict[str, dict[str, Any]] = {}
    if desk is not None:
        signed = {"email": desk.email, "api_token": desk.token}
        desks = {"desk": {"kind": "zendesk", "base_url": desk.base_url, "timeout_s": 0.5, **signed}}
    made: dict[str, Any] = {
        "brand": "Lark Parcel",
        "store": {"url": f"sqlite:///{folder / 'harken.db'}"},
        "knowledge": {"folder": str(write_articles(folder))},
        "classifier": {"engine": "rules"},
        "handoff": {
            "mode": "auto",
            "auto_triage_confidence": 0.5,
            "auto_answer_confidence": 0.05,
            "draft_answer_confidence": 0.05,
            "auto_replies_per_day": 100,
            "earned": False,
            "caps": dict.fromkeys(CAPS, 1_000_000),
        },
        "sources": sources,
        "desks": desks,
    }
    return {**made, **more}


def source_on(network: Network, **more: Any) -> dict[str, Any]:
    """Return the table of a source that listens to *network*."""
    match network:
        case XNetwork():
            keys = {
                "consumer_key": x.CONSUMER_KEY,
                "consumer_secret": x.CONSUMER_SECRET,
                "access_token": x.ACCESS_TOKEN,
                "access_token_secret": x.ACCESS_SECRET,
                "bearer_token": x.BEARER,
            }
            return {"kind": "x", "base_url": network.base_url, **keys, **FAST, **more}
        case Reddit():
            account = {
                "client_id": reddit.CLIENT_ID,
                "client_secret": reddit.CLIENT_SECRET,
                "username": reddit.BRAND,
                "password": reddit.PASSWORD,
                "user_agent": "linux:org.example.harken:v1 (by /u/kornblume)",
            }
            urls = {"reddit_url": network.base_url, "oauth_url": network.base_url}
            return {"kind": "reddit", **urls, **account, **FAST, **more}
        case MastodonNetwork():
            return {"kind": "mastodon", "base_url": network.base_url, "access_token": TOKEN, **FAST, **more}
        case _:
            raise ValueError(f"no source listens to {type(network).__name__}")
