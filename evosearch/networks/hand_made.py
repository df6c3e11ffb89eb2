"""Networks that people made, as torchvision builds them, for images of any size, gray or colour, and any number of classes."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from evosearch.blueprint import ImageShape
from evosearch.networks.pooling import average_pool

LEAST_SIDE = {"inception_v3": 75}
"""Pixels of the smallest images that torchvision's network takes, where these are not `STRIDE`."""

STRIDE = 32
"""Pixels of a side that become one in the last map of every network but InceptionV3 and SqueezeNet; with fewer some of them
have nothing left to pool, and others nothing but padding beside their last pixel.
"""

COLOURS = 3
"""Channels that every one of them takes."""

OUTPUTS = {
    "densenet121": ("classifier",),
    "densenet169": ("classifier",),
    "efficientnet_b0": ("classifier.1",),
    "efficientnet_b1": ("classifier.1",),
    "inception_v3": ("fc", "AuxLogits.fc"),
    "mobilenet_v2": ("classifier.1",),
    "resnet18": ("fc",),
    "resnet50": ("fc",),
    "resnet152": ("fc",),
    "squeezenet1_1": ("classifier.1",),
    "vgg16": ("classifier.6",),
    "vgg16_bn": ("classifier.6",),
}
"""The layers whose outputs are logits, by network, its own before that of an auxiliary head: with another number of classes they
are others.
"""


def least_side(name: str) -> int:
    """Pixels below which the images for the network `name` are enlarged."""
    return LEAST_SIDE.get(name, STRIDE)


def build_hand_made(name: str, image: ImageShape, classes: int, *, given: bool = False) -> nn.Module:
    """The network that torchvision calls `name`, on torch's default device; its weights are to be drawn or loaded.

    It takes images (B, C, H, W) float32, normalised, of 1 or 3 channels and any size: gray is repeated to three channels, and
    images with a side below `least_side` are enlarged. It returns logits (B, classes); InceptionV3, while it trains, those of
    its auxiliary head too, as a pair.

    `given`: its weights are torchvision's, which InceptionV3's were trained on another scale than all others.
    """
    fitting = Fitting.of(image, least_side(name))
    module: nn.Module = _constructor(name)(weights=None, num_classes=classes, **_options(name, given))
    if name.startswith("vgg"):
        module.avgpool = average_pool(7, fitting.height // STRIDE, fitting.width // STRIDE)
    module.register_forward_pre_hook(fitting)
    return module


def _constructor(name: str) -> Callable[..., nn.Module]:
    from torchvision import models  # noqa: PLC0415 - it takes a second, and chromosomes need none of it

    made: Callable[..., nn.Module] = getattr(models, name)
    return made


def _options(name: str, given: bool) -> dict[str, Any]:
    if name != "inception_v3":
        return {}
    from evosearch.networks.inception import BLOCKS  # noqa: PLC0415 - with torchvision

    return {"inception_blocks": BLOCKS, "init_weights": False, "transform_input": given}


@dataclass(frozen=True, slots=True)
class Fitting:
    """A hook before a network's forward pass: makes of its images what it takes."""

    height: int
    """Pixels of an image that the network gets."""
    width: int
    """Pixels of an image that the network gets."""

    @classmethod
    def of(cls, image: ImageShape, least: int) -> "Fitting":
        """For images of this shape, whose shorter side becomes `least` where it is below; the other in proportion.

        >>> Fitting.of(ImageShape(1, 28, 28), 32), Fitting.of(ImageShape(3, 64, 48), 32)
        (Fitting(height=32, width=32), Fitting(height=64, width=48))
        """
        factor = max(Fraction(1), Fraction(least, min(image.height, image.width)))
        return cls(ceil(image.height * factor), ceil(image.width * factor))

    def __call__(self, _: nn.Module, images: tuple[Tensor]) -> Tensor:
        """From images (B, 1 or 3, H, W) to (B, 3, height, width); enlarged bilinearly, the corners of pixels not aligned.

        No gradient flows to images, so that what has no deterministic one on a GPU is not asked for it.
        """
        (found,) = images
        if found.shape[2:] != (self.height, self.width):
            size = (self.height, self.width)
            found = functional.interpolate(found, size, mode="bilinear", align_corners=False)
        if found.shape[1] != COLOURS:
            found = found.expand(-1, COLOURS, -1, -1)
        return found.contiguous(memory_format=torch.channels_last)
