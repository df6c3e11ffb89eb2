"""Strategies for tests: one that knows no generations, and one that breeds something else than networks.

Both are as small as a strategy can be: `evosearch.testing.strategy_contract.ReplayContract` holds for them, kills included, so
that the seam they stand on is real.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import numpy as np

from evosearch.evaluation import Candidate, Masks, Origin, Outcome, Trial, TrialId
from evosearch.genome import Chromosome, Conv
from evosearch.search import Score, SearchProgress, score_of


@dataclass(frozen=True)
class Told:
    """What has ended, by number, with the candidates that it takes to show the best."""

    scores: Mapping[int, Score] = field(default_factory=dict)


class _InOrder:
    """Trials 0 to `evaluations` - 1 without generations: trial k is asked for once those it is bred from have ended."""

    evaluations: int
    slots: int

    def start(self) -> Told:
        return Told()

    def tell(self, state: Told, outcomes: Mapping[TrialId, Outcome]) -> Told:
        return Told({**state.scores, **{trial.number: score_of(one) for trial, one in outcomes.items()}})

    def reopen(self, state: Told, trials: Set[TrialId]) -> Told:
        gone = {trial.number for trial in trials}
        return Told({number: score for number, score in state.scores.items() if number not in gone})

    def ask(self, state: Told, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - no next generation
        unscored = (number for number in range(self._asked(state)) if number not in state.scores)
        return tuple(Trial.of(self.candidate(state, number)) for number in unscored)

    def finished(self, state: Told) -> bool:
        return len(state.scores) == self.evaluations

    def progress(self, state: Told) -> SearchProgress:
        fit = [
            (score.fitness, -number) for number, score in state.scores.items() if score.fitness is not None
        ]
        best = max(fit, default=None)
        verdict = best and (self.candidate(state, -best[1]), best[0])
        return SearchProgress(0, self._asked(state), (), state.scores, verdict, may_grow=True)

    def _asked(self, state: Told) -> int:
        """Trial k waits for all up to k - slots, whatever else has ended by then."""
        ended = next(number for number in range(self.evaluations + 1) if number not in state.scores)
        return min(self.evaluations, ended + self.slots)

    def candidate(self, state: Told, number: int) -> Candidate:
        raise NotImplementedError


@dataclass(frozen=True)
class LaggedStrategy(_InOrder):
    """Knows no generations: child k is bred from exactly the trials 0 to k - `slots`, so that no order of results, no kill
    and no number of workers changes it, while slots stay full.
    """

    evaluations: int = 12
    slots: int = 3
    seed: int = 0

    def candidate(self, state: Told, number: int) -> Candidate:
        known = [(state.scores[one].fitness or 0.0, -one) for one in range(number - self.slots + 1)]
        parent = (-max(known)[1],) if known else ()
        rng = np.random.default_rng([self.seed, number, *parent])
        genes = tuple(Conv(int(width)) for width in rng.integers(1, 99, size=3))
        origin = Origin.CROSSOVER if parent else Origin.INITIAL
        return Candidate(number, 0, Chromosome(genes, ()), origin, parent)


@dataclass(frozen=True)
class BitBreeder(_InOrder):
    """Breeds bit vectors: each generation of masks is one trial, and comes to the loss of each mask."""

    evaluations: int = 4
    slots: int = 1
    bits: int = 8

    def candidate(self, state: Told, number: int) -> Candidate:
        loss = sum(score.objectives.get("loss", 0.0) for n, score in state.scores.items() if n < number)
        rng = np.random.default_rng([number, int(10 * loss)])
        masks = tuple("".join(map(str, row)) for row in rng.integers(0, 2, size=(5, self.bits)))
        return Candidate(number, 0, Masks(masks), Origin.CROSSOVER if number else Origin.INITIAL)
