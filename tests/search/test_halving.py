"""Halving within each generation: who goes on from a rung, who may live on, and what the others weigh."""

import re
from dataclasses import replace

import numpy as np
import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError
from evosearch.evaluation import Failure, FailureKind, Outcome, Success, TrainingSettings, Trial, TrialId
from evosearch.genome import SearchSpace
from evosearch.search import (
    EavlSettings,
    EavlStrategy,
    EvoCnnSettings,
    Halving,
    Origin,
    Score,
    SearchContext,
    SearchState,
    parent_probabilities,
    ranking,
    rung_before,
)
from evosearch.testing.strategy_contract import GenerationalContract, asked_in, outcomes_of, rounds

SPACE = SearchSpace(convolutions=(1, 4), channels=(2, 9), poolings=(0, 4), dense=(0, 2), units=(2, 40))
HALVING = Halving((2, 5, 10), 0.5)
FAILED = Failure(FailureKind.DIVERGED, "")


def evolution(**settings) -> EavlStrategy:
    """Population 10 = 3 elites + 5 children + 2 immigrants; rungs of 10, 5 and 3, then of 7, 4 and 2."""
    settings = {
        "population": 10,
        "generations": 3,
        "elites": 3,
        "immigrants": 2,
        "halving": HALVING,
    } | settings
    context = SearchContext(SPACE, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(epochs=10), 7)
    return EavlSettings(**settings).make(context)


def by_number(trial: Trial) -> Success:
    """A fitness that rises with the number, and falls with the epochs: whoever was dropped seems better."""
    return Success((1 + trial.number) / 100 + (0 if trial.until is None else 0.5 / trial.until), 1.0)


def told(strategy: EavlStrategy, state: SearchState, judge=by_number) -> SearchState:
    return strategy.tell(state, outcomes_of(strategy.ask(state), judge))


def names(trials) -> list[TrialId]:
    return [trial.id for trial in trials]


class TestHalvingKeepsTheContract(GenerationalContract):
    fewer_after_failures = True

    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations)


class TestHalvingWithoutChildrenKeepsTheContract(GenerationalContract):
    """Immigrants alone are born: all of them may have come to their first rung before their generation begins."""

    fewer_after_failures = True

    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, population=8, elites=4, immigrants=4)


class TestHalvingOfEvoCnnKeepsTheContract(GenerationalContract):
    fewer_after_failures = True

    def make_strategy(self, generations: int) -> EavlStrategy:
        settings = EvoCnnSettings(
            population=9, generations=generations, elites=2, immigrants=1, halving=HALVING
        )
        context = SearchContext(SPACE, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(epochs=10), 3)
        return settings.make(context)


def test_a_rung_is_decided_when_all_of_the_generations_own_members_have_finished_it():
    strategy = evolution()
    start = strategy.start()
    assert names(strategy.ask(start)) == [TrialId(number, 2) for number in range(10)]
    nine = strategy.tell(start, outcomes_of(strategy.ask(start)[:9], by_number))
    assert names(strategy.ask(nine)) == [TrialId(9, 2)]
    second = strategy.tell(nine, outcomes_of(strategy.ask(nine), by_number))
    assert names(strategy.ask(second)) == [TrialId(number, 5) for number in (5, 6, 7, 8, 9)]
    last = told(strategy, second)
    assert names(strategy.ask(last)) == [TrialId(number) for number in (7, 8, 9)]


def test_immigrants_that_are_trained_early_wait_at_their_first_rung():
    strategy = evolution()
    state = strategy.start()
    early = strategy.ask(state, early=True)[10:]
    assert names(early) == [TrialId(15, 2), TrialId(16, 2)]
    state = strategy.tell(state, outcomes_of(early, by_number))
    for _ in range(3):
        assert {trial.number for trial in strategy.ask(state, early=True)}.isdisjoint({15, 16})
        state = told(strategy, state)
    assert state.generation == 1
    assert names(strategy.ask(state)) == [TrialId(number, 2) for number in (10, 11, 12, 13, 14)]
    assert TrialId(16, 5) in names(strategy.ask(told(strategy, state)))


def test_elites_and_the_best_come_from_the_last_rung_only():
    strategy = evolution(elites=5)
    state = strategy.start()
    for _ in range(3):
        assert strategy.progress(state).best is None
        state = told(strategy, state)
    assert [one.number for one in state.members if one.generation == 0] == [9, 8, 7], "three came so far"
    assert state.best is not None
    assert (state.best[0].number, state.best[1]) == (9, 0.1)
    assert strategy.progress(state).fitness == [0.1, 0.09, 0.08]


def test_what_failed_at_a_rung_leaves_its_place_to_the_next_best_and_goes_no_further():
    strategy = evolution()

    def judge(trial: Trial) -> Outcome:
        return FAILED if trial.number in (9, 8) else by_number(trial)

    second = told(strategy, strategy.start(), judge)
    assert [trial.number for trial in strategy.ask(second)] == [3, 4, 5, 6, 7]
    state = told(strategy, second, lambda _: FAILED)
    assert state.generation == 1, "nobody was left for the last rung"
    assert (state.best, [one for one in state.members if one.generation == 0]) == (None, [])


