"""What every search strategy promises, as tests to inherit. Needs pytest and hypothesis, so it is imported by
its own path: `from evosearch.testing.strategy_contract import StrategyContract`.

    class TestMyStrategy(StrategyContract):
        def make_strategy(self, generations: int) -> Strategy:
            return MyStrategy(generations=generations, seed=3)
"""

import copy
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random
from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evosearch.evaluation import FailureKind
from evosearch.search import Candidate, Score, SearchState, Strategy

Judge: TypeAlias = Callable[[Candidate], Score]
"""Stands in for training: the score of a candidate."""

GENERATIONS = 3
FAILED = Score(failure=FailureKind.DIVERGED)

shuffled = settings(
    max_examples=20,
    deadline=None,  # an example is a whole search
    suppress_health_check=[
        HealthCheck.differing_executors
    ],  # every heir runs these tests, on its own strategy
)


def judged(candidate: Candidate) -> Score:
    """A fitness that looks like chance but depends on the chromosome alone; one in seven fails."""
    digest = zlib.crc32(str(candidate.chromosome).encode())
    return FAILED if digest % 7 == 0 else Score(fitness=digest % 101 / 100)


def scores_of(candidates: Iterable[Candidate], judge: Judge = judged) -> dict[int, Score]:
    """What a driver would tell about `candidates`."""
    return {candidate.number: judge(candidate) for candidate in candidates}


def rounds(
    strategy: Strategy, judge: Judge = judged, *, early: bool = False, start: SearchState | None = None
) -> list[tuple[SearchState, tuple[Candidate, ...]]]:
    """Ask and tell until finished: each state with what it asked for; the finished state asks for nothing."""
    state = start or strategy.start()
    told: list[tuple[SearchState, tuple[Candidate, ...]]] = []
    while not strategy.finished(state):
        asked = strategy.ask(state, early=early)
        assert asked, f"generation {state.generation} asks for nothing and is not finished"
        told.append((state, asked))
        assert len(told) <= strategy.evaluations, (
            "each round evaluates something, so the search must have ended"
        )
        state = strategy.tell(state, scores_of(asked, judge))
    return [*told, (state, strategy.ask(state, early=early))]


def asked_in(history: list[tuple[SearchState, tuple[Candidate, ...]]]) -> list[Candidate]:
    """Every candidate that a search asked for, in order."""
    return [candidate for _, asked in history for candidate in asked]


