"""Subjects that people answer, never the bot: recognised by words in fourteen languages, out of caution.

The words are ours. They are broad on purpose: a false alarm costs a person one look, a miss may cost a customer much.
What is found is not kept: networks forbid to record such facts about a person (X developer policy, "sensitive
information"), so ``in_words`` names no private subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

import regex

from handoff.words import fold


class Topic(StrEnum):
    """A subject that goes to people. ``OWN``: a word the brand itself listed."""

    DANGER = "danger"  # self-harm, violence, threats
    SAFETY = "safety"  # a product or service that hurts
    HEALTH = "health"
    MINORS = "minors"
    LEGAL = "legal"
    PRESS = "press"
    SECURITY = "security"  # a stolen account, fraud, somebody who pretends to be us
    OWN = "own"


IN_WORDS: Mapping[Topic, str] = MappingProxyType(
    {
        Topic.DANGER: "somebody may be in danger",
        Topic.SAFETY: "it may be about safety",
        Topic.HEALTH: "it touches a private matter",
        Topic.MINORS: "it touches a private matter",
        Topic.LEGAL: "it speaks of legal steps",
        Topic.PRESS: "it may come from the press",
        Topic.SECURITY: "it may be about security",
        Topic.OWN: "it holds a word from the brand's own list",
    }
)
"""What a social team reads about a topic; health and minors share one sentence so that neither is recorded."""

PRESSING = frozenset({Topic.DANGER, Topic.SAFETY})
"""Topics that people must see at once, also when the post does not speak to us."""

# A word stands whole, a star stands for any ending. English, German, French, Spanish, Portuguese, Italian, Dutch;
# a few in Chinese and Japanese. MORE_WORDS has the other languages served.
FIRST_WORDS: Mapping[Topic, tuple[str, ...]] = MappingProxyType(
    {
        Topic.DANGER: (
            *("suicid*", "kill myself", "end my life", "want to die", "self harm*", "hurt myself", "no reason to live"),
            *(
                "kill you",
                "shoot you",
                "hurt you",
                "stab you",
                "stabbed",
                "bomb threat*",
                "burn * down",
                "death threat*",
            ),
            *(
                "selbstmord*",
                "suizid*",
                "umbringen",
                "will sterben",
                "nicht mehr leben",
                "bombendrohung*",
                "morddrohung*",
            ),
            *(
                "me suicider",
                "envie de mourir",
                "me tuer",
                "vous tuer",
                "te tuer",
                "menace* de mort",
                "alerte a la bombe",
            ),
            *(
                "suicid*",
                "matarme",
                "quiero morir",
                "quitarme la vida",
                "matarte",
                "mataros",
                "amenaza* de bomba",
                "amenaza* de muerte",
            ),
            *("me matar", "quero morrer", "tirar a minha vida", "ameaca* de morte"),
            *("uccidermi", "voglio morire", "ammazzarmi", "ucciderti", "ammazzarti", "minaccia di morte"),
            *("zelfmoord*", "wil dood", "vermoorden", "bommelding"),
            *("自杀", "自殺", "想死", "死にたい", "殺す", "炸弹", "爆弾"),
        ),
        Topic.SAFETY: (
            *(
                "caught fire",
                "is on fire",
                "explod*",
                "explosion",
                "electric shock",
                "electrocut*",
                "burned my",
                "burnt my",
            ),
            *("injur*", "choking", "carbon monoxide", "gas leak", "recall notice"),
            *("brannte", "feuer gefangen", "explodier*", "stromschlag", "verletzt*", "verbrannt", "erstick*"),
            *("pris feu", "explos*", "electrocut*", "blessure*", "suis blesse*", "ete blesse*", "brulure*"),
            *("se incendio", "incendi*", "exploto", "descarga electrica", "herid*", "quemadura*"),
            *("pegou fogo", "explodiu", "choque eletrico", "ferid*", "queimadura*"),
            *("preso fuoco", "esplos*", "scossa elettrica", "ferit*", "ustion*"),
            *("in brand gevlogen", "ontplof*", "gewond*", "elektrische schok"),
            *("起火", "爆炸", "触电", "受伤", "発火", "爆発", "感電", "けが"),
        ),
        Topic.HEALTH: (
            *(
                "allerg*",
                "hospital",
                "hospitalised",
                "hospitalized",
                "ambulance",
                "poison*",
                "heart attack",
                "epilep*",
                "diabet*",
                "insulin",
                "cancer",
            ),
            *(
                "pregnan*",
                "miscarriage",
                "disability",
                "disabilities",
                "wheelchair*",
                "medication*",
                "mental health",
                "panic attack*",
            ),
            *(
                "krankenhaus",
                "notarzt",
                "vergift*",
                "herzinfarkt",
                "schwanger*",
                "behinder*",
                "rollstuhl",
                "medikament*",
            ),
            *(
                "hopital*",
                "intoxication*",
                "enceinte",
                "handicap*",
                "fauteuil roulant",
                "medicament*",
                "crise cardiaque",
            ),
            *(
                "alergi*",
                "envenen*",
                "intoxicacion*",
                "embaraz*",
                "discapaci*",
                "silla de ruedas",
                "medicamento*",
                "infarto",
            ),
            *("intoxicac*", "gravida*", "com deficiencia", "cadeira de rodas", "remedios"),
            *("ospedale", "avvelen*", "incinta", "disabil*", "sedia a rotelle", "medicinal*"),
            *("ziekenhuis", "vergiftig*", "zwanger*", "gehandicapt*", "rolstoel", "medicijn*"),
            *("过敏", "医院", "中毒", "怀孕", "アレルギー", "病院", "食中毒", "妊娠"),
        ),
        Topic.MINORS: (
            *(
                "underage",
                "my child",
                "my children",
                "my kid",
                "my kids",
                "my son",
                "my daughter",
                "my toddler",
                "child abuse",
            ),
            *("mein kind", "meine kinder", "mein sohn", "meine tochter", "minderjahrig*"),
            *("mon enfant", "mes enfants", "mon fils", "ma fille", "enfant* mineur*"),
            *("mi hijo", "mi hija", "mis hijos", "menor de edad", "menores de edad"),
            *("meu filho", "minha filha", "meus filhos", "menor de idade"),
            *("mio figlio", "mia figlia", "i miei figli", "minorenne*"),
            *("mijn kind", "mijn kinderen", "mijn zoon", "mijn dochter", "minderjarig*"),
            *("未成年", "我儿子", "我女儿", "我孩子", "子供", "息子", "娘"),
        ),
        Topic.LEGAL: (
            *("lawyer*", "attorney*", "solicitor*", "lawsuit*", "legal action", "sue you", "suing", "see you in court"),
            *(
                "small claims",
                "class action",
                "gdpr",
                "ombudsman",
                "trading standards",
                "consumer protection",
                "discriminat*",
            ),
            *(
                "anwalt*",
                "rechtsanwalt*",
                "verklag*",
                "klage",
                "anzeige erstatt*",
                "dsgvo",
                "verbraucherzentrale",
                "diskriminier*",
            ),
            *("mon avocat", "un avocat", "avocate", "porter plainte", "tribunal", "poursuites", "rgpd", "discrimin*"),
            *("abogad*", "demandar*", "denuncia*", "ir a juicio", "discriminac*"),
            *("advogad*", "vou processar", "procon", "processo judicial", "lgpd", "livro de reclamacoes"),
            *("avvocat*", "denunci*", "querela", "causa legale", "vie legali"),
            *("advocaat", "advocaten", "rechtszaak", "aangifte", "rechtbank"),
            *("律师", "起诉", "投诉到", "弁護士", "訴訟", "訴える"),
        ),
        Topic.PRESS: (
            *(
                "journalist*",
                "reporter*",
                "press enquir*",
                "press inquir*",
                "request for comment",
                "newsroom",
                "my column",
            ),
            *("presseanfrage*", "redaktion", "journaliste*", "periodist*", "prensa", "jornalista*", "imprensa"),
            *("giornalist*", "stampa nazionale", "journalisten", "redactie", "记者", "記者", "取材"),
        ),
    }
)


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(each.split()) for each in text.split(",") if each.strip())


# Polish, Turkish, Arabic, Hindi (in Latin letters and its own), Russian; more Japanese and Chinese; security in all.
MORE_WORDS: Mapping[Topic, tuple[str, ...]] = MappingProxyType(
    {
        Topic.DANGER: _list(
            """
            samoboj*, zabic sie, zabije sie, chce umrzec, nie chce zyc, zabije cie, zabije was,
            grozby smierci, podlozylem bombe,
            intihar*, kendimi oldur*, olmek istiyorum, yasamak istemiyorum, seni oldur*, sizi oldur*,
            bomba ihbari, bomba koydum,
            انتحار, سأنتحر, انتحر, اريد ان اموت, أريد أن أموت, سأقتل نفسي, اقتل نفسي, سأقتلك, سأقتلكم,
            قنبلة,
            aatmahatya, atmahatya, khudkushi, khud ko maar, mar jaunga, mar jaungi, marna chahta,
            marna chahti, jaan se maar*, आत्महत्या, मरना चाहता, मरना चाहती, जान से मार,
            самоуби*, суицид*, покончить с собой, убью себя, не хочу жить, хочу умереть, убью тебя,
            убью вас, взорву, заминировал*, бомб*,
            自殺, 消えたい, 殺してやる,
            不想活, 轻生, 殺了你, 杀了你
            """
        ),
        Topic.SAFETY: _list(
            """
            zapalil sie, zapalila sie, wybuch*, eksplodowal*, porazil mnie prad, porazenie pradem,
            poparzyl*, oparzen*, ranny, ranna, zadlawi*, czad,
            alev aldi, alev aldı, yangin*, yangın*, patladi, patladı, patlama*, elektrik carp*,
            yaraland*, yandi elim, bogul*, gaz kacagi, gaz kacağı,
            احترق, اشتعل, انفجر, انفجار, صعقة كهربائية, حريق, حروق, أصيب بجروح, تسرب غاز, اختناق,
            aag lag gayi, aag lag gai, phat gaya, phat gayi, blast ho gaya, current lag*, jal gaya,
            jal gayi, chot lag*, ghayal, आग लग, फट गया, करंट लग, घायल,
            загорел*, взорвал*, взрыв*, пожар*, ударило током, удар током, ожог*, травм*, ранен*,
            утечка газа, задохн*,
            火災, 煙が出, やけど, 火傷, 怪我,
            着火, 着火了, 烧伤, 燒傷, 受傷, 漏电, 冒烟
            """
        ),
        Topic.HEALTH: _list(
            """
            alergi*, uczulen*, szpital*, karetk*, zatru*, zawal*, cukrzyc*, insulin*, nowotwor*, ciaz*,
            w ciazy, poronien*, niepelnosprawn*, wozku inwalidzkim, lekarstw*, depresj*,
            alerji*, hastane*, ambulans, zehirlen*, kalp krizi, diyabet*, seker hastasi, şeker hastası,
            insulin, kanser*, hamile*, engelli*, tekerlekli sandalye, ilaclarim, ilaçlarım, depresyon*,
            حساسية, مستشفى, المستشفى, إسعاف, اسعاف, تسمم, نوبة قلبية, سكري, السكري, أنسولين, سرطان, حامل,
            إعاقة, كرسي متحرك, دواء, اكتئاب,
            allergy, aspataal, hospital mein, ambulance, zeher, heart attack, madhumeh, sugar ki bimari,
            insulin, cancer, garbhvati, pregnant, viklang, wheelchair, dawai, अस्पताल, एलर्जी, गर्भवती,
            विकलांग, कैंसर, दवाई,
            аллерги*, больниц*, скорую, скорая помощь, отравил*, отравлен*, инфаркт*, диабет*, инсулин*,
            онколог*, беременн*, выкидыш*, инвалид*, лекарств*, депресси*,
            入院, 救急車, 糖尿, 妊婦, 障害者, 車椅子,
            住院, 救护车, 糖尿病, 孕妇, 残疾, 轮椅
            """
        ),
        Topic.MINORS: _list(
            """
            moje dziecko, moje dzieci, mojego dziecka, moj syn, mojego syna, moja corka, moja corke,
            mojej corki, nieletni*, niepelnoletni*,
            cocugum*, çocugum*, oglum*, oğlum*, kizim*, kızım*, cocuklarim*, resit degil, reşit değil,
            طفلي, أطفالي, اطفالي, ابني, ابنتي, بنتي, قاصر,
            mera bachcha, mera baccha, mere bachche, mere bacche, mera beta, meri beti, mere bete,
            nabalig, मेरा बच्चा, मेरे बच्चे, मेरा बेटा, मेरी बेटी, नाबालिग,
            моему ребенку, мой ребенок, моего ребенка, мои дети, моих детей, мой сын, моему сыну,
            моего сына, моя дочь, моей дочери, мою дочь, несовершеннолетн*,
            未成年, うちの子,
            未成年人, 我的孩子, 我兒子, 我女兒
            """
        ),
        Topic.LEGAL: _list(
            """
            adwokat*, prawnik*, pozew*, pozwe, sadu, do sadu, uokik, rzecznik praw, rodo, prokuratur*,
            dyskryminac*, reklamacje do federacji,
            avukat*, dava ac*, mahkeme*, savci*, savcı*, tuketici hakem*, tüketici hakem*, kvkk,
            ayrimcilik, ayrımcılık, suc duyurusu, suç duyurusu,
            محامي, محام, المحامي, دعوى, قضية ضدكم, المحكمة, محكمة, مقاضاة, سأقاضيكم, حماية المستهلك,
            تمييز عنصري,
            vakil, wakeel, mukadma, mukadama, court jaunga, court case, consumer court, consumer forum,
            kanooni karyawahi, kanuni, legal notice, वकील, मुकदमा, अदालत, उपभोक्ता फोरम, कानूनी,
            адвокат*, юрист*, в суд, через суд, судом, судиться, иск, исковое, прокуратур*,
            роспотребнадзор*, дискриминац*, персональных данных,
            裁判, 消費者センター, 法的措置, 差別,
            律師, 法院, 法律途径, 消费者协会, 12315, 歧视
            """
        ),
        Topic.PRESS: _list(
            """
            dziennikar*, redakcj*, zapytanie prasowe, dla prasy, reporter*,
            gazeteci*, muhabir*, basin icin, basın için, haber ajansi, haber ajansı,
            صحفي, صحفية, الصحافة, مراسل, جريدة,
            patrakar, akhbar se, akhbaar se, media se hoon, news channel se, reporter, पत्रकार, अखबार,
            журналист*, корреспондент*, редакци*, пресс-служб*, для прессы, запрос сми,
            報道, 新聞社,
            采访, 採訪, 媒体, 报社
            """
        ),
        Topic.SECURITY: _list(
            """
            hacked, hacker*, phish*, identity theft, stolen card, card was stolen, scammed, scammer*,
            fraudster*, fraudulent*, unauthorised charge*, unauthorized charge*, unauthorised payment*,
            unauthorized payment*, data breach, data leak, sim swap*, account was stolen,
            stole my account,
            gehackt*, hacker*, phishing*, identitatsdiebstahl, karte gestohlen, betrug*, betruger*,
            datenleck, datenpanne, unbefugt* abgebucht, konto ubernommen,
            pirate*, piratage*, hameconnage, usurpation d identite, carte volee, arnaqu*, escroc*,
            fraude*, fraudul*, fuite de donnees,
            hackead*, hackearon, phishing, robo de identidad, tarjeta robada, me robaron la cuenta,
            estaf*, fraude*, fraudulent*, filtracion de datos,
            hackead*, hackearam, phishing, roubo de identidade, cartao roubado, roubaram minha conta,
            golpe*, golpista*, fraude*, fraudulent*, vazamento de dados, clonaram,
            hackerat*, hacker*, phishing, furto d identita, carta rubata, truff*, frod*, fraudolent*,
            fuga di dati, account rubato,
            gehackt*, hacker*, phishing*, identiteitsfraude, gestolen kaart, oplicht*, opgelicht, fraude*,
            frauduleu*, datalek*,
            zhakowa*, haker*, phishing*, wyludz*, kradziez tozsamosci, skradziono karte,
            skradziona karta, oszust*, oszukano, wyciek danych, wlamanie na konto,
            wlamal* sie na moje konto,
            hacklen*, hesabim calindi, hesabım çalındı, kartim calindi, kartım çalındı, dolandir*,
            dolandır*, oltalama, kimlik hirsizligi, kimlik hırsızlığı, sahte hesap, veri sizintisi,
            veri sızıntısı,
            اختراق, تم اختراق, اخترق, احتيال, نصب واحتيال, محتال, سرقة حسابي, سرق حسابي, سرقت بطاقتي,
            تصيد, تسريب البيانات,
            hack ho gaya, hack ho gayi, hack kar liya, dhokhadhadi, dhokhadi, fraud, thagi, otp maang*,
            account chori, card chori, phishing, हैक, धोखाधड़ी, ठगी, फ्रॉड,
            взлом*, хакер*, фишинг*, мошенни*, украли аккаунт, украли карту, украли данные,
            утечк* данных, несанкционированн*,
            乗っ取, 不正アクセス, 不正利用, 詐欺, フィッシング, なりすまし, 情報漏洩, ハッキング,
            被盗, 盗号, 被盜, 黑客, 駭客, 诈骗, 詐騙, 钓鱼, 釣魚, 泄露, 冒充, 盗刷
            """
        ),
    }
)

WORDS: Mapping[Topic, tuple[str, ...]] = MappingProxyType(
    {topic: (*FIRST_WORDS.get(topic, ()), *MORE_WORDS[topic]) for topic in Topic if topic is not Topic.OWN}
)
"""Every word that is looked for, by its topic, the gravest topic first."""


_HEAD = 4
"""Letters by which a word of a text is first compared with the lists."""

_WORDS = regex.compile(r"\w+")
_FIRST = regex.compile(r"(?P<word>\w+)(?P<open>\*?)")


class Lexicon:
    """Finds topics in texts. own: the brand's additional words, written like those above; topics: those looked for."""

    def __init__(self, *, own: Iterable[str] = (), topics: Iterable[Topic] = tuple(WORDS)) -> None:
        lists = {topic: WORDS[topic] for topic in Topic if topic in WORDS and topic in set(topics)}
        if own := tuple(own):
            lists[Topic.OWN] = own
        self._lists = [(topic, _WordList(entries)) for topic, entries in lists.items()]
        # One decision asks several times about the same text.
        self._find = lru_cache(maxsize=256)(self._search)

    def topics(self, text: str) -> tuple[Topic, ...]:
        """Return the topics whose words stand in *text*, the gravest first."""
        return self._find(text)

    def _search(self, text: str) -> tuple[Topic, ...]:
        folded = " ".join(fold(text).split())
        heads = {word[:_HEAD] for word in _WORDS.findall(folded)}
        return tuple(topic for topic, words in self._lists if words.stand_in(folded, heads))


