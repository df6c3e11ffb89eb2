"""The facts of a search, in the order they became true; the state of a search is the fold of them.

Every event is frozen and has a JSON form. Its sequence number, the term of the driver that wrote it, and
the wall-clock time are beside it in the journal (`Recorded`), not in it.

`KIND`, the names of the fields and the values of enumerations are in journals for ever. A class may be renamed as
it is; what else changes is translated for old journals in `evosearch.storage.journal.codec`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from evosearch.evaluation import Candidate, Failure, Measure, Measured, TrainingSettings, Trial, TrialId


@dataclass(frozen=True)
class SearchCreated:
    """A search exists. `configuration`: the full resolved configuration as JSON. `data_key`: content hash of
    its data. `environment`: versions, device and what else changes numerics, resolved once. `generations`: how many it
    has in all. `parent`: the search whose best it trains again; None: it is by itself. `rules`: those that a driver keeps
    to, which came one by one: 1, to stop where all of a first generation diverged.
    """

    KIND: ClassVar = "SearchCreated"

    configuration: Mapping[str, Any]
    data_key: str
    environment: Mapping[str, Any]
    generations: int
    parent: str | None = None
    rules: int = 0


@dataclass(frozen=True)
class ProcessorSeen:
    """A worker computes on a kind of processor that none of this search did before.

    `processor`: a CPU's model with the instruction set that is used of it, or a GPU's model; either changes bits.
    """

    KIND: ClassVar = "ProcessorSeen"

    worker: str
    processor: str


@dataclass(frozen=True)
class DriverStarted:
    """A driver took the search; what ran under the term before is abandoned.

    `executor`: ray or local. `configuration`: the full configuration from here on (workers, storage and final may
    change). `purpose`: what it took the search for; only searching counts as the search's time.
    """

    KIND: ClassVar = "DriverStarted"

    host: str
    pid: int
    executor: str
    configuration: Mapping[str, Any]
    purpose: Literal["search", "retrain"] = "search"


@dataclass(frozen=True)
class Born:
    """A candidate exists, and one training of it.

    `parameters`, `flops` (forward, one image): of its network; None where they are not known before it is built. `number`:
    the trial's; None: the candidate's, which is trained once. Other fields as in `Trial`.
    """

    KIND: ClassVar = "Born"

    candidate: Candidate
    parameters: int | None
    flops: int | None
    number: int | None = None
    settings: TrainingSettings | None = None
    repeat: int = 0
    until: int | None = None

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
    """A generation's population is fixed: the numbers of its members, elites among them."""

    KIND: ClassVar = "GenerationStarted"

    generation: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class VerdictReached:
    """The strategy's verdict has changed: `best` is the number of the best candidate so far.

    Journals of the first version hold none: there the highest fitness is best, of equals the lowest number.
    """

    KIND: ClassVar = "VerdictReached"

    best: int


@dataclass(frozen=True)
class Dispatched:
    """An attempt (from 1) at trial `number` was given to `worker`. `until`: as in `TrialId`, here and below."""

    KIND: ClassVar = "Dispatched"

    number: int
    attempt: int
    worker: str
    until: int | None = None

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Finished:
    """Trial `number` has come to something.

    `weights`: what it left, a safetensors file relative to the search's own folder, on the machine `node`; None where it
    was to leave none. `measure`: what the search goes by.
    """

    KIND: ClassVar = "Finished"

    number: int
    attempt: int
    worker: str
    success: Measured
    until: int | None = None
    weights: str | None = None
    node: str | None = None
    measure: Measure = "accuracy"

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Recalled:
    """Trial `number` comes to the same as `source`, an equal trial that was finished before."""

    KIND: ClassVar = "Recalled"

    number: int
    source: int
    until: int | None = None
    source_until: int | None = None

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Failed:
    """An attempt failed. `final`: no attempt follows, the trial keeps the worst fitness."""

    KIND: ClassVar = "Failed"

    number: int
    attempt: int
    worker: str
    failure: Failure
    final: bool
    until: int | None = None

    @property
    def trial(self) -> TrialId:
        """Which trial."""
        return TrialId(self.number, self.until)


@dataclass(frozen=True)
class Reopened:
    """Failed trials are begun again, as if never tried: `numbers` to their ends, `rungs` until an epoch each."""

    KIND: ClassVar = "Reopened"

    numbers: tuple[int, ...]
    rungs: tuple[TrialId, ...] = ()

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
    """The search now has `generations` generations in all."""

    KIND: ClassVar = "Extended"

    generations: int


@dataclass(frozen=True)
class Interrupted:
    """The driver was asked to stop; `reason` is the signal's name."""

    KIND: ClassVar = "Interrupted"

    reason: str


@dataclass(frozen=True)
class Stopped:
    """Too many evaluations failed; `message` says which and how to fix it."""

    KIND: ClassVar = "Stopped"

    message: str


@dataclass(frozen=True)
class Completed:
    """The search ended; `best` is the number of the best candidate, None where none ever succeeded."""

    KIND: ClassVar = "Completed"

    best: int | None


@dataclass(frozen=True)
class TestReadingBegun:
    """A trained network is about to read the test split; `key` names search, epochs and seed of it.

    `number`: the candidate's, in the search that it was found by. `trial`, `attempt`, `worker`: which trial of this search
    reads, for the how manieth time, and where; the first version, which read outside its searches, has none.
    """

    KIND: ClassVar = "TestReadingBegun"
    __test__ = False  # pytest would collect a class of this name

    key: str
    number: int
    epochs: int
    seed: int
    trial: TrialId | None = None
    attempt: int = 1
    worker: str = ""


@dataclass(frozen=True)
class TestRead:
    """What the reading gave: metrics as JSON; `weights`: path of the safetensors file, relative to the search's own folder.

    `predictions`: class probabilities of each test image, in order, as `images`, `classes` and base64 of little-endian
    `float32` row by row. `trial`, `worker`: as in `TestReadingBegun`.
    """

    KIND: ClassVar = "TestRead"
    __test__ = False

    key: str
    metrics: Mapping[str, Any]
    weights: str
    predictions: Mapping[str, Any] = field(default_factory=dict)
    trial: TrialId | None = None
    worker: str = ""


@dataclass(frozen=True)
class TestReadingFailed:
    """An attempt at a reading came to nothing; nobody has seen a result. `final`: the search stops for it."""

    KIND: ClassVar = "TestReadingFailed"
    __test__ = False

    key: str
    trial: TrialId
    attempt: int
    worker: str
    failure: Failure
    final: bool


Event: TypeAlias = (
    SearchCreated
    | DriverStarted
    | ProcessorSeen
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
    """An event with its place in the journal. `at`: seconds since 1970 by the driver's clock."""

    sequence: int
    term: int
    at: float
    event: Event
