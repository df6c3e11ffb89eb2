"""Drivers that are killed, and two of them at once."""

import random
import signal
from pathlib import Path
from threading import Event
from typing import Literal

import pytest

from evosearch.storage import Dispatched, DriverStarted, Finished
from evosearch.testing import FormulaEvaluator
from tests.chaos.arena import Arena
from tests.chaos.searches import Driver, Search

Instant = Literal["imports", "opened", "holds"]

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.timeout(240, func_only=True)]

AT_WORK = 15
"""So many kills come while evaluations run."""

BEFORE_WORK: list[Instant] = ["imports", "imports", "opened", "holds", "holds"]
"""The others come before the driver has given out anything: while it imports what it needs, as soon as it has opened the
journal, and as soon as it holds the search and orders workers.
"""


def _kill_at_work(search: Search, chance: random.Random) -> None:
    before = len(search.all(Finished))
    driver = search.start()
    search.wait_for(Finished, before + chance.randint(1, 3))
    Event().wait(chance.uniform(0, 0.5))  # the instant itself is what is random
    _kill(driver)


def _kill_before_work(search: Search, chance: random.Random, instant: Instant) -> None:
    before, terms = len(search.all(Dispatched)), search.terms
    driver = search.start()
    match instant:
        case "imports":
            Event().wait(chance.uniform(0, 0.5))  # likewise
        case "opened":
            driver.wait_for_line("journal ")
        case "holds":
            search.wait_for(DriverStarted, terms + 1)
    _kill(driver)
    assert len(search.all(Dispatched)) == before


def _kill(driver: Driver) -> None:
    assert driver.process.poll() is None, driver.log()
    driver.kill()
    assert driver.process.returncode == -signal.SIGKILL


@pytest.mark.timeout(580, func_only=True)
def test_a_search_whose_driver_is_killed_twenty_times_ends_as_the_undisturbed_one(
    arena: Arena, tmp_path: Path
) -> None:
    chance = random.Random(20)
    kills: list[Instant | None] = [*BEFORE_WORK, *[None] * AT_WORK]
    chance.shuffle(kills)
    assert len(kills) == 20
    evaluator = FormulaEvaluator(seconds=0.3)
    with Search(tmp_path, arena, evaluator, generations=14, workers="{count: 2}") as search:
        for instant in kills:
            if instant is None:
                _kill_at_work(search, chance)
            else:
                _kill_before_work(search, chance, instant)
        search.finish(search.start())
        holding = AT_WORK + BEFORE_WORK.count("holds") + 1
        assert holding <= search.terms <= holding + BEFORE_WORK.count("opened")


def test_a_second_driver_is_refused_while_the_first_lives(arena: Arena, tmp_path: Path) -> None:
    # The first one has work for as long as the second one takes to import what it needs, on a busy machine too.
    with Search(tmp_path, arena, FormulaEvaluator(seconds=3)) as search:
        first = search.start()
        search.wait_for(Dispatched)
        second = search.start()
        assert second.wait() == 4
        assert f"process {first.process.pid}" in second.log()
        search.finish(first)
        assert search.terms == 1


def test_a_driver_that_takes_over_ends_the_search_and_the_first_ends_with_4(
    arena: Arena, tmp_path: Path
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=2), workers="{count: 2}") as search:
        first = search.start()
        search.wait_for(Finished)
        second = search.start("--takeover")
        search.wait_for(DriverStarted, 2)
        assert first.wait(30) == 4
        assert "taken over by a newer driver" in first.log()
        assert "Traceback" not in first.log()
        search.finish(second)


def test_of_two_drivers_that_begin_at_once_one_ends_the_search_and_the_other_is_refused(
    arena: Arena, tmp_path: Path
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.5), workers="{count: 2}") as search:
        drivers = [search.start(), search.start()]
        statuses = sorted(driver.wait() for driver in drivers)
        assert statuses == [0, 4], "\n".join(driver.log() for driver in drivers)
        search.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_is_stopped_goes_on_later(arena: Arena, tmp_path: Path, number: signal.Signals) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.5)) as search:
        first = search.start()
        search.wait_for(Finished, 3)
        first.process.send_signal(number)
        assert first.wait(10) == 75
        search.finish(search.start())
