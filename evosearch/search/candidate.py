"""What a strategy proposes, and what it is told."""

from dataclasses import dataclass, field
from enum import StrEnum

from evosearch.evaluation import FailureKind
from evosearch.genome import Chromosome


class Origin(StrEnum):
    """How a candidate came into being."""

    INITIAL = "initial"
    """Drawn for generation 0."""
    IMMIGRANT = "immigrant"
    """Drawn for a later generation."""
    CROSSOVER = "crossover"
    """Child of two parents, crossed or copied."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chromosome with its place in the search.

    `number`: computed from (generation, slot), so the order of birth cannot change it; an elite keeps its
    own. `generation`: the one it was born into. `parents`: their numbers, two for a crossover, else none.
    `operators`: what made and mended it, in order and in words, for instance ("crossover 3|5", "shrink 2 at 4",
    "dropped the last pooling"). These are words for people: candidates that differ in nothing else are equal, so that
    a search goes on though another version would word them otherwise.
    """

    number: int
    generation: int
    chromosome: Chromosome = field(metadata={"key": "network"})  # as it is called in journals
    origin: Origin
    parents: tuple[int, ...] = ()
    operators: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Score:
    """What selection knows of a candidate: a fitness, or the kind of its failure; never both.

    `fitness`: validation accuracy, 0 to 1.
    """

    fitness: float | None = None
    failure: FailureKind | None = None

    def __post_init__(self) -> None:
        if (self.fitness is None) == (self.failure is None):
            raise ValueError(
                f"a score is either a fitness or a failure, found {self.fitness} and {self.failure}"
            )
        if self.fitness is not None and not 0 <= self.fitness <= 1:
            raise ValueError(f"a fitness lies between 0 and 1, found {self.fitness}")
