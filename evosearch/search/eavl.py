"""EAVL: evolution of variable-length chromosomes in a dynamic search space.

Source: Gong et al., "Analyze COVID-19 CT images based on evolutionary algorithm with dynamic searching
space", Complex & Intelligent Systems, 2021, doi 10.1007/s40747-021-00513-8. Read `EavlStrategy.tell` first.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from evosearch.errors import ConfigError
from evosearch.evaluation import Candidate, Origin, Outcome, Trial, TrialId
from evosearch.search.breeding import Breeding, breed
from evosearch.search.context import Purpose, SearchContext, draw_feasible, stream
from evosearch.search.evolution import EvolutionKeys
from evosearch.search.halving import Halving, next_trial, with_rung_decided
from evosearch.search.repeating import chosen, contenders, with_repeats_counted
from evosearch.search.state import SearchProgress, SearchState, final_fitness
from evosearch.search.survival import elites


@dataclass(frozen=True)
class EavlSettings(EvolutionKeys):
    """The evolution's size and thresholds. Each field is a key under `strategy`; defaults are the paper's."""

    name: Literal["eavl"] = "eavl"
    """Which strategy."""
    phi: int = 4
    """Balance threshold in genes: a head this much longer than the best one shrinks, a shorter one than this grows."""
    shrink_deviation: float = 1.0
    """Spread of the number of genes that a shrink removes."""
    balance: bool = True
    """Whether children are balanced; false: heads become as long as crossover makes them, as in an ablation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(phi=1)
        if not 0.01 <= self.shrink_deviation <= 100:
            raise ConfigError(
                f"strategy.shrink_deviation is {self.shrink_deviation}; it must lie between 0.01 and 100 genes"
            )

    def operators(self, context: SearchContext) -> Breeding:
        """EAVL's crossover and balance."""
        return Breeding(
            self.crossover_probability,
            self.phi,
            self.shrink_deviation,
            context,
            self.selection,
            self.balance,
        )

    def make(self, context: SearchContext) -> "EavlStrategy":
        """The evolution with these settings."""
        return EavlStrategy(self, context)


@dataclass(frozen=True)
class EavlStrategy:
    """EAVL as ask/tell; see `Strategy` for the contract. What is EAVL's alone is in the operators that its settings make."""

    settings: EvolutionKeys
    """The size of the evolution, and its operators."""
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
        """Members without a score, to the rung that the generation is at; with `early` also the next generation's immigrants,
        from their own stream, to the first one.
        """
        wanted = state.members
        if early and state.generation + 1 < self.settings.generations:
            wanted += self._immigrants(state.generation + 1)[
                : self.settings.immigrants - self.settings.repeats
            ]
        unscored = (candidate for candidate in wanted if candidate.number not in state.scores)
        trials = [next_trial(state, one, self.settings.halving) for one in unscored]
        trials += (one.trial for one in state.again if one.number not in state.scores)
        return tuple(sorted(trials, key=lambda trial: trial.number))

    def tell(self, state: SearchState, outcomes: Mapping[TrialId, Outcome]) -> SearchState:
        """Note the scores; a complete rung is decided, and a complete generation gives way to elites, then children, then
        immigrants.

        To one generation at a time, also where all of it were reported early, as immigrants alone may be: each is journaled
        as it starts.
        """
        state = self._decided(state.with_outcomes(outcomes, self.settings.fitness))
        return self._next_generation(state) if state.complete and not self._is_last(state) else state

    def reopen(self, state: SearchState, trials: Set[TrialId]) -> SearchState:
        """Forget their scores; of a rung that was decided they are history."""
        halving = self.settings.halving
        if halving is not None:
            trials = {one for one in trials if self._is_undecided(state, one, halving)}
        return state.without_scores(frozenset(trial.number for trial in trials))

    def progress(self, state: SearchState) -> SearchProgress:
        """The state's own."""
        asked = self.settings.population + state.generation * self.settings.born + state.continued
        if self.settings.repeats:  # while they run, nobody leads whose trainings do not count yet
            now = with_repeats_counted(state)[0] if state.complete else state
            return replace(state.progress(asked), best=now.best)
        halving = self.settings.halving
        return state.progress(asked, None if halving is None else halving.until(state.rung))

    def finished(self, state: SearchState) -> bool:
        """Whether the last generation is complete."""
        return state.complete and self._is_last(state)

    def _decided(self, state: SearchState) -> SearchState:
        halving = self.settings.halving
        return state if halving is None else with_rung_decided(state, halving)

    @staticmethod
    def _is_undecided(state: SearchState, trial: TrialId, halving: Halving) -> bool:
        own = any(member.number == trial.number for member in state.members)
        return trial.until == halving.until(state.rung if own else 0)

    def _next_generation(self, state: SearchState) -> SearchState:
        if self.settings.repeats:
            return self._next_with_repeats(state)
        generation = state.generation + 1
        survivors = elites(self._eligible(state), state.scores, self.settings.elites)
        members = (*survivors, *self._children(state), *self._immigrants(generation))
        known = {m.number: state.scores[m.number] for m in members if m.number in state.scores}
        best, continued = state.best_with_members(), state.continued
        return self._decided(SearchState(generation, members, known, best, continued=continued))

    def _next_with_repeats(self, state: SearchState) -> SearchState:
        counted, trials = with_repeats_counted(state)
        generation, settings = state.generation + 1, self.settings
        survivors = elites(contenders(counted), counted.scores, settings.elites)
        slots = range(settings.born - settings.repeats, settings.born)
        numbers = [self._number(generation, slot) for slot in slots]
        again = chosen(counted, trials, settings.elites, numbers)
        taken = {one.number for one in again}
        immigrants = (one for one in self._immigrants(generation) if one.number not in taken)
        members = (*survivors, *self._children(counted), *immigrants)
        known = {
            m.number: score
            for m in members
            if (score := (counted if m in survivors else state).scores.get(m.number))
        }
        best = () if counted.best is None else (counted.best[0],)
        kept = {
            one.number: trials[one.number] for one in (*survivors, *(one.candidate for one in again), *best)
        }
        return SearchState(
            generation, members, known, counted.best, again=again, trials=kept, spread=counted.spread
        )

    def _eligible(self, state: SearchState) -> Iterable[Candidate]:
        """Who may live on: with halving only who was trained to its end, which may be fewer than elites are wanted."""
        if self.settings.halving is None:
            return state.members
        return (one for one in state.members if final_fitness(state.scores[one.number]) is not None)

    def _is_last(self, state: SearchState) -> bool:
        return state.generation + 1 >= self.settings.generations

    def _number(self, generation: int, slot: int) -> int:
        """Computed, not counted, so that asking early for immigrants changes no number."""
        if generation == 0:
            return slot
        return self.settings.population + (generation - 1) * self.settings.born + slot

    def _children(self, state: SearchState) -> tuple[Candidate, ...]:
        generation = state.generation + 1
        count = self.settings.born - self.settings.immigrants
        children = breed(state, count, self.settings.operators(self.context))
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
