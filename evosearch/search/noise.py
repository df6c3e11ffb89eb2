"""How far one training differs from another of the same network, as a search has seen it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import variance
from typing import TypeAlias

from evosearch.evaluation import Candidate, Trial

MOST_NOISE = 1e3
"""The highest r: where nothing but noise is seen, trainings still count."""

Fitness: TypeAlias = tuple[float | None, ...]
"""What each training of a candidate came to, in order; None where it failed."""


@dataclass(frozen=True, slots=True)
class Again:
    """A further training of a candidate, in the slot of an immigrant."""

    number: int
    """The trial's, which is the slot's."""
    candidate: Candidate
    """What is trained again."""
    repeat: int
    """As in `Trial`, from 1."""

    @property
    def trial(self) -> Trial:
        """The training itself."""
        return Trial(self.number, self.candidate, repeat=self.repeat)


@dataclass(frozen=True, slots=True)
class Spread:
    """What a search has seen of the noise of trainings: sums over candidates that were trained several times."""

    squares: float = 0.0
    """Of the distances of trainings from their candidate's mean."""
    degrees: int = 0
    """Of freedom: trainings less candidates."""

    def with_repeats(self, before: Mapping[int, Fitness], after: Mapping[int, Fitness]) -> "Spread":
        """Knowing the trainings too that came to those of `before`."""
        squares, degrees = self.squares, self.degrees
        for number, fitness in after.items():
            for sign, some in ((1, fitness), (-1, before.get(number, ()))):
                known = [one for one in some if one is not None]
                if len(known) > 1:
                    squares += sign * variance(known) * (len(known) - 1)
                    degrees += sign * (len(known) - 1)
        return Spread(squares, degrees)

    def noise(self, firsts: Iterable[float]) -> float:
        """r: the variance of a training's noise to that of what networks are worth; 0 while nothing is known of it.

        `firsts`: of one training of each member of a generation.
        """
        fitness = list(firsts)
        if not self.degrees or len(fitness) < 2:
            return 0.0
        noise = max(0.0, self.squares / self.degrees)
        worth = variance(fitness) - noise
        return (
            min(MOST_NOISE, noise / worth) if worth > noise / MOST_NOISE else (MOST_NOISE if noise else 0.0)
        )
