"""``harken guards``: what keeps the bot silent, what it earned to say alone, and whom it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import command_store, with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    pass

PAGE = 500


@click.group(invoke_without_command=True)
@with_settings
def guards(settings: Settings) -> None:
    """List all guards by name, what each is for, and whether it is on."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from bot.app import make_policy
    from handoff.automation import roster

    effect = ""
    for each in roster(make_policy(settings)):
        if each.effect != effect:
            effect = each.effect
            click.echo(f"\nA guard that {effect}:")
        state = "always" if each.fixed else "on" if each.is_on else "OFF"
        click.echo(f"  {each.name:<17} {state:<7} {each.because}")
    click.echo("\nThose that are not always on are switched in the configuration: [handoff.guards] stale = false")


@guards.command()
@with_settings
def earned(settings: Settings) -> None:
    """Show for each intent and source what people thought of answers, and what is missing to be answered alone."""
    from bot.app import make_policy
    from bot.store import report, verdicts
    from handoff.automation import overview

    policy = make_policy(settings)
    with command_store(settings) as store:
        records = store.read_now(verdicts.everything, now=datetime.now(UTC), within=policy.judged_within)
        known = [each.name for each in store.read_now(report.sources)]
    rows = overview(policy, records, dict.fromkeys([*settings.sources, *known]))
    for each in rows:
        click.echo(f"{'alone ' if each.is_alone else 'people'}  {each.told}")
    if not rows:
        click.echo("Nothing is answered alone, and nobody has judged a draft yet.")


@guards.command()
@with_settings
def brakes(settings: Settings) -> None:
    """Show the articles that were said in a burst and wait for a person, or did."""
    from bot.store import lately

    with command_store(settings) as store:
        found = store.read_now(lately.brakes)
    for each in found:
        state = "waits" if each.released_at is None else f"released {each.released_at:%Y-%m-%d %H:%M}"
        click.echo(f"{each.slug:<40} said {each.said} times, {each.pulled_at:%Y-%m-%d %H:%M}; {state}")
    if not found:
        click.echo("No article was said in a burst.")


@guards.command()
@click.argument("article")
@with_settings
def release(settings: Settings, article: str) -> None:
    """Let ARTICLE be said alone again after a burst."""
    from bot.store import lately

    with command_store(settings) as store:
        store.write_now(lately.release, article, user_id=None, now=datetime.now(UTC))
    click.echo(f"{article} may be said alone again.")


@guards.command()
@with_settings
def authors(settings: Settings) -> None:
    """List the authors whom the bot leaves alone."""
    from bot.store import wishes

    count, cursor = 0, None
    with command_store(settings) as store:
        while count == 0 or cursor is not None:
            found = store.read_now(wishes.page, limit=PAGE, cursor=cursor)
            for each in found.items:
                how = [name for name, at in (("opted out", each.opted_out_at), ("muted", each.muted_at)) if at]
                click.echo(f"{each.channel:<10} @{each.handle:<30} {' and '.join(how)}")
            count, cursor = count + len(found.items), found.next
            if not found.items:
                break
    if not count:
        click.echo("The bot leaves nobody alone.")


@guards.command()
@click.argument("channel")
@click.argument("handle")
@with_settings
def mute(settings: Settings, channel: str, handle: str) -> None:
    """Silence the bot for the author HANDLE on CHANNEL; people may still answer."""
    _about(settings, channel, handle, "mute", "The bot is muted for", on=True)


@guards.command()
@click.argument("channel")
@click.argument("handle")
@with_settings
def unmute(settings: Settings, channel: str, handle: str) -> None:
    """Let the bot speak to the author HANDLE on CHANNEL again."""
    _about(settings, channel, handle, "mute", "The bot may speak again to", on=False)


@guards.command("opt-out")
@click.argument("channel")
@click.argument("handle")
@with_settings
def opt_out(settings: Settings, channel: str, handle: str) -> None:
    """Keep that the author HANDLE on CHANNEL asked the bot to stop, by mail or phone for instance."""
    _about(settings, channel, handle, "opt", "The bot leaves alone", out=True)


@guards.command("opt-in")
@click.argument("channel")
@click.argument("handle")
@with_settings
def opt_in(settings: Settings, channel: str, handle: str) -> None:
    """Keep that the author HANDLE on CHANNEL lets the bot answer again."""
    _about(settings, channel, handle, "opt", "The bot may answer again", out=False)


def _about(settings: Settings, channel: str, handle: str, act: str, said: str, **how: Any) -> None:
    from bot.store import wishes

    with command_store(settings) as store:
        author = store.read_now(wishes.find, channel, handle)
        store.write_now(getattr(wishes, act), author.author_id, user_id=None, now=datetime.now(UTC), **how)
    click.echo(f"{said} @{author.handle} on {author.channel}.")
