"""The evaluator that search workers run: it trains a network and validates it; and the step by which a broken torch, driver
or GPU is found before the first evaluation.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, assert_never

import torch

from evosearch.data import SearchData, Split
from evosearch.errors import DivergedError, EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Failure,
    FailureKind,
    Features,
    FeaturesTask,
    Losses,
    MasksTask,
    Measures,
    Prediction,
    PredictionTask,
    Progress,
    Result,
    Rung,
    Success,
    Task,
    TrainingSettings,
    TrainingTask,
    is_out_of_memory,
    judged_epoch,
)
from evosearch.genome import parse
from evosearch.training.batches import ResidentData, batch_sizes
from evosearch.training.captured import CapturedStepper
from evosearch.training.checkpoints import Checkpoints, fingerprint
from evosearch.training.features import keep_features
from evosearch.training.fit import Fit, check_start
from evosearch.training.gate import MakeRecorder
from evosearch.training.masks import train_masks
from evosearch.training.numerics import numerics
from evosearch.training.step import Eager, Stepper, classify, make_classifier
from evosearch.training.waiting import WaitingFits, is_worth_writing
from evosearch.training.weights import describe, fetch_weights, keep_weights

Found = TypeVar("Found")
Timed = TypeVar("Timed", Features, Losses)

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


def stepper_of(make_recorder: MakeRecorder | None, progress: Progress) -> Callable[..., Stepper]:
    """What makes the `Stepper` of one `Fit`: of recorded steps, where there is something to record them with."""
    if make_recorder is None:
        return Eager
    return partial(CapturedStepper, recorder=make_recorder(), failed=progress.worn)


class StepTimer:
    """An `Evaluator` that trains a few steps of each network and says what the whole training would take.

    `seconds`: how long it measures each, though at least one step. `make_recorder`: as in `Trainer`.
    """

    def __init__(
        self,
        data: SearchData,
        device: str,
        *,
        seconds: float = 1.0,
        clock: Callable[[], float] = time.perf_counter,
        make_recorder: MakeRecorder | None = None,
    ) -> None:
        self._make_recorder = make_recorder
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
        """Seconds of the whole training. The first step also chooses kernels and asks for memory, so it counts once; where steps
        are recorded the second one brings that, and counts with the first.
        """
        fit = Fit(task, self._data, stepper_of(self._make_recorder, progress))
        try:
            return self._timed(task, fit, progress)
        finally:
            fit.close()

    def _timed(self, task: TrainingTask, fit: Fit, progress: Progress) -> float:
        size = task.settings.batch_size
        validation = -(-len(self._data.validation.labels) // size) / (1 + BACKWARD)  # forward alone
        if not task.settings.validates:
            validation = 0.0
        of_epoch = len(batch_sizes(len(self._data.trained_on(task.settings).labels), size)) + validation
        before, work = 0.0, 0.0
        begin = self._clock()
        for _ in range(1 if self._make_recorder is None else 2):
            if not fit.ended:
                fit.step()
                before += (
                    1.0 if fit.batch else 1.0 + validation
                )  # the last step of an epoch brings the validation
        self._wait()
        first = self._clock() - begin
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


class Trainer:
    """Trains one network after another on one device; an `Evaluator`.

    `device`: cpu, cuda or cuda:N; the data are copied there once, as uint8. `clock`: seconds, for `Outcome.seconds`.
    `make_recorder`: what each training records its steps with, see `CapturedStepper`; None: steps are taken eagerly.

    Equal tasks give equal outcomes, `seconds` aside, in any order with others: every random number comes
    from the task's seed, and nothing of an evaluation outlives it, but the state of one that waits at a rung.
    """

    def __init__(
        self,
        data: SearchData,
        device: str = "cpu",
        *,
        clock: Callable[[], float] = time.perf_counter,
        make_recorder: MakeRecorder | None = None,
    ) -> None:
        self._data = ResidentData(data, torch.device(device))
        self._clock = clock
        self._make_recorder = make_recorder
        self._waiting = WaitingFits()
        self._outdated: Checkpoints | None = None
        """Those of the training that ended last: its result is safe once another task comes."""

    @property
    def captures(self) -> bool:
        """Whether steps are recorded."""
        return self._make_recorder is not None

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        """Train, keep features, train masks over them, or classify: see `train`, `keep_features`, `train_masks`, `predict`. What
        diverges or finds no memory is a `Failure` as of `train`.
        """
        self._remove_outdated()
        match task:
            case TrainingTask():
                return self.train(task, progress)
            case FeaturesTask():
                about = f"'{task.network}'"
                return self._timed(about, partial(keep_features, task, self._data, progress))
            case MasksTask():
                return self._timed("the training of masks", partial(train_masks, task, self._data, progress))
            case PredictionTask():
                return self.predict(task, progress)
        assert_never(task)

    def train(self, task: TrainingTask, progress: Progress = UNWATCHED) -> Success | Failure:
        """Train `task.network` from its seed, or go on from its newest checkpoint; validate it after every epoch unless it
        trains on the validation images too, keep its weights if asked to.

        A loss or a validation logit that is not finite ends it as DIVERGED, a device or host without memory
        as OUT_OF_MEMORY; both with the curve of the epochs before.

        Raises:
            EvaluationError: the task names other data than this worker holds.
            InvalidChromosomeError: the chromosome needs repair first.
            TimedOutError: `progress` says so between two epochs.
        """
        self._data.check(task.data_key)
        past, start = _Past(), self._clock()
        failed = self._attempt(f"'{task.network}'", lambda: self._run(task, progress, past, start))
        seconds, curve = past.seconds + self._clock() - start, tuple(past.curve)
        if failed:
            return replace(failed, seconds=seconds, curve=curve)
        judged = curve[judged_epoch(curve, task.settings.patience)]
        return Success(judged.accuracy, seconds, curve, past.measures)

    def predict(self, task: PredictionTask, progress: Progress = UNWATCHED) -> Prediction:
        """Class probabilities of `task.images`, and of the validation images where they are asked for: in fp32, whatever the
        precision that the network was trained in.

        Raises:
            EvaluationError: other data than this worker holds, images of another shape than them, or no
                weights of this network at `task.weights`.
        """
        self._data.check(task.data_key)
        found, held = task.images.shape[1:], tuple(self._data.train.images.shape[1:])
        if found != held:
            raise EvaluationError(f"the network takes images of shape {held}, found {found}")
        settings = replace(task.settings, precision="fp32")
        with numerics(settings):
            network = make_classifier(task.network, settings, self._data, rule=task.hand_made)
            fetch_weights(task.weights, network.module)
            images = torch.tensor(task.images, device=self._data.device)
            both = (images, self._data.validation.images) if task.with_validation else (images,)
            return Prediction(
                *(
                    classify(network, one, settings.batch_size, progress).softmax(1).cpu().numpy()
                    for one in both
                )
            )

    def _timed(self, about: str, run: Callable[[], Timed]) -> Timed | Failure:
        start = self._clock()
        found = self._attempt(about, run)
        return replace(found, seconds=self._clock() - start)

    def _attempt(self, about: str, run: Callable[[], Found]) -> Found | Failure:
        """What `run` comes to; how it failed, where it diverged or found no memory."""
        failed = self._tried(about, run)
        # only now is everything that the attempt held free
        if self._data.device.type == "cuda":
            torch.cuda.empty_cache()
        return failed

    def _tried(self, about: str, run: Callable[[], Found]) -> Found | Failure:
        try:
            return run()
        except DivergedError as error:
            return Failure(FailureKind.DIVERGED, str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = (str(error) or "MemoryError").splitlines()[0]
            return Failure(FailureKind.OUT_OF_MEMORY, f"{about} needs more memory than there is: {reason}")

    def _run(self, task: TrainingTask, progress: Progress, past: "_Past", start: float) -> None:
        check_start(task)
        checkpoints = Checkpoints.of(task, self._data.device.type, self._clock)
        make_stepper = stepper_of(self._make_recorder, progress)
        fit = (
            self._waited(task, make_stepper)
            or (checkpoints and checkpoints.resume(task, self._data, make_stepper))
            or Fit(task, self._data, make_stepper)
        )
        past.curve, past.seconds = fit.curve, fit.seconds
        try:
            self._finish(fit, checkpoints, progress, start)
            past.measures = fit.measures(progress)
        finally:
            fit.close()
        if task.weights:
            normalization = self._data.normalization(task.settings, task.network)
            about = (task.network, self._data.classes, self._data.image, normalization, task.hand_made)
            with fit.judged() as module:
                keep_weights(task.weights, module, describe(*about))
        self._outdated = checkpoints
        if task.rung and task.last_epoch < task.settings.epochs:
            self._wait(fit, task.rung, checkpoints, fit.seconds + self._clock() - start)

    def _finish(self, fit: Fit, checkpoints: Checkpoints | None, progress: Progress, start: float) -> None:
        """Train to the end."""
        told = 0
        while not fit.ended:  # no limit takes away what is complete
            for record in fit.curve[told:]:
                progress.epoch(record)
            told = len(fit.curve)
            fit.run_epoch(progress)
            if checkpoints and checkpoints.is_due(len(fit.curve)):
                checkpoints.keep(fit, fit.seconds + self._clock() - start)

    def _waited(self, task: TrainingTask, make_stepper: Callable[..., Stepper]) -> Fit | None:
        """The training where an earlier trial left it in this worker; None where that is not here."""
        if task.rung is None:
            return None
        self._waiting.forget(task.rung)
        state = self._waiting.find(fingerprint(task, self._data.device.type), task.last_epoch)
        return None if state is None else Fit.restore(task, self._data, state, make_stepper)

    def _wait(self, fit: Fit, rung: Rung, checkpoints: Checkpoints | None, seconds: float) -> None:
        """Keep a training that has come to its rung in `seconds`, for it may go on: here while there is room, else where its
        checkpoints are, if that pays. Where it cannot be kept it is trained again.
        """
        task = fit.task
        try:
            state = fit.state()
            if self._waiting.keep(fingerprint(task, self._data.device.type), rung, state):
                return
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return
        each = seconds / max(1, task.last_epoch - rung.since)
        if checkpoints and is_worth_writing(state, each, task.settings.epochs):
            checkpoints.keep(fit, 0.0)  # seconds are those of a rung
            self._outdated = None

    def _remove_outdated(self) -> None:
        if self._outdated:
            self._outdated.remove()
        self._outdated = None


@dataclass
class _Past:
    """What a training has come to, for when it itself is gone. `seconds`: before it was restored."""

    curve: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0
    measures: Measures | None = None
