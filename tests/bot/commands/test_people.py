"""harken user and harken key: what they print is what opens, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.app import now
from bot.cli import harken
from bot.settings import load
from bot.store import keys, people
from bot.store.engine import Store

PASSWORD = "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/harken.db"\n')
    return path


def run(config: Path, *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), *arguments], input=stdin)


def store_of(config: Path) -> Store:
    return Store(load(config).store.url.get_secret_value(), checkpoints=False)


def test_a_new_person_gets_a_link_that_opens_once(config: Path) -> None:
    made = run(config, "user", "add", "ana@example.org", "--name", "Ana", "--role", "lead")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip().rpartition("/")[2]
    store = store_of(config)
    user = store.write_now(people.use_link, token, now=now())
    assert user is not None
    assert (user.email, user.name, user.role) == ("ana@example.org", "Ana", "lead")
    assert store.write_now(people.use_link, token, now=now()) is None
    store.close()


def test_a_password_comes_from_the_standard_input_and_is_kept_hashed(config: Path) -> None:
    made = run(config, "user", "add", "ana@example.org", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert "sign-in" not in made.stdout
    store = store_of(config)
    found = store.read_now(people.secret_of, "ana@example.org")
    store.close()
    assert found is not None
    assert str(found[1]).startswith("$argon2id$")
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("user", "add", "ana"), "", "write the e-mail address as"),
        (("user", "add", "ana@example.org", "--password-stdin"), "short\n", "12 to 1024 characters"),
        (("user", "add", "ana@example.org", "--role", "king"), "", "'king' is not one of"),
        (("user", "link", "nobody@example.org"), "", "nobody who may sign in"),
        (("user", "disable", "nobody@example.org"), "", "nobody has this"),
        (("user", "add", "ana@example.org", "--name", "A\x1b[2Jna"), "", "no control characters"),
        (("key", "add", "sh\x1bop"), "", "no control characters"),
        (("key", "revoke", "none"), "", "there is no such key"),
        (("key", "add", " "), "", "give the key a name"),
        (("key", "add", "shop", "--days", "0"), "", "--days"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], stdin: str, sentence: str, config: Path
) -> None:
    failed = run(config, *arguments, stdin=stdin)
    assert failed.exit_code == 2
    assert sentence in failed.output
    assert "Traceback" not in failed.output


def test_people_are_listed_and_shut_out(config: Path) -> None:
    assert "Nobody yet" in run(config, "user", "list").output
    run(config, "user", "add", "ana@example.org")
    assert "link only" in run(config, "user", "list").output
    assert run(config, "user", "link", "ana@example.org").exit_code == 0
    assert run(config, "user", "disable", "ana@example.org").exit_code == 0
    assert "disabled" in run(config, "user", "list").output
    assert run(config, "user", "link", "ana@example.org").exit_code == 2


def test_a_key_is_shown_once_and_ends_when_told(config: Path) -> None:
    made = run(config, "key", "add", "shop", "--role", "agent", "--days", "7")
    key = made.stdout.splitlines()[0]
    store = store_of(config)
    held = store.read_now(keys.holder, key, now=now())
    assert held is not None
    assert held[0].role == "agent"
    listed = run(config, "key", "list").output
    assert "shop" in listed
    assert key.split("_", 2)[2] not in listed
    assert run(config, "key", "revoke", key.split("_")[1]).exit_code == 0
    assert store.read_now(keys.holder, key, now=now()) is None
    assert "revoked" in run(config, "key", "list").output
    store.close()
