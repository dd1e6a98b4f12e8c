"""``harken incidents``: what bursts, and what people decide about it, from the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import ROW_ID, command_store, with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.incidents import IncidentView

POST = click.IntRange(1, 2**63 - 1)

part_option = click.option(
    "--follow-up", is_flag=True, help="The word afterwards, to those who were answered; else the answer."
)


@click.group(invoke_without_command=True)
@with_settings
def incidents(settings: Settings) -> None:
    """List incidents: bursts of one topic, measured or opened by hand, open ones first."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from bot.store import incidents as stored

    with command_store(settings) as store:
        found = store.read_now(stored.all_of)
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("No incident so far.")


@incidents.command()
@click.argument("number", type=ROW_ID)
@with_settings
def show(settings: Settings, number: int) -> None:
    """Show the incident NUMBER with its newest posts and what their authors got."""
    from bot.store import incidents as stored

    with command_store(settings) as store:
        view = store.read_now(stored.one, number)
        posts = store.read_now(stored.linked, number, limit=50)
    click.echo(_line(view))
    click.echo(f"  {_opened(view)}; {'no case yet' if view.case_id is None else f'case {view.case_id}'}")
    if view.merged:
        click.echo(f"  gathers {', '.join(view.topics)}; merged into it: {', '.join(map(str, view.merged))}")
    if view.merged_into is not None:
        click.echo(f"  merged into incident {view.merged_into} by {view.closed_who}; its posts are there")
    click.echo(f"  answer: {view.answer or 'not chosen'}; follow-up: {view.follow_up or 'not chosen'}")
    if view.halted:
        click.echo(f"  sending stopped by itself: {view.halted}")
    for each in posts:
        stands = "taken out" if each.is_taken_out else each.answer or "not answered"
        why = f": {each.why}" if each.why else ""
        click.echo(f"  post {each.post_id:<8} {each.channel:<10} {stands}{why}")


@incidents.command("open")
@click.argument("topic")
@click.option("--why", required=True, help="Why it is opened; kept in the record.")
@click.option("--name", default="", help="What to call it; default: its topic.")
@click.option("--post", "posts", type=POST, multiple=True, help="Id of a post that belongs already; repeat for more.")
@with_settings
def open_one(settings: Settings, topic: str, why: str, name: str, posts: tuple[int, ...]) -> None:
    """Open an incident of TOPIC by hand, before it is measured; `harken incidents topics` lists them.

    Posts of the topic gather into it from now on; a running daemon opens its case with the first one.
    """
    from bot.app import make_policy
    from bot.commands.brakes import who
    from bot.store import foreseen

    policy = make_policy(settings)
    with command_store(settings) as store:
        view = store.write_now(
            foreseen.open_one, topic, why=why, name=name, posts=posts, policy=policy, who=who(), **_by()
        )
    click.echo(_line(view))


@incidents.command()
@with_settings
def topics(settings: Settings) -> None:
    """List the topics that an incident can be about: intents, articles in force, labels of your own."""
    from bot.app import make_policy
    from bot.store import foreseen

    policy = make_policy(settings)
    with command_store(settings) as store:
        for topic, words in store.read_now(foreseen.topics, policy=policy, now=datetime.now(UTC)):
            click.echo(f"{topic:<40} {words}")


@incidents.command()
@click.argument("number", type=ROW_ID)
@click.argument("into", type=ROW_ID)
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@with_settings
def merge(settings: Settings, number: int, into: int, yes: bool) -> None:
    """Let the incident NUMBER go on in INTO: its posts, its topics, and who was answered. It cannot be undone."""
    from bot.commands.brakes import who
    from bot.store import incidents as stored
    from bot.store import merging

    with command_store(settings) as store:
        gone, stays = store.read_now(stored.one, number), store.read_now(stored.one, into)
        if not yes:
            click.confirm(
                f"Merge incident {number} ({gone.told}, {gone.posts} posts, {gone.answered} answered) into "
                f"incident {into} ({stays.told})?",
                abort=True,
            )
        view = store.write_now(merging.merge, number, into=into, who=who(), **_by())
    click.echo(_line(view))


@incidents.command()
@click.argument("number", type=ROW_ID)
@click.argument("article")
@part_option
@with_settings
def choose(settings: Settings, number: int, article: str, follow_up: bool) -> None:
    """Choose the published ARTICLE (its slug) as what the incident NUMBER says."""
    from bot.store import incident_steps

    with command_store(settings) as store:
        view = store.write_now(incident_steps.choose, number, part=_part(follow_up), article=article, **_by())
    click.echo(_line(view))


@incidents.command()
@click.argument("number", type=ROW_ID)
@click.option("--pace", type=int, help="Replies a minute; default: as before.")
@part_option
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@with_settings
def start(settings: Settings, number: int, pace: int | None, follow_up: bool, yes: bool) -> None:
    """Start, or go on, to send; a running daemon does it, through every guard, cap and brake."""
    from bot.commands.brakes import who
    from bot.store import campaigns
    from bot.store import incidents as stored

    with command_store(settings) as store:
        view = store.read_now(stored.one, number)
        if not yes:
            said, to = (view.follow_up, view.answered) if follow_up else (view.answer, view.authors)
            click.confirm(f"Say {said or 'nothing yet'} to {to} people?", abort=True)
        view = store.write_now(campaigns.start, number, part=_part(follow_up), pace=pace, who=who(), **_by())
    click.echo(_line(view))


@incidents.command()
@click.argument("number", type=ROW_ID)
@with_settings
def pause(settings: Settings, number: int) -> None:
    """Pause sending in the incident NUMBER at once."""
    from bot.store import campaigns

    with command_store(settings) as store:
        view = store.write_now(campaigns.pause, number, **_by())
    click.echo(_line(view))


@incidents.command()
@click.argument("number", type=ROW_ID)
@with_settings
def close(settings: Settings, number: int) -> None:
    """Close the incident NUMBER and its case; what has not begun to leave is not said."""
    from bot.commands.brakes import who
    from bot.store import campaigns

    with command_store(settings) as store:
        view = store.write_now(campaigns.close, number, who=who(), **_by())
    click.echo(_line(view))


@incidents.command("take-out")
@click.argument("number", type=ROW_ID)
@click.argument("post", type=ROW_ID)
@with_settings
def take_out(settings: Settings, number: int, post: int) -> None:
    """Take POST (its id) out of the incident NUMBER; it is decided by itself."""
    from bot.commands.brakes import who
    from bot.store import incident_steps

    with command_store(settings) as store:
        store.write_now(incident_steps.take_out, number, post, who=who(), **_by())
    click.echo(f"Post {post} is out of incident {number}.")


def _line(view: IncidentView) -> str:
    return (
        f"{view.id:<4} {view.state:<8} {view.told}: {view.authors} people in {view.posts} posts since "
        f"{view.first_at:%Y-%m-%d %H:%M} UTC; {view.answered} answered, {view.waiting} on the way, "
        f"{view.unsaid} not answered, {view.followed_up} followed up"
    )


def _opened(view: IncidentView) -> str:
    if view.opened_who:
        return f"opened by {view.opened_who}: {view.why}"
    return f"{view.observed} people within {view.minutes:g} minutes, {view.expected:.1f} were to be expected"


def _part(follow_up: bool) -> Any:
    from handoff.incident import Part

    return Part.FOLLOW_UP if follow_up else Part.ANSWER


def _by() -> dict[str, Any]:
    return {"user_id": None, "now": datetime.now(UTC)}
