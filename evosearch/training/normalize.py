"""From uint8 pixels to what a network takes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evosearch.evaluation import Images

WHITE = 255
"""Largest value of a pixel."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """A pixel of value p in channel c becomes (p - mean[c]) / deviation[c]; both in pixel values, 0 to 255."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


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


class Scale:
    """A `Normalization` on a device."""

    def __init__(self, normalization: Normalization, device: torch.device) -> None:
        self._mean = torch.tensor(normalization.mean, device=device).reshape(-1, 1, 1)
        self._deviation = torch.tensor(normalization.deviation, device=device).reshape(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """From images (B, C, H, W) uint8 to float32, channels last.

        Channels last trains paper-width networks up to 1.4 times as fast as contiguous on a CPU; the layers
        keep the layout.
        """
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        return pixels.sub_(self._mean).div_(self._deviation)
