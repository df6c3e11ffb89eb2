"""Networks that people made, as torchvision builds them, for images and classes of any number."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError

LEAST_SIDE = {"densenet121": 32, "densenet169": 32, "vgg16_bn": 32}
"""Pixels below which a network has nothing left to pool; the others take any image."""


def build_hand_made(name: str, image: ImageShape, classes: int) -> nn.Module:
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


class AveragePool(nn.Module):
    """`nn.AdaptiveAvgPool2d(side)` as two products of matrices: PyTorch's own has no deterministic gradient on a GPU."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C, side, side)."""
        if images.shape[2:] == (self.side, self.side):
            return images
        rows, columns = (self._weights(length, images) for length in images.shape[2:])
        return rows @ images @ columns.T

    def _weights(self, length: int, like: Tensor) -> Tensor:
        """(side, length): what each pixel adds to each mean; cell i spans the pixels that touch [i, i + 1) / side."""
        cells = torch.arange(self.side, device=like.device)
        starts, ends = cells * length // self.side, -(-(cells + 1) * length // self.side)
        pixels = torch.arange(length, device=like.device)
        inside = (pixels >= starts[:, None]) & (pixels < ends[:, None])
        return (inside / (ends - starts)[:, None]).to(like.dtype)
