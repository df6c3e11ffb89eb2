"""A training as a value: it can be stepped, saved at any step and restored, in any process, to the very same bits."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from evosearch.errors import DivergedError, EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    FeaturesTask,
    Measures,
    Progress,
    TrainingTask,
    judged_epoch,
)
from evosearch.genome import weights_of
from evosearch.training.augmentation import drawn_moves
from evosearch.training.batches import ResidentData, batch_sizes, epoch_order
from evosearch.training.captured import own_stream
from evosearch.training.measures import measures_of
from evosearch.training.numerics import numerics
from evosearch.training.step import Classifier, Eager, Stepper, make_classifier, make_optimizer

MODULE, OPTIMIZER, RANDOM, LOSS, BEST = "module.", "optimizer.", "random.", "loss_sum", "best."
"""How the tensors of a state are named: the module's and the optimizer's own names follow, or the generator's device."""

Batch = tuple[Tensor, Tensor | None]
"""Positions of its images (B,) int64, and how they are moved (B, 3) int64, if they are; on the device."""


@dataclass(frozen=True)
class FitState:
    """All that decides how a training goes on, apart from its task and its data."""

    tensors: Mapping[str, Tensor]
    """On the CPU, contiguous, and shared with nobody: weights and buffers, the optimizer's, the states of
    the generators (uint8), the summed loss of the running epoch, and where a training may end early the
    weights and buffers of the epoch by which it would be judged.
    """
    curve: tuple[EpochRecord, ...] = ()
    """A record per ended epoch."""
    batch: int = 0
    """Batches of the running epoch that are done."""
    seconds: float = 0.0
    """Wall time until then."""


