"""A fixed list of trainings as a strategy: retrainings, repeats and comparisons go the road of every search."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from statistics import fmean
from typing import Literal

from evosearch.blueprint import NetworkSize
from evosearch.errors import ConfigError, InvalidChromosomeError, SearchConflictError
from evosearch.evaluation import (
    Candidate,
    HandMadeRule,
    Measure,
    Origin,
    Outcome,
    Threshold,
    TrainingSettings,
    Trial,
    TrialId,
)
from evosearch.genome import parse_network
from evosearch.search.context import SearchContext
from evosearch.search.state import Score, SearchProgress, score_of

MOST = 100_000
"""Candidates' numbers must fit the journal."""


@dataclass(frozen=True)
class ListedTrial:
    """One training of a list. Each field is a key of an element of `strategy.trials`."""

    network: str = ""
    """Text form of a network: a chromosome's, or a hand-made one's name. Empty: as `best_of` says."""
    repeat: int = 0
    """Enters the evaluation's seed: 0 as a search would train it, another number for each further training."""
    settings: TrainingSettings | None = None
    """How it is trained. None: as `training` says."""
    source: int | None = None
    """Number of the candidate of another search that it trains again. None: it comes from nowhere else."""
    threshold: Threshold = "half"
    """As `final.threshold`, of a training again."""
    positive_share: float | None = None
    """As `final.positive_share`, of a training again."""
    weights: str | None = field(default=None, compare=False)
    """safetensors file of the weights that it starts from, with torchvision's names, or a winner.safetensors for the same chromosome; a relative path is looked for in the working directory, then under $EVOSEARCH_DATA. When the list is begun the file is kept with the search, and its sha256 becomes part of `network`; from then on the path is a hint. null: random weights."""
    best_of: str | None = field(default=None, compare=False)
    """Name of a finished search in the same journal, whose best is trained, in place of `network`; looked up when the list is begun."""
    size: NetworkSize | None = field(default=None, compare=False)
    """How big the network is, measured when the list is begun; what a file says of it is not read."""

    def __post_init__(self) -> None:
        if not self.network and self.best_of is None:
            raise ConfigError(
                "strategy.trials: a trial has no network; give `network`, a chromosome or a name such as resnet18, or "
                "`best_of`, the name of a finished search"
            )
        try:
            if self.network:
                parse_network(self.network)
        except InvalidChromosomeError as error:
            raise ConfigError(f"strategy.trials: {error}") from None
        if not 0 <= self.repeat < 2**32:
            raise ConfigError(
                f"strategy.trials: repeat is {self.repeat}; it must be at least 0 and below 2 to the 32nd"
            )


@dataclass(frozen=True)
class FixedListSettings:
    """Which networks are trained, in which order. Each field is a key under `strategy`."""

    name: Literal["list"] = "list"
    """Which strategy."""
    trials: tuple[ListedTrial, ...] = ()
    """The trainings; a longer list that begins with this one extends it."""
    fitness: Measure = "accuracy"
    """What decides who is fitter, on the validation images after the last epoch: accuracy, balanced_accuracy, f1 (of the positive class of two, else the mean) or auroc; where it is not known, the accuracy."""

    hand_made: HandMadeRule = field(default="kaiming", metadata={"absent": "torchvision"})
    """How hand-made networks are built. kaiming: weights drawn as those of evolved ones, gray images repeated to three channels, small ones enlarged. torchvision: as lists of earlier versions do, drawn by torchvision, with another first convolution for gray images and no small ones."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.trials) <= MOST:
            raise ConfigError(
                f"strategy.trials holds {len(self.trials)} trainings; it must be at least 1 and at most {MOST:,}"
            )

    @property
    def generations(self) -> int:
        """All are one generation."""
        return 1

    @property
    def evaluations_in_all(self) -> int:
        """One for each training."""
        return len(self.trials)

    @property
    def has_time_limits(self) -> bool:
        """What is listed is trained however long it takes."""
        return False

    @property
    def sizes(self) -> Mapping[str, NetworkSize]:
        """Of the networks that were measured, by their texts."""
        return {one.network: one.size for one in self.trials if one.size is not None}

    def make(self, context: SearchContext) -> "FixedListStrategy":
        """The list as a strategy.

        Raises:
            ConfigError: a trial's network is not known yet.
        """
        unknown = next((one.best_of for one in self.trials if not one.network), None)
        if unknown is not None:
            raise ConfigError(
                f"strategy.trials: the best of {unknown!r} is not known here; it is looked up when the list is run"
            )
        return FixedListStrategy(self, context)

    def with_generations(self, generations: int) -> "FixedListSettings":
        """Itself, which has one generation.

        Raises:
            SearchConflictError: another number is asked for.
        """
        if generations != 1:
            raise SearchConflictError(
                f"a fixed list is all one generation, not {generations}; leave --generations out"
            )
        return self

    def begins(self, longer: "FixedListSettings") -> bool:
        """Whether `longer` is this list, or goes on where it ends."""
        return longer.trials[: len(self.trials)] == self.trials


@dataclass(frozen=True)
class ListState:
    """What is known of a list's trials."""

    scores: Mapping[int, Score] = field(default_factory=dict)
    """Of the trials that have ended, by number."""


