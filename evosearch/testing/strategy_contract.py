"""What every search strategy promises, as tests to inherit. Needs pytest and hypothesis, so it is imported by
its own path: `from evosearch.testing.strategy_contract import GenerationalContract`.

    class TestMyStrategy(GenerationalContract):
        def make_strategy(self, generations: int) -> AnyStrategy:
            return MyStrategy(generations=generations, seed=3)

`ReplayContract` is what every strategy promises; `GenerationalContract` has it and what a generational one adds.
"""

import copy
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any, Literal, TypeAlias, assert_never

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evosearch.evaluation import (
    Failure,
    FailureKind,
    Features,
    FeaturesOf,
    HandMade,
    Losses,
    Masks,
    Outcome,
    Pretrained,
    Success,
    Trial,
    TrialId,
)
from evosearch.genome import Chromosome
from evosearch.search import AnyStrategy, score_of
from evosearch.storage import Born, Event, Failed, Finished
from evosearch.storage.journal.codec import decode, encode

Judge: TypeAlias = Callable[[Trial], Outcome]
"""Stands in for training: what a trial comes to."""

GENERATIONS = 3
FAILED = Failure(FailureKind.DIVERGED, "on purpose")

shuffled = settings(
    max_examples=20,
    deadline=None,  # an example is a whole search
    suppress_health_check=[
        HealthCheck.differing_executors
    ],  # every heir runs these tests, on its own strategy
)


def judged(trial: Trial) -> Outcome:
    """A fitness that looks like chance but depends on what is trialled, and how far, alone; one in seven fails."""
    which = f" until {trial.until}" if trial.until else f" again {trial.repeat}" if trial.repeat else ""
    digest = zlib.crc32(f"{trial.subject}{which}".encode())
    if digest % 7 == 0:
        return FAILED
    match trial.subject:
        case Chromosome() | Pretrained() | HandMade():
            return Success(digest % 101 / 100, 0.0)
        case FeaturesOf():
            return Features(f"{digest:064x}", 8, 0.0)
        case Masks(vectors):
            return Losses(tuple(zlib.crc32(mask.encode()) % 101 / 10 for mask in vectors), 0.0)
    assert_never(trial.subject)


def worst(trial: Trial) -> Outcome:
    """The worst that a success can be."""
    match trial.subject:
        case Chromosome() | Pretrained() | HandMade():
            return Success(0.0, 0.0)
        case FeaturesOf():
            return judged(trial)
        case Masks(vectors):
            return Losses((1e9,) * len(vectors), 0.0)
    assert_never(trial.subject)


def outcomes_of(trials: Iterable[Trial], judge: Judge = judged) -> dict[TrialId, Outcome]:
    """What a driver would tell about `trials`."""
    return {trial.id: judge(trial) for trial in trials}


def rounds(
    strategy: AnyStrategy, judge: Judge = judged, *, early: bool = False, start: Any = None
) -> list[tuple[Any, tuple[Trial, ...]]]:
    """Ask and tell until finished: each state with what it asked for; the finished state asks for nothing."""
    state = start or strategy.start()
    told: list[tuple[Any, tuple[Trial, ...]]] = []
    while not strategy.finished(state):
        asked = strategy.ask(state, early=early)
        assert asked, f"{strategy.progress(state)} asks for nothing and is not finished"
        told.append((state, asked))
        assert len(told) <= strategy.evaluations, (
            "each round evaluates something, so the search must have ended"
        )
        state = strategy.tell(state, outcomes_of(asked, judge))
    return [*told, (state, strategy.ask(state, early=early))]


def asked_in(history: list[tuple[Any, tuple[Trial, ...]]]) -> list[Trial]:
    """Every trial that a search asked for, in order."""
    return [trial for _, asked in history for trial in asked]


def first_asked_in(history: list[tuple[Any, tuple[Trial, ...]]]) -> list[Trial]:
    """Of every candidate that a search asked for the first trial, in order."""
    first: dict[int, Trial] = {}
    for trial in asked_in(history):
        first.setdefault(trial.number, trial)
    return list(first.values())


