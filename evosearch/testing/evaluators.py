"""Evaluators without torch: one that computes a fitness by formula, and six that go wrong on purpose.

Each is a frozen, picklable value and its own factory: called with (data, device), as a worker does, it returns an
evaluator.
"""

import hashlib
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import assert_never

import numpy as np

from evosearch.data import SearchData
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Evaluator,
    Failure,
    FailureKind,
    Features,
    FeaturesOf,
    FeaturesTask,
    HandMade,
    Losses,
    MasksTask,
    Network,
    Prediction,
    PredictionTask,
    Pretrained,
    Progress,
    Result,
    Subject,
    Success,
    Task,
    TrainingTask,
)
from evosearch.genome import Chromosome

EPOCH_SECONDS = 0.25
"""Of those who pretend to train: each takes a step and ends an epoch so often."""


@dataclass(frozen=True)
class FormulaEvaluator:
    """Fitness without training: `formula_fitness`. `seconds`: how long each evaluation pretends to take, with steps
    and epochs on its way. `classes` and `validation`: how many classes and validation images there are; a worker's data say so.
    """

    seconds: float = 0.0
    classes: int = 2
    validation: int = 0

    def __call__(self, data: SearchData, _device: str) -> Evaluator:
        return replace(self, classes=len(data.classes), validation=len(data.validation))

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        match task:
            case TrainingTask():
                fitness = formula_fitness(task.network, task.seed)
                judged = fitness if task.settings.validates else None
                record = EpochRecord(1 - fitness, judged)
                _pretend(self.seconds, record, progress)
                return Success(judged, self.seconds, (record,))
            case FeaturesTask():
                _pretend(self.seconds, EpochRecord(0.5, None), progress)
                return formula_features(task, self.seconds)
            case MasksTask(masks):
                _pretend(self.seconds, EpochRecord(0.5, None), progress)
                return Losses(tuple(formula_loss(mask, task.seed) for mask in masks.vectors), self.seconds)
            case PredictionTask():
                return self._predict(task)
        assert_never(task)

    def _predict(self, task: PredictionTask) -> Prediction:
        rng = np.random.default_rng(int(task.network.key, 16))
        counts = (len(task.images), self.validation) if task.with_validation else (len(task.images),)
        return Prediction(*(rng.dirichlet(np.ones(self.classes), one).astype(np.float32) for one in counts))


def _pretend(seconds: float, record: EpochRecord, progress: Progress) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > EPOCH_SECONDS:
        Event().wait(EPOCH_SECONDS)
        progress.step()
        progress.epoch(record)
    Event().wait(left)
    progress.step()


def formula_fitness(network: Network, seed: int) -> float:
    """0 to 1, the same everywhere: up to 0.75 for depth (full at 20 genes), up to 0.25 by hash of network and seed."""
    digest = hashlib.sha256(f"{network}/{seed}".encode()).digest()
    return 0.75 * _depth(network) + 0.25 * int.from_bytes(digest[:4], "big") / 2**32


def formula_worth(network: Network) -> float:
    """What `formula_fitness` is on average over the seeds, 0.125 to 0.875; by the seed it differs evenly, by 0.125 at most."""
    return 0.75 * _depth(network) + 0.125


def _depth(network: Network) -> float:
    match network:
        case Chromosome(head, tail) | Pretrained(Chromosome(head, tail)):
            return min(len(head) + len(tail), 20) / 20
        case HandMade():
            return 0.0


FORMULA_UNITS = 24
"""Of the layer that kept features pretend to enter."""


def formula_features(task: FeaturesTask, seconds: float = 0.0) -> Features:
    """The same everywhere: a digest of all that decides what is kept. Nothing is written."""
    about = (task.network, task.settings.identity(), task.data_key, task.seed, task.share, task.hand_made)
    return Features(hashlib.sha256(repr(about).encode()).hexdigest(), FORMULA_UNITS, seconds)


