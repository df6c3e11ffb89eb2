"""A data set on the device that trains: which images each step takes, the same on every device since the host draws it, and
from uint8 pixels to what a network takes.
"""

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError
from evosearch.evaluation import Images, Labels, Network, TrainingSettings
from evosearch.genome import is_hand_made


def epoch_order(images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Positions of all `images` training images in the order of epoch `epoch` (from 1), int64 (images,)."""
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int64, copy=False)


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches; they sum to `images`, so the partial last batch is trained too.

    A single image left over joins the batch before it: batch norm has no variance over one image at 1x1.
    """
    full, rest = divmod(images, batch_size)
    sizes = [batch_size] * full
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


WHITE = 255
"""Largest value of a pixel."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """A pixel of value p in channel c becomes (p - mean[c]) / deviation[c]."""

    mean: tuple[float, ...]
    """Per channel, in pixel values, 0 to 255."""
    deviation: tuple[float, ...]
    """Per channel, in pixel values, 0 to 255."""


def unit(channels: int) -> Normalization:
    """Pixels / 255."""
    return Normalization((0.0,) * channels, (float(WHITE),) * channels)


def standard(train: Images) -> Normalization:
    """Each channel to mean 0 and deviation 1 over the training images; one that never changes is only centred.

    The sums are exact integers, so no machine rounds them differently.
    """
    pixels = train.size // train.shape[1]
    sums = train.sum(axis=(0, 2, 3), dtype=np.int64)
    squares = sum(np.square(image, dtype=np.int64).sum(axis=(1, 2)) for image in train)
    variance = (pixels * squares - sums**2) / pixels**2
    deviation = np.where(variance > 0, np.sqrt(variance), WHITE)
    return Normalization(tuple((sums / pixels).tolist()), tuple(deviation.tolist()))


IMAGENET = Normalization(
    (0.485 * WHITE, 0.456 * WHITE, 0.406 * WHITE), (0.229 * WHITE, 0.224 * WHITE, 0.225 * WHITE)
)
"""Of torchvision's pre-trained networks. Source: its documentation of each of their weights."""


def imagenet(channels: int) -> Normalization:
    """That of torchvision's pre-trained networks; images of another number of channels than its three take the averages.

    >>> [round(value / WHITE, 3) for value in (*imagenet(1).mean, *imagenet(1).deviation)]
    [0.449, 0.226]
    """
    if channels == len(IMAGENET.mean):
        return IMAGENET
    return Normalization((fmean(IMAGENET.mean),) * channels, (fmean(IMAGENET.deviation),) * channels)


def balanced(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float64]:
    """What an image of each class counts in the loss, so that every class counts alike: (classes,) float64.

    n / (k n_c) of n images in k classes, n_c in class c. `labels`: (n,) from 0. A class without images counts 0.

    >>> balanced(np.array([0, 0, 0, 1]), 2).round(3).tolist()
    [0.667, 2.0]
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (classes * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0.0)


class Scale:
    """A `Normalization` on a device."""

    def __init__(self, normalization: Normalization, device: torch.device) -> None:
        self._mean = torch.tensor(normalization.mean, device=device).reshape(-1, 1, 1)
        self._deviation = torch.tensor(normalization.deviation, device=device).reshape(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """From images (B, C, H, W) uint8 to float32, channels last; one channel becomes as many as there are means.

        Channels last trains paper-width networks up to 1.4 times as fast as contiguous on a CPU; the layers
        keep the layout.
        """
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        if len(self._mean) != pixels.shape[1]:
            pixels = pixels.expand(-1, len(self._mean), -1, -1).contiguous(memory_format=torch.channels_last)
        return pixels.sub_(self._mean).div_(self._deviation)


@dataclass(frozen=True, slots=True)
class Resident:
    """A split on the device."""

    images: Tensor
    """(N, C, H, W) uint8."""
    labels: Tensor
    """(N,) int64."""


class ResidentData:
    """`data` on `device`, copied there once, as uint8."""

    def __init__(self, data: SearchData, device: torch.device) -> None:
        # not `data` itself: its arrays would stay in memory beside their copies
        self.key, self.image, self.classes = data.key, data.image, data.classes
        self.positive = data.positive
        self.device = device
        self.train = self._on_device(data.train)
        self.validation = self._on_device(data.validation)

    def check(self, key: str) -> None:
        """See that a task means this data.

        Raises:
            EvaluationError: it means other data.
        """
        if key != self.key:
            raise EvaluationError(
                f"the task is for data {key}, this worker holds {self.key}; start workers on that data"
            )

    def trained_on(self, settings: TrainingSettings) -> Resident:
        """The images that `settings.fit` trains on: the training images, or these and then the validation images."""
        return self.train if settings.validates else self._both

    def normalization(self, settings: TrainingSettings, network: Network) -> Normalization:
        """What `settings.normalize` means for these images; gray ones, which a hand-made network repeats three times, are
        brought to `imagenet` copy by copy.
        """
        match settings.normalize:
            case "unit":
                return unit(self.image.channels)
            case "standard":
                return self._standard if settings.validates else self._standard_of_both
            case "imagenet":
                repeated = is_hand_made(network) and self.image.channels == 1
                return imagenet(len(IMAGENET.mean) if repeated else self.image.channels)
        assert_never(settings.normalize)

    def class_weights(self, settings: TrainingSettings) -> Tensor | None:
        """What an image of each class counts in the loss: (classes,) float32, on the device; None: all alike."""
        if settings.class_weights == "none":
            return None
        weights = balanced(self.trained_on(settings).labels.cpu().numpy(), len(self.classes))
        return torch.tensor(weights, dtype=torch.float32, device=self.device)

    def sampled(self, positions: Labels) -> "ResidentData":
        """The training images at `positions` (n,) int64 alone, as if there were no others, and no validation images."""
        rows = torch.from_numpy(positions).to(self.device)
        images, labels = (
            one.index_select(0, rows).cpu().numpy() for one in (self.train.images, self.train.labels)
        )
        splits = Split(images, labels), Split(images[:0], labels[:0])
        return ResidentData(SearchData(*splits, self.classes, self.key, self.positive), self.device)

    @cached_property
    def _standard(self) -> Normalization:
        return standard(self.train.images.cpu().numpy())

    @cached_property
    def _standard_of_both(self) -> Normalization:
        return standard(self._both.images.cpu().numpy())

    @cached_property
    def _both(self) -> Resident:
        """A second copy of all images; it is made where a training asks for it, and stays."""
        train, validation = self.train, self.validation
        return Resident(
            torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels])
        )

    def _on_device(self, split: Split) -> Resident:
        # copied, never shared: a worker of the Ray pool gets read-only arrays
        return Resident(*(torch.tensor(array, device=self.device) for array in (split.images, split.labels)))
