"""Who wants to be left alone says so in a word or two: "stop", and its like in other languages; "start" takes it back.

Only a whole post counts, politeness aside: "stop" is a wish, "stop charging me twice" is a question for people. The
words are those that carriers and networks have taught people to write (CTIA messaging principles, 5.1.3; X automation
rules: an opt-out must be easy and honoured at once) and what they write to a bot by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import regex

from handoff.words import fold

MOST_CHARS = 120
"""A longer post says more than a word or two, whatever else stands in it."""


class Wish(StrEnum):
    """What an author asks of the bot."""

    STOP = "stop"
    START = "start"


_ADDRESSES = regex.compile(
    r"(?:https?://|www\.)\S+|(?<!\w)[@#][\w.\-]+(?:@[\w.\-]+)?|(?<!\w)/?u/[\w-]+", regex.IGNORECASE
)
_QUIET = regex.compile(r"['’ʼ`´ـ\u064b-\u065f\u0670]+")
_OTHER = regex.compile(r"[^\p{L}\p{N}\p{M}]+")
# Alef with and without its signs; the Turkish i without its dot, which many keyboards lack.
_SAME = str.maketrans("أإآٱı", "اااا" + "i")


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(each.split()) for each in text.split(",") if each.strip())


FILLERS = _list(
    """
    please, pls, plz, now, bot, thanks, thank, you, ok, okay, hey, hi, hello, just, the,
    this, and, at, once, all, automatic, automated, robot, no, yes, por, favor, porfa,
    gracias, ya, hola, obrigado, obrigada, ja, oi, svp, stp, sil, vous, te, plait, merci,
    bonjour, maintenant, bitte, danke, jetzt, sofort, hallo, endlich, favore, grazie,
    ciao, adesso, ora, alsjeblieft, alstublieft, aub, a, u, b, bedankt, nu, prosze, prosimy,
    dziekuje, teraz, lutfen, tesekkurler, artik, simdi, пожалуиста, спасибо, сеичас, бот,
    من, فضلك, رجاء, شكرا, الان, kripya, abhi, bhai, ji, yaar
    """
)
"""Words that change nothing about a wish."""

# English, Spanish, French, German, Portuguese, Italian, Dutch, Polish, Turkish, Arabic, Hindi (in Latin letters and its
# own), Russian, Japanese, Chinese; then some Ukrainian, Indonesian, Korean, Swedish, Vietnamese. A test asks each.
STOP_WORDS = _list(
    """