def journaled(events: Iterable[Event]) -> list[Event]:
    """The events as they come back from a journal."""
    return [decode(*encode(event)) for event in events]


class ReplayContract(ABC):
    """Equal journals, equal states. Inherit, build the strategy, and what every `Strategy` promises is tested."""

    fewer_after_failures = False
    """Whether what failed is not trained as often as what did not, so that `evaluations` are all trials at most."""

    repeats = False
    """Whether some candidates are trained again, in trials of their own, and a fitness is a matter of all of them."""

    def _check_count(self, strategy: AnyStrategy, trials: int) -> None:
        assert trials == strategy.evaluations or (self.fewer_after_failures and trials < strategy.evaluations)

    @abstractmethod
    def make_strategy(self, generations: int) -> AnyStrategy:
        """A small strategy (some ten trials a generation), built anew; equal `generations` give equals.

        Searches of fewer generations are beginnings of longer ones. A strategy of one generation takes no
        notice of the number.
        """

    def test_equal_strategies_start_and_ask_alike(self) -> None:
        one, other = self.make_strategy(GENERATIONS), self.make_strategy(GENERATIONS)
        assert one.start() == other.start() == one.start()
        assert rounds(one) == rounds(other)

    def test_asking_changes_nothing_and_gives_the_same_answer_again(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy):
            before = copy.deepcopy(state)
            assert strategy.ask(state) == asked == strategy.ask(state)
            assert strategy.ask(state, early=True) == strategy.ask(state, early=True)
            assert strategy.progress(state) == strategy.progress(before)
            assert state == before

    def test_nothing_comes_to_what_is_asked_for_early_before_the_generation_or_asked_changes(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state, first = strategy.start(), dict[tuple[int, int], set[TrialId]]()
        while asked := strategy.ask(state):
            progress, early = strategy.progress(state), {one.id for one in strategy.ask(state, early=True)}
            assert early <= first.setdefault((progress.generation, progress.asked), early)
            state = strategy.tell(state, outcomes_of(asked[:1]))

    def test_telling_leaves_the_state_and_the_told_outcomes_alone(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy):
            before, outcomes = copy.deepcopy(state), outcomes_of(asked)
            told = copy.deepcopy(outcomes)
            after = strategy.tell(state, outcomes)
            expected = copy.deepcopy(after)
            assert outcomes == told, "the caller's outcomes are not written to"
            outcomes.clear()
            assert state == before
            assert after == expected, "the caller's later changes do not reach the state"

    @shuffled
    @given(st.randoms(use_true_random=False))
    def test_what_was_journaled_leads_to_the_same_state_wherever_a_driver_dies(self, chance: Random) -> None:
        """Trials end in any order; a driver that is killed between two of them is replaced by one that has only what was
        journaled, and asks for the same trials.
        """
        strategy = self.make_strategy(GENERATIONS)
        state, born = strategy.start(), dict[TrialId, Trial]()
        events: list[Event] = []
        while not strategy.finished(state):
            asked = strategy.ask(state)
            events += (Born.of(trial, None, None) for trial in asked if trial.id not in born)
            born |= {trial.id: trial for trial in asked}
            events.append(_ended(chance.choice(asked)))
            state = strategy.tell(state, _told(events[-1]))
            if chance.random() < 0.2:
                again = self._replayed(events)
                assert again == state
                assert self.make_strategy(GENERATIONS).ask(again) == strategy.ask(state)
        assert self._replayed(events) == state
        self._check_count(strategy, len(born))

    def _replayed(self, events: list[Event]) -> Any:
        strategy = self.make_strategy(GENERATIONS)
        state = strategy.start()
        for event in journaled(events):
            if isinstance(event, Born):
                assert any(event.trial.is_as(asked) for asked in strategy.ask(state))
            else:
                state = strategy.tell(state, _told(event))
        return state

    def test_what_it_shows_as_asked_for_grows_with_what_it_asks_for(self) -> None:
        """A driver looks for newcomers only then."""
        strategy = self.make_strategy(GENERATIONS)
        state, known = strategy.start(), set[TrialId]()
        while not strategy.finished(state):
            asked = strategy.ask(state)
            known |= {trial.id for trial in asked}
            assert strategy.progress(state).asked == len(known)
            state = strategy.tell(state, outcomes_of(asked[:1]))
        self._check_count(strategy, strategy.progress(state).asked)

    def test_trials_have_names_of_their_own(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        names = [trial.id for trial in asked_in(rounds(strategy))]
        assert len(set(names)) == len(names) >= 1

    def test_what_failed_may_be_begun_again_and_comes_to_what_it_would_have_come_to(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state = strategy.start()
        trial, *_ = strategy.ask(state)
        failed = strategy.tell(state, {trial.id: FAILED})
        assert trial.id not in {one.id for one in strategy.ask(failed)}
        again = strategy.reopen(failed, {trial.id})
        if trial.number not in strategy.progress(failed).scores:
            assert again == failed, "its generation was bred from, and is history"
            return
        assert trial in strategy.ask(again)
        assert strategy.tell(again, outcomes_of([trial])) == strategy.tell(state, outcomes_of([trial]))

    def test_a_search_is_finished_exactly_when_all_its_trials_are_told(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state, told = strategy.start(), 0
        while not strategy.finished(state):
            assert told < strategy.evaluations
            state = strategy.tell(state, outcomes_of(strategy.ask(state)[:1]))
            told += 1
        self._check_count(strategy, told)
        assert strategy.ask(state) == strategy.ask(state, early=True) == ()
        assert strategy.tell(state, {}) == state

    def test_where_nothing_fails_it_asks_for_as_many_trials_as_it_says(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        assert len(asked_in(rounds(strategy, worst))) == strategy.evaluations

    def test_a_search_in_which_everything_fails_goes_on_to_its_end_without_a_best(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy, lambda _: FAILED)
        self._check_count(strategy, len({trial.id for trial in asked_in(history)}))
        assert strategy.progress(history[-1][0]).best is None


def _ended(trial: Trial) -> Finished | Failed:
    outcome = judged(trial)
    if isinstance(outcome, Failure):
        return Failed(trial.number, 1, "worker", outcome, final=True, until=trial.until)
    return Finished(trial.number, 1, "worker", outcome, trial.until)


def _told(event: Event) -> dict[TrialId, Outcome]:
    match event:
        case Finished(_, _, _, success):
            return {event.trial: success}
        case Failed(_, _, _, failure):
            return {event.trial: failure}
        case _:
            raise TypeError(f"{event!r} ends no trial")


class GenerationalContract(ReplayContract):
    """Besides, the order of results is nothing, and numbers depend on generation and slot alone."""

    def test_telling_in_parts_is_telling_at_once(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy):
            outcomes = outcomes_of(asked)
            partly = strategy.tell(state, dict(list(outcomes.items())[:1]))
            assert strategy.tell(partly, outcomes) == strategy.tell(state, outcomes)

    @shuffled
    @given(st.randoms(use_true_random=False))
    def test_the_order_in_which_outcomes_are_told_changes_nothing(self, chance: Random) -> None:
        """All at once, one at a time or in lots, in any order: the same next population."""
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy)[:-1]:
            outcomes = list(outcomes_of(asked).items())
            at_once = strategy.tell(state, dict(outcomes))
            chance.shuffle(outcomes)
            lots = state
            while outcomes:
                size = chance.randint(1, len(outcomes))
                lots = strategy.tell(lots, dict(outcomes[:size]))
                del outcomes[:size]
            assert lots == at_once

    @shuffled
    @given(st.randoms(use_true_random=False))
    def test_candidates_told_ahead_of_their_time_change_nothing(self, chance: Random) -> None:
        """Workers take whatever is asked for, early ones too, and answer in any order."""
        strategy = self.make_strategy(GENERATIONS)
        expected = rounds(strategy)
        state, born = strategy.start(), set[Trial]()
        while not strategy.finished(state):
            asked = strategy.ask(state, early=chance.random() < 0.7)
            if not strategy.ask(state):  # all of this generation were told early
                asked = strategy.ask(state := strategy.tell(state, {}))
            assert asked, f"{strategy.progress(state)} asks for nothing and is not finished"
            trial = chance.choice(asked)
            assert trial not in born, "nothing is asked for again once it was told"
            born.add(trial)
            state = strategy.tell(state, outcomes_of([trial]))
        assert state == expected[-1][0]
        assert born == set(asked_in(expected))

    def test_early_candidates_follow_the_generations_own_and_are_born_later_as_they_are(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy)
        generations = [strategy.progress(state).generation for state, _ in history]
        for state, asked in history:
            together, after = strategy.ask(state, early=True), strategy.progress(state).generation + 1
            following = [
                trial
                for (_, told), one in zip(history, generations, strict=True)
                for trial in told
                if one == after
            ]
            assert together[: len(asked)] == asked
            assert set(together[len(asked) :]) <= set(following)

    def test_early_candidates_do_not_depend_on_any_outcome(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state = strategy.start()
        asked, together = strategy.ask(state), strategy.ask(state, early=True)
        for place, trial in enumerate(asked[:-1], start=1):
            state = strategy.tell(state, {trial.id: FAILED})
            assert strategy.ask(state, early=True) == together[place:]

    def test_numbers_are_unique_contiguous_and_rise(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        numbers = [trial.number for trial in first_asked_in(rounds(strategy, worst))]
        assert numbers == list(range(len(numbers)))
        assert numbers == [trial.number for trial in first_asked_in(rounds(strategy))]

    def test_numbers_and_generations_do_not_depend_on_scores(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        births = [
            [
                (trial.number, None if self.repeats else trial.candidate.generation)
                for trial in first_asked_in(rounds(strategy, judge))
            ]
            for judge in (judged, lambda _: FAILED, worst)
        ]
        assert births[0] == births[1] == births[2]

    def test_parents_are_members_of_the_generation_before(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy)
        assert not any(trial.candidate.parents for trial in history[0][1])
        members = {
            progress.generation: {member.number for member in progress.members}
            for progress in (strategy.progress(state) for state, _ in history)
        }
        for trial in asked_in(history):
            before = members.get(trial.candidate.generation - 1, set())
            assert set(trial.candidate.parents) <= before

    def test_a_failed_evaluation_is_never_best(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy)
        by = strategy.progress(history[-1][0]).by
        whole = [trial for trial in asked_in(history) if trial.until is None]
        known = [one for trial in whole if (one := _figure(trial, by)) is not None]
        best = strategy.progress(history[-1][0]).best
        assert best is not None
        if self.repeats:
            assert _figure(Trial.of(best[0]), by) is not None
            return
        assert _figure(Trial.of(best[0]), by) == best[1] == (max(known) if by == "fitness" else min(known))

    def test_the_only_success_is_best_even_with_the_worst_figure(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy, lambda trial: FAILED if trial.number else worst(trial))
        by = strategy.progress(history[-1][0]).by
        only = history[0][1][0]
        whole = replace(only, until=None)
        assert strategy.progress(history[-1][0]).best == (only.candidate, _figure(whole, by, worst))

    def test_an_extended_search_goes_on_as_one_configured_so_from_the_start(self) -> None:
        shorter, longer = self.make_strategy(GENERATIONS - 1), self.make_strategy(GENERATIONS)
        finished = rounds(shorter)[-1][0]
        extended = rounds(longer, start=longer.tell(finished, {}))
        from_the_start = rounds(longer)
        assert extended == from_the_start[-len(extended) :]
        assert rounds(shorter)[:-1] == from_the_start[: len(rounds(shorter)) - 1]


def _figure(trial: Trial, by: Literal["fitness", "loss"], judge: Judge = judged) -> float | None:
    score = score_of(judge(trial))
    return score.fitness if by == "fitness" else score.objectives.get("loss")