class StrategyContract(ABC):
    """Inherit, build the strategy, and every promise of `Strategy` is tested."""

    @abstractmethod
    def make_strategy(self, generations: int) -> Strategy:
        """A small strategy (some ten candidates a generation), built anew; equal `generations` give equals.

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
            assert state == before

    def test_telling_leaves_the_state_and_the_told_scores_alone(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy):
            before, scores = copy.deepcopy(state), scores_of(asked)
            partly = strategy.tell(state, dict(list(scores.items())[:1]))
            told = copy.deepcopy(scores)
            after = strategy.tell(state, scores)
            expected = copy.deepcopy(after)
            assert scores == told, "the caller's scores are not written to"
            scores.clear()
            assert state == before
            assert after == expected, "the caller's later changes do not reach the state"
            assert strategy.tell(partly, told) == after

    @shuffled
    @given(st.randoms(use_true_random=False))
    def test_the_order_in_which_scores_are_told_changes_nothing(self, chance: Random) -> None:
        """All at once, one at a time or in lots, in any order: the same next population."""
        strategy = self.make_strategy(GENERATIONS)
        for state, asked in rounds(strategy)[:-1]:
            scores = list(scores_of(asked).items())
            at_once = strategy.tell(state, dict(scores))
            chance.shuffle(scores)
            lots = state
            while scores:
                size = chance.randint(1, len(scores))
                lots = strategy.tell(lots, dict(scores[:size]))
                del scores[:size]
            assert lots == at_once

    @shuffled
    @given(st.randoms(use_true_random=False))
    def test_candidates_told_ahead_of_their_time_change_nothing(self, chance: Random) -> None:
        """Workers take whatever is asked for, early ones too, and answer in any order."""
        strategy = self.make_strategy(GENERATIONS)
        expected = rounds(strategy)
        state, born = strategy.start(), set[Candidate]()
        while not strategy.finished(state):
            asked = strategy.ask(state, early=chance.random() < 0.7)
            assert asked, f"generation {state.generation} asks for nothing and is not finished"
            candidate = chance.choice(asked)
            assert candidate not in born, "nothing is asked for again once it was told"
            born.add(candidate)
            state = strategy.tell(state, scores_of([candidate]))
        assert state == expected[-1][0]
        assert born == set(asked_in(expected))

    def test_early_candidates_follow_the_generations_own_and_are_born_later_as_they_are(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy)
        for (state, asked), (_, following) in pairwise([*history, (history[-1][0], ())]):
            together = strategy.ask(state, early=True)
            assert together[: len(asked)] == asked
            assert set(together[len(asked) :]) <= set(following)

    def test_early_candidates_do_not_depend_on_any_score(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state = strategy.start()
        asked, together = strategy.ask(state), strategy.ask(state, early=True)
        for place, candidate in enumerate(asked[:-1], start=1):
            state = strategy.tell(state, {candidate.number: FAILED})
            assert strategy.ask(state, early=True) == together[place:]

    def test_numbers_are_unique_contiguous_and_rise(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        numbers = [candidate.number for candidate in asked_in(rounds(strategy))]
        assert numbers == list(range(strategy.evaluations))

    def test_numbers_and_generations_do_not_depend_on_scores(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        births = [
            [(candidate.number, candidate.generation) for candidate in asked_in(rounds(strategy, judge))]
            for judge in (judged, lambda _: FAILED, lambda _: Score(fitness=0.5))
        ]
        assert births[0] == births[1] == births[2]

    def test_parents_are_members_of_the_generation_before(self) -> None:
        history = rounds(self.make_strategy(GENERATIONS))
        assert not any(candidate.parents for candidate in history[0][1])
        for (before, _), (_, asked) in pairwise(history):
            members = {member.number for member in before.members}
            assert all(set(candidate.parents) <= members for candidate in asked)

    def test_a_search_is_finished_exactly_when_all_its_evaluations_are_told(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        state, told = strategy.start(), 0
        while not strategy.finished(state):
            assert told < strategy.evaluations
            candidate = strategy.ask(state)[0]
            state = strategy.tell(state, scores_of([candidate]))
            told += 1
        assert told == strategy.evaluations
        assert strategy.ask(state) == strategy.ask(state, early=True) == ()
        assert strategy.tell(state, {}) == state

    def test_a_failed_evaluation_is_never_best(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy)
        fittest = max((judged(candidate).fitness or 0.0) for candidate in asked_in(history))
        best = history[-1][0].best_with_members()
        assert best is not None
        assert judged(best[0]) == Score(fitness=best[1]) == Score(fitness=fittest)

    def test_the_only_success_is_best_even_with_fitness_0(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy, lambda candidate: FAILED if candidate.number else Score(fitness=0.0))
        assert history[-1][0].best_with_members() == (history[0][1][0], 0.0)

    def test_a_search_in_which_everything_fails_goes_on_to_its_end_without_a_best(self) -> None:
        strategy = self.make_strategy(GENERATIONS)
        history = rounds(strategy, lambda _: FAILED)
        assert len(asked_in(history)) == strategy.evaluations
        assert history[-1][0].best_with_members() is None

    def test_an_extended_search_goes_on_as_one_configured_so_from_the_start(self) -> None:
        shorter, longer = self.make_strategy(GENERATIONS - 1), self.make_strategy(GENERATIONS)
        finished = rounds(shorter)[-1][0]
        extended = rounds(longer, start=longer.tell(finished, {}))
        from_the_start = rounds(longer)
        assert extended == from_the_start[-len(extended) :]
        assert rounds(shorter)[:-1] == from_the_start[: len(rounds(shorter)) - 1]