,
    stop, stop it, stop bot, stopp, unsubscribe, unsub, opt out, optout, opt me out, go
    away, stop replying, stop replying to me, stop answering, stop answering me, stop
    messaging me, stop messaging, stop writing to me, stop writing me, stop contacting me,
    stop tagging me, stop texting me, stop spamming me, leave me alone, dont reply, dont
    reply to me, do not reply, do not reply to me, dont answer me, do not answer me, dont
    message me, do not message me, do not contact me, dont contact me, no bots, no more
    replies, no more messages, remove me,
    para, pare, parar, alto, basta, baja, darme de baja, dame de baja, dejame en paz,
    dejenme en paz, no me escribas, no me escriban, no me respondas, no me respondan, no
    me contesten, no responder, deja de escribirme, dejen de escribirme, deja de
    responder, no quiero mensajes,
    arret, arretez, arrete, desabonner, desinscription, me desabonner, laissez moi
    tranquille, laisse moi tranquille, ne me repondez pas, ne me reponds pas, ne me
    repondez plus, ne repondez plus, ne mecrivez plus, ne mecris plus, arretez de me
    repondre, arretez de mecrire, plus de messages,
    halt, aufhoren, hor auf, hort auf, abmelden, abbestellen, lass mich in ruhe, lasst
    mich in ruhe, nicht antworten, nicht mehr antworten, antworte mir nicht, antwortet mir
    nicht, schreib mir nicht, schreibt mir nicht, schreib mir nicht mehr, schreibt mir
    nicht mehr, keine nachrichten, keine nachrichten mehr, keine antworten mehr, nicht
    mehr schreiben,
    parem, chega, sair, cancelar inscricao, descadastrar, me deixe em paz, me deixa em
    paz, deixem me em paz, nao me responda, nao me respondam, nao me escreva, nao me
    escrevam, nao responder, pare de me responder, parem de me responder, nao quero
    mensagens,
    ferma, fermati, fermatevi, smettila, smettetela, disiscrivimi, cancellami, lasciami in
    pace, lasciatemi in pace, non rispondermi, non rispondetemi, non scrivermi, non
    scrivetemi, non rispondere, basta messaggi, non contattatemi,
    hou op, houd op, ophouden, stoppen, afmelden, uitschrijven, laat me met rust, laat mij
    met rust, niet antwoorden, niet meer antwoorden, niet reageren, niet meer reageren,
    stuur mij niets meer, geen berichten meer, reageer niet, antwoord niet,
    przestan, przestancie, dosc, wypisz, wypisz mnie, rezygnuje, zostaw mnie, zostawcie
    mnie w spokoju, zostaw mnie w spokoju, nie odpowiadaj, nie odpowiadajcie, nie pisz,
    nie pisz do mnie, nie piszcie, nie piszcie do mnie, koniec,
    dur, durdur, durun, yeter, yazma, yazmayin, bana yazma, bana yazmayin, cevap verme,
    cevap vermeyin, bana cevap verme, bana cevap vermeyin, mesaj atma, mesaj atmayin, bana
    mesaj atmayin, beni rahat birak, beni rahat bırak, beni rahat birakin, beni rahat
    bırakın, abonelikten cik, abonelikten cık,
    توقف, توقفوا, قف, اوقف, اوقفوا, كفى, الغاء, الغاء الاشتراك, اتركني, اتركوني, اتركني
    وشاني, لا ترد, لا ترد علي, لا تردوا علي, لا تراسلني, لا تراسلوني, لا تكتب لي, بس,
    band karo, band kar do, band kijiye, ruko, rok do, ruk jao, bas karo, reply mat karo,
    mujhe reply mat karo, jawab mat do, message mat karo, mujhe message mat karo, mat
    likho, mat bhejo, mujhe akela chhod do, बंद करो, बंद कर दो, बंद करें, रोको, रुको,
    रुकिए, जवाब मत दो, संदेश मत भेजो,
    стоп, хватит, довольно, прекратите, прекрати, перестань, перестаньте, отписаться,
    отпишите меня, отписка, не пиши, не пиши мне, не пишите, не пишите мне, не отвечай, не
    отвечаите, не отвечаите мне, не отвечаи, не отвечаи мне, оставьте меня в покое,
    отстань, отстаньте, отвали,
    停止, ストップ, やめて, やめてください, 止めて, 止めてください, 停止してください, 返信しないで,
    返信しないでください, 返信不要, 連絡しないで,
    連絡しないでください, 配信停止, もう送らないで, 退会,
    退订, 退訂, 停, 停下, 别回复, 别回复我, 不要回复, 不要回复我, 请不要回复, 请不要回复我, 请停止,
    請停止, 停止回复, 别再回复, 不要再回复,
    不要再回复我, 別回覆我, 不要回覆, 不要回覆我, 别烦我, 不要联系我,
    досить, припиніть, не пишіть мені, відписатися, berhenti, jangan balas, jangan hubungi
    saya, 그만, 중지, 멈춰, 답장하지 마세요, 수신거부, sluta, svara inte, avsluta, dung lai, dừng lại
    """
)

PRIVATE_STOP_WORDS = ("stopall", "stop all", "cancel", "end", "quit", "revoke")
"""As good as "stop" in a private conversation (47 CFR 64.1200(a)(10)); in public "cancel" may mean an order."""

START_WORDS = _list(
    """
    start, unstop, opt in, optin, resume, subscribe, start again, you may reply, you can
    reply, empezar, iniciar, reanudar, alta, empieza, demarrer, reprendre, recommencer,
    starten, weiter, weitermachen, anmelden, comecar, retomar, recomecar, inizia, avvia,
    riprendi, iscrivimi, hervatten, hervat, begin, aanmelden, zacznij, wznow, zapisz,
    zapisz mnie, basla, başla, baslat, devam, devam et, ابدا, ابدء, استئناف, اشترك,
    اشتراك, shuru karo, shuru kar do, chalu karo, शुरू करो, शुरू करें, старт, начать,
    начнаите, возобновить, подписаться, 開始, スタート, 再開, 開始してください, 再開してください,
    开始, 恢复, 恢復, 订阅,
    почати, mulai, 시작, starta
    """
)


def wish(text: str, *, is_private: bool = False) -> Wish | None:
    """Return what a post addressed to us asks of the bot, None when it says anything else."""
    if len(text) > MOST_CHARS:
        return None
    asked = set(_cores(_plain(text).split()))
    if asked & _START:
        return Wish.START
    if asked & _STOP or (is_private and asked & _PRIVATE):
        return Wish.STOP
    return None


def _plain(text: str) -> str:
    folded = _QUIET.sub("", fold(_ADDRESSES.sub(" ", text))).translate(_SAME)
    words: str = _OTHER.sub(" ", folded)
    return " ".join(words.split())


def _cores(words: Sequence[str]) -> Iterator[str]:
    """Yield the words as they stand, and with more and more politeness taken off either end."""
    for first in range(len(words)):
        for last in range(len(words), first, -1):
            yield " ".join(words[first:last])
            if words[last - 1] not in _FILLERS:
                break
        if words[first] not in _FILLERS:
            return


def _all(phrases: Iterable[str]) -> frozenset[str]:
    return frozenset(_plain(phrase) for phrase in phrases)


_FILLERS = _all(FILLERS)
_STOP, _PRIVATE, _START = _all(STOP_WORDS), _all(PRIVATE_STOP_WORDS), _all(START_WORDS)
