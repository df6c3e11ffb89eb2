"""What a second look is worth, on a table of cells with noise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evosearch.bench.luck import (
    FRESH,
    HELD_OUT,
    JUDGES,
    ONCE,
    SYNTHETIC,
    WAYS,
    Formula,
    Table,
    Way,
    draw,
    looked,
    measure_luck,
    searched,
)
from evosearch.bench.strategies import Effort
from evosearch.errors import InputError
from evosearch.search import EavlSettings
from tests.bench.tables import CELLS, slope, written


def seen(ground, way, seed):
    return looked(ground, searched(ground, SMALL, way.repeats, seed), way, seed)


SMALL = EavlSettings(population=10, generations=3, elites=3, immigrants=3)


def test_draws_have_the_noise_that_was_asked_for_and_each_training_its_own():
    landscape = slope()
    draws = [
        draw(landscape, cell, 2.0, seed, repeat) - landscape.fitness[cell]
        for cell in CELLS
        for seed in range(10)
        for repeat in range(3)
    ]
    assert np.std(draws) == pytest.approx(2.0, rel=0.1)
    assert np.mean(draws) == pytest.approx(0.0, abs=0.2)
    assert len(set(draws)) == len(draws)
    assert draw(landscape, CELLS[0], 2.0, 1, 2) == draw(landscape, CELLS[0], 2.0, 1, 2)


@pytest.mark.parametrize("ground", [Table(slope(), 5.0), Formula()], ids=lambda ground: ground.name)
def test_equal_seeds_give_equal_figures(ground):
    for way in (Way(), Way(repeats=2), Way(contenders=3)):
        found = seen(ground, way, 3)
        assert found == seen(ground, way, 3)
        assert found[0] >= 0


def test_what_is_believed_is_held_against_the_table():
    assert seen(Table(slope(), 1e-9), Way(), 3)[2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("ground", [Table(slope(), 15.0), Formula()], ids=lambda ground: ground.name)
def test_contenders_look_again_at_the_end_and_cost_so_many_trainings_more(ground):
    assert (Way().extra, Way(repeats=5).extra, Way(contenders=5).extra) == (0, 0, 15)
    once, several = (
        np.mean([seen(ground, way, seed)[2] for seed in range(25)]) for way in (Way(), Way(contenders=5))
    )
    assert several < once / 2, "less is believed too high"


def test_by_the_formula_no_training_is_judged_that_a_search_has_seen(monkeypatch):
    """Searches, contenders and the judge draw from seeds of their own, and the judge agrees with what a network is worth."""
    asked, ground, drawing = [], Formula(), Formula.draw

    def draw(ground, subject, seed, repeat):
        asked.append(repeat)
        return drawing(ground, subject, seed, repeat)

    monkeypatch.setattr(Formula, "draw", draw)
    search = searched(ground, SMALL, 2, 3)
    assert set(asked) <= {0, 1, 2, 3}
    asked.clear()
    looked(ground, search, Way(contenders=3), 3)
    assert asked == [FRESH, FRESH + 1, FRESH + 2] * 3 + list(range(HELD_OUT, HELD_OUT + JUDGES))
    fitness, judge = ground.regrets(search.winner, 3)
    assert judge == pytest.approx(fitness, abs=4 * ground.noise / JUDGES**0.5)


def test_every_way_is_tried_on_every_data_set_with_every_noise(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "evosearch.bench.luck.EavlSettings", lambda **_: replace(SMALL, population=20, immigrants=10)
    )
    told = []
    report = measure_luck(written(tmp_path / "table.csv"), Effort(2, seed=1), (0.5, 1.5), told.append)
    assert len(told) == len(report.seen) == 3 * 2 + 1
    assert (told[-1], report.seen[-1].data_set) == (f"{SYNTHETIC} with noise 7.22", SYNTHETIC)
    document = json.loads(json.dumps(report.to_json()))
    assert {len(one["ways"]) for one in document["seen"]} == {len(WAYS)}
    assert document["seen"][0]["ways"][ONCE]["less once"]["judge"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    rows = [line for line in report.to_markdown().splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 7 * len(WAYS)
    assert {line.count("|") for line in rows} == {9}


@pytest.mark.parametrize("noise", [0.0, 21.0])
def test_noise_has_bounds(tmp_path, noise):
    table = written(tmp_path / "table.csv")
    with pytest.raises(
        InputError, match=rf"^--noise {noise:g}: it must be above 0 and at most 20 percentage"
    ):
        measure_luck(table, replace(Effort(), repeats=2), (noise,), lambda _: None)
