"""Who wants to be left alone is heard in every language served, and who only uses the word is answered."""

from __future__ import annotations

import pytest

from handoff.consent import START_WORDS, STOP_WORDS, Wish, wish

STOPS = {
    "en": [
        "stop",
        "@lark STOP!!",
        "please stop replying to me",
        "Unsubscribe",
        "leave me alone",
        "Don't reply to me, bot",
    ],
    "es": ["para", "Basta, por favor", "Déjame en paz", "no me escribas", "darme de baja"],
    "fr": ["Arrêtez", "arrête s'il te plaît", "Laissez-moi tranquille", "ne m'écrivez plus", "STOP svp"],
    "de": ["Stopp", "hör auf", "Lasst mich in Ruhe!", "bitte nicht mehr antworten", "Abmelden"],
    "pt": ["pare", "Parem!", "me deixe em paz", "não me responda", "chega, por favor"],
    "it": ["smettetela", "Basta, grazie", "lasciatemi in pace", "non scrivetemi", "cancellami"],
    "nl": ["hou op", "stoppen", "laat me met rust", "Reageer niet a.u.b.", "uitschrijven alsjeblieft"],
    "pl": ["przestań", "Dość!", "zostaw mnie w spokoju", "nie piszcie do mnie", "wypisz mnie proszę"],
    "tr": ["dur", "Yeter artık", "bana yazmayın", "cevap verme lütfen", "beni rahat bırakın"],
    "ar": ["توقف", "أوقف", "لا تردّ عليّ", "إلغاء الاشتراك", "كفى من فضلك"],
    "hi": ["band karo", "Ruko", "mujhe message mat karo", "reply mat karo please", "बंद करो"],
    "ru": ["стоп", "Хватит!", "не пишите мне", "не отвечайте мне, пожалуйста", "отпишите меня"],
    "ja": ["停止", "やめてください。", "返信しないで", "ストップ", "配信停止"],
    "zh": ["停止", "退订", "请不要回复我", "別回覆我", "别烦我！"],
    "uk": ["припиніть", "не пишіть мені"],
    "ko": ["그만", "답장하지 마세요"],
}


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in STOPS.items() for text in texts])
def test_a_wish_to_be_left_alone_is_heard(language: str, text: str) -> None:
    assert wish(text) is Wish.STOP


STARTS = ["start", "@lark START please", "empezar", "Reprendre", "weiter, bitte", "começar", "inizia", "hervatten"]
STARTS += ["wznów", "başla", "ابدأ", "shuru karo", "Начать!", "再開", "开始"]


@pytest.mark.parametrize("text", STARTS)
def test_a_wish_to_go_on_is_heard(text: str) -> None:
    assert wish(text) is Wish.START


@pytest.mark.parametrize(
    "text",
    [
        "stop charging me twice",
        "how do I stop my subscription?",
        "my parcel made a stop in Lyon",
        "para cuándo llega mi pedido?",
        "Ich möchte meinen Vertrag abmelden",
        "bus stop",
        "start of the sale?",
        "please",
        "cancel",
        "quit",
        "",
        "@lark",
        "🛑",
        "ok thanks",
        "хватит ли мне этого тарифа?",
        "停止服务了吗？",
        "stop " * 40,
    ],
)
def test_who_only_uses_the_word_is_answered(text: str) -> None:
    assert wish(text) is None


def test_in_private_the_carriers_words_count_too() -> None:
    assert [wish(text, is_private=True) for text in ("Cancel", "QUIT", "end", "Stopall")] == [Wish.STOP] * 4


def test_every_word_of_the_lists_is_found_and_none_stands_in_both() -> None:
    assert [word for word in STOP_WORDS if wish(word) is not Wish.STOP] == []
    assert [word for word in START_WORDS if wish(word) is not Wish.START] == []