class _WordList:
    """Entries of one topic. Most texts have no word that begins like one of them, and need no closer look."""

    def __init__(self, entries: Iterable[str]) -> None:
        spaced: list[str] = []
        unspaced: list[str] = []
        self._heads: set[str] = set()
        self._any_head = False
        for folded in sorted({fold(entry) for entry in entries}):
            pattern = r"\W+".join(regex.escape(part).replace(r"\*", r"\w*") for part in folded.split())
            if not folded.isascii():
                unspaced.append(pattern)
                continue
            spaced.append(pattern)
            first = _FIRST.match(folded)
            if first is None or (first["open"] and len(first["word"]) < _HEAD):
                self._any_head = True
            else:
                self._heads.add(first["word"][:_HEAD])
        self._spaced = regex.compile(rf"\b(?:{'|'.join(spaced)})\b") if spaced else None
        self._unspaced = regex.compile("|".join(unspaced)) if unspaced else None

    def stand_in(self, folded: str, heads: set[str]) -> bool:
        """Tell whether an entry stands in a *folded* text whose words begin with *heads*."""
        near = self._any_head or not self._heads.isdisjoint(heads)
        if near and self._spaced is not None and self._spaced.search(folded):
            return True
        return self._unspaced is not None and not folded.isascii() and self._unspaced.search(folded) is not None