@dataclass(frozen=True)
class FixedListStrategy:
    """Trains a list; see `Strategy` for the contract. Trial k is the k-th of the list, from 0.

    Equal networks with equal settings are one candidate, numbered in the order in which they are first in the list;
    its fitness is the mean of its trials' that succeeded. Where the validation images are trained on too, there is none, and
    no best.
    """

    settings: FixedListSettings
    """The list."""
    context: SearchContext
    """The search's surroundings."""

    @property
    def evaluations(self) -> int:
        """One for each training."""
        return len(self.settings.trials)

    def start(self) -> ListState:
        """Nothing trained."""
        return ListState()

    def ask(self, state: ListState, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - no next generation
        """The trainings that have not ended."""
        return tuple(trial for trial in self._trials if trial.number not in state.scores)

    def tell(self, state: ListState, outcomes: Mapping[TrialId, Outcome]) -> ListState:
        """Note the scores; nothing follows."""
        measure = self.settings.fitness
        told = {trial.number: score_of(outcome, measure) for trial, outcome in outcomes.items()}
        return ListState({**state.scores, **told})

    def reopen(self, state: ListState, trials: Set[TrialId]) -> ListState:
        """Forget their scores."""
        numbers = {trial.number for trial in trials}
        return ListState({n: score for n, score in state.scores.items() if n not in numbers})

    def progress(self, state: ListState) -> SearchProgress:
        """Every candidate with the mean of its trials so far; best is the highest, of equals the lowest number."""
        members = tuple(self._trials_of)
        scores = {one.number: score for one in members if (score := self._score(state, one)) is not None}
        ranked = [(one, fitness) for one in members if (fitness := self._fitness(state, one)) is not None]
        best = max(ranked, key=lambda pair: (pair[1], -pair[0].number), default=None)
        return SearchProgress(0, self.evaluations, members, scores, best, may_grow=True)

    def finished(self, state: ListState) -> bool:
        """Whether every training has ended."""
        return len(state.scores) == len(self.settings.trials)

    def _score(self, state: ListState, candidate: Candidate) -> Score | None:
        """Once all its trials have ended; failed where all of them did, unjudged where none of those that did not was judged."""
        own = [state.scores.get(number) for number in self._trials_of[candidate]]
        ended = [score for score in own if score is not None]
        if len(ended) < len(own):
            return None
        fitness = [score.fitness for score in ended if score.fitness is not None]
        if fitness:
            return Score(fitness=fmean(fitness))
        return next((score for score in ended if score.failure is None), ended[0])

    def _fitness(self, state: ListState, candidate: Candidate) -> float | None:
        scores = (state.scores.get(number) for number in self._trials_of[candidate])
        fitness = [score.fitness for score in scores if score is not None and score.fitness is not None]
        return fmean(fitness) if fitness else None

    @cached_property
    def _trials(self) -> tuple[Trial, ...]:
        numbers, candidates = count(), dict[tuple[str, TrainingSettings | None], Candidate]()
        trials = []
        for place, listed in enumerate(self.settings.trials):
            kind = (listed.network, listed.settings)
            if kind not in candidates:
                network = parse_network(listed.network)
                candidates[kind] = Candidate(next(numbers), 0, network, Origin.LISTED, operations=())
            trials.append(Trial(place, candidates[kind], listed.settings, listed.repeat))
        return tuple(trials)

    @cached_property
    def _trials_of(self) -> Mapping[Candidate, Sequence[int]]:
        """The numbers of each candidate's trials; candidates in order."""
        numbers: dict[Candidate, list[int]] = {}
        for trial in self._trials:
            numbers.setdefault(trial.candidate, []).append(trial.number)
        return numbers


def repeats_of(network: str, repeats: tuple[int, ...]) -> FixedListSettings:
    """One network trained once for each of `repeats`."""
    return FixedListSettings(trials=tuple(ListedTrial(network, repeat) for repeat in repeats))
