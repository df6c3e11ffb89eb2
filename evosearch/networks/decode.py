"""From a network to the module that is trained, with the weights it starts from: a chromosome by way of its blueprint, one
module per layer.
"""

from typing import assert_never

import torch
from torch import nn

from evosearch.blueprint import (
    BatchNormLayer,
    Blueprint,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    ImageShape,
    Layer,
    LinearLayer,
    PoolLayer,
    Problem,
    ReluLayer,
    blueprint_of,
)
from evosearch.evaluation import HandMadeRule, Network
from evosearch.genome import Chromosome, HandMade, Pretrained
from evosearch.networks.first_version import build_as_first, is_as_first
from evosearch.networks.hand_made import build_hand_made


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight again, in place and in the order of the layers.

    Convolutions and linear layers: Kaiming normal (fan in, ReLU gain), biases 0. Batch norm: scale 1, shift 0,
    fresh running statistics. `module` must be on the CPU, like `generator`, so that every device starts from the
    same bits; its old contents are never read (`to_empty` may have left garbage).

    Source: EAVL-COVID, "Kaiming weight initialisation"; the output layer is no exception.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def decode(
    network: Network,
    image: ImageShape,
    classes: int,
    dropout: float,
    generator: torch.Generator | None = None,
    rule: HandMadeRule = "kaiming",
) -> nn.Module:
    """The network as a module on the CPU; it takes images (B, C, H, W) float32, normalised, and returns logits (B, classes), and
    those of an auxiliary head where it has one and trains.

    Args:
        network: what to decode.
        image: shape of the images, channels first.
        classes: number of logits.
        dropout: rate after each hidden dense layer of a chromosome.
        generator: of the CPU; its weights are drawn from it, those too in whose place given ones come. None: they are
            undefined, to be loaded.
        rule: how a hand-made network is built and drawn.

    Raises:
        InvalidChromosomeError: a chromosome needs repair first.
        EvaluationError: the images are too small for a hand-made network by the rule `torchvision`.
    """
    if rule == "torchvision" and is_as_first(network):
        return build_as_first(str(network), image, classes)  # draws from torch's default generator
    # PyTorch's own initial weights would cost time and random numbers
    with torch.device("meta"):
        module = build_network(network, image, classes, dropout)
    module.to_empty(device="cpu")
    if generator:
        initialise(module, generator)
    return module


def build_network(network: Network, image: ImageShape, classes: int, dropout: float) -> nn.Module:
    """As `decode`, on torch's default device; its weights are to be drawn by `initialise` or loaded."""
    match network:
        case Chromosome():
            return build(blueprint_of(network, Problem(image, classes), dropout))
        case Pretrained(chromosome):
            return build(blueprint_of(chromosome, Problem(image, classes), dropout))
        case HandMade(name, weights):
            return build_hand_made(name, image, classes, given=weights is not None)
    assert_never(network)


def build(blueprint: Blueprint) -> nn.Sequential:
    """Decode `blueprint`; the module at position i is its layer i.

    The network takes images (B, C, H, W) float32, normalised, and returns logits (B, classes). It is made on
    torch's default device; under `torch.device("meta")` it costs no memory and no random numbers, and
    `initialise` then gives it weights.
    """
    return nn.Sequential(*(_module(layer) for layer in blueprint.layers))


def _module(layer: Layer) -> nn.Module:
    match layer:
        case ConvLayer():
            return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, padding=layer.kernel // 2)
        case BatchNormLayer():
            return nn.BatchNorm2d(layer.channels)
        case ReluLayer():
            return nn.ReLU()
        case PoolLayer():
            return nn.MaxPool2d(2)
        case FlattenLayer():
            return nn.Flatten()
        case LinearLayer():
            return nn.Linear(layer.inputs, layer.outputs)
        case DropoutLayer():
            return nn.Dropout(layer.rate)
    assert_never(layer)
