"""What readers of a journal get: rows of the tables that the events keep up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evosearch.evaluation import EpochRecord, Origin, Precision, TrialId

SearchStatus = Literal["running", "done", "interrupted", "failed"]
EvaluationStatus = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class SearchRow:
    """A search as its last event left it."""

    name: str
    """The search's."""
    state: SearchStatus
    """As journaled, "interrupted" before the first driver, and "done" until it is extended even where a
    driver holds it to retrain; a driver that was killed leaves "running" behind, see `current_state`.
    """
    configuration: Mapping[str, Any]
    """The full configuration as JSON, as the newest driver has it."""
    environment: Mapping[str, Any]
    """As in `SearchCreated`."""
    data_key: str
    """Content hash of its data."""
    executor: str
    """Of the newest driver, ray or local; empty before the first."""
    term: int
    """Of the newest driver."""
    heartbeat: float
    """Of the newest driver, its last one, in seconds since 1970; before the first driver, when the search
    was created.
    """
    seconds: float
    """Summed over the drivers that searched, from start to last heartbeat."""
    generation: int
    """The one being evaluated, from 0; -1 before the first population is written."""
    generations: int
    """The total, extensions included."""
    counts: Mapping[EvaluationStatus, int]
    """Evaluations by status, with halving each rung of a candidate one."""
    failed: Mapping[str, int]
    """Failed evaluations by kind."""
    message: str
    """Why it failed or was interrupted, else empty."""
    host: str | None = None
    """Machine of the newest driver; None before the first."""
    pid: int | None = None
    """Process of the newest driver; None before the first."""
    parent: str | None = None
    """As in `SearchCreated`."""
    recalled: int = 0
    """Evaluations that are done because an equal network was trained before."""
    at_rungs: int = 0
    """Evaluations that are done, and were trained to a rung before the last only."""
    candidates: int = 0
    """How many are born; with halving each has several evaluations, and with repeats some have."""
    repeated: int = 0
    """Evaluations that are done, and were further trainings of a candidate."""
    precision: Precision | None = None
    """What `auto` means as its `training.precision`; None: that is not decided yet, or it never says auto."""
    precision_of: str = ""
    """The kind of processor by which it was decided, as in `PrecisionResolved`."""

    @property
    def trained_candidates(self) -> int:
        """Candidates that were trained to their end with success, not remembered of an equal one; each once."""
        return self.counts.get("done", 0) - self.recalled - self.at_rungs - self.repeated

    @property
    def trainings(self) -> int:
        """Evaluations that have ended and were trained, not remembered of an equal one."""
        return self.counts.get("done", 0) + self.counts.get("failed", 0) - self.recalled


@dataclass(frozen=True)
class Heartbeat:
    """The last heartbeat of a search's driver, for comparison with an earlier one: it is alive where they
    differ.
    """

    term: int
    """Of the driver."""
    sequence: int
    """Number of the search's last event."""
    last: float | None
    """By the driver's own clock; None before the first driver."""


