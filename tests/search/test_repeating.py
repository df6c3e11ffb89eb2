"""Repeats where they decide: who is trained again, in whose slot, and what a score of several trainings is."""

from dataclasses import replace

import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError
from evosearch.evaluation import Failure, FailureKind, Success, TrainingSettings, Trial, TrialId
from evosearch.genome import SearchSpace
from evosearch.search import EavlSettings, EavlStrategy, Halving, Origin, SearchContext
from evosearch.search.noise import Spread
from evosearch.testing.strategy_contract import GenerationalContract, asked_in, outcomes_of, rounds

SPACE = SearchSpace(convolutions=(1, 4), channels=(2, 9), poolings=(0, 4), dense=(0, 2), units=(2, 40))
FAILED = Failure(FailureKind.DIVERGED, "")


def evolution(**settings) -> EavlStrategy:
    """Population 10 = 3 elites + 4 children + 3 immigrants, two of whom give way to repeats."""
    settings = {"population": 10, "generations": 3, "elites": 3, "immigrants": 3, "repeats": 2} | settings
    context = SearchContext(SPACE, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), 7)
    return EavlSettings(**settings).make(context)


def by_number(trial: Trial) -> Success:
    """The first are the fittest, and each training again is as good as the first."""
    return Success(1 - trial.candidate.number / 100, 1.0)


def told(strategy, state, judge=by_number):
    return strategy.tell(state, outcomes_of(strategy.ask(state), judge))


class TestRepeatsKeepTheContract(GenerationalContract):
    repeats = True

    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations)


class TestRepeatsInEverySlotKeepTheContract(GenerationalContract):
    """No immigrant is left after the first generation."""

    repeats = True

    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, repeats=3, elites=2)


def test_those_nearest_to_the_elites_cut_are_trained_again_in_the_last_immigrants_slots():
    strategy = evolution()
    state = told(strategy, strategy.start())
    assert [(one.number, one.candidate.number, one.repeat) for one in state.again] == [(15, 2, 1), (16, 3, 1)]
    assert [one.number for one in state.members if one.origin is Origin.IMMIGRANT] == [14]
    trials = strategy.ask(state)
    assert [trial.id for trial in trials] == [TrialId(number) for number in range(10, 17)]
    assert [(trial.candidate.number, trial.repeat) for trial in trials[-2:]] == [(2, 1), (3, 1)]


def test_they_are_never_asked_for_early_and_the_number_of_evaluations_stays():
    strategy = evolution()
    early = strategy.ask(strategy.start(), early=True)[10:]
    assert [trial.number for trial in early] == [14]
    assert (
        strategy.evaluations == evolution(repeats=0).evaluations == len(asked_in(rounds(strategy, by_number)))
    )


def test_a_generation_ends_with_its_repeats_and_they_count_in_the_next_choice_of_elites():
    """Candidate 2 was lucky and 3 was not: trained again, they change places, though 3 was no elite any more."""
    strategy = evolution()

    def judge(trial: Trial) -> Success:
        again = {2: 0.5, 3: 1.0}.get(trial.candidate.number, 0.9) if trial.repeat else None
        return by_number(trial) if again is None else Success(again, 1.0)

    state = told(strategy, strategy.start())
    assert {one.number for one in state.members if one.generation == 0} == {0, 1, 2}
    asked = strategy.ask(state)
    partly = strategy.tell(state, outcomes_of(asked[:-1], judge))
    assert partly.generation == 1
    after = strategy.tell(partly, outcomes_of(asked[-1:], judge))
    assert after.generation == 2
    assert {one.number for one in after.members if one.generation == 0} == {0, 1, 3}


def test_the_best_is_the_best_by_all_of_its_trainings():
    strategy = evolution(elites=1, generations=2)

    def judge(trial: Trial) -> Success:
        return Success(0.1, 1.0) if trial.repeat and trial.candidate.number == 0 else by_number(trial)

    last = told(strategy, told(strategy, strategy.start()), judge)
    assert strategy.finished(last)
    best = strategy.progress(last).best
    assert best is not None
    assert best[0].number == 1


def test_a_training_again_that_fails_says_nothing_of_what_succeeded_before():
    strategy = evolution(generations=2)
    state = told(strategy, strategy.start())
    last = told(strategy, state, lambda trial: FAILED if trial.repeat else by_number(trial))
    best = strategy.progress(last).best
    assert best is not None
    assert best[0].number == 0


def test_of_equal_networks_one_is_trained_again_as_one_is_an_elite():
    """Candidates 2 and 3 are one network, whose further training would be recalled: 3 is no elite, and 4 stands at the cut."""
    strategy = evolution()
    start = strategy.start()
    two, three = start.members[2:4]
    members = (*start.members[:3], replace(three, subject=two.subject), *start.members[4:])
    state = told(strategy, replace(start, members=members))
    assert {one.number for one in state.members if one.generation == 0} == {0, 1, 2}
    assert [one.candidate.number for one in state.again] == [2, 4]


def test_where_too_few_succeeded_immigrants_keep_their_slots():
    strategy = evolution()
    start = strategy.start()
    outcomes = {trial.id: by_number(trial) if trial.number == 4 else FAILED for trial in strategy.ask(start)}
    state = strategy.tell(start, outcomes)
    assert [(one.number, one.candidate.number) for one in state.again] == [(15, 4)]
    assert [one.number for one in state.members if one.origin is Origin.IMMIGRANT] == [14, 16]


def test_the_noise_is_learned_from_what_was_trained_again_and_held_against_the_spread_of_a_generation():
    """Two candidates, trained twice each, differ by .02 and .04 from training to training: variance .0005."""
    spread = Spread().with_repeats({}, {0: (0.5, 0.52), 1: (0.6, None, 0.64), 2: (0.7,)})
    assert (spread.squares, spread.degrees) == (pytest.approx(0.0002 + 0.0008), 2)
    again = spread.with_repeats({0: (0.5, 0.52)}, {0: (0.5, 0.52, 0.51)})
    assert again.degrees == 3
    assert again.squares == pytest.approx(0.0010)
    firsts = [0.5, 0.6, 0.7]  # variance .01
    assert spread.noise(firsts) == pytest.approx(0.0005 / (0.01 - 0.0005))
    assert Spread().noise(firsts) == 0.0
    assert Spread(1.0, 1).noise(firsts) == 1000.0, "nothing but noise is seen"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"repeats": 4}, r"^strategy\.repeats is 4, more than strategy\.immigrants = 3, in whose place"),
        ({"repeats": -1}, r"^strategy\.repeats is -1; it must be at least 0$"),
        ({"halving": Halving((1, 100), 0.5)}, r"^strategy\.repeats is 2 while there is strategy\.halving;"),
    ],
)
def test_nonsense_is_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        evolution(**settings)
