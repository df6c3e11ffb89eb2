"""The evaluator that search workers run: it trains a network and validates it."""

import time
from collections.abc import Callable
from typing import assert_never

import torch

from evosearch.data import SearchData
from evosearch.errors import DivergedError, EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Failure,
    FailureKind,
    Outcome,
    Prediction,
    PredictionTask,
    Progress,
    Result,
    Success,
    Task,
    TrainingTask,
    is_out_of_memory,
)
from evosearch.training.fit import Fit
from evosearch.training.numerics import numerics
from evosearch.training.resident import ResidentData
from evosearch.training.step import classify, make_classifier
from evosearch.training.weights import describe, fetch_weights, keep_weights


class Trainer:
    """Trains one network after another on one device; an `Evaluator`.

    `device`: cpu, cuda or cuda:N; the data are copied there once, as uint8. `clock`: seconds, for `Outcome.seconds`.

    Equal tasks give equal outcomes, `seconds` aside, in any order with others: every random number comes
    from the task's seed, and nothing of an evaluation outlives it.
    """

    def __init__(
        self,
        data: SearchData,
        device: str = "cpu",
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._data = ResidentData(data, torch.device(device))
        self._clock = clock

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        """Train, or classify: see `train` and `predict`."""
        match task:
            case TrainingTask():
                return self.train(task, progress)
            case PredictionTask():
                return self.predict(task)
        assert_never(task)

    def train(self, task: TrainingTask, progress: Progress = UNWATCHED) -> Outcome:
        """Train `task.network` from its seed, validate it after every epoch, keep its weights if asked to.

        A loss or a validation logit that is not finite ends it as DIVERGED, a device or host without memory
        as OUT_OF_MEMORY; both with the curve of the epochs before.

        Raises:
            EvaluationError: the task names other data than this worker holds.
            InvalidChromosomeError: the chromosome needs repair first.
            TimedOutError: `progress` says so between two epochs.
        """
        self._data.check(task.data_key)
        curve: list[EpochRecord] = []
        start = self._clock()
        failed = self._attempt(task, progress, curve)
        # only now is everything that the attempt held free
        if self._data.device.type == "cuda":
            torch.cuda.empty_cache()
        seconds = self._clock() - start
        if failed:
            return Failure(*failed, seconds, tuple(curve))
        return Success(curve[-1].accuracy, seconds, tuple(curve))

    def predict(self, task: PredictionTask) -> Prediction:
        """Class probabilities of `task.images`, softmax in fp32.

        Raises:
            EvaluationError: other data than this worker holds, images of another shape than them, or no
                weights of this network at `task.weights`.
        """
        self._data.check(task.data_key)
        found, held = task.images.shape[1:], tuple(self._data.train.images.shape[1:])
        if found != held:
            raise EvaluationError(f"the network takes images of shape {held}, found {found}")
        with numerics(task.settings):
            network = make_classifier(task.network, task.settings, self._data)
            fetch_weights(task.weights, network.module)
            images = torch.tensor(task.images, device=self._data.device)
            logits = classify(network, images, task.settings.batch_size)
            return Prediction(logits.softmax(1).cpu().numpy())

    def _attempt(
        self, task: TrainingTask, progress: Progress, curve: list[EpochRecord]
    ) -> tuple[FailureKind, str] | None:
        try:
            self._run(task, progress, curve)
        except DivergedError as error:
            return FailureKind.DIVERGED, str(error)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = (str(error) or "MemoryError").splitlines()[0]
            return FailureKind.OUT_OF_MEMORY, f"'{task.network}' needs more memory than there is: {reason}"
        return None

    def _run(self, task: TrainingTask, progress: Progress, curve: list[EpochRecord]) -> None:
        fit = Fit(task, self._data)
        while not fit.ended:
            if fit.curve:  # no limit takes away what is complete
                progress.epoch()
            curve.append(fit.run_epoch(progress))
        if task.weights:
            normalization = self._data.normalization(task.settings)
            metadata = describe(task.network, self._data.classes, self._data.image, normalization)
            keep_weights(task.weights, fit.network.module, metadata)