class Generators:
    """The states of PyTorch's default generators, of the CPU and of `device`, that belong to one training.

    The generators themselves and no others: dropout and stochastic depth inside modules of other people draw from them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.states = self._read()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, every draw is the training's own."""
        torch.set_rng_state(self.states["cpu"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self.states["cuda"], self._device)
        try:
            yield
        finally:
            self.states = self._read()

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return states


class Fit:
    """One training of `task.network`, on the way from its seed to its last epoch.

    Order of draws: the seed, the weights, then dropout and its like from where the weights ended; the order of the
    images has a generator of its own for each epoch, and so has their augmentation. Several may be stepped in turn in one process.
    On a GPU all run on one stream, which is not the default one. `make_stepper`: how steps are taken; the bits are the same.

    `curve`: a record per ended epoch. `batch`: batches of the running epoch that are done. `seconds`: what it had taken
    when it was restored; 0 for a new one.

    Raises:
        InvalidChromosomeError, EvaluationError: the network cannot be decoded for these images.
    """

    _logits: Tensor | None
    """Of the validation after the epoch that is judged; None until that is known, and where a state does not hold it."""

    def __init__(
        self, task: TrainingTask, data: ResidentData, make_stepper: Callable[..., Stepper] = Eager
    ) -> None:
        with numerics(task.settings), own_stream(data.device):
            generator = torch.manual_seed(task.seed)  # seeds every device
            self._begin(
                task,
                data,
                make_stepper,
                make_classifier(task.network, task.settings, data, generator, task.hand_made, task.start),
            )

    @classmethod
    def restore(
        cls,
        task: TrainingTask,
        data: ResidentData,
        state: FitState,
        make_stepper: Callable[..., Stepper] = Eager,
    ) -> "Fit":
        """The training that `state` was taken from; `task` may end it elsewhere.

        Raises:
            KeyError, RuntimeError, ValueError: the state is of another network.
        """
        fit = cls.__new__(cls)
        with numerics(task.settings), own_stream(data.device):
            network = make_classifier(task.network, task.settings, data, rule=task.hand_made)
            fit._begin(task, data, make_stepper, network)
            fit._put_back(state)
        return fit

    @property
    def ended(self) -> bool:
        """Whether it has come to its last epoch, or has waited out `patience`."""
        if len(self.curve) >= self.task.last_epoch:
            return True
        patience = self.task.settings.patience
        return patience is not None and len(self.curve) - 1 - self._judged >= patience

    @property
    def epoch(self) -> int:
        """The running epoch, from 1."""
        return len(self.curve) + 1

    def step(self) -> None:
        """Train on one batch; the last one of an epoch brings its validation. Raises as `run_epoch`."""
        self._advance(1, UNWATCHED)

    def run_epoch(self, progress: Progress = UNWATCHED) -> EpochRecord:
        """Train to the end of the running epoch, and validate; each batch is reported to `progress`.

        Raises:
            DivergedError: a loss or a validation logit is not finite.
        """
        self._advance(None, progress)
        return self.curve[-1]

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """The network as it is judged and kept, once it has ended: within, it has the weights of that epoch."""
        module = self.network.module
        if not self._best or self._judged == len(self.curve) - 1:
            yield module
            return
        running = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self._best)
        try:
            yield module
        finally:
            module.load_state_dict(running)

    def measures(self, progress: Progress = UNWATCHED) -> Measures | None:
        """What it came to besides its accuracy, once it has ended; None where no image was left to judge by. It validates
        once more where it was restored so late.
        """
        data = self._data
        if not self.task.settings.validates:
            return None
        with self._computing(), self.judged():
            if self._logits is None:
                self._logits = self._stepper.classify(data.validation.images, progress)
            predicted = self._logits.argmax(1)
        labels, found, logits = (
            one.cpu().numpy() for one in (data.validation.labels, predicted, self._logits)
        )
        return measures_of(labels, found, logits, data.classes, data.positive)

    def close(self) -> None:
        """Free what its steps hold besides its tensors: recorded ones hold graphs and their memory. It could go on eagerly."""
        self._stepper.close()

    def state(self, seconds: float = 0.0) -> FitState:
        """What it is now, `seconds` of wall time after its beginning; the training may go on meanwhile."""
        tensors = {MODULE + name: tensor for name, tensor in self.network.module.state_dict().items()}
        for position, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{position}.{name}": value for name, value in values.items()}
        tensors |= {RANDOM + device: state for device, state in self._generators.states.items()}
        tensors |= {BEST + name: tensor for name, tensor in self._best.items()}
        tensors[LOSS] = self._loss_sum
        kept = {name: _copied(value) for name, value in tensors.items() if value is not None}
        return FitState(kept, tuple(self.curve), self.batch, seconds)

    def _begin(
        self,
        task: TrainingTask,
        data: ResidentData,
        make_stepper: Callable[..., Stepper],
        network: Classifier,
    ) -> None:
        self.task = task
        self.network = network
        self.curve: list[EpochRecord] = []
        self.batch = 0
        self.seconds = 0.0
        self._data = data
        self._logits = None
        self._best: dict[str, Tensor] = {}
        self._images = data.trained_on(task.settings)
        self._generators = Generators(data.device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.device)
        self._optimizer = make_optimizer(network.module.parameters(), task.settings)
        self._batches: tuple[int, tuple[Batch, ...]] = (0, ())
        self._stepper = make_stepper(
            network,
            self._optimizer,
            self._images,
            self._loss_sum,
            task.settings.batch_size,
            data.class_weights(task.settings),
        )

    def _put_back(self, state: FitState) -> None:
        self.network.module.load_state_dict(_below(MODULE, state.tensors))
        _restore_optimizer(self._optimizer, _below(OPTIMIZER, state.tensors))
        self._generators.states = {
            device: state.tensors[RANDOM + device].clone() for device in self._generators.states
        }
        if best := _below(BEST, state.tensors):
            own = self.network.module.state_dict()
            self._best = {name: torch.empty_like(tensor).copy_(best[name]) for name, tensor in own.items()}
        self._loss_sum.copy_(state.tensors[LOSS])
        self.curve, self.batch, self.seconds = list(state.curve), state.batch, state.seconds

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Within, everything is as this training needs it, and on its own stream."""
        with numerics(self.task.settings), own_stream(self._data.device), self._generators.in_place():
            yield

    def _advance(self, steps: int | None, progress: Progress) -> None:
        with self._computing():
            if self.batch == 0:
                self._loss_sum.zero_()
            batches = self._running_batches()
            end = len(batches) if steps is None else self.batch + steps
            self.network.module.train()
            for rows, moves in batches[self.batch : end]:
                self._stepper.step(rows, moves)
                self.batch += 1
                progress.step()
            if self.batch == len(batches):
                validates = self.task.settings.validates
                self._end_epoch(
                    self._stepper.classify(self._data.validation.images, progress) if validates else None
                )

    def _running_batches(self) -> tuple[Batch, ...]:
        """Those of the running epoch."""
        if self._batches[0] != self.epoch:
            self._batches = self.epoch, tuple(self._drawn_batches())
        return self._batches[1]

    def _drawn_batches(self) -> Iterator[Batch]:
        images, seed, device = len(self._images.labels), self.task.seed, self._data.device
        order = torch.from_numpy(epoch_order(images, seed, self.epoch)).to(device)
        sizes = batch_sizes(images, self.task.settings.batch_size)
        moves = drawn_moves(self.task.settings.augment, images, self._data.image, seed, self.epoch)
        if moves is None:
            return zip(torch.split(order, sizes), repeat(None), strict=False)
        of_batches = torch.split(torch.from_numpy(moves).to(device), sizes)
        return zip(torch.split(order, sizes), of_batches, strict=True)

    def _end_epoch(self, logits: Tensor | None) -> None:
        """`logits`: of the validation images; None where they are trained on."""
        figures = [self._loss_sum] if logits is None else [self._loss_sum, *self._validated(logits)]
        # the epoch's only wait for the device
        loss, *rest = torch.stack(figures).tolist()
        right, finite, validation_loss = (*rest, None, None)[:3] if rest else (None, True, None)
        self._check_finite(loss, bool(finite), validation_loss)
        accuracy = None if right is None else int(right) / len(self._data.validation.labels)
        self.curve.append(EpochRecord(loss / len(self._images.labels), accuracy, validation_loss))
        self.batch = 0
        self._note_judged(logits)

    def _validated(self, logits: Tensor) -> Iterator[Tensor]:
        """How many images are recognised, whether every logit is finite and, where somebody needs it, the loss."""
        labels = self._data.validation.labels
        yield (logits.argmax(1) == labels).sum()
        yield logits.isfinite().all()
        if self.task.weights is not None or self.task.settings.patience is not None:
            yield functional.cross_entropy(logits, labels)

    def _check_finite(self, loss: float, finite: bool, validation_loss: float | None) -> None:
        if not math.isfinite(loss):
            what = f"the training loss became {loss}"
        elif not finite:
            what = "a validation logit is not finite"
        elif validation_loss is not None and not math.isfinite(validation_loss):
            what = f"the validation loss became {validation_loss}"
        else:
            return
        settings = self.task.settings
        raise DivergedError(
            f"{what} in epoch {self.epoch} of {settings.epochs} "
            f"({settings.optimizer}, learning rate {settings.learning_rate:g}, {settings.precision})"
        )

    @property
    def _judged(self) -> int:
        """As `judged_epoch`."""
        return judged_epoch(self.curve, self.task.settings.patience)

    def _note_judged(self, logits: Tensor | None) -> None:
        """Keep what the epoch that has just ended would be judged by, if it is the one to be judged."""
        if self.task.settings.patience is None:
            self._logits = logits if self.ended else None
        elif self._judged == len(self.curve) - 1:
            self._logits = logits
            self._best = {name: tensor.clone() for name, tensor in self.network.module.state_dict().items()}


def check_start(task: TrainingTask | FeaturesTask) -> None:
    """See that `task` says where the weights are that its network starts from, if it starts from given ones.

    Raises:
        EvaluationError: it does not.
    """
    if weights_of(task.network) is not None and task.start is None:
        raise EvaluationError(f"'{task.network}' starts from given weights, and the task does not say where")


def _restore_optimizer(optimizer: optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give `optimizer` the state that `tensors` hold, by "position of the weight.name".

    Every moment gets its weight's strides: the fused kernels walk both in memory's order, and with others they would
    train on without a word, wrongly.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        position, _, what = name.partition(".")
        state.setdefault(int(position), {})[what] = tensor
    # it knows which of them belong on the device
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            values[name] = torch.empty_like(parameter if value.shape == parameter.shape else value).copy_(
                value
            )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _copied(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
