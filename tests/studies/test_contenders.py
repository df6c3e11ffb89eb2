"""Contenders for the final step: who they are, how they are trained afresh, and who wins."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from evosearch.config import load_config
from evosearch.errors import ConfigError
from evosearch.evaluation import FinalSettings
from evosearch.reports import SearchSnapshot, status_lines
from evosearch.runtime import Silence
from evosearch.studies import (
    Contender,
    Contest,
    contender_trials,
    contenders_name,
    contenders_of,
    contest_of,
    winner_of,
)
from evosearch.studies.contenders import FRESH
from tests.finished_search import script_workers
from tests.reports.rows import DONE, FAILED


def row(number: int, fitness: float, network: str = "", **values):
    return replace(
        DONE, number=number, candidate=number, fitness=fitness, chromosome=network or f"C{number} |", **values
    )


def test_they_are_the_fittest_of_different_networks_the_searchs_own_best_first():
    rows = [
        row(0, 0.5),
        row(1, 0.9),
        row(2, 0.8, "C1 |"),
        row(3, 0.8),
        row(4, 0.85),
        replace(FAILED, candidate=8),
    ]
    assert [(one.number, fitness) for one, fitness in contenders_of(rows, rows[4], 3)] == [
        (4, 0.85),
        (1, 0.9),
        (3, 0.8),
    ]
    assert contenders_of([], None, 3) == ()


def test_of_one_that_was_trained_again_the_mean_counts_and_of_one_that_came_to_a_rung_nothing():
    again = replace(row(7, 0.5), candidate=1, repeat=1, chromosome="C1 |")
    rows = [row(0, 0.75), row(1, 0.9), again, row(2, 0.99, until=3)]
    assert [(one.number, fitness) for one, fitness in contenders_of(rows, None, 9)] == [(0, 0.75), (1, 0.7)]


def test_each_is_trained_afresh_so_often_from_seeds_that_nobody_else_has():
    trials = contender_trials({4: "C4 |", 1: "C1 |"}, 2)
    assert [(one.source, one.network, one.repeat) for one in trials] == [
        (4, "C4 |", FRESH),
        (4, "C4 |", FRESH + 1),
        (1, "C1 |", FRESH),
        (1, "C1 |", FRESH + 1),
    ]


def test_the_winner_has_the_best_mean_afresh_whatever_was_believed_of_it():
    lucky, steady, failed = (
        Contender(row(number, believed), believed, fresh)
        for number, believed, fresh in ((0, 0.9, (0.7, 0.8)), (1, 0.8, (0.77,)), (2, 0.7, ()))
    )
    assert Contest((lucky, steady, failed)).winner is steady
    assert Contest((lucky, failed)).winner is lucky
    assert Contest((replace(lucky, fresh=(0.77,)), steady)).winner.row.number == 0


@pytest.fixture
def searched(api, home, config):
    """`tiny`, done, with these overrides; its pools."""

    def run(*overrides):
        pools = script_workers(api)
        api.run(load_config(Path("tiny.yaml"), list(overrides)), home)
        return pools

    return run


def test_retrain_trains_contenders_first_and_goes_on_with_the_winner(api, home, searched):
    searched("final.contenders=3", "final.contender_trainings=2")
    (reading,) = api.retrain("tiny", home)
    child = home.find_search(contenders_name("tiny"))
    assert (child.state, child.parent, child.counts["done"]) == ("done", "tiny", 6)
    assert not [one for one in home.journal.test_readings("tiny") if one.search == child.name], (
        "none of them reads"
    )
    contest = contest_of(home, home.find_search("tiny"))
    best = max(contest.contenders, key=lambda one: sum(one.fresh))
    assert winner_of(home, "tiny").candidate == best.row.candidate == reading.number
    lines = status_lines(SearchSnapshot.of(home, home.find_search("tiny"), "host", 0.0))
    assert any(re.search(r"one of the best 3 of \d+ by accuracy", line) for line in lines)
    assert any("in 2 fresh trainings like it, the best of 3 by these alone" in line for line in lines)
    fresh = sum(best.fresh) / 2
    told = f"candidate {reading.number}: {fresh:.4f}, mean of 2 fresh trainings, the best of 3 contenders by these: "
    assert any(line.startswith(f"  winner       {told}") for line in lines)
    pools = script_workers(api)
    assert api.retrain("tiny", home) == (reading,)
    assert pools == [], "nothing is trained again"


@dataclass
class Notes(Silence):
    """Every note."""

    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_what_contenders_cost_on_top_is_told_before_and_what_is_there_is_not_counted(api, home, searched):
    def told(*overrides):
        api.run(load_config(Path("tiny.yaml"), list(overrides)), home)
        notes = Notes()
        api.retrain("tiny", home, watcher=notes)
        return [line for line in notes.lines if line.startswith("contenders: ")]

    searched()
    assert told("final.contenders=2", "final.contender_trainings=2") == [
        "contenders: the best 2 networks, each trained afresh 2 times for 1 epoch: 4 trainings on top of the final ones"
    ]
    (more,) = told("final.contenders=2", "final.contender_trainings=3")
    assert more.endswith(": 2 trainings on top of the final ones; 4 others were trained before")
    (most,) = told("final.contenders=50", "final.contender_trainings=3")
    assert re.match(
        r"contenders: the best \d networks \(50 are asked for, and no more succeeded\), each ", most
    )


def test_without_contenders_nothing_comes_before(api, home, searched):
    searched()
    (reading,) = api.retrain("tiny", home)
    assert [one.name for one in home.children_of("tiny")] == ["tiny/final-1"]
    assert reading.number == home.journal.best("tiny").candidate
    assert contest_of(home, home.find_search("tiny")) is None


@pytest.mark.parametrize("key", ["contenders", "contender_trainings"])
def test_numbers_of_contenders_have_bounds(key):
    with pytest.raises(ConfigError, match=rf"^final\.{key} is 0; it must be at least 1 and at most 100$"):
        FinalSettings(**{key: 0})
    with pytest.raises(ConfigError, match=rf"^final\.{key} is 101;"):
        FinalSettings(**{key: 101})
