"""What readers of a journal get: rows of the tables that the events keep up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evosearch.search.candidate import Origin

SearchState = Literal["running", "done", "interrupted", "failed"]
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
    first.
    """

    name: str
    state: SearchState
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
    """One candidate and what became of it. `attempts`: dispatches so far. `reasons`: one line per failed
    attempt. `seconds`: training time of the last attempt, 0 where recalled. `curve`: (loss, accuracy) per
    epoch, empty unless asked for.
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
    parameters: int
    flops: int
    seconds: float
    worker: str | None
    attempts: int
    cached: bool
    reasons: tuple[str, ...]
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class GenerationRow:
    """One generation: its members' numbers, and best, mean and (population) standard deviation of the
    fitness of those that have one so far, None where none has.
    """

    generation: int
    members: tuple[int, ...]
    best: float | None
    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class TestReading:
    """One reading of the test split; `metrics` is None where the reading was begun and never ended."""

    __test__ = False

    key: str
    number: int
    epochs: int
    seed: int
    metrics: Mapping[str, Any] | None
    weights: str | None
