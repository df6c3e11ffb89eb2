"""What readers of a journal get: rows of the tables that the events keep up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evosearch.evaluation import EpochRecord, Origin, TrialId

SearchStatus = Literal["running", "done", "interrupted", "failed"]
EvaluationStatus = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class SearchRow:
    """A search as its last event left it.

    `state`: as journaled, "interrupted" before the first driver, and "done" until it is extended even where a
    driver holds it to retrain; a driver that was killed leaves "running" behind, see `current_state`.
    `message`: why it failed or was interrupted, else empty.
    `generation`: the one being evaluated, from 0; -1 before the first population is written. `generations`:
    the total, extensions included. `counts`: evaluations by status; `failed`: failed ones by kind.
    `term`: of the newest driver; `heartbeat`: its last sign of life, seconds since 1970. `seconds`: summed
    over the drivers that searched, from start to last sign of life. `host`, `pid`: of the newest driver, None before the
    first. `recalled`: evaluations that are done because an equal network was trained before.
    """

    name: str
    state: SearchStatus
    configuration: Mapping[str, Any]
    environment: Mapping[str, Any]
    data_key: str
    executor: str
    term: int
    heartbeat: float
    seconds: float
    generation: int
    generations: int
    counts: Mapping[EvaluationStatus, int]
    failed: Mapping[str, int]
    message: str
    host: str | None = None
    pid: int | None = None
    parent: str | None = None
    recalled: int = 0

    @property
    def trainings(self) -> int:
        """Evaluations that have ended and were trained, not remembered of an equal one."""
        return self.counts.get("done", 0) + self.counts.get("failed", 0) - self.recalled


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of a search's driver, for comparison with an earlier one: it lives where they differ.

    `last`: by the driver's own clock, None before the first driver.
    """

    term: int
    sequence: int
    last: float | None


@dataclass(frozen=True)
class EvaluationRow:
    """One trial and what became of it. `number`: the trial's, which is the candidate's where it is trained once.
    `attempts`: dispatches so far. `reasons`: one line per failed attempt. `parameters`, `flops`: None where they are not
    known before a network is built. `seconds`: training time of the last attempt, 0 where recalled. `curve`: (loss,
    accuracy) per epoch, empty unless asked for. `candidate`: its number. `repeat`: as in `Trial`. `until`: epochs after
    which it was judged; 0: all of them. `fitness`: by what the search goes by, one of `accuracy`, `balanced_accuracy`, `f1`
    and `auroc`, each None where it is not known. `operations`: what made the candidate, as data, an object each; None where
    only the words of `operators` were kept.
    """

    number: int
    generation: int
    origin: Origin
    parents: tuple[int, ...]
    operators: tuple[str, ...]
    chromosome: str
    status: EvaluationStatus
    fitness: float | None
    failure: str | None
    parameters: int | None
    flops: int | None
    seconds: float
    worker: str | None
    attempts: int
    cached: bool
    reasons: tuple[str, ...]
    curve: tuple[tuple[float, float], ...] = ()
    candidate: int = 0
    repeat: int = 0
    until: int = 0
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    f1: float | None = None
    auroc: float | None = None
    operations: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True)
class LiveCurve:
    """A training under way, as its worker told of it. `epochs`: at which it ends. `curve`: of the epochs that have ended;
    the first `known` of them were told before.
    """

    trial: TrialId
    epochs: int
    curve: tuple[EpochRecord, ...]
    known: int = 0


@dataclass(frozen=True)
class LiveRow:
    """The newest epoch of a training under way. `loss`: mean over the training images. `accuracy`: on the validation images,
    0 to 1. `until`: as of its trial. `epochs`: at which it ends. `worker`: who trains it.
    """

    number: int
    until: int | None
    worker: str
    epoch: int
    epochs: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class GenerationRow:
    """One generation: its members' numbers, and best, mean and (population) standard deviation of the
    fitness of those that have one so far, None where none has. `fitness`: of these, in the order of the members.
    `failed`: how many members have failed for good.
    """

    generation: int
    members: tuple[int, ...]
    best: float | None
    mean: float | None
    deviation: float | None
    fitness: tuple[float, ...] = ()
    failed: int = 0


@dataclass(frozen=True)
class TestReading:
    """One reading of the test split; `metrics` is None where the reading was begun and never ended.

    `search`: which journaled it: the search itself in the first version, now one of its retrainings. `place`, `total`: the
    how manieth of how many readings of this split that the search has led to; the more there are, the less the best of
    them says.
    """

    __test__ = False

    key: str
    number: int
    epochs: int
    seed: int
    metrics: Mapping[str, Any] | None
    weights: str | None
    search: str = ""
    place: int = 1
    total: int = 1
