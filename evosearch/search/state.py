"""The state of a generational search: all that a strategy remembers between calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from evosearch.evaluation import Candidate, Measure, Outcome, TrialId
from evosearch.search.candidate import Score, SearchProgress, score_of


@dataclass(frozen=True)
class SearchState:
    """A population, and what is known of it.

    `generation`: the one being evaluated, from 0. `members`: its population by slot, elites first. `scores`:
    by candidate number, of members and of immigrants asked for early. `best`: the candidate with the highest
    fitness over all finished generations, ties to the lower number, with that fitness; None until one
    finished with a success.
    """

    generation: int
    members: tuple[Candidate, ...]
    scores: Mapping[int, Score] = field(default_factory=dict)
    best: tuple[Candidate, float] | None = None

    @property
    def complete(self) -> bool:
        """Whether every member has a score."""
        return all(member.number in self.scores for member in self.members)

    def progress(self, asked: int) -> SearchProgress:
        """What others see of it; `asked`: as there."""
        best = self.best_with_members()
        return SearchProgress(self.generation, asked, self.members, self.scores, best, self.best)

    def with_outcomes(
        self, outcomes: Mapping[TrialId, Outcome], measure: Measure = "accuracy"
    ) -> "SearchState":
        """This state knowing `outcomes` too, of candidates that are trained once each, in whatever order they came; their
        fitness is that by `measure`.
        """
        return self.with_scores({trial.number: score_of(one, measure) for trial, one in outcomes.items()})

    def with_scores(self, scores: Mapping[int, Score]) -> "SearchState":
        """This state knowing `scores` too, in whatever order they came."""
        return replace(self, scores={**self.scores, **scores})

    def without_scores(self, numbers: frozenset[int]) -> "SearchState":
        """This state as if the candidates `numbers` had not been evaluated."""
        return replace(self, scores={n: score for n, score in self.scores.items() if n not in numbers})

    def best_with_members(self) -> tuple[Candidate, float] | None:
        """`best`, counting this generation's scores too: the reference of balance, and the search's result."""
        contenders = [] if self.best is None else [self.best]
        for member in self.members:
            score = self.scores.get(member.number)
            if score is not None and score.fitness is not None:
                contenders.append((member, score.fitness))
        return max(contenders, key=lambda pair: (pair[1], -pair[0].number), default=None)
