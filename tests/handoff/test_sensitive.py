"""Words of caution in fourteen languages, and the words that only look like them."""

from __future__ import annotations

import pytest

from handoff.sensitive import WORDS, Lexicon, Topic
from handoff.words import fold, words

LEXICON = Lexicon()


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("I want to kill myself", Topic.DANGER),
        ("i will SUICIDE", Topic.DANGER),
        ("Quiero morir", Topic.DANGER),
        ("ich will sterben", Topic.DANGER),
        ("我要自杀", Topic.DANGER),
        ("your toaster caught  fire", Topic.SAFETY),
        ("Der Akku ist explodiert", Topic.SAFETY),
        ("J'ai été blessé... je suis blessée", Topic.SAFETY),
        ("allergic reaction to your soap", Topic.HEALTH),
        ("estoy embarazada", Topic.HEALTH),
        ("my s\u200bon is six", Topic.MINORS),
        ("mijn dochter", Topic.MINORS),
        ("you will hear from my lawyer", Topic.LEGAL),
        ("je vais porter plainte", Topic.LEGAL),
        ("Ｌａｗｙｅｒ", Topic.LEGAL),
        ("Sprechen Sie mit meinem Anwalt!", Topic.LEGAL),
        ("I'm a journalist, any comment?", Topic.PRESS),
        ("記者です", Topic.PRESS),
    ],
)
def test_a_subject_is_recognised(text: str, topic: Topic) -> None:
    assert LEXICON.topics(text) == (topic,)


@pytest.mark.parametrize(
    "text",
    [
        "Great hospitality, thank you",
        "the app is stable again",
        "feeling blessed",
        "your food was the bomb",
        "a brand new car",
        "my account was disabled",
        "press the button",
        "Sue, when do you open?",
        "une salade d'avocat",
        "der Rechter Schuh passt nicht",
        "un problème mineur",
        "BOM to LHR, on average 2 hours late",
        "",
    ],
)
def test_a_word_that_only_looks_like_one_is_left_alone(text: str) -> None:
    assert LEXICON.topics(text) == ()


SERVED = {
    "en": (
        "I want to die",
        "it caught fire",
        "I am diabetic",
        "my son is six",
        "my lawyer",
        "I'm a journalist",
        "I was scammed",
    ),
    "es": (
        "quiero morir",
        "hubo una descarga eléctrica",
        "estoy embarazada",
        "mi hija",
        "mi abogado",
        "soy periodista",
        "me hackearon",
    ),
    "fr": (
        "envie de mourir",
        "il a pris feu",
        "je suis enceinte",
        "ma fille",
        "mon avocat",
        "je suis journaliste",
        "compte piraté",
    ),
    "de": (
        "ich will sterben",
        "der Akku explodierte",
        "ich bin schwanger",
        "mein Kind",
        "mein Anwalt",
        "Presseanfrage",
        "mein Konto wurde gehackt",
    ),
    "pt": (
        "quero morrer",
        "pegou fogo",
        "estou grávida",
        "meu filho",
        "meu advogado",
        "sou jornalista",
        "caí num golpe",
    ),
    "it": (
        "voglio morire",
        "ha preso fuoco",
        "sono incinta",
        "mio figlio",
        "il mio avvocato",
        "sono un giornalista",
        "mi hanno truffato",
    ),
    "nl": (
        "ik wil dood",
        "in brand gevlogen",
        "ik ben zwanger",
        "mijn dochter",
        "mijn advocaat",
        "van de redactie",
        "ik ben opgelicht",
    ),
    "pl": (
        "chcę umrzeć",
        "bateria wybuchła",
        "jestem w ciąży",
        "mój syn",
        "mój adwokat",
        "jestem dziennikarką",
        "to oszustwo",
    ),
    "tr": ("ölmek istiyorum", "telefon patladı", "hamileyim", "oğlum", "avukatım", "gazeteciyim", "dolandırıldım"),
    "ar": (
        "أريد أن أموت",
        "انفجر الجهاز",
        "أنا حامل",
        "ابنتي",
        "سأتصل بالمحكمة المحكمة",
        "أنا صحفي",
        "تم اختراق حسابي",
    ),
    "hi": (
        "main marna chahta hoon",
        "phone mein aag lag gayi",
        "main garbhvati hoon",
        "meri beti",
        "mera vakil",
        "main patrakar hoon",
        "account hack ho gaya",
    ),
    "ru": (
        "хочу умереть",
        "телефон загорелся",
        "я беременна",
        "моя дочь",
        "мой адвокат",
        "я журналист",
        "меня взломали мошенники",
    ),
    "ja": ("死にたい", "発火しました", "妊娠しています", "うちの子が", "弁護士に", "記者です", "詐欺に遭いました"),
    "zh": ("我不想活了", "手机爆炸了", "我怀孕了", "我女儿", "我的律师", "我是记者", "账号被盗了"),
}
SUBJECTS = ("danger", "safety", "health", "minors", "legal", "press", "security")


@pytest.mark.parametrize(
    ("subject", "text"),
    [(subject, text) for texts in SERVED.values() for subject, text in zip(SUBJECTS, texts, strict=True)],
)
def test_each_subject_is_recognised_in_each_language_served(subject: str, text: str) -> None:
    assert Topic(subject) in LEXICON.topics(text)


def test_the_gravest_comes_first() -> None:
    assert LEXICON.topics("my lawyer knows I want to die, my son too") == (Topic.DANGER, Topic.MINORS, Topic.LEGAL)


def test_own_words_are_folded_like_all_others() -> None:
    lexicon = Lexicon(own=("Crème brûlée*",), topics=())
    assert lexicon.topics("CREME   BRULEES!") == (Topic.OWN,)
    assert lexicon.topics("my lawyer") == ()


def test_every_word_is_found_where_it_stands_alone() -> None:
    for topic, entries in WORDS.items():
        for entry in entries:
            assert topic in LEXICON.topics(f"... {entry.replace('*', 'x')} ..."), entry


def test_folding_keeps_what_carries_meaning() -> None:
    assert fold("ÀÉÎÕÜ ß ﬁ") == "aeiou ss fi"
    assert fold("がか") == "がか"
    assert fold("हिन्दी") == "हिन्दी"


def test_words_leave_links_and_handles_out_and_cut_what_has_no_spaces() -> None:
    assert words("@ana Où est mon colis? https://x.example/abc?q=1 @b@c.social b2b") == [
        "ou",
        "est",
        "mon",
        "colis",
        "b2b",
    ]
    assert words("我要退款ok") == ["我要", "要退", "退款", "ok"]
    assert words("款") == ["款"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("\x00\ud800🙂") == []
    assert words("x" * 500) == ["x" * 64]