@dataclass(frozen=True)
class EvaluationRow:
    """One trial and what became of it."""

    number: int
    """The trial's, which is the candidate's where it is trained once."""
    generation: int
    """The one that the candidate was born into."""
    origin: Origin
    """How the candidate came into the search."""
    parents: tuple[int, ...]
    """As in `Candidate`."""
    operators: tuple[str, ...]
    """As in `Candidate`."""
    chromosome: str
    """What is trained, as text."""
    status: EvaluationStatus
    """How far it is."""
    fitness: float | None
    """By what the search goes by, one of the four figures below, 0 to 1; None where it is not known."""
    failure: str | None
    """The kind of its failure; None where it has not failed for good."""
    parameters: int | None
    """Trainable numbers; None where they are not known before a network is built."""
    flops: int | None
    """Forward, of one image; None where they are not known before a network is built."""
    seconds: float
    """Training time of the last attempt, 0 where recalled."""
    worker: str | None
    """Who had it last, by name; None where nobody had it."""
    attempts: int
    """Dispatches so far."""
    cached: bool
    """Whether it was recalled from an equal one instead of trained."""
    reasons: tuple[str, ...]
    """One line per failed attempt, in order."""
    curve: tuple[tuple[float, float | None], ...] = ()
    """(loss, accuracy) per epoch, empty unless asked for; no accuracy where the validation images are trained on too."""
    candidate: int = 0
    """The candidate's number."""
    repeat: int = 0
    """As in `Trial`."""
    until: int = 0
    """Epochs after which it was judged; 0: all of them."""
    accuracy: float | None = None
    """On the validation images, 0 to 1; None where it is not known."""
    balanced_accuracy: float | None = None
    """As `accuracy`."""
    f1: float | None = None
    """As `accuracy`."""
    auroc: float | None = None
    """As `accuracy`."""
    operations: tuple[Mapping[str, Any], ...] | None = None
    """What made the candidate, as data, an object each; None where only the words of `operators` were
    kept.
    """
    validation_losses: tuple[float | None, ...] = ()
    """Of each epoch of `curve`; empty where none is known, as of a search's, which keeps no weights."""
    losses: tuple[float, ...] = ()
    """Of each mask that it trained, in their order; empty where it trained none."""
    loss: float | None = None
    """The lowest of them that is a number."""
    features: str | None = None
    """sha256 of the features that it kept; None where it kept none."""
    units: int | None = None
    """Of the layer that they enter."""
    trainings: int = 1
    """So many trainings `fitness` is the mean of: of the best of a search, where that trained it again."""

    @property
    def again(self) -> bool:
        """Whether it is a further training of a candidate, in the slot of another; each of a list is in its own."""
        return self.repeat > 0 and self.origin is not Origin.LISTED


@dataclass(frozen=True)
class LiveCurve:
    """A training under way, as its worker reported it."""

    trial: TrialId
    """Which one."""
    epochs: int
    """At which it ends."""
    curve: tuple[EpochRecord, ...]
    """Of the epochs that have ended."""
    known: int = 0
    """How many records of `curve`, from its first, were reported before."""


@dataclass(frozen=True)
class LiveRow:
    """The newest epoch of a training under way."""

    number: int
    """The trial's."""
    until: int | None
    """As in `TrialId`."""
    worker: str
    """Who trains it, by name; empty where that is not known."""
    epoch: int
    """The newest that has ended, from 1."""
    epochs: int
    """At which it ends."""
    loss: float
    """Mean over the training images."""
    accuracy: float | None
    """On the validation images, 0 to 1; None where they are trained on too."""


@dataclass(frozen=True)
class GenerationRow:
    """One generation, and the fitness of those members that have one so far."""

    generation: int
    """Its number, from 0."""
    members: tuple[int, ...]
    """The candidates' numbers."""
    best: float | None
    """The highest fitness; None where none has one."""
    mean: float | None
    """Of the fitness; None where none has one."""
    deviation: float | None
    """The population's standard deviation of the fitness; None where none has one."""
    fitness: tuple[float, ...] = ()
    """Of those that have one, in the order of the members."""
    failed: int = 0
    """How many members have failed for good."""


@dataclass(frozen=True)
class TestReading:
    """One reading of the test split."""

    __test__ = False

    key: str
    """As in `TestReadingBegun`."""
    number: int
    """The candidate's, in the search that it was found by."""
    epochs: int
    """Of its training."""
    seed: int
    """Of its training."""
    metrics: Mapping[str, Any] | None
    """As in `TestRead`; None where the reading was begun and never ended."""
    weights: str | None
    """As in `TestRead`; None where the reading was begun and never ended."""
    search: str = ""
    """Which journaled it: the search itself in the first version, now one of its retrainings."""
    place: int = 1
    """The how manieth reading it is of `total`, from 1."""
    total: int = 1
    """How many readings of this split the search has led to; the more there are, the less the best of
    them says.
    """
    test_key: str | None = None
    """As in `TestRead`; None where that is not known."""
    trial: int | None = None
    """The number of the trial of `search` that read; None in the first version, which read outside its searches."""
