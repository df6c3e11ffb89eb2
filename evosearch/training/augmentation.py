"""Random flips and crops of training images: drawn on the host, the same for every device, and applied on the device.

Every epoch has a generator of its own, made from the training's seed, as its order has. So no other draw moves where
images are augmented, and a training that goes on inside an epoch draws again what it had drawn.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evosearch.blueprint import ImageShape
from evosearch.evaluation import Augment

OWN = 1
"""Tells these draws from those of the epoch's order, which has the same seed without it."""

SHARE = 8
"""The part of its side by which an image is moved at most: 4 of 32 pixels, as is usual for CIFAR-10."""


def drawn_moves(
    augment: Augment, images: int, image: ImageShape, seed: int, epoch: int
) -> npt.NDArray[np.int64] | None:
    """What happens to each of `images` training images, by place in epoch `epoch` (from 1); None where nothing does.

    Returns: (images, 3) int64: 1 where it is flipped, else 0; pixels by which it is moved up, and left.

    >>> drawn_moves("flip", 3, ImageShape(1, 32, 32), seed=0, epoch=1).tolist()
    [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    """
    if augment == "none":
        return None
    generator = np.random.default_rng([seed, epoch, OWN])
    moves = np.zeros((images, 3), np.int64)
    moves[:, 0] = generator.integers(0, 2, images)
    if augment == "flip_crop":
        for column, side in enumerate((image.height, image.width), 1):
            most = farthest(side)
            moves[:, column] = generator.integers(-most, most + 1, images)
    return moves


def farthest(side: int) -> int:
    """Pixels by which an image of this side is moved at most: an eighth, rounded.

    >>> farthest(32), farthest(28), farthest(3)
    (4, 4, 0)
    """
    return (side + SHARE // 2) // SHARE


def moved(images: Tensor, moves: Tensor) -> Tensor:
    """Images (B, C, H, W), each flipped, then moved as its row of `moves` (B, 3) says; in place of what comes from outside is
    what lies inside, mirrored at the edge (its own row not repeated). Pixels are taken as they are, none is mixed.
    """
    height, width = images.shape[2:]
    flipped, up, left = moves.unbind(1)
    rows = _inside(torch.arange(height, device=images.device) + up[:, None], height)
    columns = _inside(torch.arange(width, device=images.device) + left[:, None], width)
    columns = torch.where(flipped[:, None] == 1, width - 1 - columns, columns)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    every = pixels[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, every).view_as(images)


def _inside(places: Tensor, side: int) -> Tensor:
    last = side - 1
    return last - (last - places.abs()).abs()
