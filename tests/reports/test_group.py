"""A group: mean ± deviation, and its documents and lines."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from evosearch.reports import (
    MeanDeviation,
    SearchSnapshot,
    best_member,
    group_document,
    group_lines,
    snapshots_spread,
    status_document,
)
from tests.reports.rows import DONE, SEARCH


def member(seed, fitness):
    best = None if fitness is None else replace(DONE, fitness=fitness)
    return replace(SEARCH, name=f"pets/seed-{seed}"), best


# mean and deviation


def test_the_deviation_is_that_of_a_sample():
    spread = MeanDeviation.of(best for _, best in (member(0, 0.5), member(1, 0.75), member(2, 1.0)))
    assert spread == MeanDeviation(
        mean=0.75, deviation=sqrt((0.0625 + 0.0 + 0.0625) / 2), successful=3, unsuccessful=0
    )


def test_who_has_no_success_is_counted_and_stands_in_neither_figure():
    spread = MeanDeviation.of(
        [None, replace(DONE, fitness=0.5), replace(DONE, fitness=None), replace(DONE, fitness=0.75)]
    )
    assert (spread.mean, spread.successful, spread.unsuccessful) == (0.625, 2, 2)
    assert spread.deviation == pytest.approx(0.125 * sqrt(2))
    assert str(spread) == "mean ± deviation of the best: 0.6250 ± 0.1768 over 2 members, 2 without a success"


def test_one_success_has_a_mean_and_no_deviation():
    spread = MeanDeviation.of([replace(DONE, fitness=0.5)])
    assert spread == MeanDeviation(0.5, None, 1, 0)
    assert str(spread) == "mean of the best: 0.5000 over 1 member"


def test_no_success_has_neither():
    spread = MeanDeviation.of([None, None])
    assert spread == MeanDeviation(None, None, 0, 2)
    assert str(spread) == "no success in 2 members"


def test_the_best_member_is_the_first_of_the_highest_fitness():
    members = [member(0, None), member(1, 0.5), member(2, 0.75), member(3, 0.75)]
    assert best_member(members).name == "pets/seed-2"
    assert best_member([member(0, None)]) is None


@pytest.mark.parametrize(
    ("fitness", "text"),
    [
        (0.5, "mean of the best: 0.5000 over 1 member, 1 without a success, 1 unfinished"),
        (None, "no success in 2 members, 1 unfinished"),
    ],
)
def test_who_may_yet_find_a_better_one_is_counted(fitness, text):
    states = {"done": member(0, None), "interrupted": member(1, fitness)}
    spread = snapshots_spread([SearchSnapshot(row, state, best, 20) for state, (row, best) in states.items()])
    assert str(spread) == text


# documents and lines


def test_as_json_a_group_holds_the_documents_of_its_members_and_both_figures():
    members = (member(0, 0.5), member(1, 0.75))
    snapshots = [SearchSnapshot(row, "running", best, 20) for row, best in members]
    assert group_document("pets", snapshots) == {
        "name": "pets",
        "members": [status_document(snapshot) for snapshot in snapshots],
        "mean": 0.625,
        "deviation": pytest.approx(0.125 * sqrt(2)),
        "unfinished": 2,
    }


def test_as_json_unknown_figures_are_null():
    row, best = member(0, None)
    document = group_document("pets", [SearchSnapshot(row, "interrupted", best, 20)])
    assert (document["mean"], document["deviation"]) == (None, None)


def test_the_end_of_a_group_is_a_line_a_member_the_figures_and_what_comes_next():
    assert group_lines("pets", [member(0, 0.5), member(10, 0.75), member(11, None)], Path("runs/pets")) == [
        "pets: done, 3 members, 30 evaluations (3 failed)",
        "",
        "pets/seed-0   0.5000  C8 P | F5",
        "pets/seed-10  0.7500  C8 P | F5",
        "pets/seed-11  no evaluation succeeded",
        "",
        "mean ± deviation of the best: 0.6250 ± 0.1768 over 2 members, 1 without a success",
        "",
        "Evolution curves  runs/pets/evolution.png",
        "Next              evosearch results pets          every chromosome",
        "                  evosearch retrain pets/seed-10  train and test the best",
    ]


def test_where_nothing_succeeded_nothing_is_offered_for_retraining():
    lines = group_lines("pets", [member(0, None)], Path("runs/pets"))
    assert lines[0] == "pets: done, 1 member, 10 evaluations (1 failed)"
    assert "no success in 1 member" in lines
    assert not any("retrain" in line for line in lines)
    assert not any("evolution.png" in line for line in lines)  # of one member there is no picture of all
