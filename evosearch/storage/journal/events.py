"""The facts of a search, in the order they became true; the state of a search is the fold of them.

Every event is frozen and has a JSON form. Its sequence number, the term of the driver that wrote it, and
the wall-clock time are beside it in the journal (`Recorded`), not in it.

`KIND`, the names of the fields and the values of enumerations are in journals for ever. A class may be renamed as
it is; what else changes is translated for old journals in `evosearch.storage.journal.codec`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from evosearch.evaluation import (
    Candidate,
    Failure,
    Measure,
    Measured,
    Precision,
    TrainingSettings,
    Trial,
    TrialId,
)


@dataclass(frozen=True)
class SearchCreated:
    """A search exists."""

    KIND: ClassVar = "SearchCreated"

    configuration: Mapping[str, Any]
    """The full resolved configuration as JSON."""
    data_key: str
    """Content hash of its data."""
    environment: Mapping[str, Any]
    """Versions, device and what else changes numerics, resolved once."""
    generations: int
    """How many it has in all."""
    parent: str | None = None
    """The search whose best it trains again; None: it is by itself."""
    rules: int = 0
    """Those that a driver keeps to, which came one by one: 1, to stop where all of a first generation
    diverged.
    """


@dataclass(frozen=True)
class ProcessorSeen:
    """A worker computes on a kind of processor that none of this search did before."""

    KIND: ClassVar = "ProcessorSeen"

    worker: str
    """The worker's name."""
    processor: str
    """A CPU's model with the instruction set that is used of it, or a GPU's model; either changes bits."""


@dataclass(frozen=True)
class PrecisionResolved:
    """What `auto` as `training.precision` means from here on; written once, before the first dispatch.

    Journals before schema 6 hold none: their searches never said auto.
    """

    KIND: ClassVar = "PrecisionResolved"

    precision: Precision
    """By what the device of the first worker can do."""
    processor: str = ""
    """Of that worker, as in `ProcessorSeen`; empty where it did not say."""
    worker: str = ""
    """Its name; empty where another search decided: one of the same group, or the one whose best is trained again."""


@dataclass(frozen=True)
class DriverStarted:
    """A driver took the search; what ran under the term before is abandoned."""

    KIND: ClassVar = "DriverStarted"

    host: str
    """The driver's machine."""
    pid: int
    """The driver's process there."""
    executor: str
    """ray or local."""
    configuration: Mapping[str, Any]
    """The full configuration from here on (workers, storage and final may change)."""
    purpose: Literal["search", "retrain"] = "search"
    """What it took the search for; only searching counts as the search's time."""


@dataclass(frozen=True)
class Born:
    """A candidate exists, and one training of it."""

    KIND: ClassVar = "Born"

    candidate: Candidate
    """Who is trained."""
    parameters: int | None
    """Trainable numbers of its network; None where they are not known before it is built."""
    flops: int | None
    """Forward, of one image; None where they are not known before its network is built."""
    number: int | None = None
    """The trial's; None: the candidate's, which is trained once."""
    settings: TrainingSettings | None = None
    """As in `Trial`."""
    repeat: int = 0
    """As in `Trial`."""
    until: int | None = None
    """As in `Trial`."""

    @property
    def trial(self) -> Trial:
        """What was born."""
        number = self.candidate.number if self.number is None else self.number
        return Trial(number, self.candidate, self.settings, self.repeat, self.until)

    @classmethod
    def of(cls, trial: Trial, parameters: int | None, flops: int | None) -> "Born":
        """The birth of `trial`."""
        number = None if trial.number == trial.candidate.number else trial.number
        return cls(trial.candidate, parameters, flops, number, trial.settings, trial.repeat, trial.until)


@dataclass(frozen=True)
class GenerationStarted:
    """A generation's population is fixed."""

    KIND: ClassVar = "GenerationStarted"

    generation: int
    """Its number, from 0."""
    members: tuple[int, ...]
    """The candidates' numbers, elites among them."""


@dataclass(frozen=True)
class VerdictReached:
    """The strategy's verdict has changed.

    Journals of the first version hold none: there the highest fitness is best, of equals the lowest number.
    """

    KIND: ClassVar = "VerdictReached"

    best: int
    """The number of the best candidate so far."""


