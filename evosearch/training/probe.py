"""A step on a new worker, so that a broken torch, driver or GPU is found before the first evaluation; a few steps, to tell
what a training takes.
"""

import time
from collections.abc import Callable

import torch

from evosearch.data import SearchData, Split
from evosearch.errors import DivergedError, EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    Failure,
    FailureKind,
    Progress,
    Success,
    Task,
    TrainingSettings,
    TrainingTask,
)
from evosearch.genome import parse
from evosearch.training.batches import ResidentData, batch_sizes
from evosearch.training.fit import Fit
from evosearch.training.trainer import Trainer

BACKWARD = 2
"""The backward pass costs about twice the forward one: gradients for weights and for inputs."""

NETWORK = "B1 | F1"
"""Convolution, batch norm and dense: the kernels of every network, on any image."""

IMAGES = 4


def probe(data: SearchData, device: str) -> None:
    """Train the smallest network on one batch of `data` and validate it on a few images, as an evaluation does.

    Nothing of it is left: each evaluation seeds its own random numbers.

    Raises:
        EvaluationError: it went wrong.
    """
    few = SearchData(_first(data.train), _first(data.validation), data.classes, data.key)
    settings = TrainingSettings(epochs=1, batch_size=IMAGES)
    try:
        outcome = Trainer(few, device).handle(TrainingTask(parse(NETWORK), settings, data.key, seed=0))
    except Exception as error:
        raise EvaluationError(f"the probe step failed: {type(error).__name__}: {error}") from error
    if isinstance(outcome, Failure):
        raise EvaluationError(f"the probe step failed: {outcome.message}")


def _first(split: Split) -> Split:
    return Split(split.images[:IMAGES], split.labels[:IMAGES])


class StepTimer:
    """An `Evaluator` that trains a few steps of each network and tells what the whole training would take.

    `seconds`: how long it measures each, though at least one step.
    """

    def __init__(
        self,
        data: SearchData,
        device: str,
        *,
        seconds: float = 1.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._data = ResidentData(data, torch.device(device))
        self._seconds = seconds
        self._clock = clock

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Success | Failure:
        """The time of a `TrainingTask`; its fitness is not one.

        Raises:
            EvaluationError: it is another task.
        """
        if not isinstance(task, TrainingTask):
            raise EvaluationError("only trainings are measured")
        try:
            return Success(0.0, self._measure(task, progress))
        except DivergedError as error:
            return Failure(FailureKind.DIVERGED, str(error))

    def _measure(self, task: TrainingTask, progress: Progress) -> float:
        """Seconds of the whole training. The first step also chooses kernels and asks for memory, so it counts once."""
        fit, size = Fit(task, self._data), task.settings.batch_size
        validation = -(-len(self._data.validation.labels) // size) / (1 + BACKWARD)  # forward alone
        of_epoch = len(batch_sizes(len(self._data.train.labels), size)) + validation
        begin = self._clock()
        fit.step()
        self._wait()
        first, work = self._clock() - begin, 0.0
        before = 1.0 if fit.batch else 1.0 + validation  # the last step of an epoch brings the validation
        begin = now = self._clock()
        while first < 4 * self._seconds and not fit.ended and now - begin < self._seconds:
            fit.step()
            progress.step()
            work += 1.0 if fit.batch else 1.0 + validation
            now = self._clock()
        self._wait()
        step = (self._clock() - begin) / work if work else first / before
        return first + step * (task.last_epoch * of_epoch - before)

    def _wait(self) -> None:
        if self._data.device.type == "cuda":
            torch.cuda.synchronize(self._data.device)
