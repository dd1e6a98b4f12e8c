"""``harken run``: the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import click

from bot.commands.options import with_settings
from bot.settings import Settings


@click.command()
@click.option(
    "--roles",
    default="poll,work,web",
    show_default=True,
    help="What this process does; several processes may share a PostgreSQL store.",
)
@click.option("--sign-in-link", is_flag=True, help="Print a one-time sign-in link for the first administrator.")
@with_settings
def run(settings: Settings, roles: str, sign_in_link: bool) -> None:
    """Listen, triage, answer and hand over until stopped."""
    from bot import logs
    from bot.app import App
    from bot.daemon import Daemon, Role

    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    logs.set_up(level=settings.log.level, as_json=as_json)
    try:
        wanted = [Role(each.strip()) for each in roles.split(",") if each.strip()]
    except ValueError as error:
        raise click.UsageError(f"--roles {roles}: the roles are {', '.join(Role)}") from error
    if not wanted:
        raise click.UsageError(f"--roles names none; the roles are {', '.join(Role)}")
    # Nothing is fetched from a model hub, whatever a library would like to do.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    app = App(settings)
    if not settings.sources:
        click.echo("No source is configured yet; see docs/channels/ for how to connect one.", err=True)
    daemon = Daemon(app, wanted)

    def on_ready(port: int | None) -> None:
        if port is not None:
            address = settings.web.public_url or f"http://{settings.web.host}:{port}"
            click.echo(f"Harken is ready at {address}")
            link = app.sign_in_link(always=sign_in_link)
            if link is not None:
                click.echo(f"Sign in once with {address}/sign-in/link/{link}")
        if app.is_rehearsal:
            click.echo("This plays a recorded day. To connect a real channel: docs/channels/ and config.toml.")
        sys.stdout.flush()

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(daemon.run(on_ready=on_ready, leave=_leave))


def _leave() -> None:
    """End at once: a thread that loads a model would hold the process up for as long as that takes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
