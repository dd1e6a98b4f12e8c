"""``harken user`` and ``harken key``: who may look in, and which programs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from bot.commands.options import command_store, with_settings
from bot.settings import Settings
from bot.store.roles import Role

if TYPE_CHECKING:
    from bot.store.engine import Store

ROLES = click.Choice([role.value for role in Role])


@click.group()
def user() -> None:
    """Look after the people who may sign in."""


@user.command("add")
@click.argument("email")
@click.option("--name", default="", help="As others see it; default: the part before the @.")
@click.option("--role", type=ROLES, default=Role.AGENT.value, show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read a password from the first line of the standard input.")
@with_settings
def add_user(settings: Settings, email: str, name: str, role: str, password_stdin: bool) -> None:
    """Add a person; without a password they get a one-time sign-in link."""
    from bot.store import people
    from bot.web.passwords import LONGEST, SHORTEST, hash_now

    hashed = None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not SHORTEST <= len(password) <= LONGEST:
            raise click.UsageError(f"a password has {SHORTEST} to {LONGEST} characters")
        hashed = hash_now(password)
    with command_store(settings) as store:
        added = store.write_now(
            people.add, email=email, name=name, role=Role(role), now=datetime.now(UTC), password_hash=hashed
        )
        click.echo(f"Added {added.email} as {added.role}.")
        if hashed is None:
            _print_link(settings, store, added.email)


@user.command("list")
@with_settings
def list_users(settings: Settings) -> None:
    """Show everybody."""
    from bot.store import people

    with command_store(settings) as store:
        found = store.read_now(people.everyone)
    for each in found:
        state = "disabled" if each.disabled_at else "password" if each.has_password else "link only"
        click.echo(f"{each.email:<32} {each.role:<8} {state:<10} {each.name}")
    if not found:
        click.echo("Nobody yet; add one with: harken user add EMAIL --role admin")


@user.command()
@click.argument("email")
@with_settings
def disable(settings: Settings, email: str) -> None:
    """Shut a person out at once, on every device."""
    from bot.store import people

    with command_store(settings) as store:
        gone = store.write_now(people.disable, email=email, now=datetime.now(UTC))
    click.echo(f"{gone.email} can no longer sign in; open pages close within a second.")


@user.command()
@click.argument("email")
@with_settings
def link(settings: Settings, email: str) -> None:
    """Print a one-time sign-in link."""
    with command_store(settings) as store:
        _print_link(settings, store, email)


@click.group()
def key() -> None:
    """Look after the keys of programs that use the API."""


@key.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default=Role.VIEWER.value, show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="It expires after so long.")
@with_settings
def add_key(settings: Settings, name: str, role: str, days: int) -> None:
    """Print a new key; it cannot be shown again."""
    from bot.store import keys

    with command_store(settings) as store:
        made = store.write_now(keys.add, name=name, role=Role(role), now=datetime.now(UTC), lives=timedelta(days=days))
    click.echo(made)
    click.echo("Keep it safe: it is shown only now. Send it as: Authorization: Bearer KEY", err=True)


@key.command("list")
@with_settings
def list_keys(settings: Settings) -> None:
    """Show all keys, without their secrets."""
    from bot.store import keys

    now = datetime.now(UTC)
    with command_store(settings) as store:
        found = store.read_now(keys.all_keys)
    for each in found:
        lapsed = each.expires_at is not None and each.expires_at <= now
        state = "revoked" if each.revoked_at else "expired" if lapsed else "good"
        used = f"{each.used_at:%Y-%m-%d %H:%M}" if each.used_at else "never used"
        click.echo(f"{each.id}  {each.role:<8} {state:<8} {used:<17} {each.name}")
    if not found:
        click.echo("No keys yet; make one with: harken key add NAME")


@key.command()
@click.argument("key_id")
@with_settings
def revoke(settings: Settings, key_id: str) -> None:
    """End a key at once."""
    from bot.store import keys

    with command_store(settings) as store:
        ended = store.write_now(keys.revoke, key_id, now=datetime.now(UTC))
    click.echo(f"{ended.id} ({ended.name}) opens nothing any more.")


def _print_link(settings: Settings, store: Store, email: str) -> None:
    from bot.store import people

    token = store.write_now(people.add_link, email=email, now=datetime.now(UTC))
    base = settings.web.public_url or f"http://{settings.web.host}:{settings.web.port}"
    hours = people.LINK_LIVES // timedelta(hours=1)
    click.echo(f"Sign in once, within {hours} hours: {base.rstrip('/')}/sign-in/link/{token}")
