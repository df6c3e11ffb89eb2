"""The part of a network behind a dropout layer, its class layer, trained once for each of many masks of the layer's units, all at
once: GA-Dropout's objective.

The features that enter the layer are fixed, so that a mask costs little more than its share of a product of matrices: the
class layers of all masks are one layer of (masks * classes) outputs, and each learns from its own outputs alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from evosearch.errors import EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    EpochRecord,
    Losses,
    MasksTask,
    Progress,
    TrainingSettings,
    held_out,
)
from evosearch.training.batches import ResidentData, balanced, batch_sizes, epoch_order
from evosearch.training.features import KeptFeatures, kept_features
from evosearch.training.numerics import numerics
from evosearch.training.step import make_optimizer

LOSS_OF_DIVERGED = math.inf
"""Loss of a mask whose training diverged, which has no rank then. The other masks of its generation never notice."""

MOST_NUMBERS = 2**25
"""Of a tensor that grows with the masks, 128 MiB; more masks are trained in parts, one after another."""


def train_masks(task: MasksTask, data: ResidentData, progress: Progress = UNWATCHED) -> Losses:
    """Train the class layer behind each mask of `task`, and tell the loss of each. `seconds` are not measured here.

    The network exists, and a mask is laid over it: all start from the class layer as the features' training left it, weight and
    bias, go on with it, and see the images in the same order, the one chance that is the task's. Of `task.settings` they
    take epochs, batch size, optimizer with learning rate and weight decay, class weights (of the images that are trained on;
    losses are told unweighted) and numerics. In a convolutional class layer a unit is a channel, and the logits are the means
    of the rectified pixels, as in SqueezeNet.

    Raises:
        EvaluationError: the task names other data or no features, masks of another length than these have units, or a sample
            too small to hold any of it out; or as `kept_features`.
        DivergedError: as `kept_features`.
    """
    data.check(task.data_key)
    if task.features is None or task.masks.features is None:
        raise EvaluationError("the task names no features to train masks over")
    kept = kept_features(task.features, task.masks.features, data, progress)
    units, vectors = kept.values.shape[1], task.masks.vectors
    if len(vectors[0]) != units:
        raise EvaluationError(
            f"a mask has {len(vectors[0])} bits, and the layer that it is for {units} units"
        )
    with numerics(task.settings):
        training = _Training.of(task, kept, data)
        masks = scaled(vectors, task.rule.scale, task.rule.beta).to(data.device)
        parts = torch.split(masks, training.most_masks)
        losses = [loss for part in parts for loss in training.losses(part, progress)]
    return Losses(tuple(loss if math.isfinite(loss) else LOSS_OF_DIVERGED for loss in losses), 0.0)


def scaled(vectors: tuple[str, ...], scale: Literal["beta", "kept"], beta: float) -> Tensor:
    """What each unit is multiplied by under each mask: (masks, units) float32, 0 where it is dropped.

    >>> scaled(("0111", "0001"), "kept", 0.5)
    tensor([[0.0000, 1.3333, 1.3333, 1.3333],
            [0.0000, 0.0000, 0.0000, 4.0000]])
    """
    bits = np.array([np.frombuffer(one.encode(), np.uint8) for one in vectors]) - ord("0")
    masks = torch.from_numpy(bits).float()
    if scale == "beta":
        return masks / (1 - beta)
    return masks * (masks.shape[1] / masks.sum(1, keepdim=True).clamp_min(1))


@dataclass(frozen=True, slots=True)
class _Sample:
    """On the device."""

    features: Tensor
    """(n, pixels, units) float32; one pixel where the class layer is linear."""
    labels: Tensor
    """(n,) int64."""

    @classmethod
    def of(cls, kept: KeptFeatures, device: torch.device) -> "_Sample":
        values = kept.values.unsqueeze(2) if kept.values.dim() == 2 else kept.values
        return cls(values.transpose(1, 2).contiguous().to(device), kept.labels.to(device))

    def at(self, rows: Tensor) -> "_Sample":
        return _Sample(self.features[rows], self.labels[rows])

    def divided(self) -> tuple["_Sample", "_Sample"]:
        """Those that are trained on, and those that are held out."""
        held = torch.from_numpy(held_out(len(self.labels)))
        if not len(held):
            raise EvaluationError(
                f"objective is validation, and the sample has {len(self.labels)} images, of which every fifth is held out; "
                "make it larger, or objective train"
            )
        trained = torch.ones(len(self.labels), dtype=torch.bool)
        trained[held] = False
        return self.at(trained.nonzero()[:, 0].to(self.labels.device)), self.at(held.to(self.labels.device))


class _Layers:
    """The class layer behind each of `masks` (masks, units), as `scaled` made them; all start from `weight` (classes, units) and
    `bias` (classes,).
    """

    def __init__(self, masks: Tensor, weight: Tensor, bias: Tensor, convolution: bool, bf16: bool) -> None:
        self.weights = nn.Parameter(weight.repeat(len(masks), 1, 1))
        self.biases = nn.Parameter(bias.repeat(len(masks), 1))
        self._masks, self._convolution, self._bf16 = masks, convolution, bf16

    def losses(self, batch: _Sample) -> Tensor:
        """Cross-entropy of each image behind each mask: (B, masks) float32."""
        # as of so many images: a loss of three sides is not reproducible
        logits = self._logits(batch.features).flatten(0, 1)
        labels = batch.labels.repeat_interleave(len(self._masks))
        return functional.cross_entropy(logits, labels, reduction="none").view(-1, len(self._masks))

    def _logits(self, features: Tensor) -> Tensor:
        """(B, masks, classes) float32."""
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self._bf16):
            masked = (self.weights * self._masks[:, None]).flatten(0, 1)
            pixels = functional.linear(features, masked, self.biases.flatten())
            logits = pixels.relu().mean(1) if self._convolution else pixels.squeeze(1)
        return logits.view(len(features), *self.biases.shape).float()


@dataclass(frozen=True)
class _Training:
    """What all masks have in common."""

    settings: TrainingSettings
    """How they are trained."""
    seed: int
    """Of the order of the images."""
    weight: Tensor
    """(classes, units): of the class layer that all start from."""
    bias: Tensor
    """(classes,): of the same."""
    convolution: bool
    """Whether the class layer is one."""
    trained: _Sample
    """What they are trained on."""
    held: _Sample | None
    """What they are judged by; None: by the training loss."""

    @classmethod
    def of(cls, task: MasksTask, kept: KeptFeatures, data: ResidentData) -> "_Training":
        sample = _Sample.of(kept, data.device)
        trained, held = sample.divided() if task.rule.objective == "validation" else (sample, None)
        weight, bias = kept.weight.to(data.device), kept.bias.to(data.device)
        return cls(task.settings, task.seed, weight, bias, kept.values.dim() > 2, trained, held)

    @property
    def most_masks(self) -> int:
        """How many are trained at once."""
        classes, units = self.weight.shape
        pixels = (self.settings.batch_size + 1) * self.trained.features.shape[1]
        return max(1, MOST_NUMBERS // (classes * max(units, pixels)))

    def losses(self, masks: Tensor, progress: Progress) -> list[float]:
        """The loss of each of `masks`; not finite where a training diverged."""
        bf16 = self.settings.precision == "bf16"
        layers = _Layers(masks, self.weight, self.bias, self.convolution, bf16)
        optimizer = make_optimizer((layers.weights, layers.biases), self.settings)
        total = torch.zeros(len(masks), dtype=torch.float64, device=masks.device)
        for epoch in range(1, self.settings.epochs + 1):
            of_epoch = self._run_epoch(epoch, layers, optimizer, progress)
            if self.held is not None:
                of_epoch = self._validated(layers, self.held, progress)
            total += of_epoch
            if epoch < self.settings.epochs:  # no limit takes away what is complete
                progress.epoch(EpochRecord(float(of_epoch.nan_to_num().mean()), None))
        return [float(loss) for loss in total.tolist()]

    def _run_epoch(
        self, epoch: int, layers: _Layers, optimizer: optim.Optimizer, progress: Progress
    ) -> Tensor:
        """Mean training loss behind each mask: (masks,) float64."""
        images, counts = len(self.trained.labels), self._class_weights()
        order = torch.from_numpy(epoch_order(images, self.seed, epoch)).to(self.weight.device)
        summed = torch.zeros(len(layers.weights), dtype=torch.float64, device=self.weight.device)
        for rows in torch.split(order, batch_sizes(images, self.settings.batch_size)):
            batch = self.trained.at(rows)
            each, weights = layers.losses(batch), counts[batch.labels]
            optimizer.zero_grad()
            (weights / weights.sum() @ each).sum().backward()  # type: ignore[no-untyped-call] # of torch
            optimizer.step()
            summed += each.detach().sum(0)
            progress.step()
        return summed / images

    def _class_weights(self) -> Tensor:
        """What an image of each class counts: (classes,)."""
        classes = len(self.weight)
        if self.settings.class_weights == "none":
            return torch.ones(classes, device=self.weight.device)
        weights = balanced(self.trained.labels.cpu().numpy(), classes)
        return torch.tensor(weights, dtype=torch.float32, device=self.weight.device)

    @torch.inference_mode()
    def _validated(self, layers: _Layers, held: _Sample, progress: Progress) -> Tensor:
        """Mean loss over those held out behind each mask: (masks,) float64."""
        summed = torch.zeros(len(layers.weights), dtype=torch.float64, device=self.weight.device)
        rows = torch.arange(len(held.labels), device=self.weight.device)
        for part in torch.split(rows, self.settings.batch_size):
            summed += layers.losses(held.at(part)).sum(0)
            progress.step()
        return summed / len(held.labels)
