"""The individuals of a generational search, with their scores, and what of a search others see."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import Literal, assert_never

from evosearch.evaluation import (
    Candidate,
    Failure,
    FailureKind,
    Features,
    Losses,
    Measure,
    Outcome,
    Success,
    TrialId,
)
from evosearch.search.noise import Again, Fitness, Spread


@dataclass(frozen=True, slots=True)
class Score:
    """What selection knows of a candidate: a fitness, or the kind of its failure; never both."""

    fitness: float | None = None
    """On the validation images, by what the strategy goes by, 0 to 1. None after a failure, where a strategy
    goes by `objectives` alone, and where it is `unjudged`.
    """
    failure: FailureKind | None = None
    """Its kind; None where it succeeded."""
    objectives: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Further figures by name, in the strategy's own units."""
    unjudged: bool = False
    """It succeeded without a fitness: the images to judge by were trained on too, or there was nothing to judge."""
    until: int | None = None
    """Of a training that came to a rung only, or failed on the way there, that one's epochs; None: of one to its end."""

    def __post_init__(self) -> None:
        succeeded = self.fitness is not None or bool(self.objectives) or self.unjudged
        if succeeded == (self.failure is not None):
            raise ValueError(
                f"a score is either a fitness or a failure, found {self.fitness} and {self.failure}"
            )
        if self.fitness is not None and not 0 <= self.fitness <= 1:
            raise ValueError(f"a fitness lies between 0 and 1, found {self.fitness}")


def final_fitness(score: Score) -> float | None:
    """The fitness of a candidate that was trained to its end; None of any other."""
    return score.fitness if score.until is None else None


def score_of(outcome: Outcome, measure: Measure = "accuracy", until: int | None = None) -> Score:
    """The score of a candidate that is trained once: its fitness by `measure`, its lowest loss, or how it failed; diverged where
    no loss is a number. Trained on what would judge it, or kept as features, it has none of these. `until`: as in `Score`.
    """
    match outcome:
        case Success():
            fitness = outcome.by(measure)
            return Score(fitness=fitness, unjudged=fitness is None, until=until)
        case Losses(losses):
            known = [loss for loss in losses if isfinite(loss)]
            return Score(objectives={"loss": min(known)}) if known else Score(failure=FailureKind.DIVERGED)
        case Features():
            return Score(unjudged=True)
        case Failure(kind):
            return Score(failure=kind, until=until)
    assert_never(outcome)


@dataclass(frozen=True)
class SearchProgress:
    """What the driver and displays see of a strategy's state, whatever else is in it."""

    generation: int
    """The one being evaluated, from 0."""
    asked: int
    """How many trials may be trained by now, those that have ended included and early ones not: where it
    grows, somebody is to be born.
    """
    members: tuple[Candidate, ...]
    """Its population, elites first; where a strategy knows no generations, what it breeds from."""
    scores: Mapping[int, Score]
    """By candidate number, of all that may still matter: of members, and of immigrants that were trained
    early.
    """
    best: tuple[Candidate, float] | None = None
    """The strategy's verdict so far, with its fitness, or what else it goes `by`; None until something succeeded."""
    best_before: tuple[Candidate, float] | None = None
    """The same as the generation began."""
    may_grow: bool = False
    """Members and trials may still come to this generation, as they do where a list is made longer."""
    by: Literal["fitness", "loss"] = "fitness"
    """What the best has most of, or least: losses are the better the lower they are."""
    note: str = ""
    """What else there is to say of the best, in a few words."""
    until: int | None = None
    """The epochs of the rung to which its members are being trained; None: to their end."""

    @property
    def fitness(self) -> list[float]:
        """Fitness of the members that were trained to their end, in their order."""
        scores = (self.scores.get(member.number) for member in self.members)
        judged = (final_fitness(score) for score in scores if score is not None)
        return [fitness for fitness in judged if fitness is not None]


@dataclass(frozen=True)
class SearchState:
    """A population, and what is known of it."""

    generation: int
    """The one being evaluated, from 0."""
    members: tuple[Candidate, ...]
    """Its population by slot, elites first."""
    scores: Mapping[int, Score] = field(default_factory=dict)
    """By candidate number, of members and of immigrants asked for early. Where there are rungs, a member that goes on has none
    until it comes to the next one; one that was dropped keeps its last.
    """
    best: tuple[Candidate, float] | None = None
    """The candidate with the highest fitness over all finished generations, ties to the lower number,
    with that fitness; None until one finished with a success.
    """
    rung: int = 0
    """The one to which the generation's own members are being trained, from 0; always 0 where there is no halving."""
    continued: int = 0
    """How many trials of rungs beyond the first there have been, in all generations."""
    again: tuple[Again, ...] = ()
    """Further trainings in this generation, whose scores are beside the members' under the trials' numbers; none where nothing is
    repeated."""
    trials: Mapping[int, Fitness] = field(default_factory=dict)
    """Of those generations before: of elites, of whoever is trained again now, and of the best, by number of the candidate."""
    spread: Spread = field(default_factory=Spread)
    """What is known of the noise of trainings."""

    @property
    def complete(self) -> bool:
        """Whether every member has a score, and every further training."""
        members = all(member.number in self.scores for member in self.members)
        return members and all(one.number in self.scores for one in self.again)

    def progress(self, asked: int, until: int | None = None) -> SearchProgress:
        """What others see of it; `asked` and `until`: as there."""
        best = self.best_with_members()
        return SearchProgress(self.generation, asked, self.members, self.scores, best, self.best, until=until)

    def with_outcomes(
        self, outcomes: Mapping[TrialId, Outcome], measure: Measure = "accuracy"
    ) -> "SearchState":
        """This state knowing `outcomes` too, of one trial of each candidate, in whatever order they came; their fitness is
        that by `measure`.
        """
        return self.with_scores(
            {trial.number: score_of(one, measure, trial.until) for trial, one in outcomes.items()}
        )

    def with_scores(self, scores: Mapping[int, Score]) -> "SearchState":
        """This state knowing `scores` too, in whatever order they came."""
        further = replace(self, scores={**self.scores, **scores})
        if self.scores.keys().isdisjoint(
            scores
        ):  # who leads is known from who led: nobody else is looked at again
            own = ((self._member[number], one) for number, one in scores.items() if number in self._member)
            judged = ((member, fit) for member, one in own if (fit := final_fitness(one)) is not None)
            vars(further).update(_member=self._member, _leader=_fittest(self._leader, *judged))
        return further

    def without_scores(self, numbers: frozenset[int]) -> "SearchState":
        """This state as if the candidates `numbers` had not been evaluated."""
        return replace(self, scores={n: score for n, score in self.scores.items() if n not in numbers})

    def best_with_members(self) -> tuple[Candidate, float] | None:
        """`best`, counting this generation's scores too: the reference of balance, and the search's result."""
        return self._leader

    @cached_property
    def _member(self) -> Mapping[int, Candidate]:
        return {member.number: member for member in self.members}

    @cached_property
    def _leader(self) -> tuple[Candidate, float] | None:
        scores = ((member, self.scores.get(member.number)) for member in self.members)
        known = ((member, final_fitness(score)) for member, score in scores if score is not None)
        return _fittest(self.best, *((member, fitness) for member, fitness in known if fitness is not None))


def _fittest(*contenders: tuple[Candidate, float] | None) -> tuple[Candidate, float] | None:
    """Of the highest fitness, ties to the lower number; the first of equals."""
    there = (one for one in contenders if one is not None)
    return max(there, key=lambda pair: (pair[1], -pair[0].number), default=None)
