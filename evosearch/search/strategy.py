"""What every strategy is, and the registration of those there are."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from evosearch.blueprint import NetworkSize
from evosearch.evaluation import HandMadeRule, Measure, Outcome, Trial, TrialId
from evosearch.registry import Registry
from evosearch.search.context import SearchContext
from evosearch.search.eavl import EavlSettings
from evosearch.search.evo_cnn import EvoCnnSettings
from evosearch.search.fixed_list import FixedListSettings
from evosearch.search.masks import FeaturesSettings, MasksSettings, OverFeatures
from evosearch.search.random_search import RandomSearchSettings
from evosearch.search.state import SearchProgress

State = TypeVar("State")


class Strategy(Protocol[State]):
    """Ask/tell on frozen state, which is the strategy's own affair; nothing is remembered between calls.

    Contract (tested by `evosearch.testing.strategy_contract`). *Replay*, which every strategy promises: equal arguments give
    equal results, so that a state follows from what was reported and in which order. *Generational* ones promise besides that
    this order changes nothing, and that a candidate's number depends on its generation and slot alone.
    """

    @property
    def evaluations(self) -> int:
        """How many trials the whole search has; where some are asked for of what did not fail alone, at most."""
        ...

    def start(self) -> State:
        """Nothing trained.

        Raises:
            InfeasibleSpaceError: the space holds (almost) nothing within its limits.
        """
        ...

    def ask(self, state: State, *, early: bool = False) -> tuple[Trial, ...]:
        """The trials that may be trained now and have no outcome, by number; of a generational strategy all of the
        generation's.

        `early`: then also the next generation's immigrants without one, whose genes depend on no result: as long as the
        generation and `asked` of `progress` are the same, no others come to them.
        """
        ...

    def tell(self, state: State, outcomes: Mapping[TrialId, Outcome]) -> State:
        """The state knowing `outcomes` too; once a generation is complete, the next one's start, unless it
        was the last. Telling nothing to a complete state goes on likewise: after an extension, and where all of a
        generation were reported early.

        Raises:
            InfeasibleSpaceError: as `start`, for an immigrant.
        """
        ...

    def reopen(self, state: State, trials: Set[TrialId]) -> State:
        """The state as if `trials` had no outcome; only of those whose scores `progress` shows, and which decided nothing
        yet.
        """
        ...

    def progress(self, state: State) -> SearchProgress:
        """What the driver and displays see of a state."""
        ...

    def finished(self, state: State) -> bool:
        """Whether nothing is left to train."""
        ...


AnyStrategy: TypeAlias = Strategy[Any]
"""A strategy whose state is nobody's business."""


def measure_of(settings: object) -> Measure:
    """What the strategy of these settings goes by: their key `fitness`, or the accuracy where they have none."""
    measure: Measure = getattr(settings, "fitness", "accuracy")
    return measure


def hand_made_rule(settings: object) -> HandMadeRule:
    """How the strategy of these settings has hand-made networks built; only lists have any."""
    rule: HandMadeRule = getattr(settings, "hand_made", "kaiming")
    return rule


def sizes_of(settings: object) -> Mapping[str, NetworkSize]:
    """Of the networks that were measured before the search with these settings began, by their texts; only lists have any."""
    sizes: Mapping[str, NetworkSize] = getattr(settings, "sizes", {})
    return sizes


def features_of(settings: object) -> OverFeatures | None:
    """The settings themselves, where their trials make features or rest on them; None everywhere else."""
    return settings if isinstance(settings, OverFeatures) else None


class StrategySettings(Protocol):
    """What the settings of a strategy do besides holding its keys: they make it, extend it and count it.

    A new strategy is a file with such a class, a frozen dataclass, and its registration: below, or as an entry point of the
    group `evosearch.strategies`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of the strategy, in configurations and journals."""
        ...

    @property
    def generations(self) -> int:
        """How many there are in all; 1 where a strategy knows none."""
        ...

    @property
    def evaluations_in_all(self) -> int:
        """As `Strategy.evaluations`."""
        ...

    @property
    def has_time_limits(self) -> bool:
        """Whether `workers.soft_seconds` and `workers.hard_seconds` hold for its trials; hanging is noticed always."""
        ...

    def make(self, context: SearchContext) -> AnyStrategy:
        """The strategy itself."""
        ...

    def with_generations(self, generations: int) -> "StrategySettings":
        """The same search with that many generations in all.

        Raises:
            SearchConflictError: this strategy cannot have so many.
        """
        ...


STRATEGIES = Registry[StrategySettings](
    "strategy",
    "evosearch.strategies",
    [
        EavlSettings,
        RandomSearchSettings,
        EvoCnnSettings,
        FixedListSettings,
        FeaturesSettings,
        MasksSettings,
    ],
    StrategySettings,
)
"""Every strategy there is."""
