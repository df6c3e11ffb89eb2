"""From a network to the list of its layers, for the images and classes of a problem, and the memory that training it takes."""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import assert_never

from evosearch.blueprint.layers import (
    BatchNormLayer,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    ImageShape,
    Layer,
    LinearLayer,
    PoolLayer,
    ReluLayer,
)
from evosearch.errors import InvalidChromosomeError
from evosearch.genome import KERNEL, Chromosome, Conv, Dense, HandMade, Network, Pool, Pretrained

SIZES_KEPT = 2**14
"""Networks whose size is remembered: more than a generation and those it was bred from, about 3 MB."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a network is for."""

    image: ImageShape
    """Shape of the images that it takes."""
    classes: int
    """How many it distinguishes, at least 1: its outputs."""


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """How big a network is."""

    layers: int
    """How many run one after another."""
    parameters: int
    """Trainable numbers."""
    flops: int
    """Forward, of one image: two per multiply-add."""
    activations: int
    """Output elements of all layers for one image."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Every layer of a network in order."""

    problem: Problem
    """The images and classes that it is for."""
    layers: tuple[Layer, ...]
    """From the images to the outputs."""

    @property
    def size(self) -> NetworkSize:
        """Its figures alone."""
        return NetworkSize(len(self.layers), self.parameters, self.flops, self.activations)

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Forward FLOPs of one image (convolutions and linear layers; two per multiply-add)."""
        return sum(layer.flops for layer in self.layers)

    @property
    def activations(self) -> int:
        """Output elements of all layers for one image; a flatten is a view and counts nothing."""
        return sum(_held(layer) for layer in self.layers)


def _held(layer: Layer) -> int:
    match layer:
        case FlattenLayer():
            return 0
        case ConvLayer() | BatchNormLayer() | ReluLayer() | PoolLayer() | LinearLayer() | DropoutLayer():
            return prod(layer.output)
    assert_never(layer)


def blueprint_of(chromosome: Chromosome, problem: Problem, dropout: float = 0.5) -> Blueprint:
    """Decode `chromosome` into its layers.

    Each convolution becomes conv, batch norm (if it has one), ReLU; each dense gene linear, ReLU, dropout;
    the output layer of `problem.classes` logits closes the list.

    Args:
        chromosome: genes in order.
        problem: the images, channels first, in pixels; the number of logits.
        dropout: rate after each hidden dense layer (0.5 in the authors' released code); 0 leaves it out.

    Raises:
        InvalidChromosomeError: a pooling would bring a side below 1 pixel; repair it first.
    """
    layers: list[Layer] = []
    image = problem.image
    channels, height, width = image.channels, image.height, image.width
    for position, gene in enumerate(chromosome.head, 1):
        match gene:
            case Conv():
                layers += _convolution(gene, channels, height, width)
                channels = gene.channels
            case Pool():
                height, width = height // 2, width // 2
                if min(height, width) < 1:
                    raise InvalidChromosomeError(
                        f"the pooling at gene {position} of '{chromosome}' leaves no pixel of "
                        f"{image.height} x {image.width} images; repair removes the last poolings"
                    )
                layers.append(PoolLayer((channels, height, width)))
            case _:
                assert_never(gene)
    tail = _tail(chromosome, channels * height * width, problem.classes, dropout)
    return Blueprint(problem, (*layers, *tail))


@lru_cache(maxsize=SIZES_KEPT)
def size_of(network: Network, problem: Problem, dropout: float = 0.5) -> NetworkSize | None:
    """How big `network` is; None for a hand-made one, which is known only once it is built.

    Remembered, so that a candidate's layers are worked out once although its feasibility, its record, its place in
    the queue and its memory all rest on them.

    Raises:
        InvalidChromosomeError: as `blueprint_of`.
    """
    match network:
        case Chromosome():
            return blueprint_of(network, problem, dropout).size
        case Pretrained(chromosome):
            return blueprint_of(chromosome, problem, dropout).size
        case HandMade():
            return None
    assert_never(network)


def _convolution(gene: Conv, channels: int, height: int, width: int) -> list[Layer]:
    shape = (gene.channels, height, width)
    norm = [BatchNormLayer(gene.channels, shape)] if gene.batch_norm else []
    return [ConvLayer(channels, gene.channels, KERNEL, shape), *norm, ReluLayer(shape)]


def _tail(chromosome: Chromosome, features: int, classes: int, dropout: float) -> list[Layer]:
    layers: list[Layer] = [FlattenLayer((features,))]
    for gene in chromosome.tail:
        match gene:
            case Dense(units):
                layers += [LinearLayer(features, units), ReluLayer((units,))]
                if dropout:
                    layers.append(DropoutLayer(dropout, (units,)))
                features = units
    layers.append(LinearLayer(features, classes))
    return layers


FLOAT = 4
"""Bytes of an fp32 number."""

STATE_PER_PARAMETER = {"adam": 2, "adadelta": 2, "rmsprop": 1, "sgd": 0}
"""Numbers that each optimizer keeps per parameter (SGD here has no momentum)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that training takes, in fp32, by purpose."""

    parameters: int
    """The weights."""
    gradients: int
    """One for each parameter."""
    optimizer: int
    """What the optimizer keeps for the parameters."""
    activations: int
    """The outputs of all layers for one batch, which the backward pass needs."""

    @property
    def total(self) -> int:
        """Sum in bytes; the framework's own workspace is not in it."""
        return self.parameters + self.gradients + self.optimizer + self.activations


def training_memory(size: NetworkSize, batch_size: int, optimizer: str) -> Memory:
    """Memory for one training step of `batch_size` images with `optimizer`, a key of `STATE_PER_PARAMETER`."""
    weights = FLOAT * size.parameters
    return Memory(
        parameters=weights,
        gradients=weights,
        optimizer=STATE_PER_PARAMETER[optimizer] * weights,
        activations=FLOAT * batch_size * size.activations,
    )
