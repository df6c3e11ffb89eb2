"""The evaluator that search workers run: it trains a network and validates it."""

import math
import time
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from evosearch.blueprint import draw_up
from evosearch.data import SearchData, Split
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
    Success,
    TrainingSettings,
    TrainingTask,
    is_out_of_memory,
)
from evosearch.genome import Chromosome
from evosearch.networks import build, initialise
from evosearch.training.batches import batch_sizes, epoch_order
from evosearch.training.normalize import Normalization, Scale, standard, unit
from evosearch.training.numerics import numerics
from evosearch.training.optimizers import make_optimizer
from evosearch.training.step import Network, Resident, classify, train_step
from evosearch.training.weights import describe, fetch_weights, keep_weights


class Trainer:
    """Trains one network after another on one device; an `Evaluator`.

    `device`: cpu, cuda or cuda:N; the data are copied there once, as uint8. `on_epoch`: told each epoch's
    number (from 1) and record, in the thread that trains. `clock`: seconds, for `Outcome.seconds`.

    Equal tasks give equal outcomes, `seconds` aside, in any order with others: every random number comes
    from the task's seed, and nothing of an evaluation outlives it.
    """

    def __init__(
        self,
        data: SearchData,
        device: str = "cpu",
        *,
        on_epoch: Callable[[int, EpochRecord], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        # not `data` itself: its arrays would stay in memory beside their copies
        self._key, self._image, self._classes = data.key, data.image, data.classes
        self._device = torch.device(device)
        self._train = self._resident(data.train)
        self._validation = self._resident(data.validation)
        self._on_epoch = on_epoch
        self._clock = clock

    def evaluate(self, task: TrainingTask, progress: Progress = UNWATCHED) -> Outcome:
        """Train `task.network` from its seed, validate it after every epoch, keep its weights if asked to.

        A loss or a validation logit that is not finite ends it as DIVERGED, a device or host without memory
        as OUT_OF_MEMORY; both with the curve of the epochs before.

        Raises:
            EvaluationError: the task names other data than this worker holds.
            InvalidChromosomeError: the chromosome needs repair first.
            TimedOutError: `progress` says so between two epochs.
        """
        self._check_data(task.data_key)
        curve: list[EpochRecord] = []
        start = self._clock()
        failed = self._attempt(task, progress, curve)
        # only now is everything that the attempt held free
        if self._device.type == "cuda":
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
        self._check_data(task.data_key)
        found, held = task.images.shape[1:], tuple(self._train.images.shape[1:])
        if found != held:
            raise EvaluationError(f"the network takes images of shape {held}, found {found}")
        with numerics(task.settings):
            network = self._decode(task.network, task.settings)
            fetch_weights(task.weights, network.module)
            images = torch.tensor(task.images, device=self._device)
            logits = classify(network, images, task.settings.batch_size)
            return Prediction(logits.softmax(1).cpu().numpy())

    def _attempt(
        self, task: TrainingTask, progress: Progress, curve: list[EpochRecord]
    ) -> tuple[FailureKind, str] | None:
        try:
            with numerics(task.settings):
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
        settings = task.settings
        # seeds every device; on the CPU dropout draws on where the weights ended
        generator = torch.manual_seed(task.seed)
        network = self._decode(task.network, settings, generator)
        optimizer = make_optimizer(network.module.parameters(), settings)
        images = len(self._train.labels)
        sizes = batch_sizes(images, settings.batch_size)
        for epoch in range(1, settings.epochs + 1):
            if epoch > 1:  # no limit takes away what is complete
                progress.epoch()
            order = torch.from_numpy(epoch_order(images, task.seed, epoch))
            loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
            network.module.train()
            for rows in torch.split(order.to(self._device), sizes):
                train_step(network, optimizer, self._train, rows, loss_sum)
                progress.step()
            logits = classify(network, self._validation.images, settings.batch_size, progress)
            curve.append(self._record(epoch, settings, loss_sum, logits))
            if self._on_epoch:
                self._on_epoch(epoch, curve[-1])
        if task.weights:
            metadata = describe(task.network, self._classes, self._image, self._normalization(settings))
            keep_weights(task.weights, network.module, metadata)

    def _record(
        self, epoch: int, settings: TrainingSettings, loss_sum: Tensor, logits: Tensor
    ) -> EpochRecord:
        correct = (logits.argmax(1) == self._validation.labels).sum()
        # the epoch's only wait for the device
        loss, right, finite = torch.stack([loss_sum, correct, logits.isfinite().all()]).tolist()
        if not (finite and math.isfinite(loss)):
            what = f"the training loss became {loss}"
            if math.isfinite(loss):
                what = "a validation logit is not finite"
            raise DivergedError(
                f"{what} in epoch {epoch} of {settings.epochs} "
                f"({settings.optimizer}, learning rate {settings.learning_rate:g}, {settings.precision})"
            )
        return EpochRecord(loss / len(self._train.labels), int(right) / len(self._validation.labels))

    def _decode(
        self, network: Chromosome, settings: TrainingSettings, generator: torch.Generator | None = None
    ) -> Network:
        """The network on the device, its weights drawn from `generator` or, without one, undefined."""
        with torch.device("meta"):  # PyTorch's own initial weights would cost time and random numbers
            module: nn.Module = build(draw_up(network, self._image, len(self._classes), settings.dropout))
        module.to_empty(device="cpu")
        if generator:
            initialise(module, generator)
        module.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch has no such overload
        scale = Scale(self._normalization(settings), self._device)
        return Network(module, scale, settings.precision == "bf16")

    def _normalization(self, settings: TrainingSettings) -> Normalization:
        return unit(self._image.channels) if settings.normalize == "unit" else self._standard

    @cached_property
    def _standard(self) -> Normalization:
        return standard(self._train.images.cpu().numpy())

    def _resident(self, split: Split) -> Resident:
        # copied, never shared: a worker of the Ray pool gets read-only arrays
        return Resident(*(torch.tensor(array, device=self._device) for array in (split.images, split.labels)))

    def _check_data(self, key: str) -> None:
        if key != self._key:
            raise EvaluationError(
                f"the task is for data {key}, this worker holds {self._key}; start workers on that data"
            )
