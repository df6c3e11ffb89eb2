"""EAVL: evolution of variable-length chromosomes in a dynamic search space.

Source: Gong et al., "Analyze COVID-19 CT images based on evolutionary algorithm with dynamic searching
space", Complex & Intelligent Systems, 2021, doi 10.1007/s40747-021-00513-8. Read `EavlStrategy.tell` first.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from evosearch.errors import ConfigError
from evosearch.evaluation import Candidate, Measure, Origin, Outcome, Trial, TrialId
from evosearch.search.breeding import Breeding, breed
from evosearch.search.context import Purpose, SearchContext, draw_feasible, stream, too_many_redraws
from evosearch.search.selection import Selection
from evosearch.search.state import SearchProgress, SearchState
from evosearch.search.survival import elites

MOST = 100_000
"""More than any cluster trains; candidates' numbers must fit the journal."""


@dataclass(frozen=True)
class EavlSettings:
    """The evolution's size and thresholds. Each field is a key under `strategy`; defaults are the paper's."""

    name: Literal["eavl"] = "eavl"
    """Which strategy."""
    population: int = 50
    """Individuals per generation."""
    generations: int = 20
    """Generations in all, the initial population included: 20 are 0..19."""
    elites: int = 10
    """Best distinct individuals that live on with their fitness."""
    immigrants: int = 10
    """New random individuals per generation; the rest of the population are children."""
    crossover_probability: float = 0.9
    """Chance that a pair of parents is crossed; otherwise it is copied."""
    phi: int = 4
    """Balance threshold in genes: a head this much longer than the best one shrinks, a shorter one than this grows."""
    shrink_deviation: float = 1.0
    """Spread of the number of genes that a shrink removes."""
    redraws: int = 100
    """How often a random individual above a size limit is drawn again before the search gives up."""
    fitness: Measure = "accuracy"
    """What decides who is fitter, on the validation images after the last epoch: accuracy, balanced_accuracy, f1 (of the positive class of two, else the mean) or auroc; where it is not known, the accuracy."""
    selection: Selection = "squared"
    """How a parent's chance grows with its fitness: squared (the square of what it is above the lowest; the authors' released code) or proportionate (to the fitness itself; the paper's text)."""

    def __post_init__(self) -> None:
        for name, least in (
            ("population", 2),
            ("generations", 1),
            ("elites", 0),
            ("immigrants", 0),
            ("phi", 1),
            ("redraws", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"strategy.{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("population", "generations"):
            if getattr(self, name) > MOST:
                raise ConfigError(f"strategy.{name} is {getattr(self, name)}; it must be at most {MOST:,}")
        if self.elites + self.immigrants > self.population:
            raise ConfigError(
                f"strategy.population is {self.population}, smaller than elites + immigrants = "
                f"{self.elites} + {self.immigrants}; raise the population or lower the others"
            )
        if self.elites == self.population:
            raise ConfigError(
                f"strategy.elites is {self.elites}, the whole population; nothing new would be born"
            )
        if not 0 <= self.crossover_probability <= 1:
            raise ConfigError(
                f"strategy.crossover_probability is {self.crossover_probability}; a chance lies between 0 and 1"
            )
        if not 0.01 <= self.shrink_deviation <= 100:
            raise ConfigError(
                f"strategy.shrink_deviation is {self.shrink_deviation}; it must lie between 0.01 and 100 genes"
            )

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these, one line each; one that was begun before goes on."""
        return too_many_redraws(self.redraws)

    @property
    def born(self) -> int:
        """Children and immigrants per generation after the first."""
        return self.population - self.elites

    @property
    def evaluations_in_all(self) -> int:
        """How many candidates are evaluated: 810 in the paper."""
        return self.population + (self.generations - 1) * self.born

    @property
    def has_time_limits(self) -> bool:
        """Its trainings are candidates of a search."""
        return True

    def make(self, context: SearchContext) -> "EavlStrategy":
        """The evolution with these settings."""
        return EavlStrategy(self, context)

    def with_generations(self, generations: int) -> "EavlSettings":
        """The same evolution, longer or shorter."""
        return replace(self, generations=generations)


@dataclass(frozen=True)
class EavlStrategy:
    """EAVL as ask/tell; see `Strategy` for the contract."""

    settings: EavlSettings
    """The size and thresholds of the evolution."""
    context: SearchContext
    """The search's surroundings."""

    @property
    def evaluations(self) -> int:
        """As the settings say."""
        return self.settings.evaluations_in_all

    def start(self) -> SearchState:
        """Generation 0: random individuals."""
        return SearchState(
            0, tuple(self._random(0, slot, Origin.INITIAL) for slot in range(self.settings.population))
        )

    def ask(self, state: SearchState, *, early: bool = False) -> tuple[Trial, ...]:
        """Members without a score; with `early` also the next generation's immigrants, from their own stream."""
        wanted = state.members
        if early and state.generation + 1 < self.settings.generations:
            wanted += self._immigrants(state.generation + 1)
        unscored = (candidate for candidate in wanted if candidate.number not in state.scores)
        return tuple(Trial.of(one) for one in sorted(unscored, key=lambda candidate: candidate.number))

    def tell(self, state: SearchState, outcomes: Mapping[TrialId, Outcome]) -> SearchState:
        """Note the scores; a complete generation gives way to elites, then children, then immigrants.

        To one generation at a time, also where all of it were reported early, as immigrants alone may be: each is journaled
        as it starts.
        """
        state = state.with_outcomes(outcomes, self.settings.fitness)
        return self._next_generation(state) if state.complete and not self._is_last(state) else state

    def reopen(self, state: SearchState, trials: Set[TrialId]) -> SearchState:
        """Forget their scores."""
        return state.without_scores(frozenset(trial.number for trial in trials))

    def progress(self, state: SearchState) -> SearchProgress:
        """The state's own."""
        return state.progress(self.settings.population + state.generation * self.settings.born)

    def finished(self, state: SearchState) -> bool:
        """Whether the last generation is complete."""
        return state.complete and self._is_last(state)

    def _next_generation(self, state: SearchState) -> SearchState:
        generation = state.generation + 1
        survivors = elites(state.members, state.scores, self.settings.elites)
        members = (*survivors, *self._children(state), *self._immigrants(generation))
        known = {m.number: state.scores[m.number] for m in members if m.number in state.scores}
        return SearchState(generation, members, known, state.best_with_members())

    def _is_last(self, state: SearchState) -> bool:
        return state.generation + 1 >= self.settings.generations

    def _number(self, generation: int, slot: int) -> int:
        """Computed, not counted, so that asking early for immigrants changes no number."""
        if generation == 0:
            return slot
        return self.settings.population + (generation - 1) * self.settings.born + slot

    def _children(self, state: SearchState) -> tuple[Candidate, ...]:
        settings = self.settings
        breeding = Breeding(
            settings.crossover_probability,
            settings.phi,
            settings.shrink_deviation,
            self.context,
            settings.selection,
        )
        generation = state.generation + 1
        children = breed(state, self.settings.born - settings.immigrants, breeding)
        return tuple(
            Candidate(
                self._number(generation, slot),
                generation,
                child.chromosome,
                Origin.CROSSOVER,
                child.parents,
                operations=child.operations,
            )
            for slot, child in enumerate(children)
        )

    def _immigrants(self, generation: int) -> tuple[Candidate, ...]:
        return _immigrants(self, generation)

    def _random(self, generation: int, slot: int, origin: Origin) -> Candidate:
        rng = stream(self.context.seed, generation, Purpose.RANDOM_INDIVIDUAL, slot)
        chromosome, drawn = draw_feasible(self.context, self.settings.redraws, rng)
        return Candidate(self._number(generation, slot), generation, chromosome, origin, operations=drawn)


@lru_cache(maxsize=64)
def _immigrants(strategy: EavlStrategy, generation: int) -> tuple[Candidate, ...]:
    """A driver with idle workers asks for them at every result."""
    first, born = strategy.settings.born - strategy.settings.immigrants, strategy.settings.born
    return tuple(strategy._random(generation, slot, Origin.IMMIGRANT) for slot in range(first, born))
