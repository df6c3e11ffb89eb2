"""What rungs would have done to a finished search, on curves that are made up, and on a search that was run."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from evosearch.bench.halving import (
    Known,
    Task,
    halved_generations,
    measure_halving,
    rungs_of,
    wall_seconds,
)
from evosearch.config import load_config
from evosearch.errors import InputError
from evosearch.evaluation import EpochRecord, TrainingTask
from evosearch.search import Halving
from evosearch.testing import FormulaEvaluator
from tests.finished_search import script_workers

HALVING = Halving((1, 2, 4), 0.5)


@dataclass(frozen=True)
class Curves:
    """Trainings of a second, whose accuracy comes nearer to what the formula says from epoch to epoch."""

    formula: FormulaEvaluator = field(default_factory=FormulaEvaluator)

    def __call__(self, data, device):
        return Curves(self.formula(data, device))

    def handle(self, task, *_):
        success = self.formula.handle(task)
        if not isinstance(task, TrainingTask):
            return success
        epochs = task.last_epoch
        curve = (EpochRecord(0.5, success.fitness * (epoch + 1) / epochs) for epoch in range(epochs))
        return replace(success, seconds=1.0, curve=tuple(curve))


@pytest.fixture
def run(api, home, config):
    """Runs `tiny` with four epochs and these overrides; its home."""
    script_workers(api, Curves())

    def run(*overrides):
        api.run(load_config(Path("tiny.yaml"), ["training.epochs=4", *overrides]), home)
        return home

    return run


def known(number: int, *accuracies: float, network: str | None = None, early: bool = False) -> Known:
    """A candidate with this curve, each epoch of which took a second; one of fewer than four epochs failed."""
    fitness = accuracies[-1] if len(accuracies) == 4 else None
    return Known(number, network or f"network {number}", early, accuracies, fitness, 1.0)


GENERATION = [
    known(0, 0.5, 0.6, 0.7, 0.9),
    known(1, 0.6, 0.7, 0.7, 0.7),
    known(2, 0.1, 0.8, 0.9, 1.0),
    known(3, 0.2, 0.2, 0.2, 0.2),
]


def test_at_each_rung_the_best_by_then_go_on_and_only_their_epochs_are_trained():
    (found,) = halved_generations([GENERATION], HALVING)
    assert found.sizes == (4, 2, 1)
    assert [sorted(task.seconds for task in stage) for stage in found.stages] == [[1.0] * 4, [1.0] * 2, [2.0]]
    assert [task.seconds for stage in found.whole for task in stage] == [4.0] * 4
    assert (found.best_kept, found.lost) == (False, pytest.approx(0.3)), "1 led at the second rung"


def test_a_best_that_another_one_equals_is_kept_by_it():
    equal = [*GENERATION[:2], known(2, 0.1, 0.1, 0.1, 0.7), known(3, 0.2, 0.2, 0.2, 0.2)]
    (found,) = halved_generations([[replace(equal[0], fitness=0.7), *equal[1:]]], HALVING)
    assert (found.best_kept, found.lost) == (True, 0.0)


def test_what_failed_before_a_rung_goes_no_further_and_took_what_it_took():
    (found,) = halved_generations([[known(0, 0.9), *GENERATION[1:]]], Halving((2, 4), 0.5))
    assert found.sizes == (4, 2)
    assert [task.seconds for task in found.stages[0]] == [2.0, 2.0, 2.0, 2.0]
    assert [task.seconds for task in found.whole[0]] == [2.0, 4.0, 4.0, 4.0]
    assert found.best_kept


def test_an_equal_network_is_recalled_as_far_as_it_was_trained_and_begins_again_beyond():
    """Of two that are equal one is trained; in the next generation a third goes further than it did."""
    first = [known(0, 0.5, 0.5, 0.5, 0.5), known(1, 0.1, 0.1, 0.1, 0.1, network="twin")]
    second = [known(2, 0.1, 0.1, 0.1, 0.1, network="twin"), known(3, 0.0, 0.0, 0.0, 0.0)]
    one, other = halved_generations([first, second], Halving((2, 4), 0.5))
    assert [[task.seconds for task in stage] for stage in one.stages] == [[2.0, 2.0], [2.0]]
    assert [[task.seconds for task in stage] for stage in other.stages] == [[2.0], [4.0]]
    assert [task.seconds for task in other.whole[0]] == [4.0], "without rungs it was recalled"


def test_workers_wait_at_each_rung_and_who_idles_trains_early_ones_of_the_next_generation():
    late, early = Task(2.0, False), Task(2.0, True)
    assert wall_seconds([[[late, late, late]]], 2) == 4.0
    assert wall_seconds([[[late], [late]]], 2) == 4.0
    assert wall_seconds([[[late]], [[late, late]]], 2) == 4.0
    assert wall_seconds([[[late]], [[early, late]]], 2) == 4.0
    assert wall_seconds([[[late]], [[early, early]]], 2) == 4.0
    assert wall_seconds([[[late]], [[early]]], 2) == 2.0
    assert wall_seconds([], 2) == 0.0


def test_where_no_share_is_given_it_is_that_of_a_configuration(run):
    home = run()
    assert measure_halving("tiny", home, (1, 4)).halving == Halving((1, 4)) == Halving((1, 4), 0.4)


def test_rungs_are_shares_of_an_epoch_at_least():
    assert [rungs_of(last) for last in (100, 10, 4, 2)] == [(12, 35, 100), (1, 4, 10), (1, 4), (1, 2)]


def test_a_finished_search_is_halved_generation_by_generation(run):
    report = measure_halving("tiny", run(), (1, 2, 4), 0.5)
    (search,) = report.searches
    assert [one.sizes for one in search.generations] == [(4, 2, 1), (3, 2, 1)]
    assert 0 < search.saved_seconds < 1
    assert search.slots == 1
    document = report.to_json()
    assert document["halving"] == {"epochs": [1, 2, 4], "keep": 0.5}
    assert document["searches"][0]["sizes"] == [[4, 2, 1], [3, 2, 1]]
    assert (document["searches"][0]["of"], len(document["searches"][0]["lost"])) == (2, 2)
    assert report.to_markdown().splitlines()[0].endswith("rungs at epochs 1, 2, 4, 0.5 of each go on")


@pytest.mark.parametrize(
    ("epochs", "keep", "told"),
    [
        (
            (1, 3),
            0.5,
            "--epochs 1,3: the last rung is the whole training, which has 4 epochs here; end with it",
        ),
        ((2, 2, 4), 0.5, "--epochs is [2, 2, 4]; epochs must be at least 1 and rise from rung to rung"),
        ((2, 4), 1.5, "--keep is 1.5; a share that goes on lies between 0 and 1, both excluded"),
    ],
)
def test_rungs_that_make_no_sense_are_refused_in_one_line(run, epochs, keep, told):
    home = run()
    with pytest.raises(InputError, match=re.escape(told)):
        measure_halving("tiny", home, epochs, keep)


def test_what_was_halved_already_has_no_whole_curves(run):
    home = run("strategy.halving={epochs: [1, 4], keep: 0.5}")
    with pytest.raises(InputError, match=r"^'tiny' was halved already, so it has no whole curves; name"):
        measure_halving("tiny", home, None)


def test_what_was_searched_with_repeats_is_refused_as_rungs_beside_repeats_are(run):
    home = run("strategy.repeats=1")
    with pytest.raises(
        InputError, match=r"^'tiny' has strategy\.repeats 1, and rungs and repeats do not go together"
    ):
        measure_halving("tiny", home, None)


def test_a_list_has_no_generations_to_halve(run, api):
    home = run()
    api.retrain("tiny", home)
    (child,) = home.children_of("tiny")
    with pytest.raises(InputError, match="is of the strategy list, which has no generations to halve"):
        measure_halving(child.name, home, None)


def test_a_search_with_rungs_ends_with_a_best_that_was_trained_to_its_end(run):
    home = run("strategy.halving={epochs: [1, 2, 4], keep: 0.5}")
    rows = home.journal.evaluations("tiny")
    by_rung = {rung: [row.number for row in rows if row.until == rung] for rung in (1, 2, 0)}
    assert [len(numbers) for numbers in by_rung.values()] == [4 + 3, 2 + 2, 1 + 1]
    assert (home.journal.best("tiny").number in by_rung[0], home.journal.best("tiny").until) == (True, 0)
    assert [len(row.fitness) for row in home.journal.generations("tiny")] == [1, 2]
    (row,) = (home.find_search("tiny"),)
    assert (row.counts["done"], row.at_rungs) == (13, sum(row.until > 0 and not row.cached for row in rows))
