"""What every strategy is, and the choice between them."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from evosearch.blueprint import Limits
from evosearch.genome import SearchSpace
from evosearch.search.candidate import Candidate, Score
from evosearch.search.eavl import EavlSettings, EavlStrategy
from evosearch.search.random_search import RandomSearchSettings, RandomSearchStrategy
from evosearch.search.state import SearchState

StrategySettings: TypeAlias = EavlSettings | RandomSearchSettings


class Strategy(Protocol):
    """Ask/tell on frozen state; nothing is remembered between calls.

    Contract (tested by `evosearch.testing.strategy_contract.StrategyContract`): equal arguments give equal results; the order
    in which scores are told never changes what follows; a candidate's number depends on its generation and
    slot alone.
    """

    @property
    def evaluations(self) -> int:
        """How many candidates the whole search evaluates."""
        ...

    def start(self) -> SearchState:
        """Generation 0, nothing evaluated.

        Raises:
            InfeasibleSpaceError: the space holds (almost) nothing within its limits.
        """
        ...

    def ask(self, state: SearchState, *, early: bool = False) -> tuple[Candidate, ...]:
        """The generation's members without a score, by number.

        `early`: then also the next generation's immigrants without one, whose genes depend on no result.
        """
        ...

    def tell(self, state: SearchState, scores: Mapping[int, Score]) -> SearchState:
        """The state knowing `scores` too; once the generation is complete, the next one's start, unless it
        was the last. Telling nothing to a complete state goes on likewise, after an extension.

        Raises:
            InfeasibleSpaceError: as `start`, for an immigrant.
        """
        ...

    def finished(self, state: SearchState) -> bool:
        """Whether the last generation is complete."""
        ...


def make_strategy(settings: StrategySettings, space: SearchSpace, limits: Limits, seed: int) -> Strategy:
    """The strategy that `settings` names. `seed`: the search's, at least 0."""
    if isinstance(settings, EavlSettings):
        return EavlStrategy(settings, space, limits, seed)
    return RandomSearchStrategy(settings, space, limits, seed)
