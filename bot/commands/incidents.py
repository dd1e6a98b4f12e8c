"""``harken incidents``: what bursts, and what people decide about it, from the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import command_store, with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.incidents import IncidentView

part_option = click.option(
    "--follow-up", is_flag=True, help="The word afterwards, to those who were answered; else the answer."
)


@click.group(invoke_without_command=True)
@with_settings
def incidents(settings: Settings) -> None:
    """List incidents: bursts of one topic, open ones first."""
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
@click.argument("number", type=int)
@with_settings
def show(settings: Settings, number: int) -> None:
    """Show the incident NUMBER with its newest posts and what their authors got."""
    from bot.store import incidents as stored

    with command_store(settings) as store:
        view = store.read_now(stored.one, number)
        posts = store.read_now(stored.linked, number, limit=50)
    click.echo(_line(view))
    click.echo(
        f"  {view.observed} people within {view.minutes:g} minutes, {view.expected:.1f} were to be expected; "
        f"case {view.case_id}"
    )
    click.echo(f"  answer: {view.answer or 'not chosen'}; follow-up: {view.follow_up or 'not chosen'}")
    if view.halted:
        click.echo(f"  sending stopped by itself: {view.halted}")
    for each in posts:
        stands = "taken out" if each.is_taken_out else each.answer or "not answered"
        why = f": {each.why}" if each.why else ""
        click.echo(f"  post {each.post_id:<8} {each.channel:<10} {stands}{why}")


@incidents.command()
@click.argument("number", type=int)
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
@click.argument("number", type=int)
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
@click.argument("number", type=int)
@with_settings
def pause(settings: Settings, number: int) -> None:
    """Pause sending in the incident NUMBER at once."""
    from bot.store import campaigns

    with command_store(settings) as store:
        view = store.write_now(campaigns.pause, number, **_by())
    click.echo(_line(view))


@incidents.command()
@click.argument("number", type=int)
@with_settings
def close(settings: Settings, number: int) -> None:
    """Close the incident NUMBER and its case; what has not begun to leave is not said."""
    from bot.commands.brakes import who
    from bot.store import campaigns

    with command_store(settings) as store:
        view = store.write_now(campaigns.close, number, who=who(), **_by())
    click.echo(_line(view))


@incidents.command("take-out")
@click.argument("number", type=int)
@click.argument("post", type=int)
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


def _part(follow_up: bool) -> Any:
    from handoff.incident import Part

    return Part.FOLLOW_UP if follow_up else Part.ANSWER


def _by() -> dict[str, Any]:
    return {"user_id": None, "now": datetime.now(UTC)}
