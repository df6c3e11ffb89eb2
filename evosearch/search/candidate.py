"""What a strategy remembers of a candidate: a score; and what others see of a strategy: its progress."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from evosearch.evaluation import Candidate, Failure, FailureKind, Losses, Measure, Outcome, Success


@dataclass(frozen=True, slots=True)
class Score:
    """What selection knows of a candidate: a fitness, or the kind of its failure; never both.

    `fitness`: on the validation images, by what the strategy goes by, 0 to 1; None also where a strategy goes by `objectives` alone. `objectives`: further
    figures by name, in the strategy's own units.
    """

    fitness: float | None = None
    failure: FailureKind | None = None
    objectives: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if (self.fitness is None and not self.objectives) == (self.failure is None):
            raise ValueError(
                f"a score is either a fitness or a failure, found {self.fitness} and {self.failure}"
            )
        if self.fitness is not None and not 0 <= self.fitness <= 1:
            raise ValueError(f"a fitness lies between 0 and 1, found {self.fitness}")


def score_of(outcome: Outcome, measure: Measure = "accuracy") -> Score:
    """The score of a candidate that is trained once: its fitness by `measure`, its lowest loss, or how it failed."""
    match outcome:
        case Success():
            return Score(fitness=outcome.by(measure))
        case Losses(losses):
            return Score(objectives={"loss": min(losses)})
        case Failure(kind):
            return Score(failure=kind)
    assert_never(outcome)


@dataclass(frozen=True)
class SearchProgress:
    """What the driver and displays see of a strategy's state, whatever else is in it.

    `generation`: the one being evaluated, from 0. `asked`: how many trials may be trained by now, those that have ended
    included and early ones not: where it grows, somebody is to be born. `members`: its population, elites first; where a strategy knows no
    generations, what it breeds from. `scores`: by candidate number, of all that may still matter: of members, and of
    immigrants that were trained early. `best`: the strategy's verdict so far, with its fitness, None until something
    succeeded. `best_before`: the same as the generation began. `may_grow`: members and trials may still come to this generation, as they
    do where a list is made longer.
    """

    generation: int
    asked: int
    members: tuple[Candidate, ...]
    scores: Mapping[int, Score]
    best: tuple[Candidate, float] | None = None
    best_before: tuple[Candidate, float] | None = None
    may_grow: bool = False

    @property
    def fitness(self) -> list[float]:
        """Fitness of the members that have one, in their order."""
        scores = (self.scores.get(member.number) for member in self.members)
        return [score.fitness for score in scores if score is not None and score.fitness is not None]
