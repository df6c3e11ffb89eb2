"""The facts of a search, in the order they became true; the state of a search is the fold of them.

Every event is frozen and has a JSON form. Its sequence number, the term of the driver that wrote it, and
the wall-clock time stand beside it in the journal (`Recorded`), not in it.

`KIND`, the names of the fields and the values of enumerations stand in journals for ever. A class may be renamed as
it is; what else changes is told to old journals in `evosearch.storage.formats`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from evosearch.evaluation import Failure, Success
from evosearch.search.candidate import Candidate


@dataclass(frozen=True)
class SearchCreated:
    """A search exists. `configuration`: the full resolved configuration as JSON. `data_key`: content hash of
    its data. `environment`: versions, device and what else changes numerics, resolved once.
    """

    KIND: ClassVar = "SearchCreated"

    configuration: Mapping[str, Any]
    data_key: str
    environment: Mapping[str, Any]


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
    """A chromosome exists. `parameters`, `flops` (forward, one image): from its blueprint."""

    KIND: ClassVar = "Born"

    candidate: Candidate
    parameters: int
    flops: int


@dataclass(frozen=True)
class GenerationStarted:
    """A generation's population is fixed: the numbers of its members, elites among them."""

    KIND: ClassVar = "GenerationStarted"

    generation: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Dispatched:
    """An attempt (from 1) at evaluating candidate `number` was given to `worker`."""

    KIND: ClassVar = "Dispatched"

    number: int
    attempt: int
    worker: str


@dataclass(frozen=True)
class Finished:
    """Candidate `number` has its fitness."""

    KIND: ClassVar = "Finished"

    number: int
    attempt: int
    worker: str
    success: Success


@dataclass(frozen=True)
class Recalled:
    """Candidate `number` has the fitness of `source`, an equal evaluation that was finished before."""

    KIND: ClassVar = "Recalled"

    number: int
    source: int


@dataclass(frozen=True)
class Failed:
    """An attempt failed. `final`: no attempt follows, the candidate keeps the worst fitness."""

    KIND: ClassVar = "Failed"

    number: int
    attempt: int
    worker: str
    failure: Failure
    final: bool


@dataclass(frozen=True)
class Reopened:
    """Failed candidates are evaluated anew, as if never tried."""

    KIND: ClassVar = "Reopened"

    numbers: tuple[int, ...]


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
    """Too many evaluations failed; `message` says which and how to mend it."""

    KIND: ClassVar = "Stopped"

    message: str


@dataclass(frozen=True)
class Completed:
    """The search ended; `best` is the number of the best candidate, None where none ever succeeded."""

    KIND: ClassVar = "Completed"

    best: int | None


@dataclass(frozen=True)
class TestReadingBegun:
    """A trained network is about to read the test split; `key` names search, epochs and seed of it."""

    KIND: ClassVar = "TestReadingBegun"
    __test__ = False  # pytest would collect a class of this name

    key: str
    number: int
    epochs: int
    seed: int


@dataclass(frozen=True)
class TestRead:
    """What the reading gave: metrics as JSON; `weights`: path of the safetensors file, relative to the search's own folder."""

    KIND: ClassVar = "TestRead"
    __test__ = False

    key: str
    metrics: Mapping[str, Any]
    weights: str


Event: TypeAlias = (
    SearchCreated
    | DriverStarted
    | Born
    | GenerationStarted
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
)


@dataclass(frozen=True)
class Recorded:
    """An event with its place in the journal. `at`: seconds since 1970 by the driver's clock."""

    sequence: int
    term: int
    at: float
    event: Event
