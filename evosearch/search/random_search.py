"""Random search: the competitor that any evolution must beat (EAVL-COVID, ablation).

The paper draws 1000 architectures with a batch norm after every convolution: `space.batch_norm: 1`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evosearch.blueprint import Limits
from evosearch.errors import ConfigError
from evosearch.genome import SearchSpace
from evosearch.search.candidate import Candidate, Origin, Score
from evosearch.search.chance import Purpose, stream
from evosearch.search.drawing import draw_feasible
from evosearch.search.eavl import MOST
from evosearch.search.state import SearchState


@dataclass(frozen=True)
class RandomSearchSettings:
    """How many architectures are drawn. Each field is a key under `strategy`."""

    name: Literal["random"] = "random"
    """Which strategy."""
    evaluations: int = 1000
    """Random individuals in all, one generation."""
    redraws: int = 100
    """How often a random individual above a size limit is drawn again before the search gives up."""

    def __post_init__(self) -> None:
        if not 1 <= self.evaluations <= MOST:
            raise ConfigError(
                f"strategy.evaluations is {self.evaluations}; it must be at least 1 and at most {MOST:,}"
            )
        if self.redraws < 0:
            raise ConfigError(f"strategy.redraws is {self.redraws}; it must be at least 0")

    def evaluations_of(self, generations: int) -> int:
        """How many candidates `generations` generations evaluate; there is but one."""
        return self.evaluations * generations


@dataclass(frozen=True)
class RandomSearchStrategy:
    """One generation of random individuals; see `Strategy` for the contract."""

    settings: RandomSearchSettings
    space: SearchSpace
    limits: Limits
    seed: int

    @property
    def evaluations(self) -> int:
        """As configured."""
        return self.settings.evaluations

    def start(self) -> SearchState:
        """All individuals at once."""
        return SearchState(0, tuple(self._draw(number) for number in range(self.settings.evaluations)))

    def ask(self, state: SearchState, *, early: bool = False) -> tuple[Candidate, ...]:  # noqa: ARG002 - no next generation
        """Members without a score."""
        return tuple(member for member in state.members if member.number not in state.scores)

    def tell(self, state: SearchState, scores: Mapping[int, Score]) -> SearchState:
        """Note the scores; nothing follows."""
        return state.with_scores(scores)

    def finished(self, state: SearchState) -> bool:
        """Whether every individual has a score."""
        return state.complete

    def _draw(self, number: int) -> Candidate:
        rng = stream(self.seed, 0, Purpose.RANDOM_INDIVIDUAL, number)
        chromosome, notes = draw_feasible(self.space, self.limits, self.settings.redraws, rng)
        return Candidate(number, 0, chromosome, Origin.INITIAL, operators=notes)
