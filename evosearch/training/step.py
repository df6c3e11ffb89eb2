"""One training step and one validation pass, all that happens on the device; and the four optimizers of the paper's
batch-norm study.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from evosearch.evaluation import UNWATCHED, HandMadeRule, Network, Progress, TrainingSettings
from evosearch.networks import decode, drop_before_classes
from evosearch.training.augmentation import moved
from evosearch.training.batches import Resident, ResidentData, Scale
from evosearch.training.optimizers import SGD, Adadelta, Adam, RMSprop
from evosearch.training.weights import start_weights

AUXILIARY = 0.4
"""Weight of the loss of InceptionV3's auxiliary head beside its own (torchvision's references/classification)."""


def make_optimizer(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> optim.Optimizer:
    """The optimizer that `settings` name, with their learning rate and weight decay and PyTorch's other defaults.

    Where PyTorch has a fused kernel it is used: one pass over the weights, 1.2 times as fast a step on a CPU,
    and without it Adam reads its step counter on the host. On a GPU all can be captured, whether they are or not: their
    counters lie there, too. The learning rate stays a number, since it never changes.
    """
    own = list(parameters)
    optimizer = _made_for(own, settings, capturable=any(one.is_cuda for one in own))
    # torch would warn of each capturable one whose first step is eager
    optimizer._warned_capturable_if_run_uncaptured = True
    return optimizer


def _made_for(
    parameters: list[nn.Parameter], settings: TrainingSettings, capturable: bool
) -> optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    match settings.optimizer:
        case "adam":
            return Adam(parameters, lr=rate, weight_decay=decay, fused=True, capturable=capturable)
        case "sgd":  # it counts nothing, so it always can
            return SGD(parameters, lr=rate, weight_decay=decay, fused=True)
        case "adadelta":
            return Adadelta(parameters, lr=rate, weight_decay=decay, capturable=capturable)
        case "rmsprop":
            return RMSprop(parameters, lr=rate, weight_decay=decay, capturable=capturable)
    assert_never(settings.optimizer)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A module with what every forward pass of it needs."""

    module: nn.Module
    """From scaled images to logits."""
    scale: Scale
    """What the images go through first."""
    bf16: bool
    """Forward under autocast, weights in fp32."""

    def logits(self, images: Tensor) -> Tensor:
        """From images (B, C, H, W) uint8 to logits (B, K) float32."""
        return self.heads(images)[0]

    def heads(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits, and in training mode those of the auxiliary head of a network that has one; each (B, K) float32."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            found: Tensor | tuple[Tensor, ...] = self.module(self.scale(images))
        heads = (found,) if isinstance(found, Tensor) else tuple(found)
        return tuple(one.float() for one in heads)


def make_classifier(
    network: Network,
    settings: TrainingSettings,
    data: ResidentData,
    generator: torch.Generator | None = None,
    rule: HandMadeRule = "kaiming",
    start: str | None = None,
) -> Classifier:
    """`network` on the device of `data`; its weights are drawn from `generator` or, without one, undefined.

    `rule`: as in `decode`. `start`: where the weights are that it starts from, as in `TrainingTask`.
    """
    module = decode(network, data.image, len(data.classes), settings.dropout, generator, rule)
    if start is not None and generator is not None:
        start_weights(start, network, module)
    if settings.class_dropout is not None:
        drop_before_classes(network, module, settings.class_dropout, settings.dropout_units)
    module.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch has no such overload
    return Classifier(
        module, Scale(data.normalization(settings, network), data.device), settings.precision == "bf16"
    )


class Stepper(Protocol):
    """How the steps of one training are taken: operator by operator, or as a captured graph."""

    def step(self, rows: Tensor, moves: Tensor | None = None) -> None:
        """Train on the images at `rows` (B,) int64, on the device, `moved` by `moves`; their summed loss joins the training's."""
        ...

    def classify(self, images: Tensor, progress: Progress) -> Tensor:
        """Logits (N, K) float32 of images (N, C, H, W) uint8, in evaluation mode."""
        ...

    def close(self) -> None:
        """Free what it holds besides its arguments; the training has ended, or will not go on."""
        ...


@dataclass(frozen=True, slots=True)
class Eager:
    """A `Stepper` that has PyTorch run one operator after another."""

    network: Classifier
    """As in `train_step` and `classify`."""
    optimizer: optim.Optimizer
    """As in `train_step`."""
    split: Resident
    """As in `train_step`."""
    loss_sum: Tensor
    """As in `train_step`."""
    batch_size: int
    """As in `classify`."""
    class_weights: Tensor | None = None
    """As in `train_step`."""

    def step(self, rows: Tensor, moves: Tensor | None = None) -> None:
        """As `train_step`."""
        train_step(self.network, self.optimizer, self.split, rows, self.loss_sum, moves, self.class_weights)

    def classify(self, images: Tensor, progress: Progress) -> Tensor:
        """As `classify`."""
        return classify(self.network, images, self.batch_size, progress)

    def close(self) -> None:
        """Nothing is held."""


def train_step(
    network: Classifier,
    optimizer: optim.Optimizer,
    split: Resident,
    rows: Tensor,
    loss_sum: Tensor,
    moves: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> None:
    """Train on the images at `rows`, and add their summed loss to `loss_sum` on the device: that of the network's own logits,
    whatever an auxiliary head adds to what is learned from.

    Args:
        network: in training mode; its weights and running statistics change in place.
        optimizer: of the network's weights.
        split: the training images.
        rows: positions (B,) int64, on the device.
        loss_sum: scalar float64, on the device, changed in place.
        moves: (B, 3) int64, on the device: how the images are `moved` before; None: not at all.
        class_weights: (K,) float32, on the device: what an image of each class counts in the loss, which is divided by the
            batch's sum of them; `loss_sum` knows nothing of it. None: all alike.
    """
    images, labels = split.images.index_select(0, rows), split.labels.index_select(0, rows)
    logits, *auxiliary = network.heads(images if moves is None else moved(images, moves))
    loss, plain = _losses(logits, labels, class_weights)
    for head in auxiliary:
        loss = loss + AUXILIARY * _losses(head, labels, class_weights)[0]
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call] # of torch
    optimizer.step()
    loss_sum.add_(plain.detach(), alpha=rows.numel())


def _losses(logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """What is minimised, and the plain mean cross-entropy."""
    if class_weights is None:
        loss = functional.cross_entropy(logits, labels)
        return loss, loss
    logarithms = functional.log_softmax(logits, 1)
    return functional.nll_loss(logarithms, labels, class_weights), functional.nll_loss(
        logarithms.detach(), labels
    )


@torch.inference_mode()
def classify(network: Classifier, images: Tensor, batch_size: int, progress: Progress = UNWATCHED) -> Tensor:
    """Logits (N, K) float32 of images (N, C, H, W) uint8, `batch_size` at a time, in evaluation mode."""
    network.module.eval()
    logits = []
    for batch in torch.split(images, batch_size):
        logits.append(network.logits(batch))
        progress.step()
    return torch.cat(logits)
