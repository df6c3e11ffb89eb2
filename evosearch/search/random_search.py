"""Random search: the competitor that any evolution must beat (EAVL-COVID, ablation).

The paper draws 1000 architectures with a batch norm after every convolution: `space.batch_norm: 1`.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from evosearch.errors import ConfigError, SearchConflictError
from evosearch.evaluation import Candidate, Measure, Origin, Outcome, Trial, TrialId
from evosearch.search.context import Purpose, SearchContext, draw_feasible, stream, too_many_redraws
from evosearch.search.evolution import MOST
from evosearch.search.state import SearchProgress, SearchState


@dataclass(frozen=True)
class RandomSearchSettings:
    """How many architectures are drawn. Each field is a key under `strategy`."""

    name: Literal["random"] = "random"
    """Which strategy."""
    evaluations: int = 1000
    """Random individuals in all, one generation."""
    redraws: int = 100
    """How often a random individual above a size limit is drawn again before the search gives up."""
    fitness: Measure = "accuracy"
    """What decides who is fitter, on the validation images after the last epoch: accuracy, balanced_accuracy, f1 (of the positive class of two, else the mean) or auroc; where it is not known, the accuracy."""

    def __post_init__(self) -> None:
        if not 1 <= self.evaluations <= MOST:
            raise ConfigError(
                f"strategy.evaluations is {self.evaluations}; it must be at least 1 and at most {MOST:,}"
            )
        if self.redraws < 0:
            raise ConfigError(f"strategy.redraws is {self.redraws}; it must be at least 0")

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these, one line each; one that was begun before goes on."""
        return too_many_redraws(self.redraws)

    @property
    def generations(self) -> int:
        """All individuals are one generation."""
        return 1

    @property
    def evaluations_in_all(self) -> int:
        """As configured."""
        return self.evaluations

    @property
    def has_time_limits(self) -> bool:
        """Its trainings are candidates of a search."""
        return True

    def make(self, context: SearchContext) -> "RandomSearchStrategy":
        """The random search with these settings."""
        return RandomSearchStrategy(self, context)

    def with_generations(self, generations: int) -> "RandomSearchSettings":
        """Itself, which has one generation.

        Raises:
            SearchConflictError: another number is asked for.
        """
        if generations != 1:
            raise SearchConflictError(
                f"a random search is all one generation, not {generations}; leave --generations out"
            )
        return self


@dataclass(frozen=True)
class RandomSearchStrategy:
    """One generation of random individuals; see `Strategy` for the contract."""

    settings: RandomSearchSettings
    """How many individuals are drawn, and how."""
    context: SearchContext
    """The search's surroundings."""

    @property
    def evaluations(self) -> int:
        """As configured."""
        return self.settings.evaluations

    def start(self) -> SearchState:
        """All individuals at once."""
        return SearchState(0, tuple(self._draw(number) for number in range(self.settings.evaluations)))

    def ask(self, state: SearchState, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - no next generation
        """Members without a score."""
        return tuple(Trial.of(member) for member in state.members if member.number not in state.scores)

    def tell(self, state: SearchState, outcomes: Mapping[TrialId, Outcome]) -> SearchState:
        """Note the scores; nothing follows."""
        return state.with_outcomes(outcomes, self.settings.fitness)

    def reopen(self, state: SearchState, trials: Set[TrialId]) -> SearchState:
        """Forget their scores."""
        return state.without_scores(frozenset(trial.number for trial in trials))

    def progress(self, state: SearchState) -> SearchProgress:
        """The state's own."""
        return state.progress(self.evaluations)

    def finished(self, state: SearchState) -> bool:
        """Whether every individual has a score."""
        return state.complete

    def _draw(self, number: int) -> Candidate:
        rng = stream(self.context.seed, 0, Purpose.RANDOM_INDIVIDUAL, number)
        chromosome, drawn = draw_feasible(self.context, self.settings.redraws, rng)
        return Candidate(number, 0, chromosome, Origin.INITIAL, operations=drawn)
