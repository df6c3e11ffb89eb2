"""The keys that every generational evolution has, whatever its operators: EAVL, and EVO-CNN beside it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Self

from evosearch.errors import ConfigError
from evosearch.evaluation import Measure
from evosearch.search.breeding import Operators
from evosearch.search.context import SearchContext, too_many_redraws
from evosearch.search.halving import Halving
from evosearch.search.selection import Selection

MOST = 100_000
"""More than any cluster trains; candidates' numbers must fit the journal."""


@dataclass(frozen=True)
class EvolutionKeys(ABC):
    """The evolution's size, and who becomes a parent. Each field is a key under `strategy`; defaults are the paper's."""

    name: str = ""
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
    redraws: int = 100
    """How often a random individual above a size limit is drawn again before the search gives up."""
    fitness: Measure = "accuracy"
    """What decides who is fitter, on the validation images after the last epoch: accuracy, balanced_accuracy, f1 (of the positive class of two, else the mean) or auroc; where it is not known, the accuracy."""
    selection: Selection = "squared"
    """How a parent's chance grows with its fitness: squared (the square of what it is above the lowest; the authors' released code) or proportionate (to the fitness itself; the paper's text)."""

    halving: Halving | None = None
    """At which epochs a generation's own members are compared, and the share of them that is trained on: `{epochs: [12, 35, 100], keep: 0.4}` trains all of them for 12 epochs, the best two fifths on to 35, and the best two fifths of those to the end; the last of `epochs` is `training.epochs`. Who is dropped may become a parent, but never an elite or the best. null: every training goes to its end."""

    repeats: int = 0
    """So many of each later generation's immigrants give way to further trainings of those that stand nearest to where elites are told from the others. A score is the mean of all trainings then, drawn towards the generation's mean by how noisy they are."""

    def __post_init__(self) -> None:
        self._check_least(population=2, generations=1, elites=0, immigrants=0, redraws=0, repeats=0)
        if self.repeats > self.immigrants:
            raise ConfigError(
                f"strategy.repeats is {self.repeats}, more than strategy.immigrants = {self.immigrants}, in whose place they are "
                "trained; lower it"
            )
        if self.repeats and self.halving:
            raise ConfigError(
                f"strategy.repeats is {self.repeats} while there is strategy.halving; leave one of the two out"
            )
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
        self._check_chances("crossover_probability")

    def _check_least(self, **least: int) -> None:
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"strategy.{name} is {getattr(self, name)}; it must be at least {value}")

    def _check_chances(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"strategy.{name} is {getattr(self, name)}; a chance lies between 0 and 1")

    @abstractmethod
    def operators(self, context: SearchContext) -> Operators:
        """How children are made in a search of these surroundings."""

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these, one line each; one that was begun before goes on."""
        return too_many_redraws(self.redraws)

    @property
    def born(self) -> int:
        """Children and immigrants per generation after the first."""
        return self.population - self.elites

    @property
    def evaluations_in_all(self) -> int:
        """How many candidates are evaluated: 810 in the paper; with halving, how many trials they have at most, each rung one."""
        return sum(self._trials(count) for count in self._births())

    @property
    def trained_in_all(self) -> float:
        """How many whole trainings that takes at most."""
        if self.halving is None:
            return self.evaluations_in_all
        return sum(map(self.halving.trained, self._births()))

    @property
    def networks_in_all(self) -> int:
        """How many networks are trained to their end at most."""
        if self.halving is None:
            return self.evaluations_in_all - self.repeats * (self.generations - 1)
        return self.rungs_in_all[-1][1]

    @property
    def rungs_in_all(self) -> tuple[tuple[int, int], ...]:
        """With halving: of each rung its epochs, and how many networks come to it at most, in all generations."""
        if self.halving is None:
            return ()
        each = zip(*map(self.halving.sizes, self._births()), strict=True)
        return tuple(zip(self.halving.epochs, map(sum, each), strict=True))

    def _births(self) -> Iterator[int]:
        """How many are born into each generation."""
        yield self.population
        yield from repeat(self.born, self.generations - 1)

    def _trials(self, count: int) -> int:
        """Of so many that are born together."""
        return count if self.halving is None else sum(self.halving.sizes(count))

    @property
    def has_time_limits(self) -> bool:
        """Its trainings are candidates of a search."""
        return True

    def with_generations(self, generations: int) -> Self:
        """The same evolution, longer or shorter."""
        return replace(self, generations=generations)
