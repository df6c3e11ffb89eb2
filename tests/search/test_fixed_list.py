import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError
from evosearch.evaluation import Failure, FailureKind, Success, TrainingSettings, TrialId
from evosearch.genome import SearchSpace
from evosearch.search import (
    FixedListSettings,
    FixedListStrategy,
    ListedTrial,
    Origin,
    Score,
    SearchContext,
    repeats_of,
)
from evosearch.testing.strategy_contract import GenerationalContract

CONTEXT = SearchContext(SearchSpace(), Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), 3)
SGD = TrainingSettings(optimizer="sgd")


def listed(*trials: ListedTrial) -> FixedListStrategy:
    return FixedListSettings(trials=trials).make(CONTEXT)


def done(*fitness: float | None) -> dict[TrialId, Success]:
    return {TrialId(number): Success(value, 1.0) for number, value in enumerate(fitness)}


class TestAFixedListKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> FixedListStrategy:
        return listed(*(ListedTrial(f"C{width} | F4") for width in range(1, 9)))


def test_trials_are_numbered_by_their_place_and_equal_networks_are_one_candidate():
    strategy = listed(
        ListedTrial("C8 |", 1),
        ListedTrial("resnet18", 1),
        ListedTrial("C8 |", 2),
        ListedTrial("C8 |", 1, SGD),
    )
    asked = strategy.ask(strategy.start())
    assert [trial.number for trial in asked] == [0, 1, 2, 3]
    assert [trial.candidate.number for trial in asked] == [0, 1, 0, 2]
    assert [(str(trial.subject), trial.repeat, trial.settings) for trial in asked] == [
        ("C8 |", 1, None),
        ("resnet18", 1, None),
        ("C8 |", 2, None),
        ("C8 |", 1, SGD),
    ]
    assert {trial.candidate.origin for trial in asked} == {Origin.LISTED}


def test_a_candidates_fitness_is_the_mean_of_its_trials_and_the_highest_is_best():
    strategy = listed(ListedTrial("C8 |", 1), ListedTrial("C9 |", 1), ListedTrial("C8 |", 2))
    state = strategy.tell(strategy.start(), done(0.9, 0.6, 0.5))
    progress = strategy.progress(state)
    assert {number: score.fitness for number, score in progress.scores.items()} == {0: 0.7, 1: 0.6}
    assert progress.best == (progress.members[0], 0.7)


def test_a_trial_that_failed_does_not_count_and_a_candidate_failed_where_all_of_its_trials_did():
    strategy = listed(ListedTrial("C8 |", 1), ListedTrial("C9 |", 1), ListedTrial("C8 |", 2))
    failed = Failure(FailureKind.DIVERGED, "")
    state = strategy.tell(
        strategy.start(), {TrialId(0): failed, TrialId(1): failed, TrialId(2): Success(0.25, 1.0)}
    )
    scores = strategy.progress(state).scores
    assert (scores[0].fitness, scores[1].failure) == (0.25, FailureKind.DIVERGED)


def test_a_candidate_that_nothing_judges_has_ended_and_is_no_best():
    strategy = listed(ListedTrial("C8 |", 1), ListedTrial("C9 |", 1), ListedTrial("C8 |", 2))
    failed = Failure(FailureKind.DIVERGED, "")
    state = strategy.tell(strategy.start(), {**done(None, None), TrialId(0): failed})
    assert not strategy.finished(state)
    ended = strategy.tell(state, {TrialId(2): Success(None, 1.0)})
    progress = strategy.progress(ended)
    assert strategy.finished(ended)
    assert (progress.best, progress.fitness) == (None, [])
    assert progress.scores == {0: Score(unjudged=True), 1: Score(unjudged=True)}


def test_a_longer_list_goes_on_where_the_shorter_one_ended():
    shorter, longer = repeats_of("C8 |", (1,)), repeats_of("C8 |", (1, 2, 3))
    assert shorter.begins(longer) and not longer.begins(shorter)
    assert not shorter.begins(repeats_of("C9 |", (1, 2)))
    ended = shorter.make(CONTEXT).tell(shorter.make(CONTEXT).start(), done(0.5))
    strategy = longer.make(CONTEXT)
    assert [trial.repeat for trial in strategy.ask(ended)] == [2, 3]
    assert not strategy.finished(ended)


@pytest.mark.parametrize(
    ("trial", "told"),
    [
        ({"network": "C8"}, "strategy.trials: 'C8' is no network; there are densenet121, "),
        ({"network": "C8 |", "repeat": -1}, "strategy.trials: repeat is -1; it must be at least 0 and below"),
    ],
)
def test_a_list_refuses_what_cannot_be_trained(trial, told):
    with pytest.raises(ConfigError, match=f"^{told}"):
        ListedTrial(**trial)


def test_an_empty_list_is_refused():
    with pytest.raises(ConfigError, match=r"^strategy\.trials holds 0 trainings; it must be at least 1"):
        FixedListSettings()
