"""A training as a value: it can be stepped, saved at any step and restored, in any process, to the very same bits."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, optim

from evosearch.errors import DivergedError
from evosearch.evaluation import UNWATCHED, EpochRecord, Measures, Progress, TrainingTask
from evosearch.training.batches import ResidentData, batch_sizes, epoch_order
from evosearch.training.measures import measures_of
from evosearch.training.numerics import numerics
from evosearch.training.step import Classifier, Eager, Stepper, make_classifier, make_optimizer

MODULE, OPTIMIZER, RANDOM, LOSS = "module.", "optimizer.", "random.", "loss_sum"
"""How the tensors of a state are named: the module's and the optimizer's own names follow, or the generator's device."""


@dataclass(frozen=True)
class FitState:
    """All that decides how a training goes on, apart from its task and its data."""

    tensors: Mapping[str, Tensor]
    """On the CPU, contiguous, and shared with nobody: weights and buffers, the optimizer's, the states of
    the generators (uint8), and the summed loss of the running epoch.
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
    images has a generator of its own for each epoch. Several may be stepped in turn in one process.

    `curve`: a record per ended epoch. `batch`: batches of the running epoch that are done. `seconds`: what it had taken
    when it was restored; 0 for a new one.

    Raises:
        InvalidChromosomeError, EvaluationError: the network cannot be decoded for these images.
    """

    _logits: Tensor | None
    """Of the validation after the last epoch."""

    def __init__(
        self, task: TrainingTask, data: ResidentData, make_stepper: Callable[..., Stepper] = Eager
    ) -> None:
        with numerics(task.settings):
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
        with numerics(task.settings):
            network = make_classifier(task.network, task.settings, data, rule=task.hand_made)
            fit._begin(task, data, make_stepper, network)
            fit._put_back(state)
        return fit

    @property
    def ended(self) -> bool:
        """Whether it has come to its last epoch."""
        return len(self.curve) >= self.task.last_epoch

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

    def measures(self, progress: Progress = UNWATCHED) -> Measures:
        """What it came to besides its accuracy, once it has ended. It validates once more where it was restored so late."""
        data = self._data
        with numerics(self.task.settings), self._generators.in_place():
            if self._logits is None:
                self._logits = self._stepper.classify(data.validation.images, progress)
            predicted = self._logits.argmax(1)
        labels, found, logits = (
            one.cpu().numpy() for one in (data.validation.labels, predicted, self._logits)
        )
        return measures_of(labels, found, logits, data.classes, data.positive)

    def state(self, seconds: float = 0.0) -> FitState:
        """What it is now, `seconds` of wall time after its beginning; the training may go on meanwhile."""
        tensors = {MODULE + name: tensor for name, tensor in self.network.module.state_dict().items()}
        for position, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{position}.{name}": value for name, value in values.items()}
        tensors |= {RANDOM + device: state for device, state in self._generators.states.items()}
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
        self._generators = Generators(data.device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.device)
        self._optimizer = make_optimizer(network.module.parameters(), task.settings)
        self._batches: tuple[int, tuple[Tensor, ...]] = (0, ())
        self._stepper = make_stepper(
            network, self._optimizer, data.train, self._loss_sum, task.settings.batch_size
        )

    def _put_back(self, state: FitState) -> None:
        self.network.module.load_state_dict(_below(MODULE, state.tensors))
        _restore_optimizer(self._optimizer, _below(OPTIMIZER, state.tensors))
        self._generators.states = {
            device: state.tensors[RANDOM + device].clone() for device in self._generators.states
        }
        self._loss_sum.copy_(state.tensors[LOSS])
        self.curve, self.batch, self.seconds = list(state.curve), state.batch, state.seconds

    def _advance(self, steps: int | None, progress: Progress) -> None:
        with numerics(self.task.settings), self._generators.in_place():
            if self.batch == 0:
                self._loss_sum.zero_()
            batches = self._running_batches()
            end = len(batches) if steps is None else self.batch + steps
            self.network.module.train()
            for rows in batches[self.batch : end]:
                self._stepper.step(rows)
                self.batch += 1
                progress.step()
            if self.batch == len(batches):
                self._end_epoch(self._stepper.classify(self._data.validation.images, progress))

    def _running_batches(self) -> tuple[Tensor, ...]:
        """Positions of the images of each batch of the running epoch, on the device."""
        if self._batches[0] != self.epoch:
            images = len(self._data.train.labels)
            order = torch.from_numpy(epoch_order(images, self.task.seed, self.epoch))
            sizes = batch_sizes(images, self.task.settings.batch_size)
            self._batches = self.epoch, torch.split(order.to(self._data.device), sizes)
        return self._batches[1]

    def _end_epoch(self, logits: Tensor) -> None:
        correct = (logits.argmax(1) == self._data.validation.labels).sum()
        # the epoch's only wait for the device
        loss, right, finite = torch.stack([self._loss_sum, correct, logits.isfinite().all()]).tolist()
        if not (finite and math.isfinite(loss)):
            what = f"the training loss became {loss}"
            if math.isfinite(loss):
                what = "a validation logit is not finite"
            settings = self.task.settings
            raise DivergedError(
                f"{what} in epoch {self.epoch} of {settings.epochs} "
                f"({settings.optimizer}, learning rate {settings.learning_rate:g}, {settings.precision})"
            )
        images = len(self._data.train.labels), len(self._data.validation.labels)
        self.curve.append(EpochRecord(loss / images[0], int(right) / images[1]))
        self.batch = 0
        self._logits = logits if self.ended else None


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
