from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from classifiers import registry
from classifiers.engines import keywords
from classifiers.engines.keywords import Keywords
from classifiers.errors import ModelMissing, ModelRefused
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import Text
from tests.classifiers.contract import ClassifierContract


class TestContract(ClassifierContract):
    busy = 2_000

    @pytest_asyncio.fixture
    async def engine(self, rules: Keywords) -> AsyncIterator[ClassifierEmbedder]:
        yield rules


@pytest.mark.parametrize(
    ("text", "head", "label"),
    [
        ("My account was hacked and the e-mail changed", "intent", "security_fraud"),
        ("Charged twice this month, please refund me", "intent", "refund_return"),
        ("where is my parcel? not delivered", "intent", "delivery_item"),
        ("Quiero cancelar mi suscripción", "intent", "cancellation"),
        ("Ich kann mich nicht einloggen, Passwort falsch", "intent", "account_access"),
        ("L'application ne fonctionne pas", "intent", "technical_issue"),
        ("Obrigado, ótimo trabalho!", "intent", "praise"),
        ("Thank you, great crew, love you", "sentiment", "positive"),
        ("worst airline, terrible service", "sentiment", "negative"),
        ("your plane leaves at nine", "sentiment", "neutral"),
        ("Stranded at the airport, flight cancelled, need help right now", "urgency", "high"),
        ("you fucking idiots, go to hell", "toxicity", "toxic"),
        ("CLICK HERE to claim your prize! free gift card http://x.example", "spam", "spam"),
    ],
)
async def test_a_rule_speaks(rules: Keywords, text: str, head: str, label: str) -> None:
    (answer,) = await rules.classify([Text(id="a", text=text)])
    assert getattr(answer, head).label == label


async def test_a_negation_turns_praise_round(rules: Keywords) -> None:
    good, bad = await rules.classify([Text(id="a", text="good service"), Text(id="b", text="not good service")])
    assert (good.sentiment.label, bad.sentiment.label) == ("positive", "negative")


async def test_a_hidden_word_is_still_read(rules: Keywords) -> None:
    plain, hidden = await rules.classify(
        [Text(id="a", text="I want a refund"), Text(id="b", text="I want a re\u200bf\u0443nd".replace("\u0443", "u"))]
    )
    assert plain.intent == hidden.intent


async def test_it_is_unsure_where_no_rule_speaks(rules: Keywords) -> None:
    (answer,) = await rules.classify([Text(id="a", text="lorem ipsum dolor")])
    assert answer.intent.label == "not_actionable"
    assert answer.intent.confidence < 0.2


def test_it_needs_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from classifiers import registry; registry.load('keywords').make({});"
        "print(sorted({'numpy', 'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not toml [", "not TOML"),
        ("[mood.happy]\nwords = ['x']", "'mood'"),
        ("[intent.nonsense]\nwords = ['x']", "intent.nonsense"),
        ("[intent.praise]\nloud = ['x']", "strong or words"),
        ("[intent.praise]\nwords = ['ab*']", "'ab*'"),
        ("[intent.praise]\nwords = [7]", "7"),
    ],
)
async def test_wrong_rules_are_refused_by_name(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content)
    engine = Keywords(rules=str(path))
    with pytest.raises(ModelRefused) as caught:
        await engine.warm()
    await engine.aclose()
    assert says in str(caught.value)


async def test_missing_rules_say_what_to_do(tmp_path: Path) -> None:
    engine = Keywords(rules=str(tmp_path / "none.toml"))
    with pytest.raises(ModelMissing, match="leave out the option 'rules'"):
        await engine.warm()
    await engine.aclose()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        registry.load("keywords").make({"colour": "blue"})
    with pytest.raises(ValueError, match="xx"):
        keywords.make({"languages": ["en", "xx"]})