def test_a_failure_is_history_once_its_rung_was_decided():
    strategy = evolution()
    start = strategy.start()
    first = strategy.tell(start, {TrialId(0, 2): FAILED})
    assert strategy.reopen(first, {TrialId(0, 2)}) == start
    decided = told(strategy, first)
    assert strategy.reopen(decided, {TrialId(0, 2)}) == decided
    failed = strategy.tell(decided, {TrialId(9, 5): FAILED})
    assert strategy.reopen(failed, {TrialId(9, 5), TrialId(0, 2)}) == decided


def test_dropped_ones_rank_below_all_that_went_further_and_among_themselves_by_their_last_fitness():
    members = evolution().start().members[:6]
    scores = {
        0: Score(0.9, until=2),
        1: Score(0.95, until=2),
        2: Score(0.7, until=5),
        3: Score(0.6),
        4: Score(failure=FailureKind.DIVERGED),
        5: Score(0.5),
    }
    assert [one.number for one in ranking(members, scores)] == [3, 5, 2, 1, 0, 4]


def test_in_selection_a_dropped_one_weighs_no_more_than_the_worst_of_those_one_rung_further():
    scores = [Score(0.9, until=2), Score(0.3, until=2), Score(0.8, until=5), Score(0.6), Score(0.5)]
    as_weighed = [Score(0.5), Score(0.3), Score(0.5), Score(0.6), Score(0.5)]
    for selection in ("squared", "proportionate"):
        found = parent_probabilities(scores, selection)
        np.testing.assert_array_equal(found, parent_probabilities(as_weighed, selection))


def test_children_are_bred_from_dropped_ones_too():
    """With the weights of the paper's text, in which whoever succeeded has some chance."""
    strategy = evolution(elites=0, population=10, selection="proportionate")
    state = strategy.start()
    for _ in range(3):
        state = told(strategy, state)
    parents = {number for one in state.members for number in one.parents}
    assert parents & set(range(5))
    assert {one.origin for one in state.members} == {Origin.CROSSOVER, Origin.IMMIGRANT}


def test_a_search_with_rungs_begins_with_the_very_candidates_of_one_without():
    plain = evolution(halving=None)
    assert plain.start().members == evolution().start().members
    early = [trial.candidate for trial in plain.ask(plain.start(), early=True)]
    assert early == [trial.candidate for trial in evolution().ask(evolution().start(), early=True)]


def test_trials_are_counted_by_rungs_and_whole_trainings_by_epochs():
    """Of the paper's search, epochs 12, 35 and 100: 50 + 20 + 8, then 19 times 40 + 16 + 7."""
    settings = EavlSettings(halving=Halving((12, 35, 100), 0.4))
    assert settings.evaluations_in_all == 78 + 19 * 63
    whole = (50 * 12 + 20 * 23 + 8 * 65) + 19 * (40 * 12 + 16 * 23 + 7 * 65)
    assert settings.trained_in_all == pytest.approx(whole / 100)
    assert EavlSettings().trained_in_all == 810
    strategy = evolution()
    assert len(asked_in(rounds(strategy, by_number))) == strategy.evaluations == 18 + 2 * 13


def test_a_rung_begins_where_the_one_before_ended():
    found = [rung_before(HALVING, TrialId(4, until)) for until in (2, 5, None)]
    assert found == [0, 2, 5]
    assert rung_before(None, TrialId(4)) == 0


@pytest.mark.parametrize(
    ("epochs", "keep", "told"),
    [
        ((10,), 0.5, "strategy.halving.epochs is [10]; it needs two rungs at least"),
        ((), 0.5, "strategy.halving.epochs is []; it needs two rungs at least"),
        ((5, 5, 10), 0.5, "strategy.halving.epochs is [5, 5, 10]; epochs must be at least 1 and rise"),
        ((0, 10), 0.5, "strategy.halving.epochs is [0, 10]; epochs must be at least 1 and rise"),
        ((5, 10), 0.0, "strategy.halving.keep is 0; a share that goes on lies between 0 and 1"),
        ((5, 10), 1.0, "strategy.halving.keep is 1; a share that goes on lies between 0 and 1"),
        ((5, 10), 40.0, "strategy.halving.keep is 40; a share that goes on lies between 0 and 1"),
    ],
)
def test_nonsense_is_refused_with_what_was_found_and_the_repair(epochs, keep, told):
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        Halving(epochs, keep)


def test_shares_are_taken_as_they_are_written():
    assert Halving((1, 2), 0.1).sizes(30) == (30, 3)
    assert replace(HALVING, keep=0.34).sizes(3) == (3, 2, 1)
