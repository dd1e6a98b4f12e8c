"""``harken answer``: what would we say to this, and why, or why not? Nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.commands.answer_rows import Asked, answer_rows, judging, searching
from bot.commands.options import with_settings
from bot.commands.taught import with_taught
from bot.settings import Settings

if TYPE_CHECKING:
    from classifiers.protocol import Classifier
    from classifiers.triage import Triage
    from connectors.protocol import Capabilities
    from handoff.decision import Decision
    from handoff.earned import Record
    from handoff.knowledge.answer import Answers
    from handoff.policy import Policy
    from handoff.situation import Candidate

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a question was understood, what might answer it, and what would be done."""

    triage: Triage
    candidates: Sequence[Candidate]
    decision: Decision


@click.command()
@click.option("--channel", required=True, help="The network it would be said on, such as x.")
@click.option("--source", help="The source it would have come from; default: the first one on that channel.")
@click.option(
    "--knowledge",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of Markdown files to answer from, instead of the store.",
)
@click.option(
    "--input",
    "rows",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Questions in, JSON Lines {"id", "text", "language"}, instead of QUESTION.',
)
@click.option("--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Rows out; default: stdout.")
@click.argument("question", required=False)
@with_taught
@with_settings
def answer(
    settings: Settings,
    channel: str,
    source: str | None,
    folder: Path | None,
    rows: Path | None,
    target: Path | None,
    question: str | None,
    taught: bool,
) -> None:
    """Print article, confidence and the exact text that QUESTION would get, or why it would get none.

    With --input a row {"id", "article", "confidence", "sent", "text", "ranking"} for each question: the likeliest
    article, how sure it answers, whether that is sure enough to be said alone where its intent is automatic, the exact
    text, and all articles, the likeliest first.
    """
    if (question is None) is (rows is None):
        raise click.UsageError("give either one QUESTION or --input FILE")
    if rows is not None:
        from bot.app import make_policy
        from handoff.knowledge.answer import Voice

        name, capabilities, _ = _place(settings, channel, source)
        voice = Voice.of(channel, capabilities, signature=make_policy(settings).signature(name))
        answer_rows(settings, Asked(voice, folder, taught=taught), rows, target)
        return
    if target is not None:
        raise click.UsageError("--output goes with --input FILE")
    if question is None or not question.strip():
        raise click.UsageError("the question is empty; write what a customer would")
    for line in asyncio.run(_answer(settings, channel, source, folder, question, taught=taught)):
        click.echo(line)


async def _answer(
    settings: Settings, channel: str, source: str | None, folder: Path | None, question: str, *, taught: bool
) -> list[str]:
    from bot.app import make_policy, make_standards, ready_store
    from bot.store import verdicts
    from handoff.knowledge.answer import Answers

    policy = make_policy(settings)
    name, capabilities, notes = _place(settings, channel, source)
    async with judging(settings, taught=taught) as (engine, worn), searching(settings, engine, folder) as (index, more):
        now = datetime.now(UTC)
        with ready_store(settings) as store:
            records = await store.read(verdicts.everything, now=now, within=policy.judged_within)
        explanation = await explain(
            question,
            channel=channel,
            source=name,
            capabilities=capabilities,
            engine=engine,
            answers=Answers(index, slots=make_standards(settings).slots),
            policy=policy,
            now=now,
            records=records,
        )
    return [*notes, *worn, *more, *told(explanation)]


def _place(settings: Settings, channel: str, source: str | None) -> tuple[str, Capabilities, list[str]]:
    """Return source, what it can do, and what a person should know about that."""
    from bot.app import make_connectors, now
    from connectors.protocol import Capabilities, SendClass

    made = make_connectors(settings, now)
    for name, (connector, _) in made.items():
        if connector.channel == channel and source in (None, name):
            return name, connector.capabilities, []
    if source is not None:
        there = ", ".join(name for name, (each, _) in made.items() if each.channel == channel) or "none"
        raise click.UsageError(f"--source {source}: no such source on {channel}; there are: {there}")
    note = f"No source on {channel} is configured: its length limit and modes are not known."
    return channel, Capabilities(send_class=SendClass.READ_BACK), [note]


async def explain(
    question: str,
    *,
    channel: str,
    source: str,
    capabilities: Capabilities,
    engine: Classifier,
    answers: Answers,
    policy: Policy,
    now: datetime,
    records: Mapping[tuple[str, str], Record],
) -> Explanation:
    """Return what would be done if a customer wrote *question* to us on *channel* at *now*.

    records: what people thought of earlier answers, by intent and source.
    """
    from classifiers.triage import Text
    from connectors.post import Author, Post
    from handoff.decision import decide
    from handoff.earned import NOTHING
    from handoff.knowledge.answer import Voice
    from handoff.knowledge.search import Query
    from handoff.situation import Situation

    (triage,) = await engine.classify([Text(id="question", text=question)])
    query = Query(text=question, language=triage.language.label, embedding=triage.embedding, intent=triage.intent.label)
    voice = Voice.of(channel, capabilities, signature=policy.signature(source))
    (candidates,) = answers.candidates([query], [voice], limit=SHOWN)
    post = Post(
        channel=channel,
        id="question",
        author=Author(channel=channel, id="customer", handle="customer"),
        text=question,
        created_at=now,
        addressed=True,
    )
    situation = Situation(
        post=post,
        source=source,
        capabilities=capabilities,
        now=now,
        triage=triage,
        answers=candidates,
        record=records.get((triage.intent.label, source), NOTHING),
    )
    return Explanation(triage=triage, candidates=candidates, decision=decide(situation, policy))


def told(explanation: Explanation) -> list[str]:
    """Return the lines that tell a person the explanation."""
    from handoff.decision import AutoReply, Draft, Escalate, Ignore

    triage, decision = explanation.triage, explanation.decision
    lines = [
        f"understood  {triage.intent.label} ({triage.intent.confidence:.2f}), language {triage.language.label}, "
        f"urgency {triage.urgency.label}, sentiment {triage.sentiment.label}"
    ]
    for each in explanation.candidates:
        lines.append(f"article     {each.slug} ({each.locale}), confidence {each.confidence:.2f}: {each.title}")
    if not explanation.candidates:
        lines.append("article     none")
    match decision:
        case AutoReply(answer=said):
            lines.append("decision    said at once, by the bot alone:")
            lines.extend(f"    {line}" for line in said.wording.splitlines())
        case Draft(answer=said):
            lines.append(f"decision    draft in queue {decision.queue}, said when a person approves:")
            lines.extend(f"    {line}" for line in said.wording.splitlines())
        case Escalate():
            lines.append(f"decision    nothing is said; a case for people in queue {decision.queue}")
        case Ignore():
            lines.append("decision    nothing is said, nothing to do")
    lines.extend(f"because     {reason}" for reason in decision.reasons)
    return lines
