"""A file stops, whoever made it and whatever is in it; what cannot be seen stands."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bot.brakes import flags
from handoff.brake import EVERYTHING, Pulled, Scope, Target
from tests.bot.factories import NOON
from tests.room import no_room

ODD = Target(scope=Scope.ARTICLE, name="späte/Pakete=../stop %41")
PULLED = Pulled(token="t1", target=EVERYTHING, at=NOON, who="Ana", why="wrong prices", user_id=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "var" / "brakes"
    flags.prepare(home)
    return home


def test_a_flag_comes_back_as_it_was_raised(folder: Path) -> None:
    assert flags.raise_flag(folder, PULLED)
    assert flags.read(folder) == [PULLED]
    assert sorted(path.name for path in folder.iterdir()) == ["stop"], "nothing half written is left"


def test_the_first_who_stopped_stays_the_one_who_stopped(folder: Path) -> None:
    flags.raise_flag(folder, PULLED)
    assert not flags.raise_flag(folder, replace(PULLED, token="t2", who="Bo"))
    assert flags.read(folder) == [PULLED]


@pytest.mark.parametrize(
    "target", [EVERYTHING, ODD, Target(scope=Scope.SOURCE, name="x"), Target(scope=Scope.INTENT, name="praise")]
)
def test_a_file_stops_its_target_and_nothing_else(folder: Path, target: Target) -> None:
    flags.raise_flag(folder, replace(PULLED, target=target))
    assert flags.stands(folder, target)
    assert [each.target for each in flags.read(folder)] == [target]
    others = {EVERYTHING, ODD, Target(scope=Scope.SOURCE, name="y")} - {target}
    assert not any(flags.stands(folder, other) for other in others)
    assert flags.path_of(folder, target).parent == folder, "a slug leads nowhere else"


@pytest.mark.parametrize(
    "content", [b"", b"wrong prices on the pages\n", b"{", b'{"token": 5}', b"\xff\xfe\x00", b"[" * 9000]
)
def test_a_file_by_hand_stops_whatever_is_in_it(folder: Path, content: bytes) -> None:
    (folder / "stop").write_bytes(content)
    assert flags.stands(folder, EVERYTHING)
    (found,) = flags.read(folder)
    assert (found.target, found.who) == (EVERYTHING, flags.BY_HAND)
    assert "\x00" not in found.why


def test_a_file_by_hand_is_the_same_for_every_process_and_another_when_touched_again(folder: Path) -> None:
    path = folder / "stop"
    path.touch()
    (one,), (two,) = flags.read(folder), flags.read(folder)
    assert one.token == two.token
    os.utime(path, (1, 1))
    assert flags.read(folder)[0].token != one.token


def test_files_that_are_no_brakes_stop_nothing(folder: Path) -> None:
    for name in ("README", "stop.txt", "source=", "team=x", "article=%ff", ".t9.part"):
        (folder / name).touch()
    assert flags.read(folder) == []


def test_lowering_takes_away_only_the_flag_it_means(folder: Path) -> None:
    flags.raise_flag(folder, PULLED)
    assert not flags.lower_flag(folder, "another")
    assert flags.stands(folder, EVERYTHING)
    assert flags.lower_flag(folder, "t1")
    assert not flags.stands(folder, EVERYTHING)


def test_without_room_for_words_an_empty_file_stops_as_well(folder: Path) -> None:
    with no_room():
        assert flags.raise_flag(folder, PULLED)
        assert not flags.raise_flag(folder, replace(PULLED, token="t2")), "it stands already"
    assert flags.stands(folder, EVERYTHING)
    (found,) = flags.read(folder)
    assert (found.target, found.who) == (EVERYTHING, flags.BY_HAND)
    assert [path.name for path in folder.iterdir()] == ["stop"], "nothing half written is left"


def test_what_was_just_raised_can_be_taken_back_and_nothing_else(folder: Path) -> None:
    with no_room():
        flags.raise_flag(folder, PULLED)
    flags.take_back(folder, PULLED)
    assert flags.read(folder) == [], "an empty file"
    flags.raise_flag(folder, PULLED)
    flags.take_back(folder, PULLED)
    assert flags.read(folder) == []
    other = replace(PULLED, token="t2", who="Bo")
    flags.raise_flag(folder, other)
    flags.take_back(folder, PULLED)
    assert flags.read(folder) == [other], "somebody else's, made in between"


def test_what_looks_like_a_brake_and_is_none_can_be_told(folder: Path) -> None:
    flags.raise_flag(folder, PULLED)
    for name in ("STOP", "stop.txt", ".lock", "source=x"):
        (folder / name).touch()
    assert flags.strangers(folder) == ["STOP", "stop.txt"]


def test_a_folder_that_is_gone_or_no_folder_stands(folder: Path) -> None:
    folder.rmdir()
    assert flags.stands(folder, EVERYTHING)
    folder.write_text("a file where the folder was")
    assert flags.stands(folder, EVERYTHING)
    with pytest.raises(flags.FlagsError, match=r"brakes\.folder"):
        flags.read(folder)
    with pytest.raises(flags.FlagsError, match=r"brakes\.folder"):
        flags.prepare(folder)


def test_a_name_too_long_for_a_file_says_what_to_do_and_counts_as_standing(folder: Path) -> None:
    long = Target(scope=Scope.ARTICLE, name="ü" * 100)
    with pytest.raises(flags.FlagsError, match="stop everything"):
        flags.raise_flag(folder, replace(PULLED, target=long))
