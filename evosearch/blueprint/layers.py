"""The layers of a decoded network as values; each knows its shapes, parameters and cost."""

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from evosearch.errors import InputError

Shape: TypeAlias = tuple[int, ...]
"""Shape of one image's activation: (channels, height, width) in the head, (features,) in the tail."""


@dataclass(frozen=True, slots=True)
class ImageShape:
    """Shape of the images a network takes, each number at least 1."""

    channels: int
    """1 for gray and 3 for colour pictures."""
    height: int
    """In pixels."""
    width: int
    """In pixels."""

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            raise InputError(f"an image has at least 1 channel and 1 x 1 pixels, found {self}")


@dataclass(frozen=True, slots=True)
class ConvLayer:
    """A convolution with bias, stride 1 and 'same' padding."""

    inputs: int
    """Channels that come in."""
    outputs: int
    """Channels that go out."""
    kernel: int
    """Side of the kernel in pixels."""
    output: Shape
    """Shape of its activation."""

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs * self.kernel**2 + 1)

    @property
    def flops(self) -> int:
        """Forward FLOPs of one image, two per multiply-add, bias left out (as `torch.utils.flop_counter`)."""
        return 2 * prod(self.output) * self.inputs * self.kernel**2


@dataclass(frozen=True, slots=True)
class BatchNormLayer:
    """Batch norm over channels; running statistics are buffers and no parameters."""

    channels: int
    """How many it normalizes."""
    output: Shape
    """As its input."""
    flops: int = 0
    """None are counted: they are few beside a convolution's."""

    @property
    def parameters(self) -> int:
        """Scale and shift per channel."""
        return 2 * self.channels


@dataclass(frozen=True, slots=True)
class ReluLayer:
    """A rectifier."""

    output: Shape
    """As its input."""
    parameters: int = 0
    """It has none."""
    flops: int = 0
    """None are counted: no multiply-add is in it."""


@dataclass(frozen=True, slots=True)
class PoolLayer:
    """A 2x2 max pooling, stride 2, sides rounded down."""

    output: Shape
    """(channels, height, width) with the sides halved, rounded down."""
    parameters: int = 0
    """It has none."""
    flops: int = 0
    """None are counted: no multiply-add is in it."""


@dataclass(frozen=True, slots=True)
class FlattenLayer:
    """From (channels, height, width) to (features,); a view, so it holds no activation of its own."""

    output: Shape
    """(features,): the product of its input's shape."""
    parameters: int = 0
    """It has none."""
    flops: int = 0
    """It computes nothing."""


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A fully connected layer with bias."""

    inputs: int
    """Features that come in."""
    outputs: int
    """Features that go out."""

    @property
    def output(self) -> Shape:
        """(outputs,)."""
        return (self.outputs,)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs + 1)

    @property
    def flops(self) -> int:
        """Forward FLOPs of one image, two per multiply-add, bias left out."""
        return 2 * self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class DropoutLayer:
    """Dropout at `rate` while training; absent at rate 0."""

    rate: float
    """Share of the features that is dropped, above 0, below 1."""
    output: Shape
    """As its input."""
    parameters: int = 0
    """It has none."""
    flops: int = 0
    """None are counted, and it does nothing outside training."""


Layer: TypeAlias = (
    ConvLayer | BatchNormLayer | ReluLayer | PoolLayer | FlattenLayer | LinearLayer | DropoutLayer
)