def formula_mask(seed: int, units: int) -> str:
    """The mask that `formula_loss` is lowest for: every third unit is dropped, and whatever else the seed says."""
    digest = hashlib.sha256(f"{units}/{seed}".encode()).digest()
    return "".join(
        "0" if place % 3 == digest[0] % 3 or digest[place % 32] < 16 else "1" for place in range(units)
    )


def formula_loss(mask: str, seed: int) -> float:
    """0 to 1.05, the same everywhere: the share of units in which it differs from `formula_mask`, and a little by hash of mask and
    seed.
    """
    wanted = formula_mask(seed, len(mask))
    differing = sum(one != other for one, other in zip(mask, wanted, strict=True))
    digest = hashlib.sha256(f"{mask}/{seed}".encode()).digest()
    return differing / len(mask) + 0.05 * int.from_bytes(digest[:4], "big") / 2**32


@dataclass(frozen=True)
class Victims:
    """Which tasks go wrong: those on `chromosomes`, given as texts, and on every `every`-th chromosome by its
    content key (1: all, 0: none), the same on every worker.

    `once_in`: a folder, where a file is left for each chromosome that was struck; from then on it is spared.
    """

    chromosomes: frozenset[str] = frozenset()
    every: int = 0
    once_in: str | None = None

    def strike(self, subject: Subject) -> bool:
        """Whether the task on `subject` goes wrong this time."""
        if str(subject) not in self.chromosomes and not (
            self.every and int(subject.key, 16) % self.every == 0
        ):
            return False
        if self.once_in is None:
            return True
        try:
            (Path(self.once_in) / subject.key).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _subject(task: Task) -> Subject:
    match task:
        case TrainingTask() | PredictionTask():
            return task.network
        case FeaturesTask():
            return FeaturesOf(task.network)
        case MasksTask():
            return task.masks
    assert_never(task)


@dataclass(frozen=True)
class _Striking:
    """Does `go_wrong` for its victims, and what `inner` does for all others."""

    victims: Victims
    inner: FormulaEvaluator = field(default_factory=FormulaEvaluator, kw_only=True)

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        if self.victims.strike(_subject(task)):
            return self.go_wrong()
        return self.inner.handle(task, progress)

    def go_wrong(self) -> Result:
        raise NotImplementedError


@dataclass(frozen=True)
class FailingEvaluator(_Striking):
    """Evaluates its victims to a `Failure` of `kind`."""

    kind: FailureKind = FailureKind.DIVERGED

    def go_wrong(self) -> Result:
        return Failure(self.kind, "fails on purpose")


@dataclass(frozen=True)
class RaisingEvaluator(_Striking):
    """Raises `error` for its victims."""

    error: Exception = field(default_factory=lambda: ValueError("raised on purpose"))

    def go_wrong(self) -> Result:
        raise self.error


@dataclass(frozen=True)
class ExitingEvaluator(_Striking):
    """Ends its own process for its victims: by `signal`, or without one by `SystemExit(3)`, which a pool inside
    this process survives.
    """

    signal: int | None = None

    def go_wrong(self) -> Result:
        if self.signal is not None:
            os.kill(os.getpid(), self.signal)
        raise SystemExit(3)


@dataclass(frozen=True)
class HangingEvaluator(_Striking):
    """Never ends with its victims and makes no progress on them; only the end of its process helps."""

    def go_wrong(self) -> Result:
        while True:
            Event().wait()


@dataclass(frozen=True)
class LeakingEvaluator:
    """Holds `mebibytes` more after each task, which `inner` does."""

    mebibytes: int
    inner: FormulaEvaluator = field(default_factory=FormulaEvaluator, kw_only=True)
    _leaked: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        self._leaked.append(b"x" * (self.mebibytes * 2**20))
        return self.inner.handle(task, progress)


@dataclass(frozen=True)
class WornEvaluator:
    """Does each task, and says that the process is to be replaced after it, because of `why`."""

    why: str
    inner: FormulaEvaluator = field(default_factory=FormulaEvaluator, kw_only=True)

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        progress.worn(self.why)
        return self.inner.handle(task, progress)