@dataclass(frozen=True)
class Dispatched:
    """An attempt at a trial was given to a worker."""

    KIND: ClassVar = "Dispatched"

    number: int
    """The trial's."""
    attempt: int
    """From 1."""
    worker: str
    """The worker's name."""
    until: int | None = None
    """As in `TrialId`."""

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Finished:
    """A trial has come to something."""

    KIND: ClassVar = "Finished"

    number: int
    """The trial's."""
    attempt: int
    """The one that succeeded, from 1."""
    worker: str
    """Who trained it, by name."""
    success: Measured
    """What it came to."""
    until: int | None = None
    """As in `TrialId`."""
    weights: str | None = None
    """What it left, a safetensors file relative to the search's own folder; None where it was to leave
    none.
    """
    node: str | None = None
    """The machine that `weights` are on; None where there are none or that is not known."""
    measure: Measure = "accuracy"
    """What the search goes by."""

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Recalled:
    """A trial comes to the same as an equal one that was finished before."""

    KIND: ClassVar = "Recalled"

    number: int
    """The trial's."""
    source: int
    """The number of the trial that was finished before."""
    until: int | None = None
    """As in `TrialId`."""
    source_until: int | None = None
    """As in `TrialId`, of the trial that was finished before."""

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Failed:
    """An attempt failed."""

    KIND: ClassVar = "Failed"

    number: int
    """The trial's."""
    attempt: int
    """From 1."""
    worker: str
    """Who had it, by name."""
    failure: Failure
    """In what way, and why."""
    final: bool
    """No attempt follows, the trial keeps the worst fitness."""
    until: int | None = None
    """As in `TrialId`."""

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Reopened:
    """Failed trials are begun again, as if never tried."""

    KIND: ClassVar = "Reopened"

    numbers: tuple[int, ...]
    """Those of trials that are trained to their ends."""
    rungs: tuple[TrialId, ...] = ()
    """Trials that are trained until an epoch each."""

    @property
    def trials(self) -> tuple[TrialId, ...]:
        """All of them."""
        return (*(TrialId(number) for number in self.numbers), *self.rungs)

    @classmethod
    def of(cls, trials: Iterable[TrialId]) -> "Reopened":
        """In order of their numbers."""
        trials = tuple(trials)
        whole = sorted(trial.number for trial in trials if trial.until is None)
        return cls(
            tuple(whole),
            tuple(sorted((one for one in trials if one.until is not None), key=lambda one: one.place)),
        )


@dataclass(frozen=True)
class Extended:
    """The search goes on for longer."""

    KIND: ClassVar = "Extended"

    generations: int
    """How many it now has in all."""


@dataclass(frozen=True)
class Interrupted:
    """The driver was asked to stop, or none of its workers can do what is trained."""

    KIND: ClassVar = "Interrupted"

    reason: str
    """The signal's name; else why the workers were turned away."""


@dataclass(frozen=True)
class Stopped:
    """Too many evaluations failed."""

    KIND: ClassVar = "Stopped"

    message: str
    """Which, and how to fix it."""


@dataclass(frozen=True)
class Completed:
    """The search ended."""

    KIND: ClassVar = "Completed"

    best: int | None
    """The number of the best candidate; None where none ever succeeded."""


@dataclass(frozen=True)
class TestReadingBegun:
    """A trained network is about to read the test split."""

    KIND: ClassVar = "TestReadingBegun"
    __test__ = False  # pytest would collect a class of this name

    key: str
    """Names search, epochs and seed of it."""
    number: int
    """The candidate's, in the search that it was found by."""
    epochs: int
    """Of its training."""
    seed: int
    """Of its training."""
    trial: TrialId | None = None
    """Which trial of this search reads; None in the first version, which read outside its searches."""
    attempt: int = 1
    """For the how manieth time, from 1."""
    worker: str = ""
    """Who reads, by name; empty in the first version."""


@dataclass(frozen=True)
class TestRead:
    """What a reading of the test split gave."""

    KIND: ClassVar = "TestRead"
    __test__ = False

    key: str
    """As in `TestReadingBegun`."""
    metrics: Mapping[str, Any]
    """As JSON."""
    weights: str
    """Path of the safetensors file, relative to the search's own folder."""
    predictions: Mapping[str, Any] = field(default_factory=dict)
    """What was answered to each test image, in order, in the form of `evosearch.storage.artifacts.predictions`: packed, or where the
    file with it is; journals before schema 4 hold `images`, `classes` and base64 of little-endian `float32`
    probabilities row by row, and no labels.
    """
    trial: TrialId | None = None
    """As in `TestReadingBegun`."""
    worker: str = ""
    """As in `TestReadingBegun`."""
    test_key: str = ""
    """Names the test split alone, as in `evosearch.data.Dataset`; empty in journals before schema 4."""


@dataclass(frozen=True)
class TestReadingFailed:
    """An attempt at a reading came to nothing; nobody has seen a result."""

    KIND: ClassVar = "TestReadingFailed"
    __test__ = False

    key: str
    """As in `TestReadingBegun`."""
    trial: TrialId
    """Which trial of this search was to read."""
    attempt: int
    """As in `TestReadingBegun`."""
    worker: str
    """Who had it, by name."""
    failure: Failure
    """In what way, and why."""
    final: bool
    """The search stops for it."""


Event: TypeAlias = (
    SearchCreated
    | DriverStarted
    | ProcessorSeen
    | PrecisionResolved
    | Born
    | GenerationStarted
    | VerdictReached
    | Dispatched
    | Finished
    | Recalled
    | Failed
    | Reopened
    | Extended
    | Interrupted
    | Stopped
    | Completed
    | TestReadingBegun
    | TestRead
    | TestReadingFailed
)


@dataclass(frozen=True)
class Recorded:
    """An event with its place in the journal."""

    sequence: int
    """Its number within the search."""
    term: int
    """Of the driver that wrote it."""
    at: float
    """Seconds since 1970 by the driver's clock."""
    event: Event
    """What happened."""
