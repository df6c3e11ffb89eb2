"""When a search will end."""

from dataclasses import replace

import pytest

from evosearch.reports import Ahead, SearchSnapshot, search_left, status_document, status_lines, time_left
from evosearch.reports.cost import saved_by_halving
from evosearch.runtime import ENOUGH, Timings
from tests.reports.rows import DONE, FAILED, RECALLED, SEARCH, WAITING

SNAPSHOT = SearchSnapshot(SEARCH, "running", DONE, 20)
SMALL, LARGE = (1.0, 2.0, 0.1, 0.1, 0.1), (1.0, 9.0, 1.0, 2.0, 0.5)


def took(*pairs):
    timings = Timings()
    for work, seconds in pairs:
        timings = timings.with_one(work, seconds)
    return timings


KNOWN = took(*[(SMALL, 10.0), (LARGE, 40.0)] * ENOUGH)


def test_nothing_is_known_before_anything_ended_and_nothing_is_left_at_the_end():
    assert time_left(Ahead([SMALL]), Timings(), 2.0) is None
    assert time_left(Ahead(unborn=3.0), KNOWN, 2.0) is None
    assert time_left(Ahead([SMALL]), KNOWN, 0.0) is None
    assert str(time_left(Ahead(), Timings(), 0.0)) == "0 s left"


def test_each_training_is_predicted_from_its_network_and_the_workers_share_them():
    found = time_left(Ahead([SMALL, LARGE], [(LARGE, 10.0)], 4.0, [SMALL, LARGE]), KNOWN, 2.0)
    assert found.seconds == pytest.approx((10 + 40 + (40 - 10) + 4 * 25) / 2, rel=1e-3)
    assert str(found) == "1 min 30 s left"


def test_what_runs_longest_ends_no_sooner_for_many_workers():
    assert time_left(Ahead([SMALL], [(LARGE, 5.0)]), KNOWN, 100.0).seconds == pytest.approx(35, rel=1e-3)


def test_what_takes_longer_than_predicted_is_taken_to_end_now():
    assert time_left(Ahead([SMALL], [(SMALL, 99.0)]), KNOWN, 1.0).seconds == pytest.approx(10, rel=1e-3)


def test_from_few_results_it_is_said_to_be_about_so_much():
    found = time_left(Ahead([LARGE] * 3), took((LARGE, 40.0)), 1.0)
    assert (str(found), found.sure) == ("about 2 min 00 s left", False)


def test_of_rungs_each_is_predicted_by_its_own_epochs():
    """Trainings of 30 s for each ten epochs; those that wait are two whole ones at their second rung, of 30 epochs more."""
    halved = {"strategy": {"halving": {"epochs": [10, 40], "keep": 0.5}}}
    done = [replace(DONE, number=number, seconds=30.0, until=10) for number in range(ENOUGH)]
    waiting = [replace(WAITING, number=number, until=0) for number in range(2)]
    row = replace(SEARCH, seconds=30.0 * ENOUGH, configuration=halved)
    assert search_left(row, ENOUGH + 2, [*done, *waiting]).seconds == pytest.approx(2 * 90)


def test_what_rungs_save_is_held_against_whole_trainings_of_the_same_networks():
    """Four of 10 epochs, 30 s each, one of which goes on to 40: 4 x 30 + 90 s instead of 4 x 120 s."""
    halved = replace(SEARCH, configuration={"strategy": {"halving": {"epochs": [10, 40], "keep": 0.25}}})
    first = [replace(DONE, number=number, seconds=30.0, until=10) for number in range(4)]
    last, recalled = replace(DONE, number=3, seconds=90.0), replace(RECALLED, number=9, until=10)
    found = saved_by_halving(halved, [*first, last, recalled])
    assert found == pytest.approx(1 - (4 * 30 + 90) / (4 * 120))
    assert saved_by_halving(halved, []) is saved_by_halving(SEARCH, [DONE]) is None
    lines = status_lines(replace(SNAPSHOT, saved=found))
    assert "  halving      saves 56% of the workers' seconds so far" in lines
    assert status_document(replace(SNAPSHOT, saved=found))["halving"] == {"saved": 0.5625}


def test_of_a_journal_what_is_trained_tells_what_is_not_recalled_ones_cost_nothing():
    done = [replace(DONE, number=number, seconds=30.0) for number in range(ENOUGH)]
    recalled = [replace(RECALLED, number=20 + number) for number in range(ENOUGH)]
    waiting = [replace(WAITING, number=40 + number) for number in range(4)]
    rows = [*done, *recalled, *waiting]
    row = replace(SEARCH, seconds=30.0 * ENOUGH / 2)  # two at a time
    assert search_left(row, len(rows), rows).seconds == pytest.approx(4 * 30 / 2)
    unborn = search_left(row, len(rows) + 12, rows).seconds - 4 * 30 / 2
    assert unborn == pytest.approx(12 * 30 / 2 * (ENOUGH + 4) / len(rows))


def test_of_a_journal_the_first_results_do_not_count_the_time_that_workers_took_to_start():
    rows = [
        replace(DONE, seconds=10.0),
        *(replace(WAITING, number=one, status="running") for one in (20, 21)),
    ]
    row = replace(SEARCH, seconds=400.0, counts={"running": 2})
    assert search_left(row, 3, rows).seconds == pytest.approx(10.0)


def test_of_a_journal_without_a_success_nothing_is_known():
    assert search_left(SEARCH, 9, [replace(FAILED, number=1), WAITING]) is None
    assert search_left(SEARCH, 2, [DONE, FAILED]).seconds == 0
