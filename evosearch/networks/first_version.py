"""Hand-made networks as lists had them that began before all started from Kaiming weights: drawn by torchvision, with another
first convolution for gray images, and none for small ones. They go on so.
"""

from collections.abc import Callable

from torch import nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError
from evosearch.evaluation import Network
from evosearch.networks.pooling import AveragePool

LEAST_SIDE = {"densenet121": 32, "densenet169": 32, "vgg16_bn": 32}
"""Pixels below which a network has nothing left to pool; the others take any image."""


NAMES = (
    "densenet121",
    "densenet169",
    "efficientnet_b0",
    "efficientnet_b1",
    "resnet18",
    "resnet50",
    "vgg16_bn",
)
"""The networks that there were."""


def is_as_first(network: Network) -> bool:
    """Whether the first lists knew this network, which they trained from random weights alone."""
    return str(network) in NAMES


def build_as_first(name: str, image: ImageShape, classes: int) -> nn.Module:
    """The network that torchvision calls `name`, with random weights, on torch's default device.

    Weights are drawn from torch's default generator: first all of torchvision's own network for so many classes, in its
    order; then, where the images have not 3 channels, those of another first convolution (normal, fan out).

    Raises:
        EvaluationError: the images are too small for it.
    """
    least = LEAST_SIDE.get(name, 1)
    if min(image.height, image.width) < least:
        raise EvaluationError(
            f"{name} takes images of at least {least} x {least} pixels, found {image.height} x {image.width}"
        )
    module = _constructor(name)(weights=None, num_classes=classes)
    if image.channels != 3:
        _replace_first_convolution(module, image.channels)
    if name == "vgg16_bn":
        module.avgpool = AveragePool(7)
    return module


def _constructor(name: str) -> Callable[..., nn.Module]:
    from torchvision import models  # noqa: PLC0415 - it takes a second, and chromosomes need none of it

    made: Callable[..., nn.Module] = getattr(models, name)
    return made


def _replace_first_convolution(module: nn.Module, channels: int) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            first = nn.Conv2d(
                channels,
                layer.out_channels,
                layer.kernel_size,  # type: ignore[arg-type] # a pair, whatever its stubs say
                layer.stride,  # type: ignore[arg-type] # likewise
                layer.padding,  # type: ignore[arg-type] # likewise
                bias=layer.bias is not None,
            )
            nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
            if first.bias is not None:
                nn.init.zeros_(first.bias)
            module.set_submodule(name, first)
            return
