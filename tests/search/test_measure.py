"""By what a strategy goes: the measure of its settings, and the accuracy wherever that is not known."""

from typing import get_args

import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.evaluation import (
    Failure,
    FailureKind,
    Losses,
    Measure,
    Measures,
    Success,
    TrainingSettings,
    TrialId,
)
from evosearch.genome import SearchSpace
from evosearch.search import (
    EavlSettings,
    FixedListSettings,
    ListedTrial,
    RandomSearchSettings,
    Score,
    SearchContext,
    measure_of,
    score_of,
)

SPACE = SearchSpace(convolutions=(1, 3), channels=(2, 9), poolings=(0, 3), dense=(0, 2), units=(2, 40))
CONTEXT = SearchContext(SPACE, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), 7)
OUTCOMES = {
    TrialId(0): Success(0.9, 1.0, measures=Measures(0.1, 0.2, 0.3)),
    TrialId(1): Success(0.8, 1.0, measures=Measures(0.7, 0.1, 0.1)),
    TrialId(2): Success(0.7, 1.0, measures=Measures(0.2, 0.6, 0.2)),
    TrialId(3): Success(0.6, 1.0, measures=Measures(0.3, 0.3, 0.5)),
}
"""Each is the best by another measure."""


@pytest.mark.parametrize(
    "settings",
    [
        lambda measure: EavlSettings(population=4, elites=1, immigrants=1, generations=2, fitness=measure),
        lambda measure: RandomSearchSettings(evaluations=4, fitness=measure),
        lambda measure: FixedListSettings(
            trials=tuple(ListedTrial(f"C{n} |") for n in (1, 2, 3, 4)), fitness=measure
        ),
    ],
)
@pytest.mark.parametrize(
    ("measure", "best"),
    [("accuracy", (0, 0.9)), ("balanced_accuracy", (1, 0.7)), ("f1", (2, 0.6)), ("auroc", (3, 0.5))],
)
def test_the_best_is_the_best_by_the_measure_that_was_asked_for(settings, measure, best):
    strategy = settings(measure).make(CONTEXT)
    state = strategy.tell(strategy.start(), OUTCOMES)
    candidate, fitness = strategy.progress(state).best
    assert (candidate.number, fitness) == best
    assert measure_of(settings(measure)) == measure


@pytest.mark.parametrize("measure", get_args(Measure))
def test_where_it_is_not_known_the_accuracy_counts(measure):
    assert score_of(Success(0.9, 1.0), measure) == Score(fitness=0.9)
    undefined = Measures(0.5, 0.5, None, "no validation image of class b")
    assert score_of(Success(0.9, 1.0, measures=undefined), "auroc") == Score(fitness=0.9)
    assert score_of(Failure(FailureKind.CRASHED, ""), measure) == Score(failure=FailureKind.CRASHED)
    assert score_of(Losses((0.5, 0.25), 1.0), measure) == Score(objectives={"loss": 0.25})


def test_settings_without_the_key_go_by_the_accuracy():
    assert measure_of(object()) == "accuracy" == measure_of(EavlSettings())
